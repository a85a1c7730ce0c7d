//! Connecting to who listens, and waiting until somebody does.

use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::os::Trouble;

const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long one address of a host may take, if there is no limit for all.
const ADDRESS: Duration = Duration::from_secs(10);

/// Connects to a Unix socket; while nobody listens, again and again.
pub(super) fn unix(path: &Path, limit: Duration) -> Result<OwnedFd, Trouble> {
    // There is no socket, nobody listens, or too many wait already.
    let passes = |error: &Errno| matches!(*error, Errno::NOENT | Errno::CONNREFUSED | Errno::AGAIN);
    patiently(limit, passes, |_| try_unix(path))
}

/// Connects to a TCP port: all addresses of the host are tried, and again while
/// nobody listens.
///
/// Without a limit, or with none to speak of, an address still gets time to answer.
pub(super) fn tcp(host: &str, port: u16, limit: Duration) -> Result<OwnedFd, Trouble> {
    let passes = |error: &std::io::Error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionRefused | ErrorKind::TimedOut
        )
    };
    patiently(limit, passes, |left| {
        let each = if left.is_zero() {
            ADDRESS
        } else {
            left.min(ADDRESS)
        };
        let mut last = None;
        for address in (host, port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, each) {
                Ok(stream) => return Ok(stream.into()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
    })
}

/// Tries until it works, fails for good, or the time is over; at least once. What
/// tries is told the time that is left.
pub(super) fn patiently<E: Into<Trouble>>(
    limit: Duration,
    passes: impl Fn(&E) -> bool,
    mut try_once: impl FnMut(Duration) -> Result<OwnedFd, E>,
) -> Result<OwnedFd, Trouble> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let error = match try_once(limit.saturating_sub(started.elapsed())) {
            Ok(socket) => return Ok(socket),
            Err(error) => error,
        };
        if !passes(&error) || started.elapsed() >= limit {
            return Err(error.into());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
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
