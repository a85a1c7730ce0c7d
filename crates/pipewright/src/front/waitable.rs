//! A waitable object, for event loops that are not ours.

use std::io;
use std::sync::Arc;

use crate::progress::Progress;
use crate::sys::Signal;
use crate::writer::PipeWriter;

/// An object that a foreign event loop (Qt, winit, GLib, libuv, epoll, …) can wait
/// for: on Unix a descriptor that is readable, on Windows an event that is set,
/// while there is news that [`PipeWriter::take_progress`] has not fetched.
///
/// It may become ready with nothing new to tell, never the other way round. Only
/// wait for it: do not read from it, reset it or close it.
///
/// It is `AsFd` and `AsRawFd` on Unix, `AsHandle` and `AsRawHandle` on Windows.
///
/// # Platform notes
///
/// On Windows it is an event that stays set until
/// [`take_progress`](PipeWriter::take_progress) resets it, not inheritable, for
/// `WaitForMultipleObjects`, `MsgWaitForMultipleObjects` in an event loop with windows,
/// `RegisterWaitForSingleObject`, or `QWinEventNotifier`. A wait for several objects
/// tells of the first one that is set: look at the others too, or one that is always
/// set keeps them waiting (Microsoft, "WaitForMultipleObjects function").
///
/// # Examples
///
/// One round of an event loop:
///
/// ```
/// # #[cfg(unix)] fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::os::fd::AsFd;
/// use pipewright::PipeWriter;
/// use rustix::event::{PollFd, PollFlags, poll};
///
/// let (_reader, pipe) = std::io::pipe()?;
/// let writer = PipeWriter::new(pipe)?;
/// let waitable = writer.waitable()?;
/// let end = writer.try_send("hello")?;
///
/// while writer.take_progress().written < end.get() {
///     poll(&mut [PollFd::new(&waitable, PollFlags::IN)], None)?;
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(unix))] fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Waitable(pub(crate) Arc<Signal>);

impl PipeWriter {
    /// The writer's waitable object. There is one per writer, made on first use;
    /// events before that do not make it ready.
    ///
    /// # Errors
    ///
    /// The system's, if it has no descriptor (or handle) left.
    pub fn waitable(&self) -> io::Result<Waitable> {
        Ok(Waitable(self.shared.lock().signal()?))
    }

    /// How far the writer has come, and makes the waitable object not ready until
    /// there is more news. Never blocks.
    pub fn take_progress(&self) -> Progress {
        let signal = self.shared.lock().signal_if_made();
        // First clear, then look: what happens in between is in the progress, and
        // what happens later makes the object ready again.
        if let Some(signal) = signal {
            signal.clear();
        }
        let mut state = self.shared.lock();
        state.rearm_signal();
        state.progress()
    }
}
