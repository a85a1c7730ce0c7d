//! What went each way, and who ended first.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::way::{Lane, ReadEnd, Way};
use crate::args::StatsFormat;
use crate::os::Signal;
use crate::outlet::End;
use crate::report::Status;

/// How a relay went.
pub(crate) struct Report {
    pub(super) to_target: WayReport,
    pub(super) to_stdout: WayReport,
    pub(super) ended_first: Option<Way>,
    pub(super) interrupted: Option<Signal>,
    pub(super) duration: Duration,
}

/// How one direction fared. Counts are bytes, `read = written + unsent + in_doubt`.
#[derive(Serialize)]
pub(super) struct WayReport {
    #[serde(skip)]
    from: String,
    #[serde(skip)]
    to: String,
    read: u64,
    written: u64,
    unsent: u64,
    in_doubt: u64,
    /// How the reading ended: `eof`, `stopped` or `failed`.
    end: &'static str,
    error: Option<String>,
    #[serde(skip)]
    read_failed: bool,
}

impl WayReport {
    pub(super) fn of(lane: &Lane) -> Self {
        let (written, in_doubt) = lane.bytes_written();
        let read = lane.bytes_read();
        let (end, read_error) = match &lane.read_end {
            Some(ReadEnd::Eof) => ("eof", None),
            Some(ReadEnd::Stopped) | None => ("stopped", None),
            Some(ReadEnd::Failed(error)) => ("failed", Some(error)),
        };
        let write_error = match &lane.end {
            Some(End::Failed(cause)) => Some(cause.in_words(&lane.to)),
            _ => None,
        };
        WayReport {
            from: lane.from.clone(),
            to: lane.to.clone(),
            read,
            written,
            unsent: read.saturating_sub(written + in_doubt),
            in_doubt,
            end,
            error: read_error
                .map(|error| format!("{} cannot be read: {error}", lane.from))
                .or(write_error),
            read_failed: read_error.is_some(),
        }
    }

    fn lost(&self) -> u64 {
        self.unsent + self.in_doubt
    }

    /// What is to be said if not all went well.
    fn complaint(&self) -> Option<String> {
        if self.error.is_none() && self.lost() == 0 {
            return None;
        }
        let mut said = match &self.error {
            Some(error) => format!("{error}; "),
            None => "stopped before it was done; ".to_owned(),
        };
        let _ = write!(said, "{} got {} bytes", self.to, self.written);
        for (count, what) in [
            (self.unsent, "were read and not written"),
            (self.in_doubt, "are in doubt"),
        ] {
            if count > 0 {
                let _ = write!(said, ", {count} more {what}");
            }
        }
        Some(said)
    }

    fn in_words(&self) -> String {
        let WayReport {
            from,
            to,
            read,
            written,
            ..
        } = self;
        let mut words = format!("{from} to {to}: {read} bytes read, {written} written");
        if self.in_doubt > 0 {
            let _ = write!(words, ", {} in doubt", self.in_doubt);
        }
        words
    }
}

impl Report {
    pub(crate) fn status(&self) -> Status {
        let ways = [&self.to_target, &self.to_stdout];
        if let Some(signal) = self.interrupted {
            Status::Interrupted(signal)
        } else if ways.iter().any(|way| way.read_failed) {
            Status::Input
        } else if ways.iter().any(|way| way.lost() > 0 || way.error.is_some()) {
            Status::Sink
        } else {
            Status::Success
        }
    }

    /// What is to be said if not all went well.
    pub(crate) fn complaints(&self) -> impl Iterator<Item = String> {
        [&self.to_target, &self.to_stdout]
            .into_iter()
            .filter_map(WayReport::complaint)
    }

    /// Writes the account.
    pub(crate) fn write(&self, format: StatsFormat, to: &mut dyn Write) -> io::Result<()> {
        let mut all = match format {
            StatsFormat::Json => serde_json::to_string(&Stats {
                to_target: &self.to_target,
                to_stdout: &self.to_stdout,
                ended_first: self.ended_first.map(who),
                duration_seconds: self.duration.as_secs_f64(),
                signal: self.interrupted.map(|signal| signal.name),
                exit_status: self.status().code(),
            })?,
            StatsFormat::Text => format!(
                "{}\n{}\n{} ended first; {:.1} s",
                self.to_target.in_words(),
                self.to_stdout.in_words(),
                self.ended_first.map_or("nobody", who),
                self.duration.as_secs_f64(),
            ),
        };
        all.push('\n');
        to.write_all(all.as_bytes())
    }
}

/// The side that a direction comes from.
fn who(way: Way) -> &'static str {
    match way {
        Way::ToTarget => "stdin",
        Way::ToStdout => "target",
    }
}

#[derive(Serialize)]
struct Stats<'a> {
    to_target: &'a WayReport,
    to_stdout: &'a WayReport,
    ended_first: Option<&'static str>,
    duration_seconds: f64,
    signal: Option<&'static str>,
    exit_status: u8,
}
