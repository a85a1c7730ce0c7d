//! Time that passes only when a test says so. Each thread of the system has its own,
//! as have all threads of loom together.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

/// Lets time pass, and timers with it. Their wakers run here, the earliest first.
pub fn advance(by: Duration) {
    let clock = clock();
    let due = {
        let mut face = clock.face();
        face.now += by;
        let later = face.now;
        let timers = &mut face.timers;
        let waiting = timers.split_off(&(later, u64::MAX));
        std::mem::replace(timers, waiting)
    };
    due.into_values().for_each(Waker::wake);
}

/// How many timers there are.
#[must_use]
pub fn timers() -> usize {
    clock().face().timers.len()
}

struct Clock(Mutex<Face>);

struct Face {
    now: Instant,
    timers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
}

/// Not one of loom's locks: no thread waits for it, because none is stopped while it
/// has it.
impl Clock {
    fn face(&self) -> MutexGuard<'_, Face> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn clock() -> Arc<Clock> {
    thread_local! {
        static CLOCK: Arc<Clock> = Arc::new(Clock(Mutex::new(Face {
            now: Instant::now(),
            timers: BTreeMap::new(),
            next: 0,
        })));
    }
    CLOCK.with(Arc::clone)
}

pub(crate) fn now() -> Instant {
    clock().face().now
}

/// Wakes a waker at a time, unless it is dropped before.
pub(crate) struct Timer {
    clock: Arc<Clock>,
    key: (Instant, u64),
}

impl Timer {
    #[expect(clippy::unnecessary_wraps, reason = "the other systems' may fail")]
    pub(crate) fn start(when: Instant, waker: Waker) -> io::Result<Timer> {
        let clock = clock();
        let mut face = clock.face();
        face.next += 1;
        let key = (when, face.next);
        face.timers.insert(key, waker);
        drop(face);
        Ok(Timer { clock, key })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = self.clock.face().timers.remove(&self.key);
        drop(waker);
    }
}
