//! The conductor: opens the sinks, lets the copy run, and sees every sink to its
//! end. It waits in one place, for [`Event`]s, and for nothing else.
//!
//! ```text
//! copying ── end of input, or nobody left ──▶ draining ── all settled ──▶ over
//!    │                                            │                         ▲
//!    └── signal: read no more, draining ──────────┤                         │
//!            with a deadline                      └─ deadline, 2nd signal ──┘
//!                                                    stop what is left
//! ```

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::args::Plan;
use crate::copy::{self, CopyEnd};
use crate::event::Event;
use crate::os::{self, Input, Opener, Signal, Waker};
use crate::report::{Report, say};
use crate::sink::Sink;
use crate::spec::Target;

/// The time to drain after a signal, unless set.
const LINGER: Duration = Duration::from_secs(5);

/// How long what was stopped may take to say so. A writer does at once, unless
/// the system is stuck in a write to a file; a command may take its time.
const GRACE: Duration = Duration::from_millis(500);

/// Does what was planned.
///
/// # Errors
///
/// The system's, if not even a beginning could be made; no sink was touched.
pub(crate) fn run(plan: &Plan) -> io::Result<Report> {
    let (sender, events) = channel();
    let signals = sender.clone();
    os::watch_signals(move |signal| {
        let _ = signals.send(Event::Signal(signal));
    })?;
    let (input, waker) = Input::new()?;

    let started = Instant::now();
    let mut opener = Opener::new(plan.connect_timeout);
    let mut sinks: Vec<Sink> = Vec::new();
    for (index, planned) in plan.sinks.iter().enumerate() {
        sinks.push(Sink::open(index, planned, &mut opener, &sender));
    }
    for sink in &mut sinks {
        sink.start(&sender);
    }
    if plan
        .sinks
        .iter()
        .any(|sink| sink.spec.target == Target::Stdout)
    {
        // Should it fail, the reader sees the end a little later.
        let _ = os::release_stdout();
    }

    let read = Arc::new(AtomicU64::new(0));
    let mut conductor = Conductor {
        sinks,
        linger: plan.linger,
        events,
        waker,
        started,
        read: Arc::clone(&read),
        copied: None,
        interrupted: None,
        deadline: None,
        stopped: false,
    };
    let lanes = conductor
        .sinks
        .iter()
        .filter_map(|sink| sink.lane(&sender))
        .collect();
    if let Err(error) = copy::start(input, lanes, read, sender) {
        conductor.copy_ended(CopyEnd::Failed(error));
    }
    conductor.conduct();
    Ok(conductor.report())
}

struct Conductor {
    sinks: Vec<Sink>,
    linger: Option<Duration>,
    events: Receiver<Event>,
    waker: Waker,
    started: Instant,
    /// How many bytes were read so far.
    read: Arc<AtomicU64>,
    /// How the copy ended.
    copied: Option<CopyEnd>,
    interrupted: Option<Signal>,
    /// When the current stage is broken off.
    deadline: Option<Instant>,
    /// Everything was told to stop; what has not stopped by the deadline is left
    /// behind.
    stopped: bool,
}

impl Conductor {
    fn conduct(&mut self) {
        loop {
            self.settle();
            if self.is_over() {
                break;
            }
            match self.next_event() {
                Some(event) => self.handle(event),
                None if self.stopped => break,
                None => self.stop(),
            }
        }
        for sink in &self.sinks {
            sink.clean_up();
        }
    }

    /// The next event, or `None` at the deadline.
    fn next_event(&self) -> Option<Event> {
        let Some(deadline) = self.deadline else {
            return self.events.recv().ok();
        };
        let left = deadline.saturating_duration_since(Instant::now());
        self.events.recv_timeout(left).ok()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Signal(signal) => self.signalled(signal),
            Event::CopyEnded(end) => self.copy_ended(end),
            Event::Detached(sink) => self.sinks[sink].detached(),
            Event::Connected(sink) => {
                self.sinks[sink].connected();
                self.finish();
            }
            Event::NotConnected(sink, trouble) => self.sinks[sink].fail(trouble),
            Event::Ended(sink, end) => self.sinks[sink].ended(end),
            Event::Exited(sink, exit) => self.sinks[sink].exited(exit),
        }
    }

    fn copy_ended(&mut self, end: CopyEnd) {
        if let CopyEnd::Failed(error) = &end {
            say(&format!("the input cannot be read: {error}"));
        }
        self.copied = Some(end);
        if self.deadline.is_none() {
            self.deadline = self.linger.and_then(from_now);
        }
        self.finish();
    }

    fn signalled(&mut self, signal: Signal) {
        if self.stopped {
            return;
        }
        if self.interrupted.is_some() {
            return self.stop();
        }
        self.interrupted = Some(signal);
        self.waker.wake();
        let linger = self.linger.unwrap_or(LINGER);
        self.deadline = from_now(linger);
        self.finish();
        say(&format!(
            "{}: no more is read; sinks have {linger:?} to take what was (a second signal ends at once)",
            signal.name
        ));
    }

    /// Tells the sinks that nothing more comes, once that is so.
    fn finish(&self) {
        if self.copied.is_some() {
            for sink in &self.sinks {
                sink.finish(self.interrupted.is_some());
            }
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.deadline = from_now(GRACE);
        self.waker.wake();
        for sink in &mut self.sinks {
            if !sink.is_settled() {
                sink.stop();
            }
        }
    }

    /// Takes note of the sinks that have come to their end, and says so if it was
    /// not a good one.
    fn settle(&mut self) {
        let read = self.read.load(Ordering::Relaxed);
        for sink in &mut self.sinks {
            if sink.settles()
                && let Some(message) = sink.report(read, self.started).complaint()
            {
                say(&message);
            }
        }
        if self.copied.is_none() && !self.sinks.iter().any(Sink::takes_data) {
            self.waker.wake();
        }
    }

    fn is_over(&self) -> bool {
        self.copied.is_some() && self.sinks.iter().all(Sink::is_settled)
    }

    /// The final report. What has not settled is complained of only now.
    fn report(&self) -> Report {
        let read = self.read.load(Ordering::Relaxed);
        let report = |sink: &Sink| {
            let report = sink.report(read, self.started);
            if let Some(message) = report.complaint().filter(|_| !sink.is_settled()) {
                say(&message);
            }
            report
        };
        Report {
            sinks: self.sinks.iter().map(report).collect(),
            read,
            interrupted: self.interrupted,
            input_failed: matches!(self.copied, Some(CopyEnd::Failed(_))),
            duration: self.started.elapsed(),
        }
    }
}

/// `None` for a time that never comes.
fn from_now(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}
