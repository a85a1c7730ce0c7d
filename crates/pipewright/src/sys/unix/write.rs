//! The system calls that write without waiting.

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;

use pipewright_core::{Failure, Limits, Operation, Rest};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::sigpipe;
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
    pub(super) fn submit(self, fd: BorrowedFd<'_>, operation: Operation) -> Submitted {
        let written = with_slices(&operation, |slices| {
            retry_interrupted(|| match self {
                Mechanism::NoWait => nowait(fd, slices),
                Mechanism::Plain => plain(fd, slices),
                Mechanism::Socket => socket(fd, slices),
            })
        });
        outcome(operation, written)
    }
}

/// Gives the operation's data to `write` as the slices of one gathering write.
pub(super) fn with_slices<T>(operation: &Operation, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
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

fn socket(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    #[cfg(not(target_vendor = "apple"))]
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    #[cfg(target_vendor = "apple")]
    let flags = SendFlags::DONTWAIT;
    let send = || {
        let mut nothing = SendAncillaryBuffer::default();
        rustix::net::sendmsg(fd, slices, &mut nothing, flags)
    };
    if cfg!(target_vendor = "apple") {
        sigpipe::guarded(send)
    } else {
        send()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::io::IoSlice;
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::sync::OnceLock;

    use rustix::fs::OFlags;
    use rustix::io::{Errno, ReadWriteFlags, pwritev2, writev};
    use rustix::pipe::PipeFlags;

    use super::sigpipe;

    /// A pipe that keeps the boundaries of its writes (`pipe2`, `O_DIRECT`).
    pub(in super::super) const PACKETS: OFlags = OFlags::DIRECT;

    /// "Write at the current position", which for a pipe is the only one.
    const HERE: u64 = u64::MAX;

    /// `RWF_NOSIGNAL`, since Linux 6.18: `EPIPE` without `SIGPIPE`.
    const NOSIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

    pub(super) fn nowait(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        flagged(fd, slices, ReadWriteFlags::NOWAIT)
    }

    pub(super) fn plain(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        if kernel().nosignal {
            pwritev2(fd, slices, HERE, NOSIGNAL)
        } else {
            sigpipe::guarded(|| writev(fd, slices))
        }
    }

    fn flagged(
        fd: BorrowedFd<'_>,
        slices: &[IoSlice<'_>],
        flags: ReadWriteFlags,
    ) -> Result<usize, Errno> {
        if kernel().nosignal {
            pwritev2(fd, slices, HERE, flags | NOSIGNAL)
        } else {
            sigpipe::guarded(|| pwritev2(fd, slices, HERE, flags))
        }
    }

    /// What this kernel can do with anonymous pipes.
    struct Kernel {
        nowait: bool,
        nosignal: bool,
    }

    /// Asked once, of a pipe of our own.
    fn kernel() -> &'static Kernel {
        static KERNEL: OnceLock<Kernel> = OnceLock::new();
        KERNEL.get_or_init(|| {
            let takes = |flags| {
                rustix::pipe::pipe_with(PipeFlags::CLOEXEC).is_ok_and(|(_reader, writer)| {
                    pwritev2(&writer, &[IoSlice::new(b".")], HERE, flags).is_ok()
                })
            };
            Kernel {
                nowait: takes(ReadWriteFlags::NOWAIT),
                nosignal: takes(NOSIGNAL),
            }
        })
    }

    pub(in super::super) fn has_nowait() -> bool {
        kernel().nowait
    }

    /// Whether the pipe has no name: a named one (FIFO) lies in a file system of
    /// another kind, whose files do not take `RWF_NOWAIT`.
    pub(in super::super) fn is_anonymous(fd: &OwnedFd) -> bool {
        /// `PIPEFS_MAGIC` of `linux/magic.h`; man page statfs(2).
        const PIPEFS: i128 = 0x5049_5045;
        rustix::fs::fstatfs(fd).is_ok_and(|fs| i128::from(fs.f_type) == PIPEFS)
    }

    /// Best effort: the size may be over the user's limit, which is no reason not
    /// to write.
    pub(in super::super) fn set_pipe_size(fd: &OwnedFd, size: usize) {
        let _ = rustix::pipe::fcntl_setpipe_size(fd, size);
    }
}
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) use linux::{PACKETS, has_nowait, is_anonymous, set_pipe_size};
#[cfg(any(target_os = "linux", target_os = "android"))]
use linux::{nowait, plain};

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod portable {
    use std::io::IoSlice;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use rustix::fs::OFlags;
    use rustix::io::{Errno, writev};

    use super::sigpipe;

    /// There are no packet pipes here.
    pub(in super::super) const PACKETS: OFlags = OFlags::from_bits_retain(1 << 31);

    /// Never chosen here: [`has_nowait`] says so.
    pub(super) fn nowait(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        plain(fd, slices)
    }

    pub(super) fn plain(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
        sigpipe::guarded(|| writev(fd, slices))
    }

    pub(in super::super) fn has_nowait() -> bool {
        false
    }

    pub(in super::super) fn is_anonymous(_: &OwnedFd) -> bool {
        false
    }

    pub(in super::super) fn set_pipe_size(_: &OwnedFd, _: usize) {}
}
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) use portable::{PACKETS, has_nowait, is_anonymous, set_pipe_size};
#[cfg(not(any(target_os = "linux", target_os = "android")))]
use portable::{nowait, plain};

/// Whether the reader of a pipe has taken everything.
pub(super) fn is_read(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    let is_pipe = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Fifo;
    if is_pipe && cfg!(any(target_os = "linux", target_os = "android")) {
        Ok(rustix::io::ioctl_fionread(fd)? == 0)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}
