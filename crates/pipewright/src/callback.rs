//! The user's callback: never under the lock, never two at a time, coalesced.

use std::sync::Arc;

use crate::panics::contain;
use crate::progress::Progress;
use crate::shared::Shared;

/// What the user gave to [`Builder::on_progress`](crate::Builder::on_progress).
pub(crate) type OnProgress = Box<dyn FnMut(Progress) + Send>;

#[derive(Default)]
pub(crate) enum Callback {
    /// None was given, or it panicked, or all is over.
    #[default]
    None,
    /// Waits for the next event.
    Idle(OnProgress),
    /// A thread is calling it. If there is more to tell meanwhile, the same thread
    /// calls it again: that keeps the calls apart and in order.
    Running { again: bool },
}

impl Callback {
    pub(crate) fn is_set(&self) -> bool {
        !matches!(self, Callback::None)
    }

    pub(crate) fn is_running(&self) -> bool {
        matches!(self, Callback::Running { .. })
    }

    /// Takes the callback out to call it, unless it is being called already.
    fn begin(&mut self) -> Option<OnProgress> {
        match std::mem::replace(self, Callback::Running { again: false }) {
            Callback::Idle(on_progress) => Some(on_progress),
            Callback::Running { .. } => {
                *self = Callback::Running { again: true };
                None
            }
            Callback::None => {
                *self = Callback::None;
                None
            }
        }
    }

    /// Puts it back, or says that it should be called again.
    fn end(&mut self, on_progress: OnProgress) -> Option<OnProgress> {
        if matches!(self, Callback::Running { again: true }) {
            *self = Callback::Running { again: false };
            return Some(on_progress);
        }
        *self = Callback::Idle(on_progress);
        None
    }
}

impl Shared {
    /// Calls the user's callback with how far the writer has come, until there is
    /// nothing new. The call that tells of the end is the last: the callback is
    /// dropped after it.
    pub(crate) fn call_back(self: &Arc<Self>) {
        let mut next = self.lock().callback.begin();
        while let Some(mut on_progress) = next.take() {
            let progress = self.lock().progress();
            let ended = progress.outcome.is_some();
            let mut panicked = true;
            contain(|| {
                on_progress(progress);
                panicked = false;
            });
            if ended || panicked {
                self.lock().callback = Callback::None;
                contain(move || drop(on_progress));
                return;
            }
            next = self.lock().callback.end(on_progress);
        }
    }
}
