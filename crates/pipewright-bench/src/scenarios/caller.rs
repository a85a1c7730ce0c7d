//! What a send costs its caller while the reader stalls for a second, and what is held
//! in memory meanwhile.
//!
//! Messages are sent at a steady pace, whatever becomes of those before. All are
//! delivered in the end. Contenders that cannot be called from another thread without
//! a queue of somebody else's are not here.

use std::io;

use crate::args::Options;
use crate::contenders::names;
use crate::measure::{median, quantile};
use crate::reader::Streamed;
use crate::report::{Figures, Findings, Table, digits};
use crate::role;
use crate::rounds::interleaved;
use crate::trial::{Called, Load, Trial};

const SIZE: usize = 64;
/// Longer is a stall: nobody who draws a picture or serves a request has it to spare.
const STALL_NS: f64 = 1e6;

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let stall_ms = options.load(1000, 50);
    let pace_ns = 4000;
    let messages = stall_ms * 1_000_000 / pace_ns;
    let trial = |name: &str| {
        let called: Called = role::measure(Trial {
            contender: name.to_owned(),
            load: Load::Call {
                stream: Streamed {
                    size: SIZE,
                    warm_up: 0,
                    messages,
                    stall_ms,
                },
                pace_ns,
            },
        })?;
        let mut sorted: Vec<_> = called.calls.iter().map(|&time| f64::from(time)).collect();
        sorted.sort_by(f64::total_cmp);
        Ok((sorted, called.memory))
    };
    let able = names(|contender| contender.call.is_some());
    let all = interleaved(&able, options.rounds(), trial)?;

    let columns = [
        "",
        "p50, ns",
        "p99, ns",
        "max, ns",
        "calls over 1 ms",
        "held, MiB",
    ];
    let title = format!(
        "A call with {SIZE} bytes, {messages} calls, one every {} µs, while the reader stalls for {stall_ms} ms",
        pace_ns / 1000
    );
    let mut table = Table::new(title, &columns);
    let mut findings = Findings::default();
    for series in &all {
        let figures = [
            (
                "p50, ns",
                series.figures(|(sorted, _)| quantile(sorted, 500)),
            ),
            (
                "p99, ns",
                series.figures(|(sorted, _)| quantile(sorted, 990)),
            ),
            (
                "max, ns",
                series.figures(|(sorted, _)| quantile(sorted, 1000)),
            ),
            (
                "calls over 1 ms",
                series.figures(|(sorted, _)| stalls(sorted)),
            ),
            (
                "held, MiB",
                series.figures(|(_, memory)| mebibytes(*memory)),
            ),
        ];
        let mut row = vec![series.name.to_owned()];
        for (unit, values) in figures {
            row.push(digits(median(&values)));
            findings.figures.push(Figures {
                case: "reader stalls".into(),
                contender: series.name.to_owned(),
                unit,
                values,
            });
        }
        table.rows.push(row);
    }
    table.notes.push(
        "The time of two looks at the clock is taken off, so 0 is less than can be seen. \
         Held is the highest that the process grew by."
            .into(),
    );
    findings.tables.push(table);
    Ok(findings)
}

fn stalls(sorted: &[f64]) -> f64 {
    sorted.iter().filter(|&&time| time > STALL_NS).count() as f64
}

fn mebibytes(memory: Option<u64>) -> f64 {
    memory.map_or(f64::NAN, |bytes| bytes as f64 / f64::from(1 << 20))
}
