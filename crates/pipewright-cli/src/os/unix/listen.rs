//! A Unix socket that is made here, for whoever comes first.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, RawMode};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketType};

/// Who may come: the owner, as with the FIFOs that are made.
const MODE: RawMode = 0o600;

/// Makes the socket. Nobody can connect to it yet (POSIX, connect, `ECONNREFUSED`).
///
/// # Errors
///
/// The system's: `EADDRINUSE` if there is anything of this name.
pub(super) fn bind(path: &Path) -> io::Result<OwnedFd> {
    let address = SocketAddrUnix::new(path)?;
    let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    // Where a socket has permissions of its own, its name gets them. Seen on Linux 6.18.
    #[cfg(target_os = "linux")]
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(MODE))?;
    net::bind(&socket, &address)?;
    #[cfg(not(target_os = "linux"))]
    rustix::fs::chmod(path, Mode::from_raw_mode(MODE))?;
    Ok(socket)
}

/// Listens. Whoever comes while another is there may wait, and is refused after all.
pub(super) fn begin(socket: OwnedFd) -> io::Result<UnixListener> {
    net::listen(&socket, 1)?;
    Ok(socket.into())
}

/// Waits for the first to come, for up to `limit`; for ever without one.
///
/// # Errors
///
/// [`TimedOut`](ErrorKind::TimedOut), or the system's.
pub(super) fn accept(listener: &UnixListener, limit: Option<Duration>) -> io::Result<OwnedFd> {
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(true)?;
                return Ok(socket.into());
            }
            Err(error) => match error.kind() {
                // Aborted: it came, and has gone again.
                ErrorKind::Interrupted | ErrorKind::ConnectionAborted => continue,
                ErrorKind::WouldBlock => {}
                _ => return Err(error),
            },
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            let why = "nobody has connected to it in time";
            return Err(io::Error::new(ErrorKind::TimedOut, why));
        }
        // Longer than the system can wait is for ever.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(listener, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => {}
            polled => drop(polled?),
        }
    }
}
