//! Whether messages follow closely or come far apart.
//!
//! A message into an idle pipe is best written by the thread that sends it: one
//! system call, no hop to another thread. Messages that follow closely are best
//! appended to a block that the writing side takes as a whole, because a system
//! call for each costs twenty times as much. Which of the two it is shows in the
//! time since the writer was last busy; it is looked at only when the writer is
//! idle, so a stream of messages does not pay for the clock.

use std::time::{Duration, Instant};

/// Messages less than this apart follow closely: about what a write and the hop
/// to another thread cost together.
const CLOSE: Duration = Duration::from_micros(3);

#[derive(Debug, Default)]
pub(crate) struct Pace {
    last_busy: Option<Instant>,
}

impl Pace {
    /// Notes that something is about to be written, and says whether nothing had
    /// been for a while.
    pub(crate) fn note(&mut self, now: Instant) -> bool {
        let last = self.last_busy.replace(now);
        last.is_none_or(|last| now.saturating_duration_since(last) >= CLOSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_follows_closely_is_no_message_after_a_while() {
        let mut pace = Pace::default();
        let start = Instant::now();
        assert!(pace.note(start), "the first");
        assert!(!pace.note(start), "at the same moment");
        let soon = start + CLOSE - Duration::from_nanos(1);
        assert!(!pace.note(soon));
        assert!(!pace.note(soon + CLOSE / 2), "counted from the last one");
        let later = soon + CLOSE / 2 + CLOSE;
        assert!(pace.note(later));
        assert!(!pace.note(start), "the clock of another processor");
    }
}
