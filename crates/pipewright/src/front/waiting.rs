//! Waiting for what was accepted to be written, and to be read.

use std::time::Duration;

use pipewright_core::Position;

use crate::error::{Ended, WaitError};
use crate::sys::now;
use crate::wait::{Read, Wait, Written};
use crate::writer::PipeWriter;

/// Barriers. There are three, and they are not the same: handed to the operating
/// system (`flush`, `written_to`), read by the reader (`wait_read`), and closed
/// (`close`).
impl PipeWriter {
    /// Waits until everything before `position` is handed to the operating system.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the writer ended before it was.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn written_to(&self, position: Position) -> Result<(), Ended> {
        let written = Written::new(&self.shared, position);
        written.wait().await.map_err(Ended)
    }

    /// Waits until everything before `position` is handed to the operating system.
    /// Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub fn wait_written(&self, position: Position, timeout: Duration) -> Result<(), WaitError> {
        match Written::new(&self.shared, position).wait_timeout(timeout) {
            Some(Ok(())) => Ok(()),
            Some(Err(outcome)) => Err(WaitError::Ended(outcome)),
            None => Err(WaitError::Timeout),
        }
    }

    /// Waits until everything that was accepted before this call is handed to the
    /// operating system.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the writer ended before it was.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn flush(&self) -> Result<(), Ended> {
        self.written_to(self.position()).await
    }

    /// Waits until everything that was accepted before this call is handed to the
    /// operating system. Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub fn flush_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        self.wait_written(self.position(), timeout)
    }

    /// Waits until the reader has read everything that was accepted before this
    /// call. Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError`]; [`Unsupported`](WaitError::Unsupported) where the system
    /// cannot tell.
    ///
    /// # Platform notes
    ///
    /// What is written meanwhile, and what others write into the same pipe, may count
    /// too.
    ///
    /// On Linux for pipes and FIFOs: `FIONREAD` is asked at growing intervals, up
    /// to 10 ms (man page ioctl(2) names it; for the writing end it counts what the
    /// pipe holds).
    ///
    /// On Windows for pipes: a thread of its own, while somebody waits, calls
    /// `FlushFileBuffers` (Microsoft, "FlushFileBuffers function"), and is called back
    /// at the end of the wait or of the writer. Once the reader is gone the system does
    /// not tell what it had read: the writer has then failed, as it has after a write
    /// into a broken pipe. It is unsupported for a handle that may not ask whether the
    /// reader is there, as the server's end of a pipe that only writes: make it
    /// `duplex`. A handle that can only block does one thing at a time, so each write
    /// breaks the wait off and it begins anew; whoever shares such a handle with others
    /// keeps them from it meanwhile.
    ///
    /// Elsewhere, and for files, sockets and terminals, it is unsupported.
    pub fn wait_read(&self, timeout: Duration) -> Result<(), WaitError> {
        let deadline = now().checked_add(timeout);
        self.flush_timeout(timeout)?;
        let left = deadline.map_or(timeout, |at| at.saturating_duration_since(now()));
        match Read::new(&self.shared).wait_timeout(left) {
            Some(read) => read,
            None => Err(WaitError::Timeout),
        }
    }

    /// Waits until the reader has read everything that was accepted before this
    /// call, as [`wait_read`](Self::wait_read) does.
    ///
    /// # Errors
    ///
    /// [`WaitError`], never [`Timeout`](WaitError::Timeout).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn read_by_reader(&self) -> Result<(), WaitError> {
        self.flush()
            .await
            .map_err(|Ended(why)| WaitError::Ended(why))?;
        Read::new(&self.shared).wait().await
    }
}
