//! Asking whether the reader has taken everything: again and again, at growing
//! intervals, because no Unix reports that a pipe has run empty.

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::reactor::Timer;

/// One who asks, and when again.
pub(crate) struct Asked {
    pause: Duration,
    timer: Option<Timer>,
}

impl Default for Asked {
    fn default() -> Self {
        const FIRST_PAUSE: Duration = Duration::from_micros(50);
        Asked {
            pause: FIRST_PAUSE,
            timer: None,
        }
    }
}

impl Asked {
    /// What the answer means: if the pipe is not empty yet, that the task is woken to
    /// ask again.
    pub(super) fn answer(
        &mut self,
        read: io::Result<bool>,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        const LONGEST_PAUSE: Duration = Duration::from_millis(10);
        if read? {
            return Poll::Ready(Ok(()));
        }
        self.timer = Some(Timer::start(
            Instant::now() + self.pause,
            cx.waker().clone(),
        )?);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Poll::Pending
    }
}
