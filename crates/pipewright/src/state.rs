//! What the lock guards, and what follows from a change of it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipewright_core::{self as core, Config, Core, Event, Failure, Operation, Position};

use crate::callback::{Callback, OnProgress};
use crate::effects::Effects;
use crate::linger::Lingering;
use crate::outcome::{Outcome, PipeError};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::retry::Pause;
use crate::sys::{Driver, Pipe, Signal, Timer};
use crate::waiters::{Until, Waiters};

mod attaching;
mod direct;

pub(crate) struct State {
    pub(crate) core: Core,
    /// What the writer is called in errors.
    pub(crate) label: Arc<str>,
    named: bool,
    attached: bool,
    /// From `attach` until the handle is to be closed.
    driver: Option<Arc<dyn Driver>>,
    /// The writing side has been told, or a thread is about to run the turn.
    turn_owed: bool,
    /// Since the turn is owed a sender has written an operation, or found no need to.
    help_decided: bool,
    pace: Pace,
    pub(crate) waiters: Waiters,
    callback: Callback,
    /// The next turn is to call back.
    call_back_owed: bool,
    signal: Option<Arc<Signal>>,
    signalled: bool,
    linger: Duration,
    lingering: Option<Lingering>,
    pause: Pause,
    /// The handle goes back to the user instead of being closed.
    keep_pipe: bool,
    kept_pipe: Option<Pipe>,
}

/// What a turn found to do.
pub(crate) enum Work {
    Nothing,
    Submit(Arc<dyn Driver>, Operation),
    Close(Arc<dyn Driver>),
}

/// Who calls the user's callback again.
pub(crate) enum CallAgain {
    /// Nobody, or somebody who has been told already.
    No,
    /// The thread that called it.
    Here,
    /// The writing side, which is to be told.
    By(Arc<dyn Driver>),
}

impl State {
    pub(crate) fn new(
        config: Config,
        linger: Duration,
        name: Option<String>,
        callback: Callback,
    ) -> Self {
        State {
            core: Core::new(config),
            named: name.is_some(),
            label: name.unwrap_or_else(|| "unattached pipe".into()).into(),
            attached: false,
            driver: None,
            turn_owed: false,
            help_decided: false,
            pace: Pace::default(),
            waiters: Waiters::default(),
            callback,
            call_back_owed: false,
            signal: None,
            signalled: false,
            linger,
            lingering: None,
            pause: Pause::default(),
            keep_pipe: false,
            kept_pipe: None,
        }
    }

    /// What follows from a change. To be run after unlocking.
    pub(crate) fn conclude(&mut self, effects: &mut Effects) {
        let closing = self.driver.as_ref().filter(|_| self.core.wants_close());
        if let Some(driver) = closing.filter(|driver| driver.closes_at_once()) {
            // Even if a turn is owed: the thread that owes it may be kept by user code.
            effects.turn = Some((Arc::clone(driver), true));
        } else if let Some(driver) = self.owe_turn() {
            effects.turn = Some((driver, false));
        }
        self.tell(effects);
    }

    /// What there is to tell.
    fn tell(&mut self, effects: &mut Effects) {
        let mut notify = false;
        while let Some(event) = self.core.poll_event() {
            let woken = &mut effects.woken;
            notify = true;
            match event {
                Event::Granted(ticket) => self.waiters.take(Until::Granted(ticket), woken),
                Event::Written => {
                    let written = Position::new(self.core.progress().written);
                    self.waiters.take_written(written, woken);
                }
                Event::Space => self.waiters.take(Until::Space, woken),
                Event::Refusing => self.waiters.take_senders(woken),
                Event::Ended => {
                    self.waiters.take_all(woken);
                    effects.lingering = self.lingering.take();
                    effects.retry = self.pause.end();
                }
            }
        }
        if self.core.poll_cancel().is_some() {
            effects.cancel.clone_from(&self.driver);
        }
        if notify {
            effects.call_back |= self.callback.is_set();
            if let Some(signal) = self.signal.as_ref().filter(|_| !self.signalled) {
                self.signalled = true;
                effects.signal = Some(Arc::clone(signal));
            }
        }
    }

    /// The driver, if a turn is wanted that nobody has been told of. From now on
    /// somebody has.
    #[inline]
    pub(crate) fn owe_turn(&mut self) -> Option<Arc<dyn Driver>> {
        if self.turn_owed || !self.core.wants_turn() {
            return None;
        }
        let driver = self.driver.clone()?;
        self.turn_owed = true;
        Some(driver)
    }

    pub(crate) fn next_work(&mut self, now: Instant, effects: &mut Effects) -> Work {
        self.turn_owed = false;
        self.help_decided = false;
        self.pace.note(now);
        effects.call_back |= std::mem::take(&mut self.call_back_owed);
        if self.core.poll_close() {
            if let Some(driver) = self.driver.take() {
                return Work::Close(driver);
            }
        }
        let Some(driver) = self.driver.clone() else {
            return Work::Nothing;
        };
        match self.core.poll_submit() {
            Some(operation) => Work::Submit(driver, operation),
            None => Work::Nothing,
        }
    }

    /// An operation was completed. The next one, if `more` are wanted in this turn
    /// and there is one; otherwise the conclusions.
    pub(crate) fn completed(
        &mut self,
        operation: Operation,
        written: usize,
        more: bool,
        effects: &mut Effects,
    ) -> Option<Operation> {
        let spent = self.core.handle_completed(operation, written);
        effects.spent.append(spent);
        let next = if more { self.core.poll_submit() } else { None };
        match next {
            Some(_) => self.tell(effects),
            None => self.conclude(effects),
        }
        next
    }

    /// The system failed to do something for the writer.
    pub(crate) fn broken(&mut self, error: &io::Error) {
        let failure = error
            .raw_os_error()
            .map_or(Failure::NoProgress, Failure::Os);
        self.core.handle_broken(failure);
    }

    /// Takes the user's callback out, with what to tell it, unless it is being
    /// called already.
    pub(crate) fn begin_call(&mut self) -> Option<(OnProgress, Progress)> {
        let on_progress = self.callback.begin()?;
        Some((on_progress, self.progress()))
    }

    /// Puts the user's callback back. If there is more to tell, the writing side
    /// does that: this thread may belong to somebody who only wanted to send. Where
    /// there is none, the end is near, and this thread goes on.
    pub(crate) fn end_call(&mut self, on_progress: OnProgress) -> CallAgain {
        if !self.callback.end(on_progress) {
            return CallAgain::No;
        }
        let Some(driver) = self.driver.clone() else {
            return CallAgain::Here;
        };
        self.call_back_owed = true;
        if std::mem::replace(&mut self.turn_owed, true) {
            return CallAgain::No;
        }
        CallAgain::By(driver)
    }

    /// The callback has been called for the last time.
    pub(crate) fn forget_callback(&mut self) {
        self.callback = Callback::None;
    }

    /// Whether the handle goes back to the user instead of being closed.
    pub(crate) fn keeps_pipe(&self) -> bool {
        self.keep_pipe
    }

    /// The handle is closed, or kept.
    pub(crate) fn closed(&mut self, kept: Option<Pipe>) {
        self.kept_pipe = kept;
        self.core.handle_closed();
    }

    /// Waits for a retry; the timer that is given back is to be dropped after unlocking.
    pub(crate) fn retry_by(&mut self, when: Instant, timer: Timer) -> Option<Timer> {
        self.pause.keep(when, timer)
    }

    /// The last handle is gone: what the drop policy says. Whether the writer goes
    /// on without.
    pub(crate) fn abandon(&mut self) -> bool {
        if self.attached && !self.linger.is_zero() {
            self.core.finish();
        } else {
            self.core.stop();
        }
        self.core.progress().outcome.is_none()
    }

    pub(crate) fn linger_time(&self) -> Duration {
        self.linger
    }

    /// Lingers until the end. If that has come already, the argument is to be
    /// dropped after unlocking.
    pub(crate) fn linger(&mut self, lingering: Lingering) -> Option<Lingering> {
        match self.core.progress().outcome {
            Some(_) => Some(lingering),
            None => self.lingering.replace(lingering),
        }
    }

    pub(crate) fn driver(&self) -> Option<Arc<dyn Driver>> {
        self.driver.clone()
    }

    /// What the user called it.
    pub(crate) fn name(&self) -> Option<&str> {
        self.named.then_some(&*self.label)
    }

    /// Stops, and keeps the handle for the user.
    pub(crate) fn stop_and_keep(&mut self) {
        self.keep_pipe = true;
        self.core.stop();
    }

    pub(crate) fn take_kept_pipe(&mut self) -> Option<Pipe> {
        self.kept_pipe.take()
    }

    /// Why no more sends are accepted, if they are not.
    pub(crate) fn why_closed(&self) -> Option<Outcome> {
        self.core.refusal().map(|outcome| self.explain(outcome))
    }

    /// The core's outcome, with the name of the pipe.
    pub(crate) fn explain(&self, outcome: core::Outcome) -> Outcome {
        match outcome {
            core::Outcome::Closed => Outcome::Closed,
            core::Outcome::Stopped => Outcome::Stopped,
            core::Outcome::Failed(failure) => {
                Outcome::Failed(PipeError::new(Arc::clone(&self.label), failure))
            }
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        let progress = self.core.progress();
        Progress::new(
            progress,
            progress.outcome.map(|outcome| self.explain(outcome)),
        )
    }

    /// The waitable object, made on first use.
    pub(crate) fn signal(&mut self) -> io::Result<Arc<Signal>> {
        if let Some(signal) = &self.signal {
            return Ok(Arc::clone(signal));
        }
        let signal = Arc::new(Signal::new()?);
        self.signal = Some(Arc::clone(&signal));
        Ok(signal)
    }

    /// The existing waitable object, which may be set for the next event again.
    pub(crate) fn rearm_signal(&mut self) {
        self.signalled = false;
    }

    pub(crate) fn signal_if_made(&self) -> Option<Arc<Signal>> {
        self.signal.clone()
    }
}
