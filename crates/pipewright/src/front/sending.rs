//! Sending that waits for room: as a task, as a thread, and in two steps.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pipewright_core::{Position, Refused, Reservation};

use crate::error::{Ended, SendError, SendTimeoutError, TrySendError, WaitError};
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::wait::{Line, Wait};
use crate::writer::PipeWriter;

impl PipeWriter {
    /// Sends as soon as there is room, and returns the position after the message.
    ///
    /// Senders that wait are given room in the order in which they began to wait, and
    /// nobody else is given any before them. The message gets its place in the stream
    /// when its sender has been woken and runs: between two that were woken together
    /// that is up to whoever runs them.
    ///
    /// # Errors
    ///
    /// [`SendError`], with `message` inside, if the writer takes no more data.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, nothing was sent; `message` is
    /// dropped with it. To keep the message, [`reserve`](Self::reserve) first.
    pub async fn send(&self, message: impl Into<Bytes>) -> Result<Position, SendError> {
        let message = match self.try_send(message) {
            Ok(position) => return Ok(position),
            Err(TrySendError::Closed(message, outcome)) => {
                return Err(SendError(message, outcome));
            }
            Err(TrySendError::Full(message)) => message,
        };
        match Line::new(&self.shared, message.len()).wait().await {
            Ok(reservation) => self.permit(reservation).send_closed(message),
            Err(outcome) => Err(SendError(message, outcome)),
        }
    }

    /// Sends as soon as there is room, and returns the position after the message.
    /// Blocks the thread for at most `timeout`.
    ///
    /// # Errors
    ///
    /// [`SendTimeoutError`], with `message` inside.
    pub fn send_timeout(
        &self,
        message: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Position, SendTimeoutError> {
        let message = match self.try_send(message) {
            Ok(position) => return Ok(position),
            Err(TrySendError::Closed(message, outcome)) => {
                return Err(SendTimeoutError::Closed(message, outcome));
            }
            Err(TrySendError::Full(message)) => message,
        };
        match Line::new(&self.shared, message.len()).wait_timeout(timeout) {
            Some(Ok(reservation)) => self
                .permit(reservation)
                .send_closed(message)
                .map_err(|SendError(message, why)| SendTimeoutError::Closed(message, why)),
            Some(Err(outcome)) => Err(SendTimeoutError::Closed(message, outcome)),
            None => Err(SendTimeoutError::Timeout(message)),
        }
    }

    /// Waits for room for `len` bytes and sets it aside.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the writer takes no more data.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped before it is ready, its place in the line is given
    /// up, and what it was granted goes to the next.
    pub async fn reserve(&self, len: usize) -> Result<Permit, Ended> {
        match Line::new(&self.shared, len).wait().await {
            Ok(reservation) => Ok(self.permit(reservation)),
            Err(outcome) => Err(Ended(outcome)),
        }
    }

    /// Waits for room for `len` bytes and sets it aside. Blocks the thread for at
    /// most `timeout`.
    ///
    /// # Errors
    ///
    /// [`WaitError`].
    pub fn reserve_timeout(&self, len: usize, timeout: Duration) -> Result<Permit, WaitError> {
        match Line::new(&self.shared, len).wait_timeout(timeout) {
            Some(Ok(reservation)) => Ok(self.permit(reservation)),
            Some(Err(outcome)) => Err(WaitError::Ended(outcome)),
            None => Err(WaitError::Timeout),
        }
    }

    /// Sets room for `len` bytes aside, if there is. Never blocks.
    ///
    /// # Errors
    ///
    /// [`TrySendError`].
    pub fn try_reserve(&self, len: usize) -> Result<Permit, TrySendError<()>> {
        let reserved = self.shared.change(|state| {
            state.core.reserve(len).map_err(|refused| match refused {
                Refused::Full => None,
                Refused::Closed(outcome) => Some(state.explain(outcome)),
            })
        });
        match reserved {
            Ok(reservation) => Ok(self.permit(reservation)),
            Err(None) => Err(TrySendError::Full(())),
            Err(Some(outcome)) => Err(TrySendError::Closed((), outcome)),
        }
    }

    pub(crate) fn permit(&self, reservation: Reservation) -> Permit {
        Permit {
            writer: Arc::clone(&self.shared),
            reservation: Some(reservation),
        }
    }
}

/// Room that was set aside for one message. Dropping it gives the room back.
///
/// It does not decide the message's place in the stream: that is where it is sent.
#[must_use = "dropping a permit gives its room back"]
pub struct Permit {
    writer: Arc<Shared>,
    /// `Some` until it is used.
    reservation: Option<Reservation>,
}

impl Permit {
    /// Sends with the room that was set aside, and returns the position after the
    /// message. Never blocks. Room that the message does not need is given back.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Closed`] if the writer has ended meanwhile;
    /// [`TrySendError::Full`] if the message is larger than what was reserved and
    /// there is no room for it otherwise. `message` is inside.
    pub fn send(mut self, message: impl Into<Bytes>) -> Result<Position, TrySendError> {
        let mut message = message.into();
        let Some(reservation) = self.reservation.take() else {
            return Err(TrySendError::Full(message));
        };
        let sent: Result<Position, Option<Outcome>> = self.writer.change(|state| {
            let sent = state.core.send_reserved(reservation, &mut message);
            sent.map_err(|refused| match refused {
                Refused::Full => None,
                Refused::Closed(outcome) => Some(state.explain(outcome)),
            })
        });
        sent.map_err(|outcome| match outcome {
            None => TrySendError::Full(message),
            Some(outcome) => TrySendError::Closed(message, outcome),
        })
    }

    /// Sends a message for which enough was reserved: it is refused only after the
    /// end.
    pub(crate) fn send_closed(self, message: Bytes) -> Result<Position, SendError> {
        self.send(message).map_err(|refused| match refused {
            TrySendError::Closed(message, outcome) => SendError(message, outcome),
            TrySendError::Full(message) => SendError(message, Outcome::Stopped),
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            self.writer.change(|state| state.core.release(reservation));
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("reservation", &self.reservation)
            .finish_non_exhaustive()
    }
}
