//! When a sink that failed is opened again.
//!
//! ```text
//! plan ── its command has ended, if it had one ──▶ count_down ── pause ──▶ begin
//! ```

use std::time::{Duration, Instant};

use crate::os::Trouble;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The retries of one sink. The time is given to it.
pub(crate) struct Retry {
    left: u64,
    count: u64,
    stage: Stage,
    pause: Duration,
    /// What had been written when it last failed.
    written: u64,
    /// Why it failed, until that has been told.
    news: Option<Trouble>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    None,
    Planned,
    At(Instant),
}

impl Retry {
    pub(crate) fn new(times: u64) -> Self {
        Retry {
            left: times,
            count: 0,
            stage: Stage::None,
            pause: FIRST_PAUSE,
            written: 0,
            news: None,
        }
    }

    pub(crate) fn is_possible(&self) -> bool {
        self.left > 0
    }

    pub(crate) fn is_planned(&self) -> bool {
        self.stage != Stage::None
    }

    /// How often it was opened again.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// It failed. False if that was once too often. Pauses become longer while it
    /// gets nothing.
    pub(crate) fn plan(&mut self, written: u64, trouble: Trouble) -> bool {
        if self.left == 0 {
            return false;
        }
        if written != self.written {
            self.pause = FIRST_PAUSE;
        }
        self.written = written;
        self.stage = Stage::Planned;
        self.news = Some(trouble);
        true
    }

    /// Nothing is in the way of it any more.
    pub(crate) fn count_down(&mut self, now: Instant) {
        if self.stage == Stage::Planned {
            self.stage = Stage::At(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(crate) fn at(&self) -> Option<Instant> {
        match self.stage {
            Stage::At(at) => Some(at),
            Stage::None | Stage::Planned => None,
        }
    }

    /// True if it is to be opened now.
    pub(crate) fn begin(&mut self, now: Instant) -> bool {
        let is_time = self.at().is_some_and(|at| at <= now);
        if is_time {
            self.stage = Stage::None;
            // Always is always.
            self.left -= u64::from(self.left != u64::MAX);
            self.count += 1;
        }
        is_time
    }

    pub(crate) fn give_up(&mut self) {
        self.left = 0;
        self.stage = Stage::None;
    }

    pub(crate) fn take_news(&mut self) -> Option<Trouble> {
        self.news.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pause before the next opening, if there is one.
    fn fail(retry: &mut Retry, written: u64, now: Instant) -> Option<Duration> {
        if !retry.plan(written, Trouble::own("broken")) {
            return None;
        }
        assert_eq!(retry.at(), None, "its command still runs");
        retry.count_down(now);
        let at = retry.at().unwrap();
        assert!(!retry.begin(at - Duration::from_millis(1)));
        assert!(retry.begin(at) && !retry.begin(at), "once");
        Some(at - now)
    }

    #[test]
    fn a_sink_is_opened_again_so_many_times() {
        let now = Instant::now();
        for times in [0, 1, 3] {
            let mut retry = Retry::new(times);
            let retries = (0..10).filter_map(|_| fail(&mut retry, 0, now)).count() as u64;
            assert_eq!((retries, retry.count()), (times, times));
        }
        let mut always = Retry::new(u64::MAX);
        assert!((0..1000).all(|_| fail(&mut always, 0, now).is_some()));
    }

    #[test]
    fn pauses_become_longer_while_nothing_is_written() {
        let now = Instant::now();
        let mut retry = Retry::new(u64::MAX);
        let mut pauses = |written| fail(&mut retry, written, now).unwrap().as_millis();
        assert_eq!(
            [0; 8].map(&mut pauses),
            [100, 200, 400, 800, 1600, 3200, 5000, 5000]
        );
        assert_eq!([9, 9].map(&mut pauses), [100, 200]);
    }

    #[test]
    fn nothing_is_opened_after_giving_up() {
        let now = Instant::now();
        let mut retry = Retry::new(5);
        retry.plan(0, Trouble::own("broken"));
        retry.count_down(now);
        retry.give_up();
        assert!(!retry.begin(now + LONGEST_PAUSE) && !retry.is_planned());
        assert_eq!(fail(&mut retry, 1, now), None);
    }
}
