//! The writer as its user holds it.

use std::fmt;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use pipewright_core::{self as core, Position};

use crate::builder::Builder;
use crate::error::{AttachError, Pipe, TrySendError};
use crate::outcome::Outcome;
use crate::progress::{Progress, Summary, Unsent};
use crate::shared::Shared;
use crate::state::State;
use crate::sys::{self, Handling, Opened, Refused};
use crate::wait::{End, Wait};

/// Writes to a pipe in the background, in order and exactly once.
///
/// Hand it bytes and go on: a send puts them into a bounded queue, and they are
/// written as fast as the reader takes them. [`progress`](Self::progress) tells at
/// any time how far it has come, and after any end what was not written can be
/// taken back.
///
/// A writer is made from anything that owns a descriptor (`Into<OwnedFd>`; on
/// Windows `Into<OwnedHandle>`): the writing end of [`std::io::pipe`], a
/// `ChildStdin`, a `File`, a socket. It can be cloned: the clones are handles to
/// one writer, their sends form one stream, and each send is contiguous in it.
///
/// # Dropping
///
/// When the last handle is dropped, the writer goes on in the background for its
/// linger time ([`Builder::linger`], 5 seconds unless set) and then stops; without a
/// pipe it stops at once. Drop never waits. At the end of the process call
/// [`wait_lingering`](crate::wait_lingering), or [`close`](Self::close) the
/// writers yourself, or what is still queued is lost.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use pipewright::PipeWriter;
///
/// let (reader, pipe) = std::io::pipe()?;
/// let writer = PipeWriter::new(pipe)?;
///
/// writer.try_send("hello, ")?; // returns at once
/// let end = writer.try_send("world")?;
///
/// let summary = writer.close_timeout(Duration::from_secs(5))?;
/// assert_eq!(summary.written, end.get());
/// assert_eq!(std::io::read_to_string(reader)?, "hello, world");
/// # Ok(())
/// # }
/// ```
pub struct PipeWriter {
    pub(crate) shared: Arc<Shared>,
}

/// Making one.
impl PipeWriter {
    /// A writer to `pipe`, with the default options.
    ///
    /// # Errors
    ///
    /// [`AttachError`], with `pipe` inside: it is not open for writing, it is a
    /// directory, or the writing side could not be started.
    pub fn new(pipe: impl Into<Pipe>) -> Result<Self, AttachError> {
        Builder::new().build(pipe)
    }

    /// Options for a writer.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// A writer without a pipe yet, in byte mode: it queues up to its capacity
    /// until [`attach`](Self::attach).
    #[must_use]
    pub fn unattached() -> Self {
        Builder::default_unattached()
    }

    /// Gives the pipe to a writer that has none yet; what is queued is written.
    ///
    /// # Errors
    ///
    /// [`AttachError`], with `pipe` inside: as [`new`](Self::new), and if the
    /// writer has a pipe or has ended, or if one of them keeps message boundaries
    /// and the other does not.
    pub fn attach(&self, pipe: impl Into<Pipe>) -> Result<(), AttachError> {
        let name = self.shared.lock().name().map(str::to_owned);
        self.attach_opened(open(name.as_deref(), pipe.into(), self.shared.handling)?)
    }

    pub(crate) fn attach_opened(&self, opened: Opened) -> Result<(), AttachError> {
        let attached = self.shared.change(|state| {
            let name = state.name().map(str::to_owned);
            state.attach(opened).map_err(|refused| (name, refused))
        });
        let Err((name, (opened, why))) = attached else {
            return Ok(());
        };
        match opened.driver.detach(Arc::clone(&self.shared) as _) {
            Poll::Ready(Some(pipe)) => {
                let name = name.unwrap_or(opened.description.label);
                Err(AttachError::new(pipe, name, why.into()))
            }
            _ => Ok(()),
        }
    }

    /// A handle that does not keep the writer from being dropped: for callbacks
    /// that use the writer which calls them.
    #[must_use]
    pub fn downgrade(&self) -> WeakPipeWriter {
        WeakPipeWriter(Arc::downgrade(&self.shared))
    }
}

/// Finds the driver for a handle; `name` is what the user calls it.
pub(crate) fn open(
    name: Option<&str>,
    pipe: Pipe,
    handling: Handling,
) -> Result<Opened, AttachError> {
    sys::open(pipe, handling).map_err(|Refused { pipe, error }| {
        let name = name.map_or_else(|| sys::describe(&pipe).label, str::to_owned);
        AttachError::new(pipe, name, error)
    })
}

/// Sending without waiting. More ways to send are in `front::sending`.
impl PipeWriter {
    /// Accepts `message` if there is room for it, and returns the position in the
    /// stream after it. Never blocks.
    ///
    /// Up to [`JOIN_MAX`](crate::JOIN_MAX) bytes are copied together with their
    /// neighbours; larger messages are queued as they are. If nothing is queued
    /// and nothing was written in the last microseconds, the calling thread writes
    /// the message by itself, without waiting (not on Windows, where a thread's writes
    /// end with it; Microsoft, "ExitThread function").
    ///
    /// A message larger than the capacity is accepted if the queue is empty.
    ///
    /// # Errors
    ///
    /// [`TrySendError`], with `message` inside.
    pub fn try_send(&self, message: impl Into<Bytes>) -> Result<Position, TrySendError> {
        let mut message = message.into();
        match self.shared.try_send(&mut message) {
            Ok(position) => Ok(position),
            Err(refused) => Err(self.refusal(refused, message)),
        }
    }

    /// As [`try_send`](Self::try_send), for borrowed data, which is copied.
    ///
    /// # Errors
    ///
    /// [`TrySendError`]; nothing was copied.
    pub fn try_send_slice(&self, message: &[u8]) -> Result<Position, TrySendError<()>> {
        self.shared
            .try_send(message)
            .map_err(|refused| self.refusal(refused, ()))
    }

    fn refusal<T>(&self, refused: core::Refused, data: T) -> TrySendError<T> {
        match refused {
            core::Refused::Full => TrySendError::Full(data),
            core::Refused::Closed(outcome) => {
                TrySendError::Closed(data, self.shared.lock().explain(outcome))
            }
        }
    }
}

/// Looking at it, and ending it without waiting for the reader.
impl PipeWriter {
    /// How far it has come, now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.shared.lock().progress()
    }

    /// The position after everything that was accepted so far.
    #[must_use]
    pub fn position(&self) -> Position {
        self.shared.lock().core.position()
    }

    /// Begins to close: no more sends are accepted, on any handle; what is queued
    /// is still written, then the pipe is closed. Does not wait: see
    /// [`close`](Self::close), [`ended`](Self::ended).
    pub fn finish(&self) {
        self.shared.change(|state| state.core.finish());
    }

    /// Begins to stop: nothing more is written, an operation in flight is
    /// cancelled. Does not wait: see [`stop`](Self::stop), [`ended`](Self::ended)
    /// and [`take_unsent`](Self::take_unsent).
    pub fn cancel(&self) {
        self.shared.change(|state| state.core.stop());
    }

    /// Stops, closes the pipe, and gives back what was not written.
    ///
    /// Waits until the system has given back an operation in flight, which is at
    /// once but for regular files, and never waits for the reader. If the writer
    /// has ended already, gives back what nobody has taken yet.
    pub fn stop(&self) -> Unsent {
        self.cancel();
        End::new(&self.shared).wait_forever();
        self.take_unsent().unwrap_or_default()
    }

    /// What was not written, once the writer has ended; a second call finds
    /// nothing left. `None` before the end.
    pub fn take_unsent(&self) -> Option<Unsent> {
        let (written, unsent) = self.shared.change(|state| {
            let written = state.core.progress().written;
            state.core.take_unsent().map(|unsent| (written, unsent))
        })?;
        Some(Unsent::new(written, unsent))
    }

    /// Stops, and gives back the pipe, still open, with what was not written.
    ///
    /// The pipe is `None` if the writer never had one, or had ended and closed it
    /// before.
    pub fn into_parts(self) -> (Option<Pipe>, Unsent) {
        self.shared.change(State::stop_and_keep);
        End::new(&self.shared).wait_forever();
        let pipe = self.shared.lock().take_kept_pipe();
        (pipe, self.take_unsent().unwrap_or_default())
    }

    /// Waits until the writer has ended: closed, stopped or failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn ended(&self) -> Summary {
        let outcome = End::new(&self.shared).wait().await;
        self.summary(outcome)
    }

    /// Waits until the writer has ended. Blocks the thread for at most `timeout`;
    /// `None` if the time was over first, which changes nothing.
    #[must_use]
    pub fn wait_ended(&self, timeout: Duration) -> Option<Summary> {
        let outcome = End::new(&self.shared).wait_timeout(timeout)?;
        Some(self.summary(outcome))
    }

    pub(crate) fn summary(&self, outcome: Outcome) -> Summary {
        let state = self.shared.lock();
        let progress = state.core.progress();
        Summary {
            pipe: Arc::clone(&state.label),
            accepted: progress.accepted,
            written: progress.written,
            in_doubt: progress.in_doubt,
            unsent: progress.queued,
            outcome,
        }
    }
}

impl Clone for PipeWriter {
    /// Another handle to the same writer.
    fn clone(&self) -> Self {
        self.shared.add_handle();
        PipeWriter {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.shared.remove_handle();
    }
}

impl fmt::Debug for PipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (label, progress) = {
            let state = self.shared.lock();
            (Arc::clone(&state.label), state.progress())
        };
        f.debug_struct("PipeWriter")
            .field("pipe", &label)
            .field("progress", &progress)
            .finish_non_exhaustive()
    }
}

/// A handle to a writer that does not keep it from being dropped.
#[derive(Clone)]
pub struct WeakPipeWriter(Weak<Shared>);

impl WeakPipeWriter {
    /// A full handle, unless the last one has been dropped.
    #[must_use]
    pub fn upgrade(&self) -> Option<PipeWriter> {
        let shared = self.0.upgrade()?;
        if !shared.try_add_handle() {
            return None;
        }
        Some(PipeWriter { shared })
    }
}

impl fmt::Debug for WeakPipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakPipeWriter").finish_non_exhaustive()
    }
}
