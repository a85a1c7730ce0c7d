//! The pauses between attempts at a pipe that does not say when it takes something.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use super::worker::Timer;
use crate::sys::Writer;

/// Waits longer and longer between attempts, while no event tells when the pipe takes
/// something: it is full and in non-blocking mode, or has no client yet.
#[derive(Default)]
pub(super) struct Pause {
    misses: AtomicU32,
    timer: Mutex<Option<Timer>>,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(50);

    pub(super) fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        struct Ready(Arc<dyn Writer>);
        impl Wake for Ready {
            fn wake(self: Arc<Self>) {
                Arc::clone(&self.0).ready();
            }
        }
        let misses = self.misses.fetch_add(1, Ordering::Relaxed);
        let pause = (Self::FIRST * 2_u32.pow(misses.min(10))).min(Self::LONGEST);
        let waker = Waker::from(Arc::new(Ready(writer)));
        // Under the lock: were it noted only after it is over, it would take the place
        // of the next one, and end that.
        let mut slot = self.timer();
        let replaced = slot.replace(Timer::start(Instant::now() + pause, waker)?);
        drop(slot);
        drop(replaced);
        Ok(())
    }

    pub(super) fn reset(&self) {
        self.misses.store(0, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        let ended = self.timer().take();
        drop(ended);
    }

    fn timer(&self) -> MutexGuard<'_, Option<Timer>> {
        self.timer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
