//! How fast something is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A rate is that of the last seconds, so that one sees when it changes.
const WINDOW: Duration = Duration::from_secs(5);

/// Counts of the last seconds. The time is given to it.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The first is the last one outside of the window.
    notes: VecDeque<(Instant, u64)>,
    started: Instant,
}

impl Meter {
    pub(crate) fn new(now: Instant) -> Self {
        Meter {
            notes: [(now, 0)].into(),
            started: now,
        }
    }

    /// So much there was in all.
    pub(crate) fn note(&mut self, count: u64, now: Instant) {
        self.notes.push_back((now, count));
        while let Some((second, _)) = self.notes.get(1)
            && now.saturating_duration_since(*second) >= WINDOW
        {
            self.notes.pop_front();
        }
    }

    /// Bytes per second.
    pub(crate) fn rate(&self) -> u64 {
        let (Some((first, before)), Some((last, after))) = (self.notes.front(), self.notes.back())
        else {
            return 0;
        };
        let nanos = last.saturating_duration_since(*first).as_nanos();
        // What was unread with a reader that died counts once more when it is sent
        // again, so a count may go back.
        let bytes = u128::from(after.saturating_sub(*before)) * 1_000_000_000;
        let rate = bytes.checked_div(nanos).unwrap_or_default();
        u64::try_from(rate).unwrap_or(u64::MAX)
    }

    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// How long the rest takes at this rate; `None` if it stands still.
    pub(crate) fn time_for(&self, rest: u64) -> Option<Duration> {
        Some(Duration::from_secs(rest.div_ceil(self.rate().max(1))))
            .filter(|_| rest == 0 || self.rate() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        assert_eq!(meter.rate(), 0);
        for second in 1..=10 {
            meter.note(second * 1000, start + Duration::from_secs(second));
            assert_eq!(meter.rate(), 1000);
        }
        assert_eq!(meter.time_for(2500), Some(Duration::from_secs(3)));
        for second in 11..=15 {
            meter.note(10_000, start + Duration::from_secs(second));
        }
        assert_eq!(meter.rate(), 0);
        assert_eq!(meter.time_for(1), None);
        assert_eq!(meter.time_for(0), Some(Duration::ZERO));
    }

    #[test]
    fn a_count_that_goes_back_is_no_rate() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        meter.note(500, start + Duration::from_secs(1));
        meter.note(100, start + Duration::from_secs(7));
        assert_eq!(meter.rate(), 0);
    }
}
