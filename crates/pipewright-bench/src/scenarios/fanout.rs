//! One input to four sinks: how fast; and with one slow sink, when the other three are
//! done.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::args::Options;
use crate::measure::{median, ratios};
use crate::os;
use crate::plot::{Bars, Picture};
use crate::report::{Figures, Findings, Table, bytes, digits, ratio};
use crate::role::Role;
use crate::rounds::{Series, interleaved};
use crate::tools::{self, Sinks, Took};

const SINKS: usize = 4;
/// What the slow sink takes in a second.
const SLOW: u64 = 40_000_000;

const LOOP: &str = "loop by hand";
/// Only Linux has it.
const TEE: &str = "tee(2) by hand";
const PLAIN: &str = "pipewright";
/// The tools of others, and the package that must be there.
const TOOLS: [(&str, &str); 4] = [
    ("tee", "tee"),
    ("pv and tee", "pv"),
    ("mbuffer", "mbuffer"),
    ("pee", "pee"),
];
/// Ways to treat the slow sink: what is said about it, before its name.
const POLICIES: [(&str, &str); 4] = [
    ("pipewright, wait", ""),
    ("pipewright, wait, buffer of 1G", "buffer=1G@"),
    ("pipewright, drop-newest", "on-full=drop-newest@"),
    ("pipewright, detach", "on-full=detach@"),
];

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let command = tools::pipewright_command(options)?;
    let mut findings = Findings::default();
    all_fast(options, &command, &mut findings)?;
    one_slow(options, &command, &mut findings)?;
    Ok(findings)
}

fn others() -> impl Iterator<Item = &'static str> {
    let installed = TOOLS
        .iter()
        .filter(|(_, program)| tools::installed(program).is_some());
    let by_hand = [LOOP]
        .into_iter()
        .chain(cfg!(target_os = "linux").then_some(TEE));
    by_hand.chain(installed.map(|(name, _)| *name))
}

/// Seconds until each sink has its last byte, and how much it got.
struct Ended {
    seconds: Vec<f64>,
    bytes: Vec<u64>,
}

fn all_fast(options: &Options, command: &Path, findings: &mut Findings) -> io::Result<()> {
    let total: u64 = options.load(1 << 30, 8 << 20);
    let names: Vec<_> = others().chain([PLAIN]).collect();
    let trial = |name| {
        let ended = fan_out(name, command, total, None)?;
        match ended.bytes.iter().find(|&&bytes| bytes != total) {
            Some(bytes) => Err(io::Error::other(format!(
                "a sink got {bytes} of {total} bytes"
            ))),
            None => Ok(last(&ended.seconds)),
        }
    };
    let all = interleaved(&names, options.rounds(), trial)?;
    let title = format!("{} to {SINKS} sinks, until the last has it", bytes(total));
    let columns = ["", "rate, of the loop's", "quartiles", "s", "GB/s to each"];
    let mut table = Table::new(title, &columns);
    for series in &all {
        let [middle, quartiles] = ratio(&ratios(&all[0].values, &series.values));
        let seconds = median(&series.values);
        let rate = digits(total as f64 / 1e9 / seconds);
        table.rows.push(vec![
            series.name.into(),
            middle,
            quartiles,
            digits(seconds),
            rate,
        ]);
        findings
            .figures
            .push(figures("all fast", series, |seconds| *seconds));
    }
    findings.tables.push(table);
    Ok(())
}

fn one_slow(options: &Options, command: &Path, findings: &mut Findings) -> io::Result<()> {
    let total: u64 = options.load(256 << 20, 24 << 20);
    let names: Vec<_> = others().chain(POLICIES.map(|(name, _)| name)).collect();
    let trial = |name| fan_out(name, command, total, Some(SLOW));
    let all = interleaved(&names, options.rounds(), trial)?;
    let title = format!(
        "{} to {SINKS} sinks, one of which takes {} MB/s",
        bytes(total),
        SLOW / 1_000_000
    );
    let columns = [
        "",
        "fast three end, s",
        "slow one ends, s",
        "slow one got, %",
    ];
    let mut table = Table::new(title.clone(), &columns);
    let mut bars = Vec::new();
    for series in &all {
        let fast = median(&series.figures(fast_end));
        let slow = median(&series.figures(slow_end));
        let share = series.figures(|ended| ended.bytes[SINKS - 1] as f64 * 100.0 / total as f64);
        table.rows.push(vec![
            series.name.into(),
            digits(fast),
            digits(slow),
            digits(median(&share)),
        ]);
        bars.push((series.name.to_owned(), [fast, slow]));
        findings
            .figures
            .push(figures("one slow: the fast three end", series, fast_end));
        findings
            .figures
            .push(figures("one slow: the slow one ends", series, slow_end));
        if let Some(bytes) = series
            .values
            .iter()
            .flat_map(|e| &e.bytes[..SINKS - 1])
            .find(|&&bytes| bytes != total)
        {
            return Err(io::Error::other(format!(
                "{}: a fast sink got {bytes} of {total} bytes",
                series.name
            )));
        }
    }
    findings.tables.push(table);
    findings.pictures.push(Picture::Bars(Bars {
        file: "fanout".into(),
        title,
        x: "seconds until the last byte",
        parts: ["the three fast sinks", "the slow sink"],
        bars,
    }));
    Ok(())
}

fn last(seconds: &[f64]) -> f64 {
    seconds.iter().copied().fold(0.0, f64::max)
}

fn fast_end(ended: &Ended) -> f64 {
    last(&ended.seconds[..SINKS - 1])
}

fn slow_end(ended: &Ended) -> f64 {
    ended.seconds[SINKS - 1]
}

fn figures<T>(case: &str, series: &Series<T>, figure: impl FnMut(&T) -> f64) -> Figures {
    Figures {
        case: case.to_owned(),
        contender: series.name.to_owned(),
        unit: "s",
        values: series.figures(figure),
    }
}

fn fan_out(name: &str, command: &Path, total: u64, slow: Option<u64>) -> io::Result<Ended> {
    let mut sinks = Sinks::new(SINKS)?;
    let fifos = sinks.fifos();
    let tool = match name {
        // The only one that starts its sinks itself.
        "pee" => {
            let mut tool = Command::new("pee");
            tool.args(sinks.shell(slow)?);
            tool
        }
        _ => {
            sinks.start(slow)?;
            call(name, command, &fifos)?
        }
    };
    let begun = os::now();
    let status = tools::feed(tool, total, |tool| {
        tool.stdout(Stdio::null());
    })?;
    let took = sinks.took()?;
    // A policy that gives up a sink, or drops something, ends with 1.
    let lossy = POLICIES.iter().any(|(policy, _)| *policy == name);
    let fine = status.success() || (lossy && status.code() == Some(1));
    if !fine {
        return Err(io::Error::other(format!("the tool failed: {status}")));
    }
    let seconds = |took: &Took| took.at.saturating_sub(begun) as f64 / 1e9;
    Ok(Ended {
        seconds: took.iter().map(seconds).collect(),
        bytes: took.iter().map(|took| took.bytes).collect(),
    })
}

/// How a tool is told to write to all of the FIFOs, and to nothing else.
fn call(name: &str, command: &Path, fifos: &[PathBuf]) -> io::Result<Command> {
    let with = |program: &Path, arguments: &[&str]| {
        let mut tool = Command::new(program);
        tool.args(arguments);
        tool
    };
    let shell = |script: &str| {
        let mut tool = with(Path::new("sh"), &["-c", script, "sh"]);
        tool.args(fifos);
        tool
    };
    if let Some((_, options)) = POLICIES.iter().find(|(policy, _)| *policy == name) {
        let (fast, slow) = fifos.split_at(SINKS - 1);
        let mut tool = with(command, &[]);
        tool.args(fast);
        tool.args(
            slow.iter()
                .map(|slow| format!("{options}{}", slow.display())),
        );
        return Ok(tool);
    }
    Ok(match name {
        LOOP => Role::Loop(fifos.to_vec()).command()?,
        #[cfg(target_os = "linux")]
        TEE => Role::Tee(fifos.to_vec()).command()?,
        PLAIN => {
            let mut tool = Command::new(command);
            tool.args(fifos);
            tool
        }
        // Its last sink is its standard output.
        "tee" => shell(r#"exec tee "$1" "$2" "$3" > "$4""#),
        "pv and tee" => shell(r#"pv -q | exec tee "$1" "$2" "$3" > "$4""#),
        "mbuffer" => {
            let mut tool = with(Path::new("mbuffer"), &["-q", "-m", "16M"]);
            for fifo in fifos {
                tool.args(["-f", "-o"]).arg(fifo);
            }
            tool
        }
        _ => return Err(io::Error::other(format!("there is no tool '{name}'"))),
    })
}
