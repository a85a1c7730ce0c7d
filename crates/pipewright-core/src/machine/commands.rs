//! What the user asks for.

use bytes::Bytes;

use super::{Core, Mode, Refused, Unsent};
use crate::ledger::Position;
use crate::lifecycle::{Outcome, Step};
use crate::line::{Reservation, Ticket};
use crate::operation::Limits;
use crate::queue::JOIN_MAX;

/// Commands.
impl Core {
    /// There is a handle now, and a driver that takes operations of this size. To be
    /// called once.
    ///
    /// # Errors
    ///
    /// The outcome, if the writer's end is decided already.
    pub fn attach(&mut self, limits: Limits) -> Result<(), Outcome> {
        match self.phase.refusal() {
            Some(outcome) if !self.phase.writes() => Err(outcome),
            _ => {
                self.limits = Some(limits);
                Ok(())
            }
        }
    }

    /// Accepts a message: takes it out of `message`, or copies it and leaves it
    /// there for the caller to drop after unlocking. Returns the position after
    /// it.
    ///
    /// # Errors
    ///
    /// [`Refused`]; `message` is untouched.
    #[inline]
    pub fn send(&mut self, message: &mut Bytes) -> Result<Position, Refused> {
        self.admit(message.len())?;
        Ok(self.append(message))
    }

    /// Accepts a copy of `message`. Returns the position after it.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was copied.
    #[inline]
    pub fn send_slice(&mut self, message: &[u8]) -> Result<Position, Refused> {
        self.admit(message.len())?;
        Ok(if self.joins(message.len()) {
            self.join(message)
        } else {
            self.append(&mut Bytes::copy_from_slice(message))
        })
    }

    /// Sets capacity aside for a message of up to `len` bytes.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn reserve(&mut self, len: usize) -> Result<Reservation, Refused> {
        self.admit(len)?;
        let cost = self.cost(len);
        Ok(self.line.reserve(cost))
    }

    /// Joins the line for capacity for a message of up to `len` bytes.
    ///
    /// # Errors
    ///
    /// The outcome, if no more sends are accepted.
    pub fn wait_in_line(&mut self, len: usize) -> Result<Ticket, Outcome> {
        match self.phase.refusal() {
            Some(outcome) => Err(outcome),
            None => {
                let cost = self.cost(len);
                let ticket = self.line.join(cost);
                self.settle();
                Ok(ticket)
            }
        }
    }

    /// Takes what a granted ticket stands for.
    ///
    /// # Errors
    ///
    /// The ticket, if it was not granted yet.
    pub fn claim(&mut self, ticket: Ticket) -> Result<Reservation, Ticket> {
        self.line.claim(ticket)
    }

    /// Leaves the line, granted or not.
    pub fn leave(&mut self, ticket: Ticket) {
        self.line.leave(ticket);
        self.settle();
    }

    /// Gives back capacity that was set aside.
    pub fn release(&mut self, reservation: Reservation) {
        self.line.release(reservation);
        self.settle();
    }

    /// Accepts a message with capacity that was set aside for it, as
    /// [`send`](Self::send) does. What the message does not use is given back.
    ///
    /// # Errors
    ///
    /// [`Refused::Closed`] if the writer has been closed meanwhile,
    /// [`Refused::Full`] if the message is larger than the reservation and does
    /// not fit otherwise; `message` is untouched, the reservation given back.
    pub fn send_reserved(
        &mut self,
        reservation: Reservation,
        message: &mut Bytes,
    ) -> Result<Position, Refused> {
        let within = self.cost(message.len()) <= reservation.amount;
        self.line.release(reservation);
        let admitted = match self.phase.refusal() {
            Some(outcome) => Err(Refused::Closed(outcome)),
            None if within => Ok(()),
            None => self.admit(message.len()),
        };
        let sent = admitted.map(|()| self.append(message));
        self.settle();
        sent
    }

    /// Accepts no more sends; what is queued is still written, then the handle
    /// is closed.
    pub fn finish(&mut self) {
        self.step(Step::Finish);
        self.settle();
    }

    /// Ends now: what is in flight is cancelled, what is queued stays unsent.
    pub fn stop(&mut self) {
        self.step(Step::Stop);
        self.settle();
    }

    /// The data that was not written, once the accounts are final; a second call
    /// finds nothing left.
    pub fn take_unsent(&mut self) -> Option<Unsent> {
        self.phase.is_settled().then(|| {
            self.taken_back += self.queue.len();
            Unsent {
                in_doubt: core::mem::take(&mut self.in_doubt),
                unsent: self.queue.drain(),
            }
        })
    }

    #[inline]
    fn admit(&mut self, len: usize) -> Result<(), Refused> {
        if let Some(outcome) = self.phase.refusal() {
            return Err(Refused::Closed(outcome));
        }
        let need = self.cost(len);
        if need == 0 || (self.line.is_empty() && self.fits(need)) {
            return Ok(());
        }
        self.space_wanted = true;
        Err(Refused::Full)
    }

    #[inline]
    pub(super) fn joins(&self, len: usize) -> bool {
        self.mode == Mode::Byte && len <= JOIN_MAX
    }

    #[inline]
    fn append(&mut self, message: &mut Bytes) -> Position {
        if self.joins(message.len()) {
            return self.join(message);
        }
        self.ledger.accepted += message.len() as u64;
        self.empty_messages += u64::from(message.is_empty());
        self.queue.push(core::mem::take(message));
        self.ledger.position()
    }

    #[inline]
    fn join(&mut self, message: &[u8]) -> Position {
        self.ledger.accepted += message.len() as u64;
        self.queue.join(message);
        self.ledger.position()
    }
}
