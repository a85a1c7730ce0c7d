//! How the current thread waits: by sleeping, unless it is one of ours.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use super::Park;

thread_local! {
    /// How this thread waits, if it is one of ours: by going on with its work.
    static PARKER: RefCell<Option<Arc<dyn Park>>> = const { RefCell::new(None) };
}

/// How the current thread waits.
///
/// A thread of ours must not stand still while user code on it (a callback, a
/// waker) waits for something that only this thread can bring about: it does its
/// work meanwhile.
pub(crate) fn parker() -> Arc<dyn Park> {
    PARKER
        .with_borrow(Clone::clone)
        .unwrap_or_else(|| Arc::new(ThreadPark(thread::current())))
}

/// Says how this thread waits from now on.
#[cfg_attr(
    not(any(unix, windows)),
    allow(dead_code, reason = "a system without drivers has no threads of ours")
)]
pub(super) fn set_parker(parker: Arc<dyn Park>) {
    PARKER.set(Some(parker));
}

struct ThreadPark(Thread);

impl Park for ThreadPark {
    fn park(&self, timeout: Option<Duration>, woken: &AtomicBool) {
        if woken.load(Ordering::Acquire) {
            return;
        }
        match timeout {
            Some(timeout) => thread::park_timeout(timeout),
            None => thread::park(),
        }
    }

    fn unpark(&self) {
        self.0.unpark();
    }
}
