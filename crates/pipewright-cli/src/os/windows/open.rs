//! Opening targets.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use pipewright::named_pipe::{ClientOptions, ServerOptions};
use socket2::Socket;
use windows_sys::Win32::Foundation::ERROR_ACCESS_DENIED;
use windows_sys::Win32::Storage::FileSystem::SECURITY_ANONYMOUS;

use super::{Carrier, Child, Handle, Input, clone_stdout, connect, sys};
use crate::os::connect::tcp;
use crate::os::{InUse, Kind, Opened, Opening, Trouble};
use crate::spec::Target;

/// What all pipes of this computer have before their names.
const PIPES: &str = r"\\.\pipe\";

/// Opens the targets of one run.
pub(crate) struct Opener {
    in_use: InUse<Identity>,
}

/// Nothing: named pipes go away with their servers.
pub(crate) enum Created {}

impl Created {
    pub(crate) fn remove(&self) {
        match *self {}
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Identity {
    File {
        volume: u64,
        index: u64,
    },
    /// Standard output that is a pipe, which has no identity that could be asked for.
    StdoutPipe,
    /// The name of a pipe that is served, in small letters.
    Served(OsString),
}

impl Opener {
    pub(crate) fn new(input: &Input) -> Self {
        sys::keep_standard_handles();
        let mut in_use = InUse::default();
        if let Some(input) = input.file().and_then(Identity::of_file) {
            // It is the first: nothing can be in its way.
            let _ = in_use.claim(input, "the input".into());
        }
        Opener { in_use }
    }

    /// Opens `target`, which is called `name`. Never waits for a reader: what it
    /// gives back does, for up to `limit`.
    pub(crate) fn open(
        &mut self,
        target: &Target,
        name: &str,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        match target {
            Target::Stdout => self.open_stdout(name),
            Target::Path(path) if !is_pipe_name(path.as_os_str()) => self.open_path(path, name),
            Target::Listen(path) => {
                let served = full_name(path.as_os_str()).to_ascii_lowercase();
                self.in_use
                    .claim(Identity::Served(served), format!("'{name}'"))?;
                serve_pipe(path.as_os_str(), limit)
            }
            Target::Path(_)
            | Target::Exec(_)
            | Target::Unix(_)
            | Target::ListenUnix(_)
            | Target::Tcp { .. } => self.reopen(target, limit),
        }
    }

    /// Opens once more what was open before and
    /// [can be](Kind::can_be_reopened).
    pub(crate) fn reopen(
        &self,
        target: &Target,
        limit: Option<Duration>,
    ) -> Result<Opened, Trouble> {
        match target {
            Target::Path(path) => Ok(open_pipe(path, limit)),
            Target::Listen(path) => serve_pipe(path.as_os_str(), limit),
            Target::ListenUnix(_) => Err(Trouble::own(
                "on Windows no Unix socket is made; listen:NAME serves a named pipe",
            )),
            Target::Exec(command) => open_command(command),
            Target::Unix(path) => {
                let (path, limit) = (path.clone(), limit.unwrap_or_default());
                Ok(open_socket(Kind::Unix, move || connect::unix(&path, limit)))
            }
            Target::Tcp { host, port } => {
                let (host, port, limit) = (host.clone(), *port, limit.unwrap_or_default());
                Ok(open_socket(Kind::Tcp, move || {
                    Ok(tcp(&host, port, limit)?.into())
                }))
            }
            Target::Stdout => Err(io::Error::from(io::ErrorKind::Unsupported).into()),
        }
    }

    fn open_stdout(&mut self, name: &str) -> Result<Opened, Trouble> {
        let handle = clone_stdout().map_err(|error| {
            Trouble::from(error).hint("standard output is closed (if NUL is meant, name it)")
        })?;
        let stdout = io::stdout();
        let identity = match winapi_util::file::typ(&stdout)? {
            kind if kind.is_disk() => Identity::of_file(&stdout),
            kind if kind.is_pipe() => Some(Identity::StdoutPipe),
            _ => None,
        };
        if let Some(identity) = identity {
            self.in_use.claim(identity, format!("'{name}'"))?;
        }
        Ok(Opened::now(Kind::Stdout, handle, false))
    }

    fn open_path(&mut self, path: &Path, name: &str) -> Result<Opened, Trouble> {
        let file = open_or_create(path)?;
        let kind = winapi_util::file::typ(&file)?;
        if kind.is_pipe() {
            // Whose it is was not asked.
            let what = format!(r"it is a named pipe, which is written {PIPES}NAME");
            return Err(Trouble::own(what));
        }
        if !kind.is_disk() {
            return Ok(Opened::now(Kind::Device, file.into(), true));
        }
        if let Some(identity) = Identity::of_file(&file) {
            self.in_use.claim(identity, format!("'{name}'"))?;
        }
        // Only now, so that no file loses its contents that is the input or another
        // sink.
        file.set_len(0)?;
        Ok(Opened::now(Kind::File, file.into(), true))
    }
}

impl Identity {
    fn of_file(file: &impl winapi_util::AsHandleRef) -> Option<Identity> {
        let known = winapi_util::file::information(file).ok()?;
        Some(Identity::File {
            volume: known.volume_serial_number(),
            index: known.file_index(),
        })
    }
}

/// A socket that somebody listens on.
fn open_socket(
    kind: Kind,
    connect: impl FnOnce() -> Result<Socket, Trouble> + Send + 'static,
) -> Opened {
    let opening: Opening = Box::new(move || Ok(Carrier::to(connect()?.into())?));
    Opened::awaited(kind, opening)
}

/// A pipe that somebody serves.
fn open_pipe(name: &Path, limit: Option<Duration>) -> Opened {
    let name = native_name(name.as_os_str());
    let opening: Opening =
        Box::new(move || Ok(open_in_time(&ClientOptions::new(), &name, limit)?.into()));
    Opened::awaited(Kind::Pipe, opening)
}

/// Without a limit, a pipe that is not there is an error, for its name may be mistyped;
/// a busy one is waited for, also while it is away: a server may close a pipe and make
/// it anew for each client.
pub(super) fn open_in_time(
    options: &ClientOptions,
    name: &OsStr,
    limit: Option<Duration>,
) -> io::Result<Handle> {
    let waiting = options.clone().wait_for_server(true);
    match limit {
        Some(Duration::ZERO) => options.open(name, Duration::ZERO),
        Some(limit) => waiting.open(name, limit),
        None => match options.try_open(name)? {
            Some(pipe) => Ok(pipe),
            None => waiting.open(name, Duration::MAX),
        },
    }
}

fn serve_pipe(name: &OsStr, limit: Option<Duration>) -> Result<Opened, Trouble> {
    // The first reader gets everything; there is nothing for a second one.
    let options = ServerOptions::new(full_name(name)).max_instances(1);
    let mut server = options.create().map_err(|error| {
        let denied = error.raw_os_error() == system(ERROR_ACCESS_DENIED).os_error;
        match Trouble::from(error) {
            trouble if denied => trouble.hint("somebody serves a pipe of this name"),
            trouble => trouble,
        }
    })?;
    let limit = limit.unwrap_or(Duration::MAX);
    let opening: Opening = Box::new(move || Ok(server.accept(limit)?.into()));
    Ok(Opened::awaited(Kind::Listen, opening))
}

/// A server that the path may lead to learns nothing of this process, and cannot act
/// as it.
fn open_or_create(path: &Path) -> Result<File, Trouble> {
    let opened = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .security_qos_flags(SECURITY_ANONYMOUS)
        .open(path);
    opened.map_err(|error| match Trouble::from(error) {
        trouble if path.is_dir() => trouble.hint("it is a folder"),
        trouble => trouble,
    })
}

fn open_command(command: &OsStr) -> Result<Opened, Trouble> {
    let (child, stdin) = Child::start(command)?;
    Ok(Opened {
        child: Some(child),
        ..Opened::now(Kind::Exec, stdin, true)
    })
}

/// A name that is served: one without a folder is put where all pipes are. All others
/// are left to the check that every name undergoes.
fn full_name(name: &OsStr) -> OsString {
    let bytes = name.as_encoded_bytes();
    if bytes.iter().any(|byte| matches!(byte, b'\\' | b'/')) {
        return name.to_owned();
    }
    let mut full = OsString::from(PIPES);
    full.push(name);
    full
}

/// The name of a pipe with the prefix that all have, if it was typed with slashes, as
/// shells want it for which a backslash is something else.
pub(super) fn native_name(name: &OsStr) -> OsString {
    let Some(b"//./pipe/") = name.as_encoded_bytes().get(..PIPES.len()) else {
        return name.to_owned();
    };
    let mut native = OsString::from(PIPES);
    native.push(super::tail(name, PIPES.len()));
    native
}

/// Whether a path is that of a pipe, on this computer or another one, as the system
/// would read it: in any case, and with slashes of either kind. Which of these are
/// refused is for the check to say that every name of a pipe undergoes; none is opened
/// as a file.
pub(crate) fn is_pipe_name(path: &OsStr) -> bool {
    let folded: Vec<u8> = path
        .as_encoded_bytes()
        .iter()
        .map(|byte| match byte {
            b'/' => b'\\',
            byte => byte.to_ascii_lowercase(),
        })
        .collect();
    let Some(rest) = folded.strip_prefix(br"\\") else {
        return false;
    };
    let host = rest.iter().position(|&byte| byte == b'\\');
    host.is_some_and(|end| rest[end..].starts_with(br"\pipe\"))
}

fn system(code: u32) -> Trouble {
    io::Error::from_raw_os_error(code.cast_signed()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_pipes_are_told_from_those_of_files() {
        for pipe in [
            r"\\.\pipe\x",
            r"\\.\PIPE\x@y",
            r"//./pipe/x",
            r"\\?\pipe\x",
            r"\\host\pipe\x",
            r"\\.\pipe\a\b",
        ] {
            assert!(is_pipe_name(OsStr::new(pipe)), "{pipe}");
        }
        for file in [
            r"C:\pipe\x",
            r"\pipe\x",
            r"pipe\x",
            r"\\.\C:\x",
            r"\\host\share\pipe\x",
            r"\\.\pipes\x",
            r"\\",
            "",
        ] {
            assert!(!is_pipe_name(OsStr::new(file)), "{file}");
        }
    }

    #[test]
    fn a_prefix_may_be_typed_with_slashes() {
        for (typed, native) in [
            ("//./pipe/agent", r"\\.\pipe\agent"),
            ("//./pipe/ä@b", r"\\.\pipe\ä@b"),
            // What follows is left to the check that every name undergoes.
            ("//./pipe/a/b", r"\\.\pipe\a/b"),
            (r"\\.\pipe\agent", r"\\.\pipe\agent"),
            ("//./pip", "//./pip"),
        ] {
            assert_eq!(native_name(OsStr::new(typed)), native, "{typed}");
        }
    }

    #[test]
    fn a_name_that_is_served_needs_no_prefix() {
        for (typed, full) in [
            ("tap", r"\\.\pipe\tap"),
            ("a b:c@d", r"\\.\pipe\a b:c@d"),
            (r"\\.\pipe\tap", r"\\.\pipe\tap"),
            (r"C:\tap", r"C:\tap"),
            ("./tap", "./tap"),
        ] {
            assert_eq!(full_name(OsStr::new(typed)), full, "{typed}");
        }
    }
}
