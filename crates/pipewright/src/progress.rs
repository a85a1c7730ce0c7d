//! How far a writer has come.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::outcome::Outcome;

/// How far a writer has come. All counts are bytes, and
/// `accepted = written + in_flight + queued + in_doubt` in every snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Accepted since the writer was made.
    pub accepted: u64,
    /// Handed to the operating system, and taken by it. Whether the reader has
    /// read them is another matter: see
    /// [`wait_read`](crate::PipeWriter::wait_read).
    pub written: u64,
    /// In the one operation that is being carried out now.
    pub in_flight: u64,
    /// Accepted, and neither written nor in flight. After the end: unsent.
    pub queued: u64,
    /// Neither known to be written nor known not to be. Always 0 on Unix; on
    /// Windows what a cancelled or failed operation left unaccounted for.
    pub in_doubt: u64,
    /// How the writer ended, once it has.
    pub outcome: Option<Outcome>,
}

impl Progress {
    pub(crate) fn new(progress: pipewright_core::Progress, outcome: Option<Outcome>) -> Self {
        Progress {
            accepted: progress.accepted,
            written: progress.written,
            in_flight: progress.in_flight,
            queued: progress.queued,
            in_doubt: progress.in_doubt,
            outcome,
        }
    }
}

/// The final accounts of a writer. All counts are bytes, and
/// `accepted = written + in_doubt + unsent`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Summary {
    /// What the pipe is called in errors.
    pub pipe: Arc<str>,
    /// Accepted since the writer was made.
    pub accepted: u64,
    /// Handed to the operating system, and taken by it.
    pub written: u64,
    /// Neither known to be written nor known not to be. Always 0 on Unix.
    pub in_doubt: u64,
    /// Certainly not written.
    pub unsent: u64,
    /// How it ended.
    pub outcome: Outcome,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; {} of {} bytes written",
            self.pipe, self.outcome, self.written, self.accepted
        )?;
        if self.unsent > 0 {
            write!(f, ", {} unsent", self.unsent)?;
        }
        if self.in_doubt > 0 {
            write!(f, ", {} in doubt", self.in_doubt)?;
        }
        Ok(())
    }
}

/// The data that a writer did not write, in order, in the memory in which it was
/// queued: nothing is copied.
///
/// Small messages were joined on their way in, so the pieces need not be the
/// messages that were sent (in message mode they are).
///
/// # Examples
///
/// What one pipe did not take goes into the next:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use pipewright::PipeWriter;
///
/// let queued = PipeWriter::unattached();
/// queued.try_send("not lost")?;
/// let unsent = queued.stop();
///
/// let (_reader, pipe) = std::io::pipe()?;
/// let writer = PipeWriter::new(pipe)?;
/// for bytes in unsent {
///     writer.try_send(bytes)?;
/// }
/// assert_eq!(writer.progress().accepted, 8);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "this is data that was accepted and not written"]
pub struct Unsent {
    position: u64,
    in_doubt: Vec<Bytes>,
    pieces: Vec<Bytes>,
}

impl Unsent {
    pub(crate) fn new(position: u64, unsent: pipewright_core::Unsent) -> Self {
        Unsent {
            position,
            in_doubt: unsent.in_doubt,
            pieces: unsent.unsent,
        }
    }

    /// How many bytes were not written.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// The bytes of which the operating system does not say whether it took them,
    /// in order. In the stream they lie after [`written`](Self::written) and
    /// before the unsent ones. Always empty on Unix.
    #[must_use]
    pub fn in_doubt(&self) -> &[Bytes] {
        &self.in_doubt
    }

    /// How many bytes were written before these.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.position
    }

    /// All in one piece: without a copy if it is one already.
    #[must_use]
    pub fn into_bytes(mut self) -> Bytes {
        match self.pieces.len() {
            1 => self.pieces.remove(0),
            _ => self.pieces.concat().into(),
        }
    }
}

impl IntoIterator for Unsent {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.pieces.into_iter()
    }
}
