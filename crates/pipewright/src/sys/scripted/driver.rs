//! The driver of a scripted kernel's pipe.

use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Poll};

use pipewright_core::{Limits, Mode, Operation};

use super::{Answer, CANCELLED, Deed, End, Fault, Flight, Kernel, Ready, State};
use crate::sync::Mutex;
use crate::sys::{Asked, Attempt, Description, Driver, Inline, Opened, Pipe, Submitted, Writer};

pub(super) struct Scripted {
    kernel: Kernel,
    pipe: Mutex<Option<Pipe>>,
    me: Weak<Scripted>,
}

impl Kernel {
    /// The kernel serves this handle.
    pub(crate) fn open(&self, pipe: Pipe) -> Opened {
        let driver = Arc::new_cyclic(|me| Scripted {
            kernel: self.clone(),
            pipe: Mutex::new(Some(pipe)),
            me: Weak::clone(me),
        });
        Opened {
            driver,
            description: self.description(),
        }
    }

    pub(crate) fn description(&self) -> Description {
        Description {
            mode: Some(self.0.script.mode),
            label: "scripted pipe".into(),
        }
    }

    /// There is something to do, unless the handle was given up.
    fn expect(&self, deed: Deed) {
        let mut state = self.lock();
        if state.account.detached {
            return;
        }
        state.deeds.push_back(deed);
        drop(state);
        self.0.news.notify_all();
    }
}

impl State {
    /// An operation is submitted.
    fn begin(&mut self) {
        self.account.operations += 1;
        if self.in_flight.is_some() {
            self.breach("an operation was submitted while another was in flight");
        }
        if self.account.detached {
            self.breach("an operation was submitted after the handle was given up");
        }
    }
}

impl Inline for Scripted {
    /// An answer that only an operation of the writing side can have is left for that:
    /// the pipe is not ready before.
    fn write(&self, data: &[u8]) -> Attempt {
        let script = &self.kernel.0.script;
        let mut state = self.kernel.lock();
        state.begin();
        if script.mode == Mode::Byte && data.len() > script.max_bytes.max(1) {
            state.breach("a write was larger than the driver takes");
        }
        let answer = state.answers.front().copied();
        let answer = answer.unwrap_or(Answer::takes(usize::MAX));
        let Some(attempt) = answer.to_attempt(data.len()) else {
            state.not_ready = Some(Ready::Later);
            return Attempt::NotReady;
        };
        state.answers.pop_front();
        if let Answer::Now(End::NotReady(ready)) = answer {
            state.not_ready = Some(ready);
        }
        match attempt {
            Attempt::Wrote(bytes) => {
                let taken = bytes.min(data.len());
                state.account.received.extend_from_slice(&data[..taken]);
                Attempt::Wrote(taken)
            }
            attempt => attempt,
        }
    }
}

impl Scripted {
    fn is_too_large(&self, operation: &Operation) -> bool {
        let script = &self.kernel.0.script;
        match script.mode {
            Mode::Byte => {
                operation.len() > script.max_bytes.max(1)
                    || operation.chunks() > script.max_chunks.max(1)
            }
            Mode::Message => operation.chunks() > 1,
        }
    }
}

impl Driver for Scripted {
    fn limits(&self) -> Limits {
        let script = &self.kernel.0.script;
        Limits {
            max_bytes: script.max_bytes,
            max_chunks: script.max_chunks,
        }
    }

    fn inline(&self) -> Option<&dyn Inline> {
        self.kernel.0.script.inline.then_some(self)
    }

    fn closes_at_once(&self) -> bool {
        self.kernel.0.script.inline
    }

    fn schedule(&self, writer: Arc<dyn Writer>) {
        self.kernel.expect(Deed::Turn(writer));
    }

    fn submit(&self, writer: Arc<dyn Writer>, operation: Operation) -> Submitted {
        let Some(driver) = self.me.upgrade() else {
            // Whoever calls has a reference.
            return Submitted::NotReady(operation);
        };
        let mut state = self.kernel.lock();
        state.begin();
        if self.is_too_large(&operation) {
            state.breach("an operation was larger than the driver takes");
        }
        let answer = state.answers.pop_front();
        let answer = answer.unwrap_or(Answer::takes(usize::MAX));
        match answer {
            Answer::Now(end) => return state.end(operation, end),
            _ if state.cancelled && answer.when_cancelled().is_some() => {
                // Cancelled before the kernel had it.
                return state.end(operation, End::Failed(Fault::refused(CANCELLED)));
            }
            _ => {}
        }
        state.in_flight = Some(Flight {
            operation,
            writer,
            driver,
            answer,
        });
        drop(state);
        if answer.end().is_some() {
            self.kernel.expect(Deed::Land);
        }
        Submitted::Pending
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        let mut state = self.kernel.lock();
        if state.account.detached {
            return Ok(());
        }
        let ready = state.not_ready.take();
        if ready.is_none() {
            state.breach("the driver was armed although nothing was not ready");
        }
        drop(state);
        match ready {
            Some(Ready::Later) | None => self.kernel.expect(Deed::Ready(writer)),
            Some(Ready::AtOnce) => writer.ready(),
            Some(Ready::Fails(code)) => return Err(io::Error::from_raw_os_error(code)),
        }
        Ok(())
    }

    fn cancel(&self) {
        let mut state = self.kernel.lock();
        state.account.cancels += 1;
        state.cancelled = true;
        let answer = state.in_flight.as_ref().map(|flight| flight.answer);
        let Some(cancelled) = answer.and_then(Answer::when_cancelled) else {
            return;
        };
        let end = End::Failed(Fault::in_doubt(CANCELLED, cancelled.uncounted));
        if cancelled.at_once {
            let landed = state.land_as(end);
            drop(state);
            if let Some(landed) = landed {
                landed.tell();
            }
            return;
        }
        if let Some(flight) = &mut state.in_flight {
            flight.answer = Answer::Ends(end);
        }
        drop(state);
        self.kernel.expect(Deed::Land);
    }

    fn detach(&self, _: Arc<dyn Writer>) -> Poll<Option<Pipe>> {
        let mut state = self.kernel.lock();
        if state.account.detached {
            state.breach("the handle was given up twice");
        }
        if state.in_flight.is_some() {
            state.breach("the handle was given up while an operation was in flight");
        }
        state.account.detached = true;
        let forgotten = std::mem::take(&mut state.deeds);
        drop(state);
        drop(forgotten);
        self.kernel.0.news.notify_all();
        let mut pipe = self.pipe.lock().unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(pipe.take())
    }

    fn poll_read(&self, _: &mut Asked, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
