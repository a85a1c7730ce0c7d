//! `--progress`: how far everything is, while it runs.
//!
//! The numbers come in as a [`Snapshot`], with the time; `meter` makes rates of
//! them, `lines` makes text; only [`View`] knows about terminals. It is driven by
//! the conductor, which waits for nobody: a report comes also while every sink is
//! stalled.

mod lines;
mod meter;

use std::env;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::os;
use crate::report::say;
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

struct Bars {
    all: MultiProgress,
    /// One for each sink, and one for the total. None until the first is drawn:
    /// what is over by then needs no progress.
    bars: Vec<ProgressBar>,
}

impl View {
    /// `writes_to_terminal`: a sink writes to a terminal as well.
    pub(crate) fn new(when: When, sinks: usize, writes_to_terminal: bool, now: Instant) -> View {
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        let can_draw = io::stderr().is_terminal() && !is_dumb;
        let surface = match when {
            When::Never => Surface::Nothing,
            When::Plain => Surface::Lines,
            When::Auto if !can_draw || writes_to_terminal => Surface::Nothing,
            When::Always if !can_draw => Surface::Lines,
            When::Auto | When::Always => Surface::Bars(Bars {
                all: MultiProgress::with_draw_target(ProgressDrawTarget::stderr()),
                bars: Vec::new(),
            }),
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
            Surface::Bars(bars) if os::may_draw() => bars.draw(&lines),
            Surface::Bars(_) => {}
        }
    }

    /// Shows how it ended, if anything was shown before.
    pub(crate) fn end(&mut self, snapshot: &Snapshot<'_>, now: Instant) {
        match &self.surface {
            Surface::Bars(bars) if bars.bars.is_empty() => {}
            _ => self.show(snapshot, now),
        }
        if let Surface::Bars(bars) = &self.surface {
            // They stay on the screen as they are.
            bars.bars.iter().for_each(ProgressBar::abandon);
        }
    }

    /// Says something, without spoiling what is drawn.
    pub(crate) fn say(&self, message: &str) {
        match &self.surface {
            Surface::Bars(bars) if os::may_draw() => bars.all.suspend(|| say(message)),
            _ => say(message),
        }
    }

    /// The terminal is somebody else's until [`come_back`](Self::come_back).
    pub(crate) fn leave(&mut self) {
        self.next = None;
        if let Surface::Bars(bars) = &self.surface {
            // If the terminal is gone, so is what was drawn.
            let _ = bars.all.clear();
        }
    }

    /// The terminal shows anything now: what is drawn begins where the cursor is.
    pub(crate) fn come_back(&mut self, now: Instant) {
        if let Surface::Bars(bars) = &self.surface {
            bars.all.set_draw_target(ProgressDrawTarget::stderr());
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

impl Bars {
    fn draw(&mut self, lines: &[String]) {
        if self.bars.is_empty() {
            // A template without a mistake in it.
            let style = ProgressStyle::with_template("{wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = |_| {
                let bar = ProgressBar::new_spinner().with_style(style.clone());
                self.all.add(bar)
            };
            self.bars = lines.iter().map(bar).collect();
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line.clone());
            bar.force_draw();
        }
    }
}
