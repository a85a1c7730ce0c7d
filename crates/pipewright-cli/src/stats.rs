//! `--stats`: the accounts, for programs.
//!
//! The fields are stable: they keep their names and meanings, and others may be
//! added. All counts are bytes.
//!
//! | field of a sink | meaning |
//! | --- | --- |
//! | `name` | as on the command line, or its `name=` |
//! | `kind` | `stdout`, `file`, `fifo`, `pipe` (a named pipe of Windows), `device`, `exec`, `unix`, `listen` |
//! | `outcome` | `complete`, `dropped`, `detached`, `stopped`, `failed` |
//! | `accepted` | taken into its buffer: `written + unsent + in_doubt` |
//! | `written` | handed to the operating system, and taken by it |
//! | `dropped` | read but never accepted: its buffer was full, or it had ended. `total.read = accepted + dropped` |
//! | `unsent` | accepted, and certainly not written |
//! | `in_doubt` | accepted, and the system does not say whether it was written |
//! | `error` | what went wrong, or null |
//! | `os_error` | the system's number for it, or null |
//! | `exit_status`, `exit_signal` | how its command ended, or null |
//! | `duration_seconds` | from the start until it ended |
//!
//! | field of `total` | meaning |
//! | --- | --- |
//! | `read` | bytes of input |
//! | `accepted`, `written`, `dropped`, `unsent`, `in_doubt` | sums over the sinks |
//! | `duration_seconds` | of the whole run |
//! | `signal` | the name of the signal that ended it (on Windows `Ctrl-C`, `Ctrl-Break`, `close`, `logoff`, `shutdown`), or null |
//! | `exit_status` | of `pipewright` itself |

use std::io::Write;

use serde::Serialize;

use crate::args::StatsFormat;
use crate::os::{Exit, Kind};
use crate::report::{Fate, Report, SinkReport, Status};

/// Prints the accounts to standard error: one line.
pub(crate) fn print(report: &Report, status: Status, format: StatsFormat) {
    let StatsFormat::Json = format;
    // Strings and numbers always have a JSON form.
    let line = serde_json::to_string(&Stats::new(report, status)).unwrap_or_default();
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[derive(Serialize)]
struct Stats<'a> {
    sinks: Vec<Sink<'a>>,
    total: Total,
}

#[derive(Serialize)]
struct Sink<'a> {
    name: &'a str,
    kind: Kind,
    outcome: Fate,
    accepted: u64,
    written: u64,
    dropped: u64,
    unsent: u64,
    in_doubt: u64,
    error: Option<&'a str>,
    os_error: Option<i32>,
    exit_status: Option<i32>,
    exit_signal: Option<i32>,
    duration_seconds: f64,
}

#[derive(Serialize)]
struct Total {
    read: u64,
    accepted: u64,
    written: u64,
    dropped: u64,
    unsent: u64,
    in_doubt: u64,
    duration_seconds: f64,
    signal: Option<&'static str>,
    exit_status: u8,
}

impl<'a> Stats<'a> {
    fn new(report: &'a Report, status: Status) -> Self {
        let sum = |of: fn(&SinkReport) -> u64| report.sinks.iter().map(of).sum();
        Stats {
            sinks: report.sinks.iter().map(Sink::new).collect(),
            total: Total {
                read: report.read,
                accepted: sum(|sink| sink.accepted),
                written: sum(|sink| sink.written),
                dropped: sum(|sink| sink.dropped),
                unsent: sum(|sink| sink.unsent),
                in_doubt: sum(|sink| sink.in_doubt),
                duration_seconds: report.duration.as_secs_f64(),
                signal: report.interrupted.map(|signal| signal.name),
                exit_status: status.code(),
            },
        }
    }
}

impl<'a> Sink<'a> {
    fn new(sink: &'a SinkReport) -> Self {
        Sink {
            name: &sink.name,
            kind: sink.kind,
            outcome: sink.fate,
            accepted: sink.accepted,
            written: sink.written,
            dropped: sink.dropped,
            unsent: sink.unsent,
            in_doubt: sink.in_doubt,
            error: sink.trouble.as_ref().map(|trouble| &*trouble.message),
            os_error: sink.trouble.as_ref().and_then(|trouble| trouble.os_error),
            exit_status: sink.exit.and_then(Exit::status),
            exit_signal: sink.exit.and_then(Exit::signal),
            duration_seconds: sink.duration.as_secs_f64(),
        }
    }
}
