//! The rate over the size of the messages, for the picture.

use std::io;

use super::{reference, seconds, stream};
use crate::args::Options;
use crate::contenders::names;
use crate::measure::{median, ratios};
use crate::plot::{Axes, Lines, Picture};
use crate::report::{Findings, Table, bytes, digits};
use crate::rounds::interleaved;

const SIZES: [usize; 9] = [
    16,
    64,
    256,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
];
const PIPE: usize = 1 << 20;

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let total: u64 = options.load(256 << 20, 4 << 20);
    let most: u64 = options.load(500_000, 10_000);
    let names = names(|_| true);
    let mut findings = Findings::default();
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = names
        .iter()
        .map(|&name| (name.to_owned(), Vec::new()))
        .collect();
    let title = format!(
        "Times raw over the size of a message, pipe of {}",
        bytes(PIPE as u64)
    );
    let mut columns = vec!["size", "raw, MB/s"];
    columns.extend(&names[1..]);
    let mut table = Table::new(title, &columns);
    for size in SIZES {
        let messages = (total / size as u64).clamp(8, most);
        let trial = |name| stream(name, size, messages, PIPE);
        let all = interleaved(&names, options.rounds(), trial)?;
        let megabytes = messages as f64 * size as f64 / 1e6;
        let raw = reference(&all, |ran| ran.seconds);
        let mut row = vec![bytes(size as u64), digits(megabytes / median(&raw))];
        for (series, (_, line)) in all.iter().zip(&mut lines) {
            let times = series.figures(|ran| ran.seconds);
            line.push((size as f64, megabytes / median(&times)));
            if series.name != names[0] {
                row.push(digits(median(&ratios(&raw, &times))));
            }
        }
        table.rows.push(row);
        findings.figures.extend(seconds(&bytes(size as u64), &all));
    }
    findings.tables.push(table);
    findings.pictures.push(Picture::Lines(Lines {
        file: "sizes".into(),
        title: "Rate over the size of a message (pipe of 1 MiB)".into(),
        x: "message size, bytes",
        y: "MB/s",
        axes: Axes::Bytes,
        lines,
    }));
    Ok(findings)
}
