//! A message that is written without being queued.
//!
//! Most messages find an idle pipe. Their data can stay where the sender has it until
//! it is known whether the system took it all, which it mostly did: then nothing was
//! copied and nothing allocated.

use bytes::Bytes;

use super::{Core, Mode};
use crate::chunk::{Block, Chunk};
use crate::ledger::Position;
use crate::operation::{OpId, Operation};

/// An operation whose data its sender still holds. It is in flight until
/// [`Core::handle_direct`], or as the [`Operation`] that it becomes.
#[derive(Debug)]
#[must_use = "it is in flight until it comes back"]
pub struct Direct {
    id: OpId,
    len: usize,
    whole: bool,
    /// The message is small enough to be copied together with others.
    joins: bool,
}

impl Direct {
    /// What it writes of `message`: all, or the beginning.
    #[must_use]
    pub fn part_of<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        &message[..self.len]
    }

    /// Whether it writes all of the message.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// The operation that it is, for whatever came of it but
    /// [`handle_direct`](Core::handle_direct). Takes the message out of `message`, or
    /// copies it if it is small and leaves it to the caller, as [`Core::send`] does.
    pub fn into_operation(self, message: &mut Bytes) -> Operation {
        if self.joins {
            return self.into_copy(message);
        }
        self.with(Chunk::Message(core::mem::take(message)))
    }

    /// The same, of a copy of `message`.
    pub fn into_copy(self, message: &[u8]) -> Operation {
        let chunk = if self.joins {
            Chunk::Block(Block::new(message.to_vec()))
        } else {
            // Not a block: those are kept for the next time, whatever their size.
            Chunk::Message(Bytes::copy_from_slice(message))
        };
        self.with(chunk)
    }

    fn with(self, chunk: Chunk) -> Operation {
        Operation {
            id: self.id,
            chunks: [chunk].into(),
            len: self.len,
        }
    }
}

/// Messages that are written by their senders.
impl Core {
    /// Whether nothing is before the next message, so that it can be written at once.
    #[inline]
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase.refusal().is_none()
            && self.in_flight.is_none()
            && self.queue.is_empty()
            && !self.blocked
            && self.limits.is_some()
            && self.line.is_empty()
    }

    /// Accepts a message of `len` bytes that its sender writes by itself, now. Returns
    /// the position after it.
    ///
    /// Nothing if the message must go the ordinary way: it is empty, or does not find
    /// the writer idle or the capacity free.
    #[inline]
    pub fn send_direct(&mut self, len: usize) -> Option<(Position, Direct)> {
        if len == 0 || !self.is_idle() || !self.fits(self.cost(len)) {
            return None;
        }
        let now = match self.mode {
            Mode::Byte => len.min(self.limits_now().max_bytes.max(1)),
            Mode::Message => len,
        };
        self.ledger.accepted += len as u64;
        let id = self.fly(now, (len - now) as u64);
        let direct = Direct {
            id,
            len: now,
            whole: now == len,
            joins: self.joins(len),
        };
        Some((self.ledger.position(), direct))
    }

    /// All of a [whole](Direct::is_whole) message was written.
    #[inline]
    pub fn handle_direct(&mut self, direct: Direct) {
        if !self.land(direct.id) {
            return;
        }
        debug_assert!(direct.whole, "{:?} is not all of a message", direct.id);
        self.ledger.written += direct.len as u64;
        self.news.written = true;
        self.succeeded();
        self.settle();
    }
}
