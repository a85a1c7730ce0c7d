//! One writer as all its users share it: the core behind a lock, and what
//! follows from every change.
//!
//! # The rules of the lock
//!
//! * Under the lock: the core, and nothing that waits. No system call that can
//!   block, no user code (callback, waker, destructor of the user's data).
//! * After it: the [`Effects`] of the change, in an order in which nothing that
//!   the writer needs depends on user code that runs before it.
//!
//! # Turns
//!
//! A *turn* hands one operation to the driver, or closes the handle. At most one
//! turn is owed at any time (`turn_owed`), so the writing side is told once,
//! however many sends come meanwhile.

use std::io;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use pipewright_core::{Config, Core, Direct, Operation, Position, Refused, Retry};

use crate::callback::Callback;
use crate::effects::Effects;
use crate::linger::Lingering;
use crate::panics::contain;
use crate::retry;
use crate::state::{State, Work};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::sys::{Attempt, Driver, Handling, Pipe, Submitted, Timer, Writer, now};

pub(crate) struct Shared {
    state: Mutex<State>,
    /// What the user says about the handle, now or later.
    pub(crate) handling: Handling,
    /// How many `PipeWriter`s there are.
    handles: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(
        config: Config,
        linger: Duration,
        label: Option<String>,
        callback: Callback,
        handling: Handling,
    ) -> Arc<Self> {
        Arc::new(Shared {
            handling,
            state: Mutex::new(State::new(config, linger, label, callback)),
            handles: AtomicUsize::new(1),
        })
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the writer, then does what follows from it.
    pub(crate) fn change<T>(self: &Arc<Self>, act: impl FnOnce(&mut State) -> T) -> T {
        let mut effects = Effects::default();
        let value = self.collect(&mut effects, act);
        effects.run(self);
        value
    }

    /// Changes the writer, and leaves to the caller what follows from it.
    fn collect<T>(&self, effects: &mut Effects, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let value = act(&mut state);
        state.conclude(effects);
        value
    }
}

impl Drop for Shared {
    /// What nobody has taken back goes piece by piece: its destructors are user code,
    /// and two that panic in one drop would end the process.
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Some(left) = state.core.take_unsent() else {
            return;
        };
        for bytes in left.in_doubt.into_iter().chain(left.unsent) {
            contain(move || drop(bytes));
        }
    }
}

/// Sending: the hot path.
impl Shared {
    pub(crate) fn try_send(self: &Arc<Self>, message: impl Message) -> Result<Position, Refused> {
        let mut state = self.lock();
        if let Some((driver, position, direct)) = state.send_direct(message.as_slice().len()) {
            drop(state);
            self.write(&*driver, direct, message);
            return Ok(position);
        }
        let position = message.queue(&mut state.core)?;
        if let Some(driver) = state.owe_turn() {
            drop(state);
            driver.schedule(Arc::clone(self) as _);
        } else if state.may_help() {
            self.help(state);
        }
        Ok(position)
    }

    /// Writes an operation for the writing side, if that has very much to do. Apart, and
    /// not among what each message costs.
    #[cold]
    #[inline(never)]
    fn help(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let help = state.help();
        drop(state);
        if let Some((driver, operation)) = help {
            let mut effects = Effects::default();
            self.submit(&*driver, operation, 1, &mut effects);
            effects.run(self);
        }
    }

    /// Writes a message from the sender's own memory. If the system does not take it
    /// all, it goes on as any other operation.
    fn write(self: &Arc<Self>, driver: &dyn Driver, direct: Direct, message: impl Message) {
        let data = direct.part_of(message.as_slice());
        let attempt = match driver.inline() {
            Some(inline) => inline.write(data),
            None => Attempt::NotReady,
        };
        let mut effects = Effects::default();
        match attempt {
            Attempt::Wrote(written) if written == data.len() && direct.is_whole() => {
                self.lock().written_directly(direct, &mut effects);
            }
            attempt => {
                let operation = message.into_operation(direct);
                self.land(driver, attempt.of(operation), false, &mut effects);
            }
        }
        effects.run(self);
    }
}

/// What is sent: borrowed, or given away.
pub(crate) trait Message {
    fn as_slice(&self) -> &[u8];

    fn queue(self, core: &mut Core) -> Result<Position, Refused>;

    fn into_operation(self, direct: Direct) -> Operation;
}

impl Message for &[u8] {
    fn as_slice(&self) -> &[u8] {
        self
    }

    fn queue(self, core: &mut Core) -> Result<Position, Refused> {
        core.send_slice(self)
    }

    fn into_operation(self, direct: Direct) -> Operation {
        direct.into_copy(self)
    }
}

/// Taken out only if it is kept; else it stays with the caller, who drops it without
/// the lock.
impl Message for &mut Bytes {
    fn as_slice(&self) -> &[u8] {
        self
    }

    fn queue(self, core: &mut Core) -> Result<Position, Refused> {
        core.send(self)
    }

    fn into_operation(self, direct: Direct) -> Operation {
        direct.into_operation(self)
    }
}

/// What the drivers call.
impl Writer for Shared {
    fn turn(self: Arc<Self>, burst: usize) {
        let mut effects = Effects::default();
        self.work(burst, &mut effects);
        effects.run(&self);
    }

    fn landed(self: Arc<Self>, driver: &dyn Driver, submitted: Submitted) {
        let mut effects = Effects::default();
        self.land(driver, submitted, false, &mut effects);
        effects.run(&self);
    }

    fn detached(self: Arc<Self>, pipe: Option<Pipe>) {
        let mut effects = Effects::default();
        self.let_go(pipe, &mut effects);
        effects.run(&self);
    }

    fn ready(self: Arc<Self>) {
        self.change(|state| state.core.handle_ready());
    }
}

/// How operations go and come back.
impl Shared {
    /// Does what a turn has to do, and leaves to the caller what follows from it.
    pub(crate) fn work(self: &Arc<Self>, burst: usize, effects: &mut Effects) {
        let work = self.lock().next_work(now(), effects);
        match work {
            Work::Nothing => {}
            Work::Submit(driver, operation) => self.submit(&*driver, operation, burst, effects),
            Work::Close(driver) => {
                if let Poll::Ready(pipe) = driver.detach(Arc::clone(self) as _) {
                    self.let_go(pipe, effects);
                }
            }
        }
    }

    /// Closes the handle, or keeps it for the user.
    fn let_go(&self, pipe: Option<Pipe>, effects: &mut Effects) {
        let keep = self.lock().keeps_pipe();
        // Closed here, before the end is told: then it is true.
        let kept = pipe.filter(|_| keep);
        self.collect(effects, |state| state.closed(kept));
    }

    /// Hands this operation to the driver, and up to `burst` in all while they complete
    /// at once.
    fn submit(
        self: &Arc<Self>,
        driver: &dyn Driver,
        operation: Operation,
        mut burst: usize,
        effects: &mut Effects,
    ) {
        let mut next = Some(operation);
        while let Some(operation) = next {
            burst = burst.saturating_sub(1);
            let submitted = driver.submit(Arc::clone(self) as _, operation);
            next = self.land(driver, submitted, burst > 0, effects);
        }
    }

    /// Accounts for an operation, and takes the next one if there is one and more
    /// are wanted in this turn.
    fn land(
        self: &Arc<Self>,
        driver: &dyn Driver,
        submitted: Submitted,
        more: bool,
        effects: &mut Effects,
    ) -> Option<Operation> {
        match submitted {
            Submitted::Pending => {}
            Submitted::Completed(operation, written) => {
                return self.lock().completed(operation, written, more, effects);
            }
            Submitted::NotReady(operation) => {
                self.collect(effects, |state| state.core.handle_not_ready(operation));
                if let Err(error) = driver.arm(Arc::clone(self) as _) {
                    self.collect(effects, |state| state.broken(&error));
                }
            }
            Submitted::Exhausted(operation, failure) => {
                let retry = self.collect(effects, |state| {
                    state.core.handle_exhausted(operation, failure)
                });
                if let Retry::Later { attempt } = retry {
                    if let Err(error) = self.retry_later(attempt) {
                        self.collect(effects, |state| state.broken(&error));
                    }
                }
            }
            Submitted::Failed(operation, written, failure, rest) => {
                let spent = self.collect(effects, |state| {
                    let core = &mut state.core;
                    core.handle_failed(operation, written, failure, rest)
                });
                effects.spent.append(spent);
            }
        }
        None
    }

    fn retry_later(self: &Arc<Self>, attempt: u32) -> io::Result<()> {
        /// Holds the writer: until the retry nothing else need know it.
        struct Ready(Arc<Shared>);
        impl Wake for Ready {
            fn wake(self: Arc<Self>) {
                Arc::clone(&self.0).ready();
            }
        }
        let when = now() + retry::pause(attempt);
        let timer = Timer::start(when, Waker::from(Arc::new(Ready(Arc::clone(self)))))?;
        let replaced = self.lock().retry_by(when, timer);
        drop(replaced);
        Ok(())
    }
}

/// Handles come and go.
impl Shared {
    pub(crate) fn add_handle(&self) {
        self.handles.fetch_add(1, Ordering::Relaxed);
    }

    /// Another handle, unless the last one is gone.
    pub(crate) fn try_add_handle(&self) -> bool {
        self.handles
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |handles| {
                (handles > 0).then_some(handles + 1)
            })
            .is_ok()
    }

    /// One handle less; after the last one the drop policy decides. Never waits.
    pub(crate) fn remove_handle(self: &Arc<Self>) {
        if self.handles.fetch_sub(1, Ordering::AcqRel) > 1 {
            return;
        }
        let lingers = self.change(State::abandon);
        if lingers {
            self.linger();
        }
    }

    /// Goes on without handles until the end, or until the time is over.
    fn linger(self: &Arc<Self>) {
        /// Does not hold the writer: while it has work, the writing side does.
        struct Expire(Weak<Shared>);
        impl Wake for Expire {
            fn wake(self: Arc<Self>) {
                if let Some(writer) = self.0.upgrade() {
                    writer.change(|state| state.core.stop());
                }
            }
        }
        let limit = self.lock().linger_time();
        // A time beyond the clock's end, like a timer that cannot be had, is no limit:
        // data is not thrown away for it.
        let timer = now().checked_add(limit).and_then(|when| {
            let waker = Waker::from(Arc::new(Expire(Arc::downgrade(self))));
            Timer::start(when, waker).ok()
        });
        let lingering = Lingering::enter(timer);
        let unneeded = self.change(|state| state.linger(lingering));
        drop(unneeded);
    }
}
