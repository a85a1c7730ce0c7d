//! What became of everything, what is said about it, and the exit status.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::os::{self, Exit, Kind, Signal, Trouble};
use crate::text::printable;

/// How a run went.
pub(crate) struct Report {
    pub(crate) sinks: Vec<SinkReport>,
    /// Bytes of input.
    pub(crate) read: u64,
    pub(crate) interrupted: Option<Signal>,
    pub(crate) input_failed: bool,
    pub(crate) duration: Duration,
}

/// How one sink fared. Counts are bytes, `accepted = written + unsent + in_doubt`,
/// and what was read is `accepted + dropped`. What is `unread`, or was
/// `spliced`, is a part of what was written.
pub(crate) struct SinkReport {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) buffer: u64,
    pub(crate) fate: Fate,
    pub(crate) trouble: Option<Trouble>,
    pub(crate) exit: Option<Exit>,
    pub(crate) accepted: u64,
    pub(crate) written: u64,
    pub(crate) dropped: u64,
    pub(crate) unsent: u64,
    pub(crate) in_doubt: u64,
    pub(crate) unread: u64,
    pub(crate) spliced: u64,
    pub(crate) retries: u64,
    pub(crate) stalled: Duration,
    pub(crate) duration: Duration,
}

/// How a sink ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It got everything that was read, and its command was content.
    Complete,
    /// It got what there was room for.
    Dropped,
    /// It was opened again, and a reader before had not read everything.
    Lost,
    /// It was given up because its buffer was full.
    Detached,
    /// Time was over first, or a second signal came.
    Stopped,
    /// It could not be opened or written, or its command failed.
    Failed,
}

/// The exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    /// A sink did not get everything.
    Sink,
    /// The input could not be read.
    Input,
    Interrupted(Signal),
}

impl Fate {
    /// As in the statistics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Fate::Complete => "complete",
            Fate::Dropped => "dropped",
            Fate::Lost => "lost",
            Fate::Detached => "detached",
            Fate::Stopped => "stopped",
            Fate::Failed => "failed",
        }
    }
}

impl serde::Serialize for Fate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Report {
    pub(crate) fn status(&self) -> Status {
        if let Some(signal) = self.interrupted {
            Status::Interrupted(signal)
        } else if self.input_failed {
            Status::Input
        } else if self.sinks.iter().any(|sink| sink.fate != Fate::Complete) {
            Status::Sink
        } else {
            Status::Success
        }
    }
}

impl Status {
    pub(crate) fn code(self) -> u8 {
        match self {
            Status::Success => 0,
            Status::Sink => 1,
            // 2: the command line makes no sense.
            Status::Input => 3,
            Status::Interrupted(signal) => 128 + signal.number,
        }
    }
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        status.code().into()
    }
}

impl SinkReport {
    /// What is to be said if it did not end well.
    pub(crate) fn complaint(&self) -> Option<String> {
        let mut said = format!("{}: ", self.name);
        match self.fate {
            Fate::Complete => return None,
            Fate::Dropped => {
                let _ = write!(
                    said,
                    "{} bytes dropped, its buffer ({} bytes) was full; ",
                    self.dropped, self.buffer
                );
            }
            Fate::Lost => said.push_str("not everything arrived; "),
            Fate::Detached => {
                let _ = write!(
                    said,
                    "detached, its buffer ({} bytes) was full; ",
                    self.buffer
                );
            }
            Fate::Stopped => said.push_str("stopped before it was done; "),
            Fate::Failed => {}
        }
        if let Some(trouble) = &self.trouble {
            let _ = write!(said, "{}; ", trouble.message);
        }
        if let Some(exit) = self
            .exit
            .filter(|_| !matches!(self.fate, Fate::Dropped | Fate::Lost))
        {
            let _ = write!(said, "{}; ", os::exit_in_words(exit));
        }
        let _ = write!(said, "it got {} bytes", self.written);
        if self.unsent > 0 {
            let _ = write!(said, ", {} more were queued", self.unsent);
        }
        if self.in_doubt > 0 {
            let _ = write!(said, ", {} more are in doubt", self.in_doubt);
        }
        if self.unread > 0 {
            let _ = write!(said, ", {} of them died unread with a reader", self.unread);
        }
        if self.retries > 0 {
            let _ = write!(said, "; it was opened {} times", self.retries + 1);
        }
        Some(said)
    }
}

/// An error with the file that it is about.
pub(crate) fn named(path: &Path, error: &io::Error) -> io::Error {
    let message = format!("{}: {error}", printable(path.as_os_str()));
    io::Error::new(error.kind(), message)
}

/// Says something on standard error. That nobody can hear it is no reason to end.
pub(crate) fn say(message: &str) {
    let _ = writeln!(std::io::stderr(), "pipewright: {message}");
}
