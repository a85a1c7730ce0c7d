//! Very many pipes at once, a little into each.
//!
//! Linux gives a user's pipes beyond the first 1,024 smaller buffers, unless the user
//! is root (man page pipe(7), "/proc/sys/fs/pipe-user-pages-soft"); that changes what
//! is measured, so the table says for whom it was.

use std::io;

use super::{reference, seconds};
use crate::args::Options;
use crate::contenders::names;
use crate::measure::{median, ratios};
use crate::os;
use crate::plot::{Axes, Lines, Picture};
use crate::report::{Findings, Table, bytes, digits, ratio};
use crate::role;
use crate::rounds::{Series, interleaved};
use crate::trial::{Load, Ran, Trial};

const CHUNKS: usize = 64;
const CHUNK: usize = 4 << 10;

#[cfg(unix)]
const PIPES: &[usize] = &[10, 100, 1_000, 10_000];
/// A named pipe has at most 254 instances, but here each has a name of its own; Wine
/// serves each reader by a thread.
#[cfg(windows)]
const PIPES: &[usize] = &[16, 64, 256];
const QUICK: &[usize] = &[10, 50];

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let mut findings = Findings::default();
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for &wanted in options.load(PIPES, QUICK) {
        let pipes = os::most_pipes(wanted);
        let names = names(|contender| contender.many.is_some() && contender.most >= pipes);
        let trial = |name: &str| {
            role::measure(Trial {
                contender: name.to_owned(),
                load: Load::Many {
                    pipes,
                    chunks: CHUNKS,
                    chunk: CHUNK,
                },
            })
        };
        let all: Vec<Series<Ran>> = interleaved(&names, options.rounds(), trial)?;
        let mut table = table(pipes, &all);
        if pipes < wanted {
            table.notes.push(format!(
                "{wanted} pipes cannot be had: this process may have no more descriptors."
            ));
        }
        findings.tables.push(table);
        findings
            .figures
            .extend(seconds(&format!("{pipes} pipes"), &all));
        for series in &all {
            let point = (
                pipes as f64,
                median(&series.figures(|ran| ran.seconds)) * 1e3,
            );
            match lines.iter_mut().find(|(name, _)| name == series.name) {
                Some((_, line)) => line.push(point),
                None => lines.push((series.name.to_owned(), vec![point])),
            }
        }
    }
    findings.pictures.push(Picture::Lines(Lines {
        file: "many".into(),
        title: format!("{} into each of many pipes", bytes((CHUNKS * CHUNK) as u64)),
        x: "pipes",
        y: "ms until all is read",
        axes: Axes::Counts,
        lines,
    }));
    Ok(findings)
}

fn table(pipes: usize, all: &[Series<Ran>]) -> Table {
    let title = format!(
        "{pipes} pipes, {CHUNKS} chunks of {} into each",
        bytes(CHUNK as u64)
    );
    let columns = [
        "",
        "time, of raw's",
        "quartiles",
        "s",
        "threads",
        "held, MiB",
    ];
    let mut table = Table::new(title, &columns);
    let raw = reference(all, |ran| ran.seconds);
    let figure = |value: Option<u64>| value.map_or(f64::NAN, |value| value as f64);
    for series in all {
        let times = series.figures(|ran| ran.seconds);
        let [middle, quartiles] = ratio(&ratios(&times, &raw));
        let threads = median(&series.figures(|ran| figure(ran.threads)));
        let held = median(&series.figures(|ran| figure(ran.memory))) / f64::from(1 << 20);
        let threads = if threads.is_nan() {
            "–".into()
        } else {
            format!("{threads}")
        };
        let row = vec![
            series.name.into(),
            middle,
            quartiles,
            digits(median(&times)),
            threads,
            digits(held),
        ];
        table.rows.push(row);
    }
    if let Some(note) = os::note_on_many_pipes() {
        table.notes.push(note);
    }
    table
}
