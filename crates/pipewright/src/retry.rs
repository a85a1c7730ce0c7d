//! The pause before an operation for which the system lacked resources is tried again.

use std::time::{Duration, Instant};

use crate::sys::Timer;

const FIRST: Duration = Duration::from_millis(1);

/// How long the given attempt waits, counted from 1: each twice as long as the one
/// before, up to half a second.
pub(crate) fn pause(attempt: u32) -> Duration {
    FIRST * 2_u32.pow(attempt.clamp(1, 10) - 1)
}

/// The timer of the last retry, and when it is over.
#[derive(Default)]
pub(crate) struct Pause(Option<(Instant, Timer)>);

impl Pause {
    /// Keeps the timer, unless that of a later pause is there already: the thread that
    /// began a pause may come here after it is over and the next has begun. The other
    /// timer is to be dropped after unlocking.
    pub(crate) fn keep(&mut self, when: Instant, timer: Timer) -> Option<Timer> {
        match &self.0 {
            Some((latest, _)) if *latest > when => Some(timer),
            _ => self.0.replace((when, timer)).map(|(_, timer)| timer),
        }
    }

    pub(crate) fn end(&mut self) -> Option<Timer> {
        self.0.take().map(|(_, timer)| timer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::task::Wake;

    use super::*;

    struct Tell(mpsc::Sender<&'static str>, &'static str);
    impl Wake for Tell {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(self.1);
        }
    }

    #[test]
    fn a_timer_that_is_kept_too_late_does_not_end_the_pause_after_it() {
        let (tells, told) = mpsc::channel();
        let now = Instant::now();
        let start = |when, name| {
            let tell = Arc::new(Tell(tells.clone(), name));
            (when, Timer::start(when, tell.into()).unwrap())
        };
        let first = start(now + Duration::from_millis(1), "first");
        assert_eq!(told.recv(), Ok("first"));
        let second = start(now + Duration::from_millis(100), "second");
        // From here on nobody but a timer can tell: `recv` ends when there is none.
        drop(tells);
        let mut pause = Pause::default();
        drop(pause.keep(second.0, second.1));
        drop(pause.keep(first.0, first.1));
        assert_eq!(told.recv(), Ok("second"));
    }

    #[test]
    fn a_pause_that_ends_early_gives_its_timer_back() {
        let (tells, _told) = mpsc::channel();
        let when = Instant::now() + Duration::from_secs(3600);
        let timer = Timer::start(when, Arc::new(Tell(tells, "never")).into()).unwrap();
        let mut pause = Pause::default();
        assert!(pause.keep(when, timer).is_none());
        assert!(pause.end().is_some());
        assert!(pause.end().is_none());
    }

    #[test]
    fn each_pause_is_twice_as_long_as_the_one_before_up_to_half_a_second() {
        let milliseconds = |attempt| pause(attempt).as_millis();
        let first: Vec<_> = (1..=11).map(milliseconds).collect();
        assert_eq!(first, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 512]);
        assert_eq!(milliseconds(u32::MAX), 512);
    }
}
