//! What Linux (and Android) can do beyond POSIX.

use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::{Errno, ReadWriteFlags, pwritev2, writev};
use rustix::net::{SendAncillaryBuffer, SendFlags};
use rustix::pipe::PipeFlags;

use super::sigpipe;

/// A pipe that keeps the boundaries of its writes (`pipe2`, `O_DIRECT`).
pub(super) const PACKETS: OFlags = OFlags::DIRECT;

/// A descriptor that only stands for a name (`O_PATH`).
pub(super) const NAME_ONLY: OFlags = OFlags::PATH;

/// "Write at the current position", which for a pipe is the only one.
const HERE: u64 = u64::MAX;

/// `RWF_NOSIGNAL`, since Linux 6.18: `EPIPE` without `SIGPIPE`.
const NOSIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

/// Writes without waiting, whatever the flags of the description.
pub(super) fn write_nowait(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    let nowait = ReadWriteFlags::NOWAIT;
    if kernel().nosignal {
        pwritev2(fd, slices, HERE, nowait | NOSIGNAL)
    } else {
        sigpipe::guarded(|| pwritev2(fd, slices, HERE, nowait))
    }
}

/// Writes as the flags of the description say.
pub(super) fn write_plain(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    if kernel().nosignal {
        match pwritev2(fd, slices, HERE, NOSIGNAL) {
            // Some devices take no flags at all.
            Err(Errno::OPNOTSUPP) => {}
            written => return written,
        }
    }
    sigpipe::guarded(|| writev(fd, slices))
}

/// Sends to a socket without waiting.
pub(super) fn send_nowait(fd: BorrowedFd<'_>, slices: &[IoSlice<'_>]) -> Result<usize, Errno> {
    let mut nothing = SendAncillaryBuffer::default();
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(fd, slices, &mut nothing, flags)
}

/// Whether [`write_nowait`] can serve this pipe: not one with a name (a FIFO), for
/// it lies in a file system of another kind, whose files do not take
/// `RWF_NOWAIT`.
pub(super) fn takes_nowait(pipe: &OwnedFd) -> bool {
    /// `PIPEFS_MAGIC` of `linux/magic.h`; man page statfs(2).
    const PIPEFS: i128 = 0x5049_5045;
    kernel().nowait && rustix::fs::fstatfs(pipe).is_ok_and(|fs| i128::from(fs.f_type) == PIPEFS)
}

/// What this kernel can do with pipes.
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

/// The same file, through an open file description that nobody shares.
pub(super) fn reopen(fd: &OwnedFd) -> Option<OwnedFd> {
    if is_terminal_master(fd) {
        return None;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let own = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let (ours, theirs) = (fstat(&own).ok()?, fstat(fd).ok()?);
    let same =
        (ours.st_dev, ours.st_ino, ours.st_rdev) == (theirs.st_dev, theirs.st_ino, theirs.st_rdev);
    (same && keeps_packets(&own, fd).is_ok()).then_some(own)
}

/// Packets belong to the description, not to the pipe, and cannot be asked for when it
/// is opened (man page pipe(2): since Linux 4.5 `fcntl` changes it).
fn keeps_packets(own: &OwnedFd, as_in: &OwnedFd) -> Result<(), Errno> {
    let packets = fcntl_getfl(as_in)? & PACKETS;
    if packets.is_empty() {
        return Ok(());
    }
    fcntl_setfl(own, fcntl_getfl(own)? | packets)
}

/// The master side of a pseudoterminal is a device that makes a new terminal
/// each time it is opened: it must not be reopened.
fn is_terminal_master(fd: &OwnedFd) -> bool {
    rustix::pty::ptsname(fd, Vec::new()).is_ok()
}

/// Major number 1 (devices.txt of the Linux documentation): `/dev/null`,
/// `/dev/full` and their kin, which complete every write at once.
pub(super) fn is_memory_device(stat: &Stat) -> bool {
    rustix::fs::major(stat.st_rdev) == 1
}

/// Best effort: the size may be over the user's limit, which is no reason not to
/// write.
pub(super) fn set_pipe_size(pipe: &OwnedFd, size: usize) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, size);
}

/// Whether the reader of a pipe has taken everything.
pub(super) fn is_read(fd: BorrowedFd<'_>) -> io::Result<bool> {
    if FileType::from_raw_mode(fstat(fd)?.st_mode) != FileType::Fifo {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(rustix::io::ioctl_fionread(fd)? == 0)
}

/// Creates a FIFO.
pub(super) fn make_fifo(path: &Path, mode: Mode) -> Result<(), Errno> {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0)
}

/// The two ends of a flag that can be waited for: here, one.
pub(super) fn flag() -> io::Result<(OwnedFd, Option<OwnedFd>)> {
    let both = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    Ok((both, None))
}
