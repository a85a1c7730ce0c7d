//! A Unix socket that is made here, for whoever comes first.

use std::fs::{Permissions, set_permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};

/// Who may come: the owner, as with the FIFOs that are made.
const MODE: u32 = 0o600;

/// Makes the socket and listens.
///
/// # Errors
///
/// The system's: `EADDRINUSE` if there is anything of this name.
pub(super) fn unix(path: &Path) -> io::Result<UnixListener> {
    let address = SocketAddrUnix::new(path)?;
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&listener, true)?;
    bind(&listener, &address)?;
    // Before it listens nobody can connect (POSIX, connect, `ECONNREFUSED`).
    set_permissions(path, Permissions::from_mode(MODE))?;
    // Who comes second finds nobody.
    listen(&listener, 1)?;
    Ok(listener.into())
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
