//! What a scripted kernel is told to do, and what it tells of what it did.

use std::collections::VecDeque;

use pipewright_core::{Failure, Limits, Mode, Rest};

use crate::sys::Attempt;

/// The error code of an operation that was cancelled: that of Windows.
pub const CANCELLED: i32 = 995;

/// What a kernel is, and how it answers each operation.
#[derive(Clone, Debug)]
pub struct Script {
    /// The answers to the operations, in order. After the last one the kernel takes
    /// everything at once.
    pub answers: VecDeque<Answer>,
    /// Whether senders may write, and any thread may close; if not, only those may that
    /// carry the kernel's deeds out.
    pub inline: bool,
    /// The most bytes of one operation.
    pub max_bytes: usize,
    /// The most chunks of one operation.
    pub max_chunks: usize,
    /// How many operations a turn may have.
    pub burst: usize,
    /// Whether the pipe keeps messages apart.
    pub mode: Mode,
}

impl Default for Script {
    /// A byte pipe that takes everything at once.
    fn default() -> Self {
        let limits = Limits::default();
        Script {
            answers: VecDeque::new(),
            inline: true,
            max_bytes: limits.max_bytes,
            max_chunks: limits.max_chunks,
            burst: 1,
            mode: Mode::Byte,
        }
    }
}

impl Script {
    /// As the default, with these answers.
    pub fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        Script {
            answers: answers.into_iter().collect(),
            ..Script::default()
        }
    }
}

/// The answer to one operation.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It is over at once.
    Now(End),
    /// It is pending. Letting it end so is a deed of the kernel's, and a cancel comes
    /// too late for it.
    Ends(End),
    /// The same, but a cancel that comes before the deed ends it as cancelled.
    EndsUnlessCancelled(End, Cancelled),
    /// It is pending until it is cancelled.
    Stalls(Cancelled),
}

/// How an operation comes back.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// The pipe took so many bytes, at most all.
    Took(usize),
    /// The pipe takes nothing now.
    NotReady(Ready),
    /// The system lacks resources, with this code.
    Exhausted(i32),
    /// The same for an operation of more bytes; it takes all of a smaller one.
    ExhaustedBeyond(usize, i32),
    /// It failed.
    Failed(Fault),
}

/// When the pipe that was not ready is ready again.
#[derive(Clone, Copy, Debug)]
pub enum Ready {
    /// After a deed of the kernel's.
    Later,
    /// While the driver is being armed for it.
    AtOnce,
    /// Never, because arming fails with this code.
    Fails(i32),
}

/// How an operation fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// The error code.
    pub code: i32,
    /// How many bytes the system says that the pipe took.
    pub counted: usize,
    /// How many the pipe took beyond these, if the system leaves the rest in doubt.
    pub uncounted: usize,
    /// What the system says of the rest.
    pub rest: Rest,
}

/// What becomes of an operation that is cancelled. The system counts nothing of it.
#[derive(Clone, Copy, Debug)]
pub struct Cancelled {
    /// How many bytes the pipe took nevertheless.
    pub uncounted: usize,
    /// Whether it comes back during the cancel, by its thread; if not, that is a deed
    /// of the kernel's.
    pub at_once: bool,
}

impl Answer {
    /// Takes so many bytes at once.
    #[must_use]
    pub fn takes(bytes: usize) -> Self {
        Answer::Now(End::Took(bytes))
    }

    /// Fails at once, having taken nothing.
    #[must_use]
    pub fn fails(code: i32) -> Self {
        Answer::Now(End::Failed(Fault::refused(code)))
    }

    /// What a cancel does to it once it is pending.
    pub(super) fn when_cancelled(self) -> Option<Cancelled> {
        match self {
            Answer::Now(_) | Answer::Ends(_) => None,
            Answer::EndsUnlessCancelled(_, cancelled) | Answer::Stalls(cancelled) => {
                Some(cancelled)
            }
        }
    }

    /// As the answer to a write of so many bytes that did not wait, if it can be one.
    pub(super) fn to_attempt(self, len: usize) -> Option<Attempt> {
        let Answer::Now(end) = self else {
            return None;
        };
        match end {
            End::Took(bytes) => Some(Attempt::Wrote(bytes)),
            End::NotReady(_) => Some(Attempt::NotReady),
            End::Exhausted(code) => Some(Attempt::Exhausted(Failure::Os(code))),
            End::ExhaustedBeyond(bytes, code) if len > bytes => {
                Some(Attempt::Exhausted(Failure::Os(code)))
            }
            End::ExhaustedBeyond(..) => Some(Attempt::Wrote(len)),
            End::Failed(fault) => (fault.counted == 0 && fault.rest == Rest::Unsent)
                .then_some(Attempt::Failed(Failure::Os(fault.code))),
        }
    }

    /// How it ends by itself.
    pub(super) fn end(self) -> Option<End> {
        match self {
            Answer::Now(end) | Answer::Ends(end) | Answer::EndsUnlessCancelled(end, _) => Some(end),
            Answer::Stalls(_) => None,
        }
    }
}

impl Fault {
    /// Nothing was tried.
    #[must_use]
    pub fn refused(code: i32) -> Self {
        Fault {
            code,
            counted: 0,
            uncounted: 0,
            rest: Rest::Unsent,
        }
    }

    /// The system does not say what the pipe took; it took so much.
    #[must_use]
    pub fn in_doubt(code: i32, uncounted: usize) -> Self {
        Fault {
            uncounted,
            rest: Rest::InDoubt,
            ..Fault::refused(code)
        }
    }
}

/// What a kernel did.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// What the pipe took, whether the writer was told of it or not.
    pub received: Vec<u8>,
    /// How many operations were submitted.
    pub operations: usize,
    /// How many cancels there were.
    pub cancels: usize,
    /// The handle was given up.
    pub detached: bool,
    /// How often it was closed; not counted for a handle of the real system.
    pub closed: usize,
    /// How often the contract of a driver was broken by its writer, and how.
    pub breaches: Vec<&'static str>,
}
