//! `--rate`: how much of the input may be read by when.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

/// What was not read in time may be made up for this long: enough for a system
/// that wakes threads late, too little for a burst that anybody would notice.
const SLACK: Duration = Duration::from_millis(100);

/// A bucket that fills with time. The time is given to it.
#[derive(Debug)]
pub(crate) struct Limiter {
    per_second: NonZeroU64,
    /// When the bucket will have been empty, or was: each byte that is read moves
    /// it on by what the byte costs.
    empty_at: Instant,
}

impl Limiter {
    pub(crate) fn new(per_second: NonZeroU64, now: Instant) -> Self {
        Limiter {
            per_second,
            empty_at: now,
        }
    }

    /// How many bytes may be read now: at least one, or how long to wait.
    pub(crate) fn allows(&mut self, now: Instant) -> Result<usize, Duration> {
        // At least one byte has to come together.
        if let Some(latest) = now.checked_sub(SLACK.max(self.cost(1))) {
            self.empty_at = self.empty_at.max(latest);
        }
        let ready = now.saturating_duration_since(self.empty_at);
        let bytes = ready.as_nanos() * u128::from(self.per_second.get()) / 1_000_000_000;
        if bytes > 0 {
            return Ok(usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        let next = self.empty_at + self.cost(1);
        Err(next.saturating_duration_since(now).max(self.pause()))
    }

    /// So many bytes were read.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.empty_at += self.cost(bytes as u64);
    }

    /// Not one wake for every byte.
    fn pause(&self) -> Duration {
        SLACK / 10
    }

    fn cost(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * 1_000_000_000;
        let nanos = nanos.div_ceil(u128::from(self.per_second.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads as much as allowed, a second of made-up time long. `late`: how much
    /// longer every wait takes than asked for.
    fn read_for_a_second(per_second: u64, late: Duration) -> usize {
        let start = Instant::now();
        let mut now = start;
        let mut limiter = Limiter::new(NonZeroU64::new(per_second).unwrap(), now);
        let mut read = 0;
        while now - start < Duration::from_secs(1) {
            match limiter.allows(now) {
                Ok(bytes) => {
                    read += bytes;
                    limiter.spend(bytes);
                }
                Err(wait) => now += wait + late,
            }
        }
        read
    }

    #[test]
    fn the_rate_is_kept_though_waits_take_longer_than_asked_for() {
        for late in [0, 1, 30, 80] {
            for per_second in [100, 65_536, 10_000_000, 123_456_789_000] {
                let read = read_for_a_second(per_second, Duration::from_millis(late)) as u64;
                let expected = per_second - per_second / 5..=per_second + per_second / 5;
                assert!(
                    expected.contains(&read),
                    "{read} of {per_second}, late by {late} ms"
                );
            }
        }
    }

    #[test]
    fn time_in_which_nothing_came_is_not_made_up_for() {
        let start = Instant::now();
        let mut limiter = Limiter::new(NonZeroU64::new(1000).unwrap(), start);
        let allowed = limiter.allows(start + Duration::from_secs(3600)).unwrap();
        assert_eq!(allowed, 100);
    }

    #[test]
    fn a_slow_rate_allows_a_byte_at_a_time() {
        let start = Instant::now();
        let mut limiter = Limiter::new(NonZeroU64::MIN, start);
        let wait = limiter.allows(start).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        // More than the slack could hold.
        assert_eq!(limiter.allows(start + wait), Ok(1));
    }
}
