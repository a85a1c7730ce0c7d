//! What is measured: one file each.

mod bulk;
mod caller;
mod latency;
mod many;
mod sizes;
mod small;

#[cfg(unix)]
mod copy;
#[cfg(unix)]
mod fanout;

use std::io;

use clap::ValueEnum;

use crate::args::Options;
use crate::contenders::RAW;
use crate::measure::{median, ratios};
use crate::reader::Streamed;
use crate::report::{Figures, Findings, Table, digits, ratio};
use crate::role;
use crate::rounds::Series;
use crate::trial::{Load, Ran, Trial};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Scenario {
    /// 64-byte messages, as fast as they are taken
    Small,
    /// The rate over the size of the messages
    Sizes,
    /// One message into an idle pipe, until it is read
    Latency,
    /// What a send costs its caller while the reader stalls
    Caller,
    /// Chunks of 64 KiB
    Bulk,
    /// Very many pipes at once
    Many,
    /// The command: one input to four sinks
    #[cfg(unix)]
    Fanout,
    /// The command: standard input to standard output
    #[cfg(unix)]
    Copy,
}

impl Scenario {
    pub(crate) fn run(self, options: &Options) -> io::Result<Findings> {
        match self {
            Scenario::Small => small::run(options),
            Scenario::Sizes => sizes::run(options),
            Scenario::Latency => latency::run(options),
            Scenario::Caller => caller::run(options),
            Scenario::Bulk => bulk::run(options),
            Scenario::Many => many::run(options),
            #[cfg(unix)]
            Scenario::Fanout => fanout::run(options),
            #[cfg(unix)]
            Scenario::Copy => copy::run(options),
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Scenario::Small => "small",
            Scenario::Sizes => "sizes",
            Scenario::Latency => "latency",
            Scenario::Caller => "caller",
            Scenario::Bulk => "bulk",
            Scenario::Many => "many",
            #[cfg(unix)]
            Scenario::Fanout => "fanout",
            #[cfg(unix)]
            Scenario::Copy => "copy",
        }
    }
}

/// One stream of equal messages through one contender. An eighth of it comes before,
/// as warm-up.
fn stream(name: &str, size: usize, messages: u64, pipe: usize) -> io::Result<Ran> {
    let stream = Streamed {
        size,
        warm_up: messages / 8,
        messages,
        stall_ms: 0,
    };
    role::measure(Trial {
        contender: name.to_owned(),
        load: Load::Stream {
            stream,
            pipe: Some(pipe),
        },
    })
}

/// The figures of the reference.
fn reference(all: &[Series<Ran>], figure: fn(&Ran) -> f64) -> Vec<f64> {
    let raw = all.iter().find(|series| series.name == RAW);
    raw.map(|raw| raw.figures(figure)).unwrap_or_default()
}

/// A table of rates: the ratio to the reference, and what the ratios are of.
/// `unit` is of `scale` per second.
fn rates(title: String, all: &[Series<Ran>], units: f64, unit: &'static str) -> Table {
    let mut table = Table::new(title, &["", "times raw", "quartiles", unit]);
    let seconds = |ran: &Ran| ran.seconds;
    let raw = reference(all, seconds);
    for series in all {
        let times = series.figures(seconds);
        let [middle, quartiles] = ratio(&ratios(&raw, &times));
        let rate = digits(units / median(&times));
        table
            .rows
            .push(vec![series.name.into(), middle, quartiles, rate]);
    }
    table
}

/// The seconds of all contenders in one case.
fn seconds(case: &str, all: &[Series<Ran>]) -> Vec<Figures> {
    let figures = |series: &Series<Ran>| Figures {
        case: case.to_owned(),
        contender: series.name.to_owned(),
        unit: "s",
        values: series.figures(|ran| ran.seconds),
    };
    all.iter().map(figures).collect()
}
