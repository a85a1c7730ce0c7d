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

use std::cell::RefCell;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pipewright_core::Mode;

use crate::sys::{Description, Handling, Opened, Park, Refused};

pub(crate) use reactor::Timer;
pub(crate) use signal::Signal;

/// What a writer is made from.
pub(crate) type Pipe = OwnedFd;

/// What can be seen of the handle, fit or not.
pub(crate) fn describe(pipe: &Pipe) -> Description {
    match kind::Kind::of(pipe) {
        Ok(kind) => kind.describe(pipe),
        Err(_) => Description {
            mode: Mode::Byte,
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

thread_local! {
    /// How this thread waits, if it is one of ours: by going on with its work.
    static PARKER: RefCell<Option<Arc<dyn Park>>> = const { RefCell::new(None) };
}

/// How the current thread waits.
///
/// A thread of ours must not stand still while user code on it (a callback, a
/// waker) waits for something that only this thread can bring about: it does its
/// work meanwhile.
pub(crate) fn parker() -> Arc<dyn Park> {
    PARKER
        .with_borrow(Clone::clone)
        .unwrap_or_else(|| Arc::new(ThreadPark(std::thread::current())))
}

/// Says how this thread waits from now on.
fn set_parker(parker: Arc<dyn Park>) {
    PARKER.set(Some(parker));
}

struct ThreadPark(std::thread::Thread);

impl Park for ThreadPark {
    fn park(&self, timeout: Option<Duration>, woken: &AtomicBool) {
        if woken.load(Ordering::Acquire) {
            return;
        }
        match timeout {
            Some(timeout) => std::thread::park_timeout(timeout),
            None => std::thread::park(),
        }
    }

    fn unpark(&self) {
        self.0.unpark();
    }
}
