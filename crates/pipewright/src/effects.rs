//! What follows from a change, collected under the writer's lock and done after
//! it is released.

use std::sync::Arc;
use std::task::Waker;

use pipewright_core::Spent;

use crate::linger::Lingering;
use crate::panics::contain;
use crate::shared::Shared;
use crate::sys::{Driver, Signal, Timer};

#[derive(Default)]
#[must_use = "effects must be run after unlocking"]
pub(crate) struct Effects {
    /// A turn is owed to this driver, and whether it is to be run here: closing a
    /// handle does not wait, so it need not wait for the writing side either.
    pub(crate) turn: Option<(Arc<dyn Driver>, bool)>,
    /// The operation in flight is to be cancelled.
    pub(crate) cancel: Option<Arc<dyn Driver>>,
    pub(crate) woken: Vec<Waker>,
    /// Data that was written: dropping it may run destructors of the user.
    pub(crate) spent: Spent,
    pub(crate) signal: Option<Arc<Signal>>,
    pub(crate) call_back: bool,
    /// Ends with the writer.
    pub(crate) lingering: Option<Lingering>,
    pub(crate) retry: Option<Timer>,
}

impl Effects {
    /// What the writer needs comes before what may run user code, so that user
    /// code that waits for the writer waits for something that is under way.
    pub(crate) fn run(mut self, writer: &Arc<Shared>) {
        if let Some(driver) = self.cancel.take() {
            driver.cancel();
        }
        while let Some((driver, here)) = self.turn.take() {
            if here {
                writer.work(1, &mut self);
            } else {
                driver.schedule(Arc::clone(writer) as _);
            }
        }
        drop((self.lingering, self.retry));
        // Freed before anybody hears that it was written; each on its own, as the
        // wakers: one that panics must not cost the others their wake, and two that
        // panic at once would end the process.
        for bytes in self.spent {
            contain(move || drop(bytes));
        }
        for waker in self.woken {
            contain(move || waker.wake());
        }
        if let Some(signal) = self.signal {
            signal.set();
        }
        if self.call_back {
            writer.call_back();
        }
    }
}
