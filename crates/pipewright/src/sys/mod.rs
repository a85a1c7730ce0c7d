//! Everything that touches the operating system, and all unsafe code.
//!
//! # The contract of a driver
//!
//! A [`Driver`] carries the operations of one writer to one handle. It never
//! looks into the writer's state; the writer never asks what kind of driver it
//! has, beyond [`Driver::inline`] and [`Driver::closes_at_once`].
//!
//! * **One operation at a time.** [`Driver::submit`] and [`Inline::write`] are called
//!   only when no operation is in flight, so at most one thread is in them, and never
//!   while [`Driver::detach`] runs. The other methods may be called at any time, from
//!   any thread.
//! * **Every operation comes back exactly once**: in the answer of `submit`, or,
//!   after [`Submitted::Pending`], through [`Writer::landed`]. Until then the
//!   driver owns it, and with it the memory that the kernel may touch (buffer,
//!   control block, handle): whatever the user does meanwhile, it is freed only
//!   after the kernel reported the completion.
//! * **Nothing waits for the pipe**, but for `submit` in a driver that has a thread of
//!   its own for it.
//! * **No lock of the driver is held** while the [`Writer`] is called.
//! * **A cancel is for ever.** It comes when the writer's end is decided, so there
//!   is nothing after it that it could hit by mistake: an operation that is being
//!   submitted, or is submitted later, comes back as cancelled or with what came of
//!   the race; one that came back before is not touched; a second cancel changes
//!   nothing.
//! * After `detach`, the other methods do nothing and succeed.
//!
//! Each system provides in its module:
//!
//! * `Pipe`, the owned handle a writer is made from, and `open`, which finds out
//!   what kind of handle it is and picks the driver that fits; `describe`, which
//!   only looks;
//! * `Asked`, a question of [`Driver::poll_read`] and how its answer is waited for;
//! * `Signal`, the waitable object for foreign event loops;
//! * `Timer`, which wakes a waker at a time;
//! * `now`, the time that timers go by;
//! * `error_kind`, which sorts the system's error numbers.
//!
//! Under `cfg(pipewright_scripted)` there is no system but the
//! [scripted](scripted) one.
//!
//! Threads of ours are each on a [duty](duty), which another takes over when user
//! code makes one wait.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use pipewright_core::{Failure, Limits, Mode, Operation, Rest};

#[cfg(not(pipewright_scripted))]
mod duty;
#[cfg(not(pipewright_scripted))]
pub(crate) use duty::step_aside;

#[cfg(any(test, pipewright_scripted))]
pub mod scripted;
#[cfg(pipewright_scripted)]
pub(crate) use scripted::system::{
    Asked, Pipe, Signal, Timer, describe, error_kind, now, open, step_aside,
};

#[cfg(all(unix, not(pipewright_scripted)))]
mod unix;
#[cfg(all(unix, not(pipewright_scripted)))]
pub use unix::fifo;
#[cfg(all(unix, not(pipewright_scripted)))]
pub(crate) use unix::{Asked, Pipe, Signal, Timer, describe, error_kind, open};

#[cfg(all(windows, not(pipewright_scripted)))]
pub(crate) mod windows;
#[cfg(all(windows, not(pipewright_scripted)))]
pub use windows::named_pipe;
#[cfg(all(windows, not(pipewright_scripted)))]
pub(crate) use windows::{Asked, Pipe, Signal, Timer, describe, error_kind, open};

#[cfg(not(any(unix, windows)))]
compile_error!("pipewright has drivers for Unix and for Windows");

#[cfg(not(pipewright_scripted))]
pub(crate) fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// Carries the operations of one writer. See the [module](self) for the contract.
pub(crate) trait Driver: Send + Sync {
    /// How much one operation may hold.
    fn limits(&self) -> Limits;

    /// How senders write by themselves, if a write never waits.
    fn inline(&self) -> Option<&dyn Inline>;

    /// Whether `detach`, and closing what it gives up, never waits, so that any thread
    /// may do it. If not, only the writing side does.
    fn closes_at_once(&self) -> bool;

    /// Have [`Writer::turn`] called soon, on the writing side.
    fn schedule(&self, writer: Arc<dyn Writer>);

    /// Starts the operation. Called on the writing side, in a turn; or, while that
    /// [is behind](Inline::is_behind), by a sender.
    fn submit(&self, writer: Arc<dyn Writer>, operation: Operation) -> Submitted;

    /// After [`Submitted::NotReady`]: call [`Writer::ready`], once, when a write
    /// may get further.
    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()>;

    /// Ends the operation in flight soon, as cancelled, if it has not ended yet.
    fn cancel(&self);

    /// Gives the handle up, for the caller to close or to keep. Called once. If
    /// something still uses it that does not wait for the pipe any more, it comes
    /// later, through [`Writer::detached`].
    fn detach(&self, writer: Arc<dyn Writer>) -> Poll<Option<Pipe>>;

    /// Ready when the reader has taken everything that was written before `asked`
    /// was polled for the first time; then the waker is woken. It may take longer
    /// while more is written. Once the handle was given up it is never ready.
    ///
    /// An error is that the system cannot tell
    /// ([`Unsupported`](io::ErrorKind::Unsupported)), or that the pipe is broken.
    fn poll_read(&self, asked: &mut Asked, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A driver whose writes never wait, so that any thread may do them.
pub(crate) trait Inline {
    /// Writes from the caller's own memory: an operation, submitted and back. `data`
    /// is within the driver's limits, as an operation is.
    fn write(&self, data: &[u8]) -> Attempt;

    /// Whether so many writers wait for the writing side that their senders had better
    /// write by themselves.
    fn is_behind(&self) -> bool {
        false
    }
}

/// What became of a write that did not wait.
pub(crate) enum Attempt {
    /// It wrote this many bytes: all, or the first part.
    Wrote(usize),
    /// The pipe takes nothing now.
    NotReady,
    /// The system lacks resources for it; nothing was written.
    Exhausted(Failure),
    /// It failed; nothing was written.
    Failed(Failure),
}

impl Attempt {
    /// What it means for the operation whose data it was to write.
    pub(crate) fn of(self, operation: Operation) -> Submitted {
        match self {
            Attempt::Wrote(written) => Submitted::Completed(operation, written),
            Attempt::NotReady => Submitted::NotReady(operation),
            Attempt::Exhausted(failure) => Submitted::Exhausted(operation, failure),
            Attempt::Failed(failure) => Submitted::Failed(operation, 0, failure, Rest::Unsent),
        }
    }
}

/// The writer, as its driver sees it. Whoever calls may be made to run user code.
pub(crate) trait Writer: Send + Sync {
    /// Runs one turn: hands operations to the driver, up to `burst` while they
    /// complete at once, or closes the handle. If there is more to do afterwards,
    /// another turn is scheduled before any user code runs.
    ///
    /// Whoever waits for the operations is woken at the end of the burst, so only a
    /// driver that never waits may be given more than one.
    fn turn(self: Arc<Self>, burst: usize);

    /// An operation came back.
    #[cfg_attr(unix, allow(dead_code, reason = "Unix drivers complete at once"))]
    fn landed(self: Arc<Self>, driver: &dyn Driver, submitted: Submitted);

    /// The handle was given up, after [`Driver::detach`] was pending.
    #[cfg_attr(unix, allow(dead_code, reason = "Unix drivers give it up at once"))]
    fn detached(self: Arc<Self>, pipe: Option<Pipe>);

    /// The pipe may take something again.
    fn ready(self: Arc<Self>);
}

/// What became of an operation that was submitted.
pub(crate) enum Submitted {
    /// It wrote this many bytes: all, or the first part.
    Completed(Operation, usize),
    /// The pipe takes nothing now.
    NotReady(Operation),
    /// The system lacks resources for it; nothing was written.
    Exhausted(Operation, Failure),
    /// It failed or was cancelled, after this many bytes.
    Failed(Operation, usize, Failure, Rest),
    /// The kernel has it; it comes back through [`Writer::landed`].
    #[cfg_attr(unix, allow(dead_code, reason = "Unix drivers complete at once"))]
    Pending,
}

/// A handle that was found fit, and the driver that serves it.
pub(crate) struct Opened {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) description: Description,
}

/// What can be seen of a handle.
pub(crate) struct Description {
    /// Whether it keeps message boundaries, if that can be known.
    pub(crate) mode: Option<Mode>,
    /// What it is, for people: `fd 5 (pipe)`.
    pub(crate) label: String,
}

/// A handle that cannot be served, given back, and why.
pub(crate) struct Refused {
    pub(crate) pipe: Pipe,
    pub(crate) error: io::Error,
}

/// What the user said about a handle.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Handling {
    /// Nobody else uses the open file description.
    pub(crate) sole_owner: bool,
    /// The size that the pipe's own buffer should have, in bytes.
    pub(crate) pipe_size: Option<usize>,
}
