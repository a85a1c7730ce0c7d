//! Connecting to Unix sockets, which Windows has since Windows 10, version 1803
//! (Microsoft, "AF_UNIX comes to Windows").

use std::io;
use std::path::Path;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use windows_sys::Win32::Networking::WinSock::{WSAEAFNOSUPPORT, WSAECONNREFUSED, WSAENETDOWN};

use crate::os::Trouble;
use crate::os::connect::patiently;

/// Connects to a Unix socket; while nobody listens, again and again.
pub(super) fn unix(path: &Path, limit: Duration) -> Result<Socket, Trouble> {
    patiently(limit, may_pass, |_| try_unix(path)).map_err(explained)
}

fn try_unix(path: &Path) -> io::Result<Socket> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.connect(&address)?;
    Ok(socket)
}

/// Whether it may work later. There is no socket, or nobody listens: both are refused.
/// Or a folder of the path is missing, and Windows speaks of a network that is down.
fn may_pass(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(WSAECONNREFUSED | WSAENETDOWN))
}

/// With a word where the system's own lead astray.
fn explained(trouble: Trouble) -> Trouble {
    match trouble.os_error {
        Some(WSAEAFNOSUPPORT) => trouble.hint(
            "this Windows has no Unix sockets (they came with Windows 10, version 1803); \
             it has tcp:HOST:PORT and named pipes, \\\\.\\pipe\\NAME",
        ),
        Some(WSAENETDOWN) => trouble.hint("a folder of the path may be missing"),
        Some(_) => trouble,
        // It has not come to a system call.
        None => trouble.hint("a Unix socket has a path of at most 107 bytes, in UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_listen_yet_is_waited_for_and_a_system_without_sockets_is_not() {
        for (code, expected) in [
            (WSAECONNREFUSED, true),
            (WSAENETDOWN, true),
            (WSAEAFNOSUPPORT, false),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(may_pass(&error), expected, "{error}");
        }
    }

    #[test]
    fn a_system_without_unix_sockets_says_so_and_what_it_has_instead() {
        let said = explained(io::Error::from_raw_os_error(WSAEAFNOSUPPORT).into());
        assert_eq!(said.os_error, Some(10047));
        for part in [
            "(os error 10047)",
            "no Unix sockets",
            "tcp:HOST:PORT",
            r"\\.\pipe\NAME",
        ] {
            assert!(said.message.contains(part), "{}", said.message);
        }
    }
}
