//! What can go wrong, and what became of the data.

use std::error::Error;
use std::fmt;
use std::io;

use bytes::Bytes;

use crate::outcome::Outcome;
use crate::progress::{Summary, Unsent};

/// The writer has ended, or takes no more data, and this is how.
#[derive(Clone, Debug)]
pub struct Ended(pub Outcome);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Outcome::Failed(error) => error.fmt(f),
            outcome => write!(f, "the writer was {outcome}"),
        }
    }
}

impl Error for Ended {}

impl From<Ended> for io::Error {
    fn from(ended: Ended) -> Self {
        match ended.0 {
            Outcome::Failed(error) => error.into(),
            _ => io::Error::new(io::ErrorKind::BrokenPipe, ended),
        }
    }
}

/// A send that was refused at once. The data is inside.
#[derive(Clone, Debug)]
pub enum TrySendError<T = Bytes> {
    /// The writer's capacity is used up, or others wait for it already.
    Full(T),
    /// The writer takes no more data.
    Closed(T, Outcome),
}

/// A send that waited a while and was refused. The data is inside.
#[derive(Clone, Debug)]
pub enum SendTimeoutError<T = Bytes> {
    /// The writer's capacity was used up all the time.
    Timeout(T),
    /// The writer takes no more data.
    Closed(T, Outcome),
}

/// A send that was refused because the writer takes no more data. The data is
/// inside.
#[derive(Clone, Debug)]
pub struct SendError<T = Bytes>(pub T, pub Outcome);

impl<T> TrySendError<T> {
    /// The data.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(data) | TrySendError::Closed(data, _) => data,
        }
    }

    /// Whether a later attempt may succeed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// The data.
    pub fn into_inner(self) -> T {
        match self {
            SendTimeoutError::Timeout(data) | SendTimeoutError::Closed(data, _) => data,
        }
    }
}

impl<T> SendError<T> {
    /// The data.
    pub fn into_inner(self) -> T {
        self.0
    }
}

fn refused(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    write!(f, "nothing was sent: {}", Ended(outcome.clone()))
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => f.write_str("nothing was sent: the writer is full"),
            TrySendError::Closed(_, outcome) => refused(f, outcome),
        }
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SendTimeoutError::Timeout(_) => {
                f.write_str("nothing was sent: the writer was full all the time")
            }
            SendTimeoutError::Closed(_, outcome) => refused(f, outcome),
        }
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        refused(f, &self.1)
    }
}

impl<T: fmt::Debug> Error for TrySendError<T> {}
impl<T: fmt::Debug> Error for SendTimeoutError<T> {}
impl<T: fmt::Debug> Error for SendError<T> {}

/// A wait that did not see what it waited for.
#[derive(Clone, Debug)]
pub enum WaitError {
    /// The time was over first. Nothing was changed by that.
    Timeout,
    /// The writer ended first.
    Ended(Outcome),
    /// The system cannot tell.
    Unsupported,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WaitError::Timeout => f.write_str("the time was over first"),
            WaitError::Ended(outcome) => Ended(outcome.clone()).fmt(f),
            WaitError::Unsupported => {
                f.write_str("the system cannot tell what the reader has read")
            }
        }
    }
}

impl Error for WaitError {}

/// A close that did not write everything.
#[derive(Debug)]
pub struct CloseError(Box<Unclosed>);

#[derive(Debug)]
struct Unclosed {
    timed_out: bool,
    summary: Summary,
    unsent: Unsent,
}

impl CloseError {
    pub(crate) fn new(timed_out: bool, summary: Summary, unsent: Unsent) -> Self {
        CloseError(Box::new(Unclosed {
            timed_out,
            summary,
            unsent,
        }))
    }

    /// Whether the time was over first; otherwise the outcome in the
    /// [`summary`](Self::summary) tells what happened.
    #[must_use]
    pub fn timed_out(&self) -> bool {
        self.0.timed_out
    }

    /// The final accounts.
    #[must_use]
    pub fn summary(&self) -> &Summary {
        &self.0.summary
    }

    /// What was not written.
    pub fn into_unsent(self) -> Unsent {
        self.0.unsent
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.timed_out() {
            f.write_str("not all was written in time: ")?;
        }
        self.summary().fmt(f)
    }
}

impl Error for CloseError {}

/// A handle that a writer could not be made from, and why. The handle is inside.
#[derive(Debug)]
pub struct AttachError {
    pipe: Pipe,
    name: String,
    error: io::Error,
}

/// The owned handle that writers are made from: `OwnedFd` on Unix.
pub(crate) type Pipe = crate::sys::Pipe;

impl AttachError {
    pub(crate) fn new(pipe: Pipe, name: String, error: io::Error) -> Self {
        AttachError { pipe, name, error }
    }

    /// What is wrong.
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.error
    }

    /// The handle, untouched.
    #[must_use]
    pub fn into_pipe(self) -> Pipe {
        self.pipe
    }
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be written to: {}", self.name, self.error)
    }
}

impl Error for AttachError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

impl From<AttachError> for io::Error {
    /// Keeps the kind; closes the handle.
    fn from(error: AttachError) -> Self {
        io::Error::new(error.error.kind(), error.to_string())
    }
}
