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

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use crate::args::Plan;
use crate::copy::{self, CopyEnd, Source, Stopper};
use crate::event::Event;
use crate::os::{self, Input, Opener, Signal, Splice, Suspension};
use crate::progress::{Snapshot, View};
use crate::report::{Report, named};
use crate::sink::Sink;
use crate::spec::Target;

/// The time to drain after a signal, and for a first reader to come after the end of the
/// input, unless set.
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
    let (mut input, waker) =
        Input::open(plan.input.as_deref()).map_err(|error| match &plan.input {
            Some(path) => named(path, &error),
            None => error,
        })?;
    let size = plan.size.or_else(|| input.size());

    let started = Instant::now();
    let mut opener = Opener::new(&input);
    let mut sinks: Vec<Sink> = Vec::new();
    for (index, planned) in plan.sinks.iter().enumerate() {
        sinks.push(Sink::open(index, planned, &mut opener, &sender));
    }
    for sink in &mut sinks {
        sink.start(&sender);
    }
    let has_stdout = plan.sinks.iter().any(|s| s.spec.target == Target::Stdout);
    let view = View::new(
        plan.progress,
        sinks.len(),
        has_stdout && io::stdout().is_terminal(),
        started,
    );
    if view.draws() {
        let suspensions = sender.clone();
        os::watch_suspensions(move |suspension| {
            let _ = suspensions.send(Event::Suspension(suspension));
        })?;
    }
    if has_stdout {
        // Should it fail, the reader sees the end a little later.
        let _ = os::release_stdout();
    }

    let read = Arc::new(AtomicU64::new(0));
    let splices = plan.sinks.iter().any(|sink| sink.splice);
    let splice = splices.then(|| Splice::from(&input)).flatten();
    let (source, stopper) = Source::new(input, waker, plan.rate, splice);
    let mut conductor = Conductor {
        sinks,
        opener,
        linger: plan.linger,
        sender: sender.clone(),
        events,
        stopper,
        view,
        started,
        read: Arc::clone(&read),
        size,
        copied: None,
        interrupted: None,
        deadline: None,
        readers_until: None,
        stopped: false,
    };
    let lanes = conductor
        .sinks
        .iter()
        .filter_map(|sink| sink.lane(&sender))
        .collect();
    if let Err(error) = copy::start(source, lanes, read, sender) {
        conductor.copy_ended(CopyEnd::Failed(error));
    }
    conductor.conduct();
    Ok(conductor.report())
}

struct Conductor {
    sinks: Vec<Sink>,
    opener: Opener,
    linger: Option<Duration>,
    /// For the threads of sinks that are opened again.
    sender: Sender<Event>,
    events: Receiver<Event>,
    stopper: Stopper,
    view: View,
    started: Instant,
    /// How many bytes were read so far.
    read: Arc<AtomicU64>,
    /// How many there will be, if that is known.
    size: Option<u64>,
    /// How the copy ended.
    copied: Option<CopyEnd>,
    interrupted: Option<Signal>,
    /// When the current stage is broken off.
    deadline: Option<Instant>,
    /// When sinks that listen and are not patient give up on a first reader.
    readers_until: Option<Instant>,
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
            if let Some(event) = self.next_event() {
                self.handle(event);
            }
            let now = Instant::now();
            if self.deadline.is_some_and(|deadline| deadline <= now) {
                if self.stopped {
                    break;
                }
                self.stop();
            }
            if self.readers_until.is_some_and(|until| until <= now) {
                self.readers_until = None;
                for sink in self.sinks.iter_mut().filter(|sink| !sink.is_patient()) {
                    sink.give_up_first_reader();
                }
            }
            for sink in &mut self.sinks {
                sink.retry(now, &self.opener, &self.sender);
            }
            if self.view.next().is_some_and(|next| next <= now) {
                self.view
                    .show(&snapshot(&self.sinks, &self.read, self.size), now);
            }
        }
        for sink in &self.sinks {
            sink.clean_up();
        }
    }

    /// The next event, or `None` if there is something else to do first.
    fn next_event(&self) -> Option<Event> {
        let retries = self.sinks.iter().filter_map(Sink::retry_at);
        let stages = self.deadline.into_iter().chain(self.readers_until);
        let Some(next) = retries.chain(stages).chain(self.view.next()).min() else {
            return self.events.recv().ok();
        };
        let left = next.saturating_duration_since(Instant::now());
        self.events.recv_timeout(left).ok()
    }

    fn handle(&mut self, event: Event) {
        let now = Instant::now();
        match event {
            Event::Signal(signal) => self.signalled(signal),
            Event::CopyEnded(end) => self.copy_ended(end),
            Event::Detached(sink) => self.sinks[sink].detached(),
            Event::Connected(sink) => {
                self.sinks[sink].connected();
                self.finish();
            }
            Event::NotConnected(sink, trouble) => self.sinks[sink].not_connected(trouble, now),
            Event::Ended(sink) => self.sinks[sink].ended(now),
            Event::Exited(sink, exit) => self.sinks[sink].exited(exit, now),
            Event::Suspension(Suspension::Asked) => {
                self.view.leave();
                os::suspend();
            }
            Event::Suspension(Suspension::Over) => self.view.come_back(now),
        }
    }

    fn copy_ended(&mut self, end: CopyEnd) {
        if let CopyEnd::Failed(error) = &end {
            self.view.say(&format!("the input cannot be read: {error}"));
        }
        self.copied = Some(end);
        if self.deadline.is_none() {
            self.deadline = self.linger.and_then(from_now);
            // Without a limit, whoever reads has all the time there is. Who has not come
            // yet may never come, and is waited for only if everything waits for him.
            self.readers_until = from_now(self.linger.unwrap_or(LINGER));
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
        self.stopper.stop();
        let linger = self.linger.unwrap_or(LINGER);
        self.deadline = from_now(linger);
        self.finish();
        self.view.say(&format!(
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
        self.stopper.stop();
        for sink in &mut self.sinks {
            if self.interrupted.is_none() {
                sink.give_up_first_reader();
            }
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
            if let Some(message) = sink.setback() {
                self.view.say(&message);
            }
            if sink.settles()
                && let Some(message) = sink.report(read, self.started).complaint()
            {
                self.view.say(&message);
            }
        }
        let is_pointless =
            !self.sinks.iter().any(Sink::takes_data) || self.sinks.iter().any(Sink::is_missed);
        if self.copied.is_none() && is_pointless {
            self.stopper.stop();
        }
    }

    fn is_over(&self) -> bool {
        self.copied.is_some() && self.sinks.iter().all(Sink::is_settled)
    }

    /// The final report. What has not settled is complained of only now.
    fn report(&mut self) -> Report {
        let now = Instant::now();
        self.view
            .end(&snapshot(&self.sinks, &self.read, self.size), now);
        let read = self.read.load(Ordering::Relaxed);
        let report = |sink: &Sink| {
            let report = sink.report(read, self.started);
            if let Some(message) = report.complaint().filter(|_| !sink.is_settled()) {
                self.view.say(&message);
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

fn snapshot<'a>(sinks: &'a [Sink], read: &AtomicU64, size: Option<u64>) -> Snapshot<'a> {
    let read = read.load(Ordering::Relaxed);
    Snapshot {
        sinks: sinks.iter().map(|sink| sink.state(read)).collect(),
        read,
        size,
    }
}

/// `None` for a time that never comes.
fn from_now(time: Duration) -> Option<Instant> {
    Instant::now().checked_add(time)
}
