//! An operation as one gathering write that does not wait, and what its result
//! means.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use pipewright_core::{Failure, Limits, Operation};
use rustix::io::Errno;

use super::system;
use crate::sys::Attempt;

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
    /// Writes as much of the data as goes without waiting.
    pub(super) fn write(self, fd: BorrowedFd<'_>, data: &[IoSlice<'_>]) -> Result<usize, Errno> {
        retry_interrupted(|| match self {
            Mechanism::NoWait => system::write_nowait(fd, data),
            Mechanism::Plain => system::write_plain(fd, data),
            Mechanism::Socket => system::send_nowait(fd, data),
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

/// What the result of a write means.
impl From<Result<usize, Errno>> for Attempt {
    fn from(written: Result<usize, Errno>) -> Self {
        match written {
            Ok(written) => Attempt::Wrote(written),
            Err(error) if error == Errno::AGAIN || error == Errno::WOULDBLOCK => Attempt::NotReady,
            Err(error @ (Errno::NOBUFS | Errno::NOMEM)) => {
                Attempt::Exhausted(Failure::Os(error.raw_os_error()))
            }
            // A write on Unix that fails has written nothing: POSIX, `write`.
            Err(error) => Attempt::Failed(Failure::Os(error.raw_os_error())),
        }
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
