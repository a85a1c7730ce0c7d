//! What every Unix can do, for those of which nothing more is known.
//!
//! Linux uses none of this, but can be made to, with `--cfg pipewright_portable`,
//! so that it is compiled and tested.

use std::ffi::CString;
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, Stat, fcntl_setfl};
use rustix::io::{Errno, FdFlags, fcntl_setfd, writev};
use rustix::net::{SendAncillaryBuffer, SendFlags};

use super::sigpipe;

/// There are no packet pipes.
pub(super) const PACKETS: OFlags = OFlags::empty();

/// There are no descriptors that only stand for a name.
pub(super) const NAME_ONLY: OFlags = OFlags::empty();

/// Never chosen: [`takes_nowait`] says so.
pub(super) fn write_nowait(_: BorrowedFd<'_>, _: &[IoSlice<'_>]) -> Result<usize, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// Writes as the flags of the description say.
pub(super) fn write_plain(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    sigpipe::guarded(|| writev(fd, slices))
}

/// Sends to a socket without waiting.
pub(super) fn send_nowait(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    sigpipe::guarded(|| {
        let mut nothing = SendAncillaryBuffer::default();
        rustix::net::sendmsg(fd, slices, &mut nothing, SendFlags::DONTWAIT)
    })
}

/// Whether [`write_nowait`] can serve this pipe.
pub(super) fn takes_nowait(_: &OwnedFd) -> bool {
    false
}

/// Opening `/dev/fd/N` duplicates the descriptor on most systems: its description
/// stays shared, so there is no way to get one of our own.
pub(super) fn reopen(_: &OwnedFd) -> Option<OwnedFd> {
    None
}

/// Not known: such devices are served by a thread, like all that is not known.
pub(super) fn is_memory_device(_: &Stat) -> bool {
    false
}

/// Pipes have the size that they have.
pub(super) fn set_pipe_size(_: &OwnedFd, _: usize) {}

/// Nothing tells.
pub(super) fn is_read(_: BorrowedFd<'_>) -> io::Result<bool> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Creates a FIFO. rustix has no `mkfifo` for Apple's systems.
pub(super) fn make_fifo(path: &Path, mode: Mode) -> Result<(), Errno> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
    // SAFETY: `path` is a string that ends with NUL and lives through the call.
    let made = unsafe { libc::mkfifo(path.as_ptr(), mode.as_raw_mode()) };
    match made {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// The reading and the writing end of a flag that can be waited for.
pub(super) fn flag() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let (reader, writer) = rustix::pipe::pipe()?;
    for end in [&reader, &writer] {
        fcntl_setfd(end, FdFlags::CLOEXEC)?;
        fcntl_setfl(end, OFlags::NONBLOCK)?;
    }
    Ok((reader, Some(writer)))
}
