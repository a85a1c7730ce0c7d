//! Connecting to Unix sockets.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::os::Trouble;
use crate::os::connect::patiently;

/// Connects to a Unix socket; while nobody listens, again and again.
pub(super) fn unix(path: &Path, limit: Duration) -> Result<OwnedFd, Trouble> {
    // There is no socket, nobody listens, or too many wait already.
    let passes = |error: &Errno| matches!(*error, Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN);
    patiently(limit, passes, |_| try_unix(path))
}

/// Without waiting, not even for a place in the queue of who listens.
fn try_unix(path: &Path) -> Result<OwnedFd, Errno> {
    let address = SocketAddrUnix::new(path)?;
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}
