//! `--progress`: how far everything is, while it runs.
//!
//! The numbers come in as a [`Snapshot`], with the time; `meter` makes rates of
//! them, `lines` makes text, `bars` draws it on a terminal, which `canvas` is for
//! `indicatif`. [`View`] is driven by the conductor, which waits for nobody: a report
//! comes also while every sink is stalled.

mod bars;
mod canvas;
mod lines;
mod meter;

use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::os::{self, Screen};
use crate::report::say;
use bars::Bars;
use meter::Meter;

const REDRAWN: Duration = Duration::from_millis(200);
const REPEATED: Duration = Duration::from_secs(2);

/// When and how progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// Bars, if standard error is a terminal that nothing else is written to
    Auto,
    /// Bars, or plain lines where there is no terminal
    Always,
    /// Plain lines, now and then
    Plain,
    Never,
}

/// How far everything is.
pub(crate) struct Snapshot<'a> {
    pub(crate) sinks: Vec<SinkState<'a>>,
    /// Bytes of input so far, and in all, if that is known.
    pub(crate) read: u64,
    pub(crate) size: Option<u64>,
}

/// How far one sink is.
pub(crate) struct SinkState<'a> {
    pub(crate) name: &'a str,
    pub(crate) phase: Phase,
    pub(crate) written: u64,
    pub(crate) queued: u64,
    pub(crate) stalled_for: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nobody reads yet.
    Awaited,
    Running,
    /// It failed, and will be tried again.
    Retrying,
    /// In a word.
    Over(&'static str),
}

/// What shows it, on standard error.
pub(crate) struct View {
    surface: Surface,
    input: Meter,
    sinks: Vec<Meter>,
    next: Option<Instant>,
}

enum Surface {
    Nothing,
    Lines,
    Bars(Bars),
}

impl View {
    /// `writes_to_terminal`: a sink writes to a terminal as well.
    pub(crate) fn new(when: When, sinks: usize, writes_to_terminal: bool, now: Instant) -> View {
        let surface = match (when, Screen::of_stderr()) {
            (When::Never, _) => Surface::Nothing,
            (When::Plain, _) => Surface::Lines,
            (When::Auto, _) if writes_to_terminal => Surface::Nothing,
            (When::Auto, None) => Surface::Nothing,
            (When::Always, None) => Surface::Lines,
            (When::Auto | When::Always, Some(screen)) => Surface::Bars(Bars::new(screen)),
        };
        let mut view = View {
            surface,
            input: Meter::new(now),
            sinks: (0..sinks).map(|_| Meter::new(now)).collect(),
            next: None,
        };
        view.next = view.interval().map(|interval| now + interval);
        view
    }

    pub(crate) fn draws(&self) -> bool {
        matches!(self.surface, Surface::Bars(_))
    }

    /// When it wants to be shown the next snapshot.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(crate) fn show(&mut self, snapshot: &Snapshot<'_>, now: Instant) {
        self.next = self.interval().map(|interval| now + interval);
        self.input.note(snapshot.read, now);
        for (meter, sink) in self.sinks.iter_mut().zip(&snapshot.sinks) {
            meter.note(sink.written, now);
        }
        let lines = lines::lines(snapshot, &self.sinks, &self.input, now);
        match &mut self.surface {
            Surface::Nothing => {}
            Surface::Lines => lines.iter().for_each(|line| say(line.trim_end())),
            Surface::Bars(bars) if os::may_draw() => bars.draw(lines),
            Surface::Bars(_) => {}
        }
    }

    /// Shows how it ended, if anything was shown before.
    pub(crate) fn end(&mut self, snapshot: &Snapshot<'_>, now: Instant) {
        match &self.surface {
            // What is over by then needs no progress.
            Surface::Bars(bars) if bars.are_new() => {}
            _ => self.show(snapshot, now),
        }
    }

    /// Says something, without spoiling what is drawn.
    pub(crate) fn say(&mut self, message: &str) {
        match &mut self.surface {
            Surface::Bars(bars) if os::may_draw() => bars.suspend(|| say(message)),
            _ => say(message),
        }
    }

    /// The terminal is somebody else's until [`come_back`](Self::come_back).
    pub(crate) fn leave(&mut self) {
        self.next = None;
        if let Surface::Bars(bars) = &mut self.surface {
            bars.clear();
        }
    }

    /// The terminal shows anything now: what is drawn begins where the cursor is.
    pub(crate) fn come_back(&mut self, now: Instant) {
        if let Surface::Bars(bars) = &mut self.surface {
            bars.forget();
            self.next = Some(now);
        }
    }

    fn interval(&self) -> Option<Duration> {
        match self.surface {
            Surface::Nothing => None,
            Surface::Lines => Some(REPEATED),
            Surface::Bars(_) => Some(REDRAWN),
        }
    }
}
