//! The other side of a relay, as it is typed.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::spec::{self, Spec};
use crate::text::printable;

/// What standard input and output are joined with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A Unix socket that somebody listens on.
    Unix(PathBuf),
    /// A TCP port that somebody listens on.
    Tcp { host: String, port: u16 },
    /// A named pipe that somebody serves.
    #[cfg(windows)]
    Pipe(PathBuf),
    /// Standard input goes into one FIFO, standard output comes out of another.
    Fifos { to: PathBuf, from: PathBuf },
}

const KINDS: &str =
    r"targets of a relay: unix:PATH, tcp:HOST:PORT, fifo:TO,FROM; on Windows \\.\pipe\NAME";

impl Target {
    /// # Errors
    ///
    /// What makes no sense about it, for people.
    pub(crate) fn parse(typed: &OsStr) -> Result<Target, String> {
        #[cfg(windows)]
        if crate::os::is_pipe_name(typed) {
            return Ok(Target::Pipe(typed.into()));
        }
        let bytes = typed.as_encoded_bytes();
        if bytes.starts_with(b"fifo:") {
            return fifos(typed);
        }
        if !bytes.starts_with(b"unix:") && !bytes.starts_with(b"tcp:") {
            let shown = printable(typed);
            return Err(format!("'{shown}' cannot be relayed to; {KINDS}"));
        }
        match Spec::parse(typed)
            .map_err(|error| error.to_string())?
            .target
        {
            spec::Target::Unix(path) => Ok(Target::Unix(path)),
            spec::Target::Tcp { host, port } => Ok(Target::Tcp { host, port }),
            _ => Err(KINDS.into()),
        }
    }
}

fn fifos(typed: &OsStr) -> Result<Target, String> {
    let paths = typed.to_str().and_then(|text| text.strip_prefix("fifo:"));
    match paths
        .map(|paths| paths.split(',').collect::<Vec<_>>())
        .as_deref()
    {
        Some([to, from]) if !to.is_empty() && !from.is_empty() => Ok(Target::Fifos {
            to: to.into(),
            from: from.into(),
        }),
        _ => Err(format!(
            "'{}' does not name two FIFOs, as in fifo:TO,FROM: standard input goes into TO, \
             standard output comes out of FROM (paths in UTF-8, without commas)",
            printable(typed)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(typed: &str) -> Result<Target, String> {
        Target::parse(OsStr::new(typed))
    }

    #[test]
    fn targets_are_sockets_and_pairs_of_fifos() {
        assert_eq!(parse("unix:/run/a@b"), Ok(Target::Unix("/run/a@b".into())));
        let tcp = Target::Tcp {
            host: "::1".into(),
            port: 9000,
        };
        assert_eq!(parse("tcp:[::1]:9000"), Ok(tcp));
        let fifos = Target::Fifos {
            to: "a b".into(),
            from: "./c:d".into(),
        };
        assert_eq!(parse("fifo:a b,./c:d"), Ok(fifos));
    }

    #[cfg(windows)]
    #[test]
    fn a_target_may_be_a_named_pipe() {
        for name in [r"\\.\pipe\a:b@c", "//./pipe/agent"] {
            assert_eq!(parse(name), Ok(Target::Pipe(name.into())));
        }
    }

    #[test]
    fn what_has_no_two_directions_is_refused() {
        for typed in [
            "",
            "-",
            "file",
            "exec:cat",
            "listen:x",
            "name=a@unix:x",
            "unix:",
            "tcp:host",
            "fifo:a",
            "fifo:a,",
            "fifo:,b",
            "fifo:a,b,c",
        ] {
            assert!(parse(typed).is_err(), "{typed}");
        }
    }
}
