//! How long a sink took nothing although there was something for it.

use std::time::{Duration, Instant};

/// A pause this long is a stall, and counts in full. Shorter ones are how pipes
/// work.
pub(crate) const SHORTEST: Duration = Duration::from_millis(500);

/// The clock of one sink. The time is given to it.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    /// Since when something has been there and nothing was taken.
    since: Option<Instant>,
    total: Duration,
}

impl Stall {
    /// Something is there.
    pub(crate) fn waits(&mut self, now: Instant) {
        self.since.get_or_insert(now);
    }

    /// Something was taken; whether there is still something.
    pub(crate) fn took(&mut self, now: Instant, is_more: bool) {
        self.total += self.current(now).unwrap_or_default();
        self.since = is_more.then_some(now);
    }

    /// How long the present stall has lasted.
    pub(crate) fn current(&self, now: Instant) -> Option<Duration> {
        let pause = now.saturating_duration_since(self.since?);
        (pause >= SHORTEST).then_some(pause)
    }

    /// All stalls together.
    pub(crate) fn total(&self, now: Instant) -> Duration {
        self.total + self.current(now).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_pauses_with_something_there_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut stall = Stall::default();
        assert_eq!(stall.current(at(9_000)), None, "nothing is there");
        stall.waits(at(10_000));
        stall.waits(at(10_400));
        assert_eq!(stall.current(at(10_499)), None);
        assert_eq!(stall.current(at(10_500)), Some(SHORTEST));
        stall.took(at(12_000), true);
        assert_eq!(stall.total(at(12_000)), Duration::from_secs(2));
        stall.took(at(12_300), true);
        assert_eq!(stall.total(at(12_700)), Duration::from_secs(2));
        assert_eq!(stall.total(at(13_300)), Duration::from_secs(3));
        stall.took(at(13_300), false);
        assert_eq!(stall.total(at(99_000)), Duration::from_secs(3));
    }
}
