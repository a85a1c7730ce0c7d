//! A future of the library, polled by hand, by somebody who watches that he is woken.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use pipewright::{Position, Unsent};

use crate::wakers::{Wakes, poll_with};

/// How a task came to its end.
pub(crate) enum Told {
    Sent(Position, Bytes),
    /// A close that failed gives the rest back.
    Closed(Unsent),
    Over,
}

pub(crate) struct Task {
    future: Pin<Box<dyn Future<Output = Told>>>,
    wakes: Arc<Wakes>,
    waker: Waker,
    /// How often it had been woken when it was polled last.
    heard: usize,
    polled: bool,
}

impl Task {
    pub(crate) fn new(future: impl Future<Output = Told> + 'static) -> Self {
        let (wakes, waker) = Wakes::new();
        Task {
            future: Box::pin(future),
            wakes,
            waker,
            heard: 0,
            polled: false,
        }
    }

    /// Polls it. If it can go on although nobody woke it, a wake was lost.
    pub(crate) fn poll(&mut self) -> Option<Told> {
        let woken = self.wakes.count();
        let slept = self.polled && woken == self.heard;
        (self.heard, self.polled) = (woken, true);
        match poll_with(&mut self.future, &self.waker) {
            Poll::Pending => None,
            Poll::Ready(told) => {
                assert!(!slept, "a task could go on, and nobody woke it");
                Some(told)
            }
        }
    }
}
