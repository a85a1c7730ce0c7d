//! One message into an idle pipe: from before it is sent until after it is read.
//!
//! The next message is sent when the reader has answered the one before, at once or
//! after a pause that lets the cores go idle. Whether the reader's core has to be woken
//! decides more than the writer does, so writer and reader are measured on a core each,
//! and both on one. Where the system cannot choose, they are where it puts them.

use std::io;

use crate::args::Options;
use crate::contenders::{RAW, names};
use crate::measure::{quantile, ratios};
use crate::os;
use crate::plot::{Axes, Lines, Picture};
use crate::report::{Figures, Findings, Table, digits, ratio};
use crate::role;
use crate::rounds::{Series, interleaved};
use crate::trial::{Delays, Load, Pings, Trial};

const SIZE: usize = 64;
const PAUSES_US: [u64; 2] = [0, 300];
/// Of a line in the picture, in thousandths.
const STEP: usize = 5;

/// Where writer and reader are.
#[derive(Clone, Copy)]
struct Placed {
    name: &'static str,
    cores: Option<(usize, usize)>,
}

fn placements() -> Vec<Placed> {
    let placed = |name, cores| Placed { name, cores };
    match os::cores()[..] {
        [first, second, ..] => vec![
            placed("two cores", Some((first, second))),
            placed("one core", Some((first, first))),
        ],
        [only] => vec![placed("one core", Some((only, only)))],
        [] => vec![placed("any cores", None)],
    }
}

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let mut findings = Findings::default();
    for placed in placements() {
        for pause_us in PAUSES_US {
            measure(options, placed, pause_us, &mut findings)?;
        }
    }
    Ok(findings)
}

fn measure(
    options: &Options,
    placed: Placed,
    pause_us: u64,
    findings: &mut Findings,
) -> io::Result<()> {
    let pings = Pings {
        warm_up: options.load(200, 10),
        messages: options.load(2000, 50),
        size: SIZE,
        pause_us,
        cores: placed.cores,
    };
    let trial = |name: &str| {
        let mut delays: Delays = role::measure(Trial {
            contender: name.to_owned(),
            load: Load::Latency(pings.clone()),
        })?;
        delays.sort_unstable();
        let microseconds = delays.iter().map(|&delay| delay as f64 / 1e3);
        Ok(microseconds.collect::<Vec<_>>())
    };
    let all = interleaved(
        &names(|contender| contender.prompt),
        options.rounds(),
        trial,
    )?;
    let pauses = match pause_us {
        0 => "back to back".to_owned(),
        _ => format!("{pause_us} µs apart"),
    };
    let case = format!("{}, {pauses}", placed.name);
    findings.tables.push(table(&case, &all));
    for series in &all {
        for (permille, unit) in [(500, "p50, µs"), (990, "p99, µs")] {
            findings.figures.push(Figures {
                case: case.clone(),
                contender: series.name.to_owned(),
                unit,
                values: series.figures(|sorted| quantile(sorted, permille)),
            });
        }
    }
    findings.pictures.push(Picture::Lines(Lines {
        file: format!("latency-{}-{pause_us}us", placed.name.replace(' ', "-")),
        title: format!("One message into an idle pipe ({case})"),
        x: "time until it is read, µs",
        y: "messages within this time, %",
        axes: Axes::Share,
        lines: all.iter().map(distribution).collect(),
    }));
    Ok(())
}

fn table(case: &str, all: &[Series<Vec<f64>>]) -> Table {
    let columns = ["", "p50 times raw", "quartiles", "p50, µs", "p99, µs"];
    let title = format!("One message of {SIZE} bytes into an idle pipe, {case}");
    let mut table = Table::new(title, &columns);
    let p50 = |series: &Series<Vec<f64>>| series.figures(|sorted| quantile(sorted, 500));
    let raw = all
        .iter()
        .find(|series| series.name == RAW)
        .map(p50)
        .unwrap_or_default();
    for series in all {
        let mid = p50(series);
        let [middle, quartiles] = ratio(&ratios(&mid, &raw));
        let of_rounds = |permille| {
            let mut values = series.figures(|sorted| quantile(sorted, permille));
            values.sort_by(f64::total_cmp);
            digits(quantile(&values, 500))
        };
        let row = vec![
            series.name.into(),
            middle,
            quartiles,
            of_rounds(500),
            of_rounds(990),
        ];
        table.rows.push(row);
    }
    table
}

/// How many of all messages had come within a time.
fn distribution(series: &Series<Vec<f64>>) -> (String, Vec<(f64, f64)>) {
    let mut sorted: Vec<_> = series.values.concat();
    sorted.sort_by(f64::total_cmp);
    // Without the slowest half percent, which would stretch the picture.
    let points = (0..=995).step_by(STEP);
    let point = |permille| (quantile(&sorted, permille), permille as f64 / 10.0);
    (series.name.to_owned(), points.map(point).collect())
}
