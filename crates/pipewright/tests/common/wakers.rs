//! Tasks by hand: polling once, and wakers that count or run user code.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls once, with a waker that counts.
pub(crate) fn poll_with<F: Future + ?Sized>(
    future: &mut Pin<Box<F>>,
    waker: &Waker,
) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// Polls once; nobody hears of the wake.
pub(crate) fn poll_once<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Poll<F::Output> {
    poll_with(future, Waker::noop())
}

/// Counts how often a task was woken.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that runs user code when it wakes.
pub(crate) fn when_woken(act: impl Fn() + Send + Sync + 'static) -> Waker {
    struct Act<F>(F);
    impl<F: Fn() + Send + Sync> Wake for Act<F> {
        fn wake(self: Arc<Self>) {
            (self.0)();
        }
    }
    Waker::from(Arc::new(Act(act)))
}

/// A waker that runs user code when it is dropped for the last time.
pub(crate) fn when_dropped(act: impl FnMut() + Send + Sync + 'static) -> Waker {
    struct Act<F: FnMut()>(F);
    impl<F: FnMut() + Send + Sync> Wake for Act<F> {
        fn wake(self: Arc<Self>) {}
    }
    impl<F: FnMut()> Drop for Act<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Waker::from(Arc::new(Act(act)))
}
