//! Everything that differs between operating systems.
//!
//! Each system provides in its module:
//!
//! * `Handle`, what a `PipeWriter` is made from;
//! * `Opener`, which opens the targets of one run, and knows them all, so that no
//!   file is written by two sinks or is the input as well;
//! * `Carrier`, what carries on from a pipe where the library cannot write to the
//!   target itself;
//! * `Splice`, what moves bytes from a pipe to a pipe without a copy, on Linux;
//! * `Remains`, what a pipe still holds when its reader has gone;
//! * `Created`, something that was put into the file system to be connected
//!   to, and is removed at the end, if there is such a thing;
//! * `Child`, a shell command, and `exit_in_words`, how it ended;
//! * `Input` and `Waker`: what is copied, and how a read of it is ended;
//! * `watch_signals`, which reports requests to end;
//! * `Screen`, standard error as a terminal whose lines can be written over;
//! * `watch_suspensions`, `suspend` and `may_draw`, so that lines that are drawn
//!   over themselves get along with the shell that shares the terminal;
//! * `release_stdout`, after which this process has standard output open only as
//!   far as a sink has;
//! * `tail`, the end of an `OsStr`, after a part that is valid UTF-8;
//! * `join`, which opens the other side of a relay in both directions, as [`Ends`];
//!   its `Connection`, which may be closed in one of them; `own_stdout`;
//! * `SINKS`, `EXAMPLES` and `SIGNALS`, the parts of the help that are its own, and
//!   `TARGETS`, `ENDS`, `RELAY_EXAMPLES` and `RELAY_SIGNALS`, those of the relay's.

use std::io;

use crate::spec::Target;

mod connect;
mod in_use;
pub(crate) use in_use::InUse;
#[cfg(not(target_os = "linux"))]
mod no_splice;
#[cfg(not(target_os = "linux"))]
pub(crate) use no_splice::Splice;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

#[cfg(not(any(unix, windows)))]
compile_error!("pipewright needs Unix or Windows: nobody has said how sinks are opened elsewhere");

/// What a target turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Stdout,
    File,
    #[cfg(unix)]
    Fifo,
    #[cfg(windows)]
    Pipe,
    Device,
    Exec,
    Unix,
    Listen,
    Tcp,
}

impl Kind {
    /// As far as it can be told without opening.
    pub(crate) fn by_word(target: &Target) -> Kind {
        match target {
            Target::Stdout => Kind::Stdout,
            Target::Path(_) => Kind::File,
            Target::Exec(_) => Kind::Exec,
            Target::Unix(_) => Kind::Unix,
            Target::Listen(_) | Target::ListenUnix(_) => Kind::Listen,
            Target::Tcp { .. } => Kind::Tcp,
        }
    }

    /// Whether what was not written can go on through another opening.
    pub(crate) fn can_be_reopened(self) -> bool {
        match self {
            Kind::Stdout | Kind::File | Kind::Device => false,
            #[cfg(unix)]
            Kind::Fifo => true,
            #[cfg(windows)]
            Kind::Pipe => true,
            Kind::Exec | Kind::Unix | Kind::Listen | Kind::Tcp => true,
        }
    }
}

/// A target that is open, or will be.
pub(crate) struct Opened {
    pub(crate) kind: Kind,
    pub(crate) pipe: Pipe,
    pub(crate) child: Option<Child>,
    pub(crate) created: Option<Created>,
}

impl Opened {
    /// Open now; whether nobody else has the same open file description.
    pub(crate) fn now(kind: Kind, handle: Handle, sole_owner: bool) -> Self {
        Opened::of(kind, Pipe::Open { handle, sole_owner })
    }

    /// To be opened by a thread that may wait.
    pub(crate) fn awaited(kind: Kind, opening: Opening) -> Self {
        Opened::of(kind, Pipe::Awaited(opening))
    }

    fn of(kind: Kind, pipe: Pipe) -> Self {
        Opened {
            kind,
            pipe,
            child: None,
            created: None,
        }
    }
}

pub(crate) enum Pipe {
    /// Open now; whether nobody else has the same open file description.
    Open { handle: Handle, sole_owner: bool },
    /// To be opened by a thread that may wait for a reader.
    Awaited(Opening),
}

/// What a writer is made from.
pub(crate) struct WayOut {
    pub(crate) handle: Handle,
    /// What carries on from there to the target, if the handle is not the target's own.
    pub(crate) carrier: Option<Carrier>,
}

impl From<Handle> for WayOut {
    fn from(handle: Handle) -> Self {
        WayOut {
            handle,
            carrier: None,
        }
    }
}

/// How a [`Carrier`] ended.
#[cfg_attr(unix, expect(dead_code, reason = "there is none"))]
#[derive(Clone, Debug)]
pub(crate) enum Carried {
    /// All that came out of the pipe was taken.
    All,
    /// It was told to stop.
    Stopped,
    /// The target takes no more, or the pipe cannot be read.
    Failed(Trouble),
}

/// Both directions of the other side of a relay.
pub(crate) struct Ends {
    /// What it says.
    pub(crate) input: Input,
    pub(crate) waker: Waker,
    /// What it hears.
    pub(crate) way_out: WayOut,
    /// What the two have in common.
    pub(crate) connection: Connection,
}

/// Waits for a reader, and opens.
pub(crate) type Opening = Box<dyn FnOnce() -> Result<WayOut, Trouble> + Send>;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Status(i32),
    #[cfg(unix)]
    Signal(i32),
}

impl Exit {
    pub(crate) fn status(self) -> Option<i32> {
        match self {
            Exit::Status(status) => Some(status),
            #[cfg(unix)]
            Exit::Signal(_) => None,
        }
    }

    pub(crate) fn signal(self) -> Option<i32> {
        match self {
            Exit::Status(_) => None,
            #[cfg(unix)]
            Exit::Signal(signal) => Some(signal),
        }
    }
}

/// A request to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal {
    pub(crate) number: u8,
    pub(crate) name: &'static str,
}

/// What a terminal's user did.
#[cfg_attr(windows, expect(dead_code, reason = "nobody suspends there"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspension {
    /// This process is to be suspended.
    Asked,
    /// It goes on, and the terminal may show anything.
    Over,
}

/// What went wrong, in words that end with the system's own, and its number.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) message: String,
    pub(crate) os_error: Option<i32>,
}

impl Trouble {
    /// Something that the system did not say.
    pub(crate) fn own(message: impl Into<String>) -> Self {
        Trouble {
            message: message.into(),
            os_error: None,
        }
    }

    /// With a word on what to make of it.
    pub(crate) fn hint(mut self, hint: &str) -> Self {
        self.message = format!("{}; {hint}", self.message);
        self
    }
}

impl<E: Into<io::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        let error = error.into();
        Trouble {
            message: error.to_string(),
            os_error: error.raw_os_error(),
        }
    }
}
