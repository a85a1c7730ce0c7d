//! Trying again at growing intervals, where the system reports nothing, or has
//! only a call that blocks the thread and cannot be cancelled (WaitNamedPipe).

use std::io;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::sys::Timer;

pub(super) struct Backoff {
    pause: Duration,
    timer: Option<Timer>,
}

impl Backoff {
    const FIRST_PAUSE: Duration = Duration::from_millis(1);
    const LONGEST_PAUSE: Duration = Duration::from_millis(20);

    pub(super) fn new() -> Self {
        Backoff {
            pause: Self::FIRST_PAUSE,
            timer: None,
        }
    }

    /// Has the task woken after the next pause; ready only with an error.
    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<io::Error> {
        match Timer::start(Instant::now() + self.pause, cx.waker().clone()) {
            Ok(timer) => self.timer = Some(timer),
            Err(error) => return Poll::Ready(error),
        }
        self.pause = (self.pause * 2).min(Self::LONGEST_PAUSE);
        Poll::Pending
    }
}
