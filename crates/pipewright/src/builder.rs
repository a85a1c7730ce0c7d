//! The options of a writer.

use std::fmt;
use std::io;
use std::num::NonZeroU64;
use std::time::Duration;

use pipewright_core::{Config, Mode};

use crate::callback::{Callback, OnProgress};
use crate::error::{AttachError, Pipe};
use crate::progress::Progress;
use crate::shared::Shared;
use crate::sys::{self, Handling};
use crate::writer::{self, PipeWriter};

/// How long a dropped writer goes on by itself, unless set.
const LINGER: Duration = Duration::from_secs(5);

/// The options of a writer. The order in which they are set does not matter.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use pipewright::PipeWriter;
///
/// let (_reader, pipe) = std::io::pipe()?;
/// let writer = PipeWriter::builder()
///     .name("log collector")
///     .capacity(256 * 1024)
///     .linger(Duration::from_secs(2))
///     .on_progress(|progress| assert!(progress.written <= progress.accepted))
///     .build(pipe)?;
/// # drop(writer);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Builder {
    capacity: u64,
    linger: Duration,
    name: Option<String>,
    mode: Option<Mode>,
    on_progress: Option<OnProgress>,
    handling: Handling,
}

impl Builder {
    pub(crate) fn new() -> Self {
        Builder {
            capacity: Config::default().capacity.get(),
            linger: LINGER,
            name: None,
            mode: None,
            on_progress: None,
            handling: Handling::default(),
        }
    }

    /// How many bytes may be accepted and not yet written; 1 MiB unless set. Over
    /// it sends are refused, or wait. A larger message is accepted when nothing
    /// else is queued. 0 is refused by [`build`](Self::build).
    pub fn capacity(mut self, bytes: u64) -> Self {
        self.capacity = bytes;
        self
    }

    /// How long the writer goes on in the background after its last handle was
    /// dropped; 5 seconds unless set. 0: it stops at once, and what is queued is
    /// lost. So is that of a writer that never got a pipe.
    pub fn linger(mut self, limit: Duration) -> Self {
        self.linger = limit;
        self
    }

    /// What the pipe is called in errors; otherwise they say what it is, as in
    /// `fd 5 (pipe)`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether sends keep their boundaries. Unless set, as the handle does: on
    /// Unix, datagram and sequential-packet sockets and packet pipes keep them; on
    /// Windows, pipes that were made for messages. A writer without a pipe starts in
    /// byte mode unless set.
    ///
    /// # Platform notes
    ///
    /// On Windows a server's end that only writes does not tell what it was made for
    /// (it lacks the right to ask: Microsoft, "GetNamedPipeInfo function"). Then what
    /// is set here holds, and byte mode unless set. A message pipe's writer in byte
    /// mode makes messages of what it joined.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Calls `on_progress` after something was written, when there is room again
    /// after a send was refused, and at the end; several such events may share one
    /// call. The last call is the one with the [`outcome`](Progress::outcome).
    ///
    /// It is called without a lock, by one thread at a time: one that sends with the
    /// writer, ends it or drops it, or one of Pipewright's. It may use any method of
    /// the writer, and may drop it. It should be short: the thread has other writers to serve. It may wait with
    /// the methods of a writer: the others are served by another thread meanwhile,
    /// which costs a thread for each callback that waits at the same time. If it
    /// waits for anything else, they wait with it. If it holds a
    /// `PipeWriter` of its own writer, that one is never dropped for lack of
    /// handles: hold a [`WeakPipeWriter`](crate::WeakPipeWriter). If it panics it
    /// is not called again.
    pub fn on_progress(mut self, on_progress: impl FnMut(Progress) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Asks for a size of the pipe's own buffer in the kernel, in bytes.
    ///
    /// Best effort: without the right, or on other systems than Linux, the pipe
    /// keeps the size that it has (Linux man page pipe(7), "Pipe capacity"). On
    /// Windows the size is given when a pipe is made, as in
    /// `named_pipe::ServerOptions::out_buffer`.
    pub fn pipe_size(mut self, bytes: usize) -> Self {
        self.handling.pipe_size = Some(bytes);
        self
    }

    /// Says that nobody else uses the handle's open file description: no duplicate
    /// of it, no other process. It may then be made non-blocking, which saves a
    /// thread where the system knows no other way to write without waiting. On Windows
    /// it changes nothing: what a handle was opened for cannot be changed.
    pub fn sole_owner(mut self, sole_owner: bool) -> Self {
        self.handling.sole_owner = sole_owner;
        self
    }

    /// Makes the writer.
    ///
    /// # Errors
    ///
    /// As [`PipeWriter::attach`], and [`InvalidInput`](io::ErrorKind::InvalidInput)
    /// for a capacity of 0. The handle is inside.
    pub fn build(self, pipe: impl Into<Pipe>) -> Result<PipeWriter, AttachError> {
        let (pipe, name) = (pipe.into(), self.name.as_deref());
        let capacity = match self.checked_capacity() {
            Ok(capacity) => capacity,
            Err(error) => {
                let name = name.map_or_else(|| sys::describe(&pipe).label, str::to_owned);
                return Err(AttachError::new(pipe, name, error));
            }
        };
        let opened = writer::open(name, pipe, self.handling)?;
        let mode = self.mode.or(opened.description.mode).unwrap_or_default();
        let writer = self.mode(mode).with_capacity(capacity);
        writer.attach_opened(opened)?;
        Ok(writer)
    }

    /// Makes the writer without a pipe: it queues until
    /// [`attach`](PipeWriter::attach).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for a capacity of 0.
    pub fn unattached(self) -> io::Result<PipeWriter> {
        let capacity = self.checked_capacity()?;
        Ok(self.with_capacity(capacity))
    }

    fn checked_capacity(&self) -> io::Result<NonZeroU64> {
        NonZeroU64::new(self.capacity).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "a writer with a capacity of 0 bytes could accept nothing",
            )
        })
    }

    pub(crate) fn default_unattached() -> PipeWriter {
        Builder::new().with_capacity(Config::default().capacity)
    }

    fn with_capacity(self, capacity: NonZeroU64) -> PipeWriter {
        let mode = self.mode.unwrap_or_default();
        let callback = self.on_progress.map_or(Callback::None, Callback::Idle);
        PipeWriter {
            shared: Shared::new(
                Config { capacity, mode },
                self.linger,
                self.name,
                callback,
                self.handling,
            ),
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("capacity", &self.capacity)
            .field("linger", &self.linger)
            .field("name", &self.name)
            .field("mode", &self.mode)
            .field("on_progress", &self.on_progress.is_some())
            .field("handling", &self.handling)
            .finish()
    }
}
