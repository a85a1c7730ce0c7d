//! Who waits for what.
//!
//! A waiter is a [`Waker`]; a thread that waits has one too. Those whose
//! condition came true are taken out under the writer's lock and woken after it
//! is released.

use std::collections::BTreeMap;
use std::task::Waker;

use pipewright_core::{Position, TicketId};

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Until {
    /// Everything before the position is written. Sorts by position.
    Written(Position),
    /// The ticket is granted.
    Granted(TicketId),
    /// There may be room again after a refusal.
    Space,
    /// The outcome is there.
    Ended,
}

/// Names one waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u64);

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: BTreeMap<(Until, WaiterId), Waker>,
    next: u64,
}

impl Waiters {
    pub(crate) fn new_id(&mut self) -> WaiterId {
        self.next += 1;
        WaiterId(self.next)
    }

    /// Registers a waiter, or renews its waker. Gives back the one that is not
    /// needed, to be dropped after unlocking.
    pub(crate) fn register(&mut self, until: Until, id: WaiterId, waker: Waker) -> Option<Waker> {
        self.waiting.insert((until, id), waker)
    }

    /// Takes a waiter out, to be dropped after unlocking.
    pub(crate) fn remove(&mut self, until: Until, id: WaiterId) -> Option<Waker> {
        self.waiting.remove(&(until, id))
    }

    /// Everything up to `written` is written.
    pub(crate) fn take_written(&mut self, written: Position, woken: &mut Vec<Waker>) {
        while let Some(entry) = self.waiting.first_entry() {
            match entry.key().0 {
                Until::Written(position) if position <= written => woken.push(entry.remove()),
                _ => return,
            }
        }
    }

    /// Whoever waits for exactly this.
    pub(crate) fn take(&mut self, until: Until, woken: &mut Vec<Waker>) {
        let everybody = (until, WaiterId(0))..=(until, WaiterId(u64::MAX));
        while let Some((&key, _)) = self.waiting.range(everybody.clone()).next() {
            woken.extend(self.waiting.remove(&key));
        }
    }

    /// Everybody who waits to send.
    pub(crate) fn take_senders(&mut self, woken: &mut Vec<Waker>) {
        let (senders, others) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|((until, _), _)| matches!(until, Until::Granted(_) | Until::Space));
        self.waiting = others;
        woken.extend(BTreeMap::into_values(senders));
    }

    pub(crate) fn take_all(&mut self, woken: &mut Vec<Waker>) {
        woken.extend(std::mem::take(&mut self.waiting).into_values());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_whose_position_is_written_are_woken() {
        let mut waiters = Waiters::default();
        for until in [
            Until::Written(Position::new(4)),
            Until::Written(Position::new(5)),
            Until::Written(Position::new(6)),
            Until::Ended,
        ] {
            let id = waiters.new_id();
            assert!(waiters.register(until, id, Waker::noop().clone()).is_none());
        }
        let mut woken = Vec::new();
        for (written, expected) in [(3, 0), (5, 2), (5, 2), (6, 3), (u64::MAX, 3)] {
            waiters.take_written(Position::new(written), &mut woken);
            assert_eq!(woken.len(), expected, "{written} bytes written");
        }
    }
}
