//! `std::io::Write`, for code that knows nothing else.

use std::io;

use bytes::Bytes;
use pipewright_core::{Mode, Refused};

use crate::error::{Ended, SendError};
use crate::wait::{Line, Wait, Written};
use crate::writer::PipeWriter;

/// The most that one `write` takes of a stream: what the writing side takes at
/// once.
pub(crate) const PIECE: usize = 64 * 1024;

impl PipeWriter {
    /// How much of a buffer one `write` accepts: a message whole, of a stream not
    /// more than what fits into the queue at once.
    pub(crate) fn piece<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        let state = self.shared.lock();
        let capacity = usize::try_from(state.core.capacity()).unwrap_or(usize::MAX);
        match state.core.mode() {
            Mode::Message => buffer,
            Mode::Byte => &buffer[..buffer.len().min(PIECE).min(capacity)],
        }
    }

    pub(crate) fn ended_error(&self, refused: Refused) -> io::Error {
        match refused {
            Refused::Full => io::ErrorKind::WouldBlock.into(),
            Refused::Closed(outcome) => Ended(self.shared.lock().explain(outcome)).into(),
        }
    }
}

/// Blocks while the queue is full; the data is copied into it. `flush` waits until
/// everything is handed to the operating system.
impl io::Write for &PipeWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let piece = self.piece(buffer);
        match self.shared.try_send(piece) {
            Ok(_) => return Ok(piece.len()),
            Err(Refused::Full) => {}
            Err(refused) => return Err(self.ended_error(refused)),
        }
        match Line::new(&self.shared, piece.len()).wait_forever() {
            Ok(reservation) => {
                let permit = self.permit(reservation);
                match permit.send_closed(Bytes::copy_from_slice(piece)) {
                    Ok(_) => Ok(piece.len()),
                    Err(SendError(_, outcome)) => Err(Ended(outcome).into()),
                }
            }
            Err(outcome) => Err(Ended(outcome).into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Written::new(&self.shared, self.position())
            .wait_forever()
            .map_err(|outcome| Ended(outcome).into())
    }
}

/// As for `&PipeWriter`.
impl io::Write for PipeWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut &*self, buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut &*self)
    }
}
