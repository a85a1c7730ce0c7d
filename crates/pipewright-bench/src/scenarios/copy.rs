//! Standard input to standard output, between two pipes, next to no tool at all.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use crate::args::Options;
use crate::measure::{median, ratios};
use crate::os;
use crate::report::{Figures, Findings, Table, bytes, digits, ratio};
use crate::role::Role;
use crate::rounds::interleaved;
use crate::tools::{self, Sink, Took};

const NONE: &str = "no tool";
const COPYING: &str = "pipewright";
const SPLICING: &str = "pipewright --splice";
const TOOLS: [(&str, &[&str]); 3] = [("cat", &[]), ("tee", &[]), ("pv", &["-q"])];

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let total: u64 = options.load(2 << 30, 16 << 20);
    let command = tools::pipewright_command(options)?;
    let mut names = vec![NONE, COPYING, SPLICING];
    names.extend(
        TOOLS
            .map(|(name, _)| name)
            .iter()
            .filter(|name| tools::installed(name).is_some()),
    );
    let trial = |name: &'static str| {
        let tool = match name {
            NONE => None,
            COPYING => {
                let mut tool = Command::new(&command);
                tool.arg("-");
                Some(tool)
            }
            SPLICING => {
                let mut tool = Command::new(&command);
                tool.args(["--splice", "-"]);
                Some(tool)
            }
            _ => {
                let mut tool = Command::new(name);
                let arguments = TOOLS.iter().find(|(tool, _)| *tool == name);
                tool.args(
                    arguments
                        .map(|(_, arguments)| *arguments)
                        .unwrap_or_default(),
                );
                Some(tool)
            }
        };
        copy(tool, total)
    };
    let all = interleaved(&names, options.rounds(), trial)?;

    let title = format!(
        "{} through a tool, between two pipes of 64 KiB",
        bytes(total)
    );
    let mut table = Table::new(title, &["", "rate, of no tool's", "quartiles", "GB/s"]);
    let mut findings = Findings::default();
    let reference = all[0].values.clone();
    for series in all {
        let [middle, quartiles] = ratio(&ratios(&reference, &series.values));
        let rate = digits(total as f64 / 1e9 / median(&series.values));
        table
            .rows
            .push(vec![series.name.into(), middle, quartiles, rate]);
        findings.figures.push(Figures {
            case: "copy".into(),
            contender: series.name.into(),
            unit: "s",
            values: series.values,
        });
    }
    findings.tables.push(table);
    Ok(findings)
}

/// Seconds until the last byte is through.
fn copy(tool: Option<Command>, total: u64) -> io::Result<f64> {
    let mut sink = Role::Sink(Sink {
        fifo: None,
        rate: None,
    })
    .command()?;
    let (input, output) = io::pipe()?;
    sink.stdin(OwnedFd::from(input)).stdout(Stdio::piped());
    let child = sink.spawn()?;
    drop(sink);
    let begun = os::now();
    let status = match tool {
        Some(tool) => tools::feed(tool, total, |tool| {
            tool.stdout(OwnedFd::from(output));
        })?,
        None => tools::start_source(total, output.into())?.wait()?,
    };
    let took: Took = serde_json::from_slice(&child.wait_with_output()?.stdout)?;
    if took.bytes != total || !status.success() {
        return Err(io::Error::other(format!(
            "{} of {total} bytes came through ({status})",
            took.bytes
        )));
    }
    Ok(took.at.saturating_sub(begun) as f64 / 1e9)
}
