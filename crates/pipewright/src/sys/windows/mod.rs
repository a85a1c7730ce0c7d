//! Windows: what kind of handle it is, and the driver that fits.
//!
//! | handle | mechanism | driver |
//! | --- | --- | --- |
//! | opened for overlapped I/O: named pipe, `ChildStdin`, serial port | overlapped `WriteFile`, thread-pool wait | overlapped |
//! | any other: anonymous pipe, console, inherited standard output, file | `WriteFile`, `CancelSynchronousIo` | thread |
//! | disk file opened for overlapped I/O | refused: it has no position to write at | |
//!
//! What a handle was opened for is asked of the system, never assumed.

pub mod named_pipe;

mod block;
mod blocking;
mod call;
mod contiguous;
mod errors;
mod flush;
mod kind;
mod overlapped;
mod signal;
mod worker;

use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::Arc;

use crate::sys::{Description, Driver, Handling, Opened, Refused};

pub(crate) use errors::error_kind;
pub(crate) use flush::Asked;
pub(crate) use signal::Signal;
pub(crate) use worker::Timer;

/// What a writer is made from.
pub(crate) type Pipe = OwnedHandle;

/// What can be seen of the handle, fit or not.
pub(crate) fn describe(pipe: &Pipe) -> Description {
    let handle = pipe.as_handle();
    match kind::Kind::of(handle) {
        Ok(kind) => kind.describe(handle),
        Err(_) => Description {
            mode: None,
            label: kind::label(handle),
        },
    }
}

/// Finds out what `pipe` is, and picks its driver. The size of a pipe is fixed when
/// it is made, and no handle's flags are changed, so `handling` has no say.
pub(crate) fn open(pipe: Pipe, _: Handling) -> Result<Opened, Refused> {
    let kind = match kind::Kind::of(pipe.as_handle()) {
        Ok(kind) => kind,
        Err(error) => return Err(Refused { pipe, error }),
    };
    let description = kind.describe(pipe.as_handle());
    let driver: Arc<dyn Driver> = if kind.overlapped {
        overlapped::Overlapped::open(pipe, kind)?
    } else {
        blocking::BlockingThread::open(pipe, kind)?
    };
    Ok(Opened {
        driver,
        description,
    })
}
