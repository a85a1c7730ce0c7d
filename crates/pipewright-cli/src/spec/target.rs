//! Where a sink's data goes.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::path::PathBuf;

use crate::os;
use crate::text::printable;

/// Where the data goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    /// A file, device or existing FIFO; which, shows when it is opened.
    Path(PathBuf),
    /// The standard input of a shell command.
    Exec(OsString),
    /// A Unix socket that somebody listens on.
    Unix(PathBuf),
    /// A FIFO to be created; on Windows, a named pipe.
    Listen(PathBuf),
    /// A Unix socket to be created.
    ListenUnix(PathBuf),
    /// A TCP port that somebody listens on.
    Tcp {
        host: String,
        port: u16,
    },
}

/// The kinds that can be asked for by word.
pub(super) const KINDS: &str = "-, PATH, file:PATH, exec:COMMAND, unix:PATH, tcp:HOST:PORT, listen:PATH, \
     listen:unix:PATH";

/// The only kind of two words.
const LISTEN_UNIX: &[u8] = b"listen:unix:";

pub(super) struct NotATarget {
    pub(super) at: Range<usize>,
    pub(super) problem: String,
    pub(super) hint: String,
}

impl Target {
    pub(super) fn parse(typed: &OsStr) -> Result<Target, NotATarget> {
        let bytes = typed.as_encoded_bytes();
        if bytes == b"-" {
            return Ok(Target::Stdout);
        }
        let kind = if bytes.starts_with(LISTEN_UNIX) {
            LISTEN_UNIX.len() - 1
        } else {
            word(bytes, b"+.-")
        };
        if kind >= 2 && bytes.get(kind) == Some(&b':') {
            return Target::of_kind(typed, kind);
        }
        if !cfg!(windows)
            && [&br"\\.\pipe\"[..], br"\\?\pipe\"]
                .iter()
                .any(|p| bytes.starts_with(p))
        {
            return Err(NotATarget {
                at: 0..9,
                problem: "named pipes of this form exist on Windows only".into(),
                hint: format!("targets: {KINDS}"),
            });
        }
        Ok(Target::Path(typed.into()))
    }

    fn of_kind(typed: &OsStr, kind: usize) -> Result<Target, NotATarget> {
        let word = String::from_utf8_lossy(&typed.as_encoded_bytes()[..kind]).into_owned();
        let rest = os::tail(typed, kind + 1);
        let wrong = |problem| {
            let hint = format!(
                "targets: {KINDS}; a path of this name is written ./{}",
                printable(typed)
            );
            Err(NotATarget {
                at: 0..kind + 1,
                problem,
                hint,
            })
        };
        let make: fn(OsString) -> Result<Target, WrongAddress> = match word.as_str() {
            "file" => |rest| Ok(Target::Path(rest.into())),
            "exec" => |rest| Ok(Target::Exec(rest)),
            "unix" => |rest| Ok(Target::Unix(rest.into())),
            "listen" => |rest| Ok(Target::Listen(rest.into())),
            "listen:unix" => |rest| Ok(Target::ListenUnix(rest.into())),
            "tcp" => |rest| address(&rest),
            _ => return wrong(format!("there is no kind of sink '{word}:'")),
        };
        if rest.is_empty() {
            return wrong(format!("nothing follows '{word}:'"));
        }
        make(rest).map_err(|WrongAddress { at, problem }| NotATarget {
            at: kind + 1 + at.start..kind + 1 + at.end,
            problem: problem.into(),
            hint: "as in tcp:localhost:9000 or tcp:[::1]:9000".into(),
        })
    }
}

struct WrongAddress {
    at: Range<usize>,
    problem: &'static str,
}

/// `HOST:PORT`. A host with colons of its own, an IPv6 address, is in brackets.
fn address(typed: &OsStr) -> Result<Target, WrongAddress> {
    let wrong = |at, problem| Err(WrongAddress { at, problem });
    let all = 0..typed.len();
    let Some(text) = typed.to_str() else {
        return wrong(all, "the address is not valid UTF-8");
    };
    let Some((host, port)) = text.rsplit_once(':') else {
        return wrong(all, "there is no port");
    };
    let port_at = host.len() + 1..text.len();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if bare.is_none() && host.contains(':') {
        return wrong(all, "an address with colons is written in brackets");
    }
    let host = bare.unwrap_or(host);
    if host.is_empty() {
        return wrong(0..port_at.start - 1, "there is no host");
    }
    match port.parse() {
        // Also "+80" is a number to Rust.
        Ok(port) if port > 0 && text.as_bytes()[port_at.start].is_ascii_digit() => {
            Ok(Target::Tcp {
                host: host.into(),
                port,
            })
        }
        _ => wrong(port_at, "a port is a number from 1 to 65535"),
    }
}

/// The length of the word at the beginning: a letter, then letters, digits and
/// `others`.
pub(super) fn word(bytes: &[u8], others: &[u8]) -> usize {
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    bytes
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !others.contains(byte))
        .unwrap_or(bytes.len())
}
