//! `--stats`: the accounts, for programs and for people.
//!
//! The fields of the JSON are stable: `docs/COMMAND.md` says what each means.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use crate::args::StatsFormat;
use crate::os::{Exit, Kind};
use crate::report::{Fate, Report, SinkReport, Status};

/// Writes the accounts.
pub(crate) fn write(
    report: &Report,
    status: Status,
    format: StatsFormat,
    to: &mut dyn Write,
) -> io::Result<()> {
    let mut all = match format {
        StatsFormat::Json => serde_json::to_string(&Stats::new(report, status))?,
        StatsFormat::Text => in_words(report),
    };
    all.push('\n');
    to.write_all(all.as_bytes())
}

/// A line for each sink: what is not zero.
fn in_words(report: &Report) -> String {
    let mut words = String::new();
    for sink in &report.sinks {
        let _ = write!(
            words,
            "{}: {}; {} bytes written",
            sink.name,
            sink.fate.word(),
            sink.written
        );
        for (count, what) in [
            (sink.dropped, "dropped"),
            (sink.unsent, "unsent"),
            (sink.in_doubt, "in doubt"),
            (sink.unread, "of the written unread"),
            (sink.spliced, "of the written spliced"),
        ] {
            if count > 0 {
                let _ = write!(words, ", {count} {what}");
            }
        }
        let _ = write!(words, "; {:.1} s", sink.duration.as_secs_f64());
        if !sink.stalled.is_zero() {
            let _ = write!(
                words,
                ", {:.1} s of them stalled",
                sink.stalled.as_secs_f64()
            );
        }
        if sink.retries > 0 {
            let _ = write!(words, "; opened {} times", sink.retries + 1);
        }
        if let Some(trouble) = &sink.trouble {
            let _ = write!(words, "; {}", trouble.message);
        }
        words.push('\n');
    }
    let seconds = report.duration.as_secs_f64();
    let _ = write!(words, "total: {} bytes read in {seconds:.1} s", report.read);
    words
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
    unread: u64,
    spliced: u64,
    retries: u64,
    stalled_seconds: f64,
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
            unread: sink.unread,
            spliced: sink.spliced,
            retries: sink.retries,
            stalled_seconds: sink.stalled.as_secs_f64(),
            error: sink.trouble.as_ref().map(|trouble| &*trouble.message),
            os_error: sink.trouble.as_ref().and_then(|trouble| trouble.os_error),
            exit_status: sink.exit.and_then(Exit::status),
            exit_signal: sink.exit.and_then(Exit::signal),
            duration_seconds: sink.duration.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::os::Trouble;

    fn sink(name: &str, fate: Fate, written: u64) -> SinkReport {
        SinkReport {
            name: name.into(),
            kind: Kind::File,
            buffer: 64,
            fate,
            trouble: None,
            exit: None,
            accepted: written,
            written,
            dropped: 0,
            unsent: 0,
            in_doubt: 0,
            unread: 0,
            spliced: 0,
            retries: 0,
            stalled: Duration::ZERO,
            duration: Duration::from_millis(1500),
        }
    }

    fn report() -> Report {
        let bad = SinkReport {
            trouble: Some(Trouble::own("it broke")),
            accepted: 60,
            dropped: 40,
            unsent: 10,
            unread: 7,
            spliced: 0,
            retries: 2,
            stalled: Duration::from_secs(1),
            ..sink("tap", Fate::Failed, 50)
        };
        Report {
            sinks: vec![sink("copy", Fate::Complete, 100), bad],
            read: 100,
            interrupted: None,
            input_failed: false,
            duration: Duration::from_secs(2),
        }
    }

    #[test]
    fn the_accounts_in_words_say_what_is_not_zero() {
        let expected = "copy: complete; 100 bytes written; 1.5 s\n\
             tap: failed; 50 bytes written, 40 dropped, 10 unsent, 7 of the written unread; \
             1.5 s, 1.0 s of them stalled; opened 3 times; it broke\n\
             total: 100 bytes read in 2.0 s";
        assert_eq!(in_words(&report()), expected);
    }
}
