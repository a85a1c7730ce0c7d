//! An operation as one gathering write that does not wait, and what its result
//! means.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use pipewright_core::{Failure, Limits, Operation, Rest};
use rustix::io::Errno;

use super::system;
use crate::sys::Submitted;

/// The chunks of one gathering write.
pub(super) const MAX_CHUNKS: usize = 64;

/// How a descriptor is written without waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    /// `pwritev2` with `RWF_NOWAIT`: the description may be blocking.
    NoWait,
    /// `writev`: the description does not block, or the device cannot.
    Plain,
    /// `sendmsg` with `MSG_DONTWAIT`.
    Socket,
}

/// Pieces of 64 KiB: larger ones were slower on pipes.
pub(super) const LIMITS: Limits = Limits {
    max_bytes: 64 * 1024,
    max_chunks: MAX_CHUNKS,
};

impl Mechanism {
    /// Writes as much of the operation as goes without waiting.
    pub(super) fn write(self, fd: BorrowedFd<'_>, operation: &Operation) -> Result<usize, Errno> {
        with_slices(operation, |slices| {
            retry_interrupted(|| match self {
                Mechanism::NoWait => system::write_nowait(fd, slices),
                Mechanism::Plain => system::write_plain(fd, slices),
                Mechanism::Socket => system::send_nowait(fd, slices),
            })
        })
    }
}

/// Gives the operation's data to `write` as the slices of one gathering write.
pub(super) fn with_slices<T>(operation: &Operation, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    if operation.chunks() == 1 {
        return write(&[IoSlice::new(operation.first())]);
    }
    let mut slices = [IoSlice::new(&[]); MAX_CHUNKS];
    let mut count = 0;
    for (slot, slice) in slices.iter_mut().zip(operation.slices()) {
        *slot = IoSlice::new(slice);
        count += 1;
    }
    write(&slices[..count])
}

/// What the result of a write means for its operation.
pub(super) fn outcome(operation: Operation, written: Result<usize, Errno>) -> Submitted {
    match written {
        Ok(written) => Submitted::Completed(operation, written),
        Err(error) if error == Errno::AGAIN || error == Errno::WOULDBLOCK => {
            Submitted::NotReady(operation)
        }
        Err(error @ (Errno::NOBUFS | Errno::NOMEM)) => {
            Submitted::Exhausted(operation, Failure::Os(error.raw_os_error()))
        }
        // A write on Unix that fails has written nothing: POSIX, `write`.
        Err(error) => Submitted::Failed(
            operation,
            0,
            Failure::Os(error.raw_os_error()),
            Rest::Unsent,
        ),
    }
}

pub(super) fn retry_interrupted<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
