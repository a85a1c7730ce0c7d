//! The accounts: how many bytes were accepted, and what became of each.

use crate::lifecycle::Outcome;

/// A place in the stream of accepted bytes, counted from 0 at the first byte.
///
/// A send returns the position after its last byte; the message has been handed
/// to the operating system when [`Progress::written`] has reached it. An empty
/// message of message mode has the position of what was sent before it, so positions
/// do not tell whether it was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// The position after `bytes` bytes.
    #[must_use]
    pub const fn new(bytes: u64) -> Self {
        Position(bytes)
    }

    /// The number of bytes before this position.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A snapshot of a writer's accounts. All counts are bytes.
///
/// `accepted = written + in_flight + queued + in_doubt`, in every snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Accepted by a send since the writer was made.
    pub accepted: u64,
    /// Reported as written by the operating system.
    pub written: u64,
    /// In the operation that the driver is carrying out now.
    pub in_flight: u64,
    /// Accepted and not yet handed to the driver. After the end: unsent.
    pub queued: u64,
    /// Neither known to be written nor known not to be: what the operating
    /// system does not account for of an operation that it failed or cancelled.
    /// Always 0 where writes are exact, as they are on Unix.
    pub in_doubt: u64,
    /// How it ended, once it has.
    pub outcome: Option<Outcome>,
}

/// The counts that only ever grow. What is queued or in flight is counted where
/// it lies, in the queue and in the operation.
///
/// # Invariant
///
/// `accepted = written + in_doubt + in flight + queued`, checked in debug builds
/// after every change by [`Ledger::check`].
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accepted: u64,
    pub(crate) written: u64,
    pub(crate) in_doubt: u64,
}

impl Ledger {
    pub(crate) fn position(&self) -> Position {
        Position(self.accepted)
    }

    pub(crate) fn check(&self, in_flight: u64, queued: u64) {
        debug_assert_eq!(
            self.accepted,
            self.written + self.in_doubt + in_flight + queued,
            "accepted = written + in doubt + in flight + queued"
        );
    }
}
