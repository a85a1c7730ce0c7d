//! The user's callback: never under the lock, never two at a time, coalesced.

use std::sync::Arc;

use crate::panics::contain;
use crate::progress::Progress;
use crate::shared::Shared;
use crate::state::CallAgain;

/// What the user gave to [`Builder::on_progress`](crate::Builder::on_progress).
pub(crate) type OnProgress = Box<dyn FnMut(Progress) + Send>;

#[derive(Default)]
pub(crate) enum Callback {
    /// None was given, or it panicked, or all is over.
    #[default]
    None,
    /// Waits for the next event.
    Idle(OnProgress),
    /// A thread is calling it, and whether there is more to tell by now: then it is
    /// called once more, after this call. That keeps the calls apart and in order.
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
    pub(crate) fn begin(&mut self) -> Option<OnProgress> {
        match std::mem::take(self) {
            Callback::Idle(on_progress) => {
                *self = Callback::Running { again: false };
                Some(on_progress)
            }
            Callback::Running { .. } => {
                *self = Callback::Running { again: true };
                None
            }
            Callback::None => None,
        }
    }

    /// Puts it back, and says whether there is more to tell.
    pub(crate) fn end(&mut self, on_progress: OnProgress) -> bool {
        let again = matches!(self, Callback::Running { again: true });
        *self = Callback::Idle(on_progress);
        again
    }
}

impl Shared {
    /// Calls the user's callback with how far the writer has come. The call that
    /// tells of the end is the last: the callback is dropped after it.
    pub(crate) fn call_back(self: &Arc<Self>) {
        loop {
            let Some((mut on_progress, progress)) = self.lock().begin_call() else {
                return;
            };
            let ended = progress.outcome.is_some();
            let mut panicked = true;
            contain(|| {
                on_progress(progress);
                panicked = false;
            });
            if ended || panicked {
                self.lock().forget_callback();
                contain(move || drop(on_progress));
                return;
            }
            let again = self.lock().end_call(on_progress);
            match again {
                CallAgain::No => return,
                CallAgain::Here => {}
                CallAgain::By(driver) => return driver.schedule(Arc::clone(self) as _),
            }
        }
    }
}
