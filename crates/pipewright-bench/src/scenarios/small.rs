//! 64-byte messages: how many a second, and what a million costs the processors.

use std::io;

use super::{rates, seconds, stream};
use crate::args::Options;
use crate::contenders::names;
use crate::measure::median;
use crate::report::{Figures, Findings, bytes, digits};
use crate::rounds::{Series, interleaved};
use crate::trial::Ran;

const SIZE: usize = 64;
const PIPES: [usize; 2] = [1 << 20, 64 << 10];
/// On Wine, a contender with a system call for each takes a tenth of a millisecond.
const MESSAGES: u64 = if cfg!(windows) { 200_000 } else { 1_000_000 };

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let messages = options.load(MESSAGES, 20_000);
    let millions = messages as f64 / 1e6;
    let names = names(|_| true);
    let mut findings = Findings::default();
    for pipe in PIPES {
        let trial = |name| stream(name, SIZE, messages, pipe);
        let all = interleaved(&names, options.rounds(), trial)?;
        let case = format!("pipe of {}", bytes(pipe as u64));
        let title = format!("{messages} messages of {SIZE} bytes, {case}");
        let mut table = rates(title, &all, millions, "M messages/s");
        table.columns.push("CPU s/M messages".into());
        let cpu = |series: &Series<Ran>| {
            series.figures(|ran| ran.cpu_seconds.unwrap_or(f64::NAN) / millions)
        };
        for (row, series) in table.rows.iter_mut().zip(&all) {
            row.push(digits(median(&cpu(series))));
        }
        findings.tables.push(table);
        findings.figures.extend(seconds(&case, &all));
        findings.figures.extend(all.iter().map(|series| Figures {
            case: case.clone(),
            contender: series.name.to_owned(),
            unit: "CPU s/M messages",
            values: cpu(series),
        }));
    }
    Ok(findings)
}
