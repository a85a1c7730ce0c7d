//! Unix: what kind of descriptor it is, and the driver that fits.
//!
//! | descriptor | mechanism | driver |
//! | --- | --- | --- |
//! | socket | `sendmsg` with `MSG_DONTWAIT` | readiness |
//! | anonymous pipe, Linux | `pwritev2` with `RWF_NOWAIT` | readiness |
//! | FIFO, terminal, other pipes | a description of our own, reopened with `O_NONBLOCK` | readiness |
//! | the same, if it cannot be reopened but is non-blocking, or ours alone | `writev` | readiness |
//! | memory device (`/dev/null`), Linux | `writev`, which cannot wait | readiness |
//! | everything else: regular files, block devices | `writev` | thread |
//!
//! No row changes the flags of a description that somebody else may share.

pub mod fifo;

mod asked;
mod kind;
mod reactor;
mod readiness;
mod signal;
mod sigpipe;
mod source;
mod thread;
mod write;

/// What the system can do: its own ways, or those that every Unix has.
#[cfg(all(
    any(target_os = "linux", target_os = "android"),
    not(pipewright_portable)
))]
#[path = "linux.rs"]
mod system;
#[cfg(not(all(
    any(target_os = "linux", target_os = "android"),
    not(pipewright_portable)
)))]
#[path = "portable.rs"]
mod system;

use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

use crate::sys::{Description, Handling, Opened, Refused};

pub(crate) use asked::Asked;
pub(crate) use reactor::Timer;
pub(crate) use signal::Signal;

/// What a writer is made from.
pub(crate) type Pipe = OwnedFd;

/// The kind of an error, by its number.
pub(crate) fn error_kind(code: i32) -> std::io::ErrorKind {
    std::io::Error::from_raw_os_error(code).kind()
}

/// What can be seen of the handle, fit or not.
pub(crate) fn describe(pipe: &Pipe) -> Description {
    match kind::Kind::of(pipe) {
        Ok(kind) => kind.describe(pipe),
        Err(_) => Description {
            mode: None,
            label: format!("fd {}", pipe.as_raw_fd()),
        },
    }
}

/// Finds out what `pipe` is, and picks its driver.
pub(crate) fn open(pipe: Pipe, handling: Handling) -> Result<Opened, Refused> {
    let kind = match kind::Kind::of(&pipe) {
        Ok(kind) => kind,
        Err(error) => return Err(Refused { pipe, error }),
    };
    let description = kind.describe(&pipe);
    if let Some(size) = handling.pipe_size {
        system::set_pipe_size(&pipe, size);
    }
    let driver: Arc<dyn crate::sys::Driver> = match kind.way(&pipe, handling.sole_owner) {
        Some(way) => readiness::Readiness::open(pipe, way)?,
        None => thread::BlockingThread::open(pipe, kind.is_pollable())?,
    };
    Ok(Opened {
        driver,
        description,
    })
}
