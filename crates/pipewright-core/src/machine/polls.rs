//! What to do next, and what to tell.

use super::{Core, Event, InFlight, Mode};
use crate::lifecycle::Step;
use crate::operation::{Limits, OpId, Operation};

/// What to do next, and what to tell.
impl Core {
    /// The next operation to carry out, if one can be. It is in flight from now
    /// on, until it comes back through one of the `handle_*` methods.
    pub fn poll_submit(&mut self) -> Option<Operation> {
        if !self.can_submit() {
            return None;
        }
        let (chunks, len) = match self.mode {
            Mode::Byte => self.queue.take(self.limits_now()),
            Mode::Message => self.queue.take_message(),
        };
        let total: u64 = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let id = self.fly(len, total - len as u64);
        Some(Operation { id, chunks, len })
    }

    /// The operation in flight, once, if the driver should cancel it.
    pub fn poll_cancel(&mut self) -> Option<OpId> {
        if !core::mem::take(&mut self.cancel_wanted) {
            return None;
        }
        self.in_flight.as_ref().map(|op| op.id)
    }

    /// Whether the driver should close the handle now; says so once. The driver
    /// answers with [`handle_closed`](Self::handle_closed).
    pub fn poll_close(&mut self) -> bool {
        let close = self.wants_close();
        self.step(Step::Release);
        close
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(ticket) = self.line.poll_granted() {
            return Some(Event::Granted(ticket));
        }
        let news = &mut self.news;
        [
            (&mut news.written, Event::Written),
            (&mut news.space, Event::Space),
            (&mut news.refusing, Event::Refusing),
            (&mut news.ended, Event::Ended),
        ]
        .into_iter()
        .find_map(|(flag, event)| core::mem::take(flag).then_some(event))
    }

    /// An operation is in flight from now on.
    pub(super) fn fly(&mut self, len: usize, beyond: u64) -> OpId {
        let id = OpId(self.next_op);
        self.next_op += 1;
        self.in_flight = Some(InFlight { id, len, beyond });
        id
    }

    /// What the driver takes, less while the system lacks resources.
    pub(super) fn limits_now(&self) -> Limits {
        let limits = self.limits.unwrap_or_default();
        Limits {
            max_bytes: limits.max_bytes.min(self.bearable),
            ..limits
        }
    }
}
