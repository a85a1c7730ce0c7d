//! A kernel that follows a script, for tests: each operation ends as the script
//! says, and nothing that takes time happens unless a thread carries it out.
//!
//! A [`Kernel`] is told what to do by a [`Script`], and tells what it did in an
//! [`Account`]. What a system does in its own time is a *deed*: running a turn that
//! was scheduled, telling that the pipe is ready, completing an operation that was
//! pending. [`Kernel::step`] carries one out, [`Kernel::run`] carries all out until the
//! handle is given up; any thread may, and so plays the writing side.
//!
//! ```ignore
//! let kernel = Kernel::new(Script::new([Answer::takes(3), Answer::fails(5)]));
//! let writer = PipeWriter::new(kernel.pipe())?;
//! writer.try_send("hello")?;
//! while kernel.step(0) {}
//! assert_eq!(kernel.account().received, b"hel");
//! ```
//!
//! Whoever has but one thread waits for nothing that a deed is yet to bring.
//!
//! With `cfg(pipewright_scripted)` it is the only system, and [`clock`] its time.
//! In unit tests it serves a handle of the real system.

mod audit;
mod driver;
mod script;

#[cfg(pipewright_scripted)]
pub mod clock;
#[cfg(pipewright_scripted)]
pub(crate) mod system;
#[cfg(pipewright_scripted)]
pub use system::Pipe;

#[cfg(all(test, not(pipewright_scripted)))]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};

use pipewright_core::{Failure, Operation};

use self::driver::Scripted;
use super::{Submitted, Writer};
use crate::sync::{Condvar, Mutex, MutexGuard};

pub use self::script::{Account, Answer, CANCELLED, Cancelled, End, Fault, Ready, Script};
pub use pipewright_core::Rest;

/// A kernel, with one pipe. Clones are the same kernel.
#[derive(Clone)]
pub struct Kernel(Arc<Inner>);

struct Inner {
    /// What the kernel is; its answers are in the state.
    script: Script,
    state: Mutex<State>,
    /// There is a deed to carry out, or there will be none any more.
    news: Condvar,
}

struct State {
    answers: VecDeque<Answer>,
    deeds: VecDeque<Deed>,
    in_flight: Option<Flight>,
    /// An operation was not ready, and the driver is to be armed.
    not_ready: Option<Ready>,
    /// From the first cancel on.
    cancelled: bool,
    account: Account,
}

/// What somebody has to carry out.
enum Deed {
    Turn(Arc<dyn Writer>),
    Ready(Arc<dyn Writer>),
    /// The operation in flight ends.
    Land,
}

/// An operation that is pending.
struct Flight {
    operation: Operation,
    writer: Arc<dyn Writer>,
    driver: Arc<Scripted>,
    answer: Answer,
}

impl Kernel {
    /// A kernel that follows the script.
    #[must_use]
    pub fn new(mut script: Script) -> Self {
        let answers = std::mem::take(&mut script.answers);
        Kernel(Arc::new(Inner {
            script,
            state: Mutex::new(State {
                answers,
                deeds: VecDeque::new(),
                in_flight: None,
                not_ready: None,
                cancelled: false,
                account: Account::default(),
            }),
            news: Condvar::new(),
        }))
    }

    /// Carries one deed out, chosen among those that there are; false if there is none.
    pub fn step(&self, choice: usize) -> bool {
        let mut state = self.lock();
        if state.deeds.is_empty() {
            return false;
        }
        let choice = choice % state.deeds.len();
        let deed = state.deeds.remove(choice);
        drop(state);
        if let Some(deed) = deed {
            self.carry_out(deed);
        }
        true
    }

    /// Carries all deeds out, as they come, until the handle is given up.
    pub fn run(&self) {
        while self.wait() {
            self.step(0);
        }
    }

    /// Waits until there is a deed to carry out; false if the handle was given up and
    /// there is none.
    pub fn wait(&self) -> bool {
        let mut state = self.lock();
        while state.deeds.is_empty() && !state.account.detached {
            let waited = self.0.news.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        !state.deeds.is_empty()
    }

    /// What it did so far.
    #[must_use]
    pub fn account(&self) -> Account {
        self.lock().account.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(&self, deed: Deed) {
        match deed {
            Deed::Turn(writer) => writer.turn(self.0.script.burst),
            Deed::Ready(writer) => writer.ready(),
            Deed::Land => {
                let landed = self.lock().land();
                if let Some(landed) = landed {
                    landed.tell();
                }
            }
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kernel").field(&self.account()).finish()
    }
}

/// An operation that came back, of which its writer is to be told.
struct Landed {
    writer: Arc<dyn Writer>,
    driver: Arc<Scripted>,
    submitted: Submitted,
}

impl Landed {
    /// To be called without the lock.
    fn tell(self) {
        self.writer.landed(&*self.driver, self.submitted);
    }
}

impl State {
    /// What becomes of an operation in the end.
    fn end(&mut self, operation: Operation, end: End) -> Submitted {
        match end {
            End::Took(bytes) => {
                let taken = self.take(&operation, bytes);
                Submitted::Completed(operation, taken)
            }
            End::NotReady(ready) => {
                self.not_ready = Some(ready);
                Submitted::NotReady(operation)
            }
            End::Exhausted(code) => Submitted::Exhausted(operation, Failure::Os(code)),
            End::ExhaustedBeyond(bytes, code) if operation.len() > bytes => {
                self.end(operation, End::Exhausted(code))
            }
            End::ExhaustedBeyond(..) => self.end(operation, End::Took(usize::MAX)),
            End::Failed(fault) => self.fail(operation, fault),
        }
    }

    fn fail(&mut self, operation: Operation, fault: Fault) -> Submitted {
        let counted = fault.counted.min(operation.len());
        let uncounted = match fault.rest {
            Rest::Unsent => 0,
            Rest::InDoubt => fault.uncounted,
        };
        self.take(&operation, counted.saturating_add(uncounted));
        let failure = Failure::Os(fault.code);
        Submitted::Failed(operation, counted, failure, fault.rest)
    }

    /// The pipe takes so many bytes of it, at most all.
    fn take(&mut self, operation: &Operation, bytes: usize) -> usize {
        let mut left = bytes.min(operation.len());
        let taken = left;
        for slice in operation.slices() {
            let slice = &slice[..slice.len().min(left)];
            self.account.received.extend_from_slice(slice);
            left -= slice.len();
        }
        taken
    }

    /// The operation that is pending ends by itself, if there is one that does.
    fn land(&mut self) -> Option<Landed> {
        let end = self.in_flight.as_ref()?.answer.end()?;
        self.land_as(end)
    }

    fn land_as(&mut self, end: End) -> Option<Landed> {
        let flight = self.in_flight.take()?;
        Some(Landed {
            submitted: self.end(flight.operation, end),
            writer: flight.writer,
            driver: flight.driver,
        })
    }

    fn breach(&mut self, rule: &'static str) {
        self.account.breaches.push(rule);
    }
}
