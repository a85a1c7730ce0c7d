//! `AsyncWrite` of futures and of tokio, for code that is generic over it.

use std::fmt;
use std::io;
#[cfg(any(feature = "futures-io", feature = "tokio"))]
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pipewright_core::Refused;

use crate::error::Ended;
use crate::outcome::Outcome;
use crate::wait::{End, Room, Wait, Written};
use crate::writer::PipeWriter;

/// A handle to a writer that implements `AsyncWrite`: that of `futures-io` with
/// the feature `futures-io`, that of tokio with the feature `tokio`. No runtime is
/// needed.
///
/// Made by [`PipeWriter::async_writer`]. A write waits while the queue is full, and
/// while others wait in line ([`PipeWriter::send`]); one that is given up leaves
/// nothing behind. A flush waits until everything is handed to the operating system; closing (or
/// shutting down) writes what is queued, closes the pipe for all handles, and waits
/// for that.
pub struct AsyncPipeWriter {
    writer: PipeWriter,
    /// Waits for room, between a write that found none and the next.
    room: Option<Room>,
    flush: Option<Written>,
    close: Option<End>,
}

impl PipeWriter {
    /// Another handle, for code that wants an `AsyncWrite`.
    #[must_use]
    pub fn async_writer(&self) -> AsyncPipeWriter {
        AsyncPipeWriter {
            writer: self.clone(),
            room: None,
            flush: None,
            close: None,
        }
    }
}

#[cfg_attr(
    not(any(feature = "futures-io", feature = "tokio")),
    allow(dead_code, reason = "the traits that use it are behind features")
)]
impl AsyncPipeWriter {
    /// The writer.
    #[must_use]
    pub fn get_ref(&self) -> &PipeWriter {
        &self.writer
    }

    fn poll_write_some(&mut self, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        // Whoever writes has given up a flush that was begun before.
        self.flush = None;
        let piece = self.writer.piece(buffer);
        match self.writer.shared.try_send(piece) {
            Ok(_) => {
                self.room = None;
                return Poll::Ready(Ok(piece.len()));
            }
            Err(Refused::Full) => {}
            Err(refused) => return Poll::Ready(Err(self.writer.ended_error(refused))),
        }
        let writer = &self.writer;
        let room = self.room.get_or_insert_with(|| Room::new(&writer.shared));
        let sent = ready!(room.poll_send(cx, piece));
        self.room = None;
        Poll::Ready(match sent {
            Ok(()) => Ok(piece.len()),
            Err(outcome) => Err(Ended(outcome).into()),
        })
    }

    fn poll_flush_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = &self.writer;
        let flush = self
            .flush
            .get_or_insert_with(|| Written::new(&writer.shared, writer.position()));
        let flushed = ready!(flush.poll(cx));
        self.flush = None;
        Poll::Ready(flushed.map_err(|outcome| Ended(outcome).into()))
    }

    fn poll_close_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = &self.writer;
        let close = self.close.get_or_insert_with(|| {
            writer.finish();
            End::new(&writer.shared)
        });
        match ready!(close.poll(cx)) {
            Outcome::Closed => Poll::Ready(Ok(())),
            outcome => Poll::Ready(Err(Ended(outcome).into())),
        }
    }
}

impl fmt::Debug for AsyncPipeWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncPipeWriter")
            .field(&self.writer)
            .finish()
    }
}

#[cfg(feature = "futures-io")]
impl futures_io::AsyncWrite for AsyncPipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_some(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_all(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close_all(cx)
    }
}

#[cfg(feature = "tokio")]
impl tokio::io::AsyncWrite for AsyncPipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_some(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_flush_all(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_close_all(cx)
    }
}
