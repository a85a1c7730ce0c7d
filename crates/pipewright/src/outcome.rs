//! How a writer ended.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use pipewright_core::Failure;

use crate::sys;

/// How a writer ended. There is exactly one per writer, and it never changes.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Everything that was accepted was written, then the handle was closed.
    Closed,
    /// Somebody stopped it. What was not written can be taken back.
    Stopped,
    /// A write failed. What was not written can be taken back.
    Failed(PipeError),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Closed => f.write_str("closed"),
            Outcome::Stopped => f.write_str("stopped"),
            Outcome::Failed(error) => error.fmt(f),
        }
    }
}

/// A write that failed: on which pipe, and the operating system's error.
#[derive(Clone, Debug)]
pub struct PipeError {
    pipe: Arc<str>,
    failure: Failure,
}

impl PipeError {
    pub(crate) fn new(pipe: Arc<str>, failure: Failure) -> Self {
        PipeError { pipe, failure }
    }

    /// What the pipe is called: its [name](crate::Builder::name), or what it is.
    #[must_use]
    pub fn pipe(&self) -> &str {
        &self.pipe
    }

    /// The operating system's error number, if it gave one.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self.failure {
            Failure::Os(code) => Some(code),
            Failure::NoProgress | Failure::PartialMessage => None,
        }
    }

    /// The kind of the error. Every error that says that nobody reads any more is a
    /// [`BrokenPipe`](io::ErrorKind::BrokenPipe); the others are sorted as `std` does.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        match self.failure {
            Failure::Os(code) => sys::error_kind(code),
            Failure::NoProgress | Failure::PartialMessage => io::ErrorKind::WriteZero,
        }
    }
}

impl fmt::Display for PipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "writing to {} failed: ", self.pipe)?;
        match self.failure {
            Failure::Os(code) => io::Error::from_raw_os_error(code).fmt(f),
            Failure::NoProgress => f.write_str("the system wrote 0 bytes and reported no error"),
            Failure::PartialMessage => f.write_str("the system took a message only in part"),
        }
    }
}

impl Error for PipeError {}

impl From<PipeError> for io::Error {
    /// Keeps the kind; the [`PipeError`] is inside.
    fn from(error: PipeError) -> Self {
        io::Error::new(error.kind(), error)
    }
}
