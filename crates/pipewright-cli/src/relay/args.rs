//! What is typed after `pipewright relay`.

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::time::Duration;

use clap::{ArgAction, ValueEnum};

use super::Target;
use crate::args::StatsFormat;
use crate::os;
use crate::quantity;
use crate::text::printable;

/// Joins standard input and output with a socket, a pair of FIFOs or a named pipe,
/// both ways at once. When one side ends, the other may still answer.
#[derive(Debug, clap::Args)]
#[command(after_help = after(), override_usage = USAGE, verbatim_doc_comment)]
pub(crate) struct Args {
    #[arg(value_name = "TARGET", hide = true)]
    target: OsString,

    /// Wait until the target is there, for TIME or ever
    #[arg(long, value_name = "TIME", value_parser = limit)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    wait: Option<Duration>,

    /// End when stdin, the target or either has ended,
    /// and not only when both have
    #[arg(long, value_name = "WHO", hide_possible_values = true)]
    #[arg(verbatim_doc_comment)]
    exit_on_eof: Option<Who>,

    /// When stdin has ended, send an empty message, which
    /// is how pipes that keep messages say so
    #[arg(long, hide = cfg!(not(windows)), verbatim_doc_comment)]
    eof_message: bool,

    /// Time to hand on what was read, when the relay is
    /// ended before both sides have [default: 5]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    #[arg(default_value = "5", hide_default_value = true, verbatim_doc_comment)]
    linger: Duration,

    /// What may wait in each direction
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = quantity::size)]
    buffer: NonZeroU64,

    /// Say on stderr how much went each way and who ended
    /// first: text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    #[arg(verbatim_doc_comment)]
    stats: Option<StatsFormat>,

    /// Print help
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

const USAGE: &str = "pipewright relay [OPTIONS] TARGET";

/// What is told after the options; in parts the operating system's own.
fn after() -> String {
    format!(
        "\
Targets:
{targets}

{ends}

Exit status: 0 all that was read was written; 1 some was not, or there was no
target; 2 the command line makes no sense; 3 standard input or the target could
not be read to its end; {signals}

Examples:
{examples}",
        targets = os::TARGETS,
        ends = os::ENDS,
        signals = os::RELAY_SIGNALS,
        examples = os::RELAY_EXAMPLES,
    )
}

/// Whose end ends the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    /// That of standard input
    Stdin,
    /// That of what the target says
    Target,
    /// Whichever comes first
    Either,
}

/// A relay with everything settled about it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) target: Target,
    /// What the target is called in messages.
    pub(crate) name: String,
    pub(super) wait: Option<Duration>,
    pub(super) exit_on_eof: Option<Who>,
    pub(super) eof_message: bool,
    pub(super) linger: Duration,
    pub(super) buffer: u64,
    pub(crate) stats: Option<StatsFormat>,
}

impl Args {
    /// # Errors
    ///
    /// What makes no sense about the target.
    pub(crate) fn plan(self) -> Result<Plan, String> {
        Ok(Plan {
            target: Target::parse(&self.target)?,
            name: printable(&self.target),
            wait: self.wait,
            exit_on_eof: self.exit_on_eof,
            eof_message: self.eof_message,
            linger: self.linger,
            buffer: self.buffer.get(),
            stats: self.stats,
        })
    }
}

/// A time, or `always`.
fn limit(text: &str) -> Result<Duration, String> {
    if text == "always" {
        return Ok(Duration::MAX);
    }
    quantity::duration(text)
}
