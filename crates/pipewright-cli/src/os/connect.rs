//! Connecting to who listens, and waiting until somebody does.

use std::io::{self, ErrorKind};
use std::net::{TcpStream, ToSocketAddrs};
use std::thread;
use std::time::{Duration, Instant};

use super::Trouble;

const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How long one address of a host may take, if there is no limit for all.
const ADDRESS: Duration = Duration::from_secs(10);

/// Connects to a TCP port: all addresses of the host are tried, and again while
/// nobody listens.
///
/// Without a limit, or with none to speak of, an address still gets time to answer.
pub(super) fn tcp(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Trouble> {
    let passes = |error: &io::Error| {
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
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| ErrorKind::NotFound.into()))
    })
}

/// Tries until it works, fails for good, or the time is over; at least once. What
/// tries is told the time that is left.
pub(super) fn patiently<T, E: Into<Trouble>>(
    limit: Duration,
    passes: impl Fn(&E) -> bool,
    mut try_once: impl FnMut(Duration) -> Result<T, E>,
) -> Result<T, Trouble> {
    let started = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        let error = match try_once(limit.saturating_sub(started.elapsed())) {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        if !passes(&error) || started.elapsed() >= limit {
            return Err(error.into());
        }
        thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}
