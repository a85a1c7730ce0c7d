//! What the sending thread writes by itself.

use std::sync::Arc;

use pipewright_core::{Direct, Operation, Position};

use super::State;
use crate::effects::Effects;
use crate::sys::{Driver, now};

/// Not while a callback runs: one that sends whenever something was written would keep
/// the thread that it runs on from all other writers.
impl State {
    /// Accepts a message that the sending thread is to write by itself, if it should:
    /// nothing is before it, and nothing has been for a while.
    #[inline]
    pub(crate) fn send_direct(
        &mut self,
        len: usize,
    ) -> Option<(Arc<dyn Driver>, Position, Direct)> {
        if self.turn_owed || !self.core.is_idle() || self.callback.is_running() {
            return None;
        }
        let driver = self.driver.as_ref()?;
        if driver.inline().is_none() || !self.pace.note(now()) {
            return None;
        }
        let (position, direct) = self.core.send_direct(len)?;
        Some((Arc::clone(driver), position, direct))
    }

    /// All of a message was written by its sender.
    pub(crate) fn written_directly(&mut self, direct: Direct, effects: &mut Effects) {
        self.core.handle_direct(direct);
        self.conclude(effects);
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
        if !driver.inline()?.is_behind() {
            return None;
        }
        Some((Arc::clone(driver), self.core.poll_submit()?))
    }
}
