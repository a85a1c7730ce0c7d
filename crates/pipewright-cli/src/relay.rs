//! `pipewright relay`: joins standard input and output with a target, both ways at
//! once. Two directions that know nothing of each other, and a conductor that hears of
//! every end and says what follows from it:
//!
//! | end | what follows |
//! | --- | --- |
//! | of standard input | what was read is written; then the target is told, if it can be |
//! | of what the target says | what was read is written; then standard output is closed |
//! | of the target altogether | standard input is read no more |
//! | the target does not take data | standard input is read no more; the target may speak on |
//! | standard output does not take data | the relay winds down |
//! | one that `--exit-on-eof` names, a signal | the relay winds down |
//!
//! To wind down is to read no more, and to write what was read, within the linger time.

mod args;
mod report;
mod target;
mod way;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

pub(crate) use args::{Args, Plan};
pub(crate) use report::Report;
pub(crate) use target::Target;

use crate::os::{self, Connection, Input, Signal, Trouble};
use crate::outlet::End;
use crate::report::say;
use args::Who;
use report::WayReport;
use way::{Lane, Pipes, ReadEnd, Way};

/// How long what was stopped may take to say so.
const GRACE: Duration = Duration::from_millis(500);

/// What the conductor hears of.
enum Event {
    Signal(Signal),
    /// No more is read for this direction.
    ReadEnded(Way, ReadEnd),
    /// No more is written in this direction, or a part of the way to there has ended.
    WriterEnded(Way),
    /// The target neither speaks nor hears any more.
    TargetGone,
}

/// Why there was no relay.
pub(crate) enum Failure {
    /// The target cannot be opened.
    Target(Trouble),
    /// Standard input or output cannot be used.
    Standard(io::Error),
}

/// Relays, and says on standard error what went wrong.
pub(crate) fn run(plan: &Plan) -> Result<Report, Failure> {
    let (sender, events) = channel();
    // Until the target is there, a signal ends the process as usual.
    let ends = os::join(&plan.target, plan.wait).map_err(Failure::Target)?;
    let last = last_message(plan, &ends.connection).map_err(Failure::Target)?;
    let signals = sender.clone();
    os::watch_signals(move |signal| {
        let _ = signals.send(Event::Signal(signal));
    })
    .map_err(Failure::Standard)?;

    let (input, waker) = Input::open(None).map_err(Failure::Standard)?;
    let stdout = os::own_stdout().map_err(Failure::Standard)?;
    let to_target = Pipes {
        input,
        waker,
        from: "standard input".into(),
        way_out: ends.way_out,
        sole_owner: true,
        to: plan.name.clone(),
        last,
    };
    let to_stdout = Pipes {
        input: ends.input,
        waker: ends.waker,
        from: plan.name.clone(),
        way_out: stdout.into(),
        sole_owner: false,
        to: "standard output".into(),
        last: None,
    };
    let start =
        |way, pipes| Lane::start(way, pipes, plan.buffer, &sender).map_err(Failure::Standard);
    let mut conductor = Conductor {
        to_target: start(Way::ToTarget, to_target)?,
        to_stdout: start(Way::ToStdout, to_stdout)?,
        connection: ends.connection,
        exit_on_eof: plan.exit_on_eof,
        linger: plan.linger,
        sender: sender.clone(),
        events,
        ended_first: None,
        interrupted: None,
        deadline: None,
        stopped: false,
    };
    let started = Instant::now();
    conductor.conduct();
    let report = conductor.report(started.elapsed());
    for complaint in report.complaints() {
        say(&complaint);
    }
    Ok(report)
}

/// What the target hears when standard input has ended, if it can.
fn last_message(plan: &Plan, connection: &Connection) -> Result<Option<Bytes>, Trouble> {
    if !plan.eof_message {
        return Ok(None);
    }
    if !connection.keeps_messages()? {
        let why = "--eof-message is for pipes that keep messages, and this target keeps none";
        return Err(Trouble::own(why));
    }
    Ok(Some(Bytes::new()))
}

struct Conductor {
    to_target: Lane,
    to_stdout: Lane,
    connection: Connection,
    exit_on_eof: Option<Who>,
    linger: Duration,
    sender: Sender<Event>,
    events: Receiver<Event>,
    ended_first: Option<Way>,
    interrupted: Option<Signal>,
    /// When the current stage is broken off.
    deadline: Option<Instant>,
    /// Both directions were told to stop.
    stopped: bool,
}

impl Conductor {
    fn conduct(&mut self) {
        while !(self.to_target.is_over() && self.to_stdout.is_over()) {
            if let Some(event) = self.next_event() {
                self.handle(event);
            }
            if self
                .deadline
                .is_some_and(|deadline| deadline <= Instant::now())
            {
                if self.stopped {
                    break;
                }
                self.stop();
            }
        }
    }

    /// The next event, or `None` if the time is over first.
    fn next_event(&self) -> Option<Event> {
        let Some(deadline) = self.deadline else {
            return self.events.recv().ok();
        };
        let left = deadline.saturating_duration_since(Instant::now());
        self.events.recv_timeout(left).ok()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::ReadEnded(way, end) => self.read_ended(way, end),
            Event::WriterEnded(way) => {
                if let Some(end) = self.lane(way).ends() {
                    self.writer_ended(way, &end);
                }
            }
            Event::TargetGone => self.to_target.stop_reading(),
            Event::Signal(signal) if self.interrupted.is_none() => {
                self.interrupted = Some(signal);
                self.wind_down();
            }
            Event::Signal(_) => self.stop(),
        }
    }

    fn read_ended(&mut self, way: Way, end: ReadEnd) {
        let is_eof = matches!(end, ReadEnd::Eof);
        // Of one that only obeys, the end is nobody's wish.
        if !matches!(end, ReadEnd::Stopped) {
            self.ended_first.get_or_insert(way);
        }
        if way == Way::ToStdout && is_eof {
            self.watch_target();
        }
        self.lane(way).read_end = Some(end);
        let ends_all = match self.exit_on_eof {
            None => false,
            Some(Who::Stdin) => way == Way::ToTarget,
            Some(Who::Target) => way == Way::ToStdout,
            Some(Who::Either) => true,
        };
        if is_eof && ends_all {
            self.wind_down();
        }
    }

    fn writer_ended(&mut self, way: Way, end: &End) {
        let has_failed = matches!(end, End::Failed(_));
        self.lane(way).stop_reading();
        match way {
            Way::ToTarget => {
                if let Err(error) = self.connection.end_writing() {
                    say(&format!(
                        "{} cannot be told that this was all: {error}",
                        self.to_target.to
                    ));
                }
            }
            // What the target says has nowhere to go.
            Way::ToStdout if has_failed => self.wind_down(),
            Way::ToStdout => {}
        }
    }

    /// A target that has said its last may listen on. If it does not, nobody takes what
    /// comes from standard input, which may never end by itself.
    fn watch_target(&self) {
        let (connection, events) = (self.connection.clone(), self.sender.clone());
        let watching = move || {
            if connection.wait_until_gone() {
                let _ = events.send(Event::TargetGone);
            }
        };
        // Without it, the next write tells.
        let _ = thread::Builder::new().name("target".into()).spawn(watching);
    }

    fn wind_down(&mut self) {
        self.to_target.stop_reading();
        self.to_stdout.stop_reading();
        if self.deadline.is_none() {
            self.deadline = Instant::now().checked_add(self.linger);
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.deadline = Instant::now().checked_add(GRACE);
        self.to_target.stop();
        self.to_stdout.stop();
    }

    fn lane(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::ToTarget => &mut self.to_target,
            Way::ToStdout => &mut self.to_stdout,
        }
    }

    fn report(&self, duration: Duration) -> Report {
        Report {
            to_target: WayReport::of(&self.to_target),
            to_stdout: WayReport::of(&self.to_stdout),
            ended_first: self.ended_first,
            interrupted: self.interrupted,
            duration,
        }
    }
}
