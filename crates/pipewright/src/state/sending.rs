//! What the sending thread writes by itself.

use std::sync::Arc;
use std::time::Instant;

use pipewright_core::{Direct, Operation, Position};

use super::State;
use crate::effects::Effects;
use crate::sys::{Driver, Senders, now};

/// Who writes a message.
pub(crate) enum Sending {
    /// The writing side, when its turn comes.
    Queued,
    /// The sender, from its own memory: the message is accepted.
    Direct(Arc<dyn Driver>, Position, Direct),
    /// The sender, which queues it and runs the turn.
    Turn,
}

/// Not while a callback runs: one that sends whenever something was written would keep
/// the thread that it runs on from all other writers.
impl State {
    /// Who writes a message of `len` bytes: the sending thread, if nothing is before it,
    /// and nothing has been for a while.
    #[inline]
    pub(crate) fn sending(&mut self, len: usize) -> Sending {
        if self.turn_owed || !self.core.is_idle() || self.callback.is_running() {
            return Sending::Queued;
        }
        let Some(driver) = &self.driver else {
            return Sending::Queued;
        };
        let senders = driver.senders();
        if matches!(senders, Senders::Queue) || !self.pace.note(now()) {
            return Sending::Queued;
        }
        if matches!(senders, Senders::TakeTurns) {
            return Sending::Turn;
        }
        match self.core.send_direct(len) {
            Some((position, direct)) => Sending::Direct(Arc::clone(driver), position, direct),
            None => Sending::Queued,
        }
    }

    /// All of a message was written by its sender.
    pub(crate) fn written_directly(&mut self, direct: Direct, effects: &mut Effects) {
        self.core.handle_direct(direct);
        self.conclude(effects);
    }

    /// Something was being written until now.
    pub(crate) fn was_busy(&mut self, now: Instant) {
        self.pace.note(now);
    }

    /// Whether it is to be decided if the sending thread writes an operation: a whole
    /// one waits for its turn. Decided once for each turn, because that takes a look at
    /// what the writing side changes all the time.
    #[inline]
    pub(crate) fn may_help(&self) -> bool {
        self.turn_owed && !self.help_decided && self.core.has_whole_operation()
    }

    /// An operation that the sending thread is to write by itself, if its turn will not
    /// come soon. That turn is still owed. One for each: more would fill the pipe, and
    /// then cost a look for its readiness.
    pub(crate) fn help(&mut self) -> Option<(Arc<dyn Driver>, Operation)> {
        if self.callback.is_running() {
            return None;
        }
        self.help_decided = true;
        let driver = self.driver.as_ref()?;
        match driver.senders() {
            Senders::Write(inline) if inline.is_behind() => {
                Some((Arc::clone(driver), self.core.poll_submit()?))
            }
            _ => None,
        }
    }
}
