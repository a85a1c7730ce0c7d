//! The command line: what was typed ([`Args`]), and what it comes to ([`Plan`]).

use std::ffi::OsString;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::generate::Text;
use crate::os;
use crate::progress::When;
use crate::quantity;
use crate::relay;
use crate::spec::{InDoubt, OnFull, Spec};

/// Copies standard input to any number of sinks at once. Each has its own buffer,
/// and a slow one does not stall the others until its buffer is full.
#[derive(Debug, Parser)]
#[command(name = "pipewright", version, after_help = after(), override_usage = USAGE)]
#[command(
    disable_help_flag = true,
    disable_version_flag = true,
    disable_help_subcommand = true,
    // A command comes first. All other words are sinks.
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    help_template = TEMPLATE,
    verbatim_doc_comment
)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[arg(value_name = "SINK", required = true, hide = true)]
    sinks: Vec<OsString>,

    /// Copy this, and not standard input
    #[arg(long, value_name = "PATH")]
    input: Option<PathBuf>,

    /// Each sink's buffer, in bytes
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = quantity::size)]
    buffer: NonZeroU64,

    /// What to do when a buffer is full
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "wait",
        hide_possible_values = true
    )]
    on_full: OnFull,

    /// Drop whole lines, and send none in part
    #[arg(long)]
    lines: bool,

    /// Move bytes from pipe to pipe uncopied (Linux)
    #[arg(long)]
    splice: bool,

    /// Read at most this many bytes per second
    #[arg(long, value_name = "SIZE", value_parser = quantity::rate)]
    rate: Option<NonZeroU64>,

    /// Time that sinks have after the input's end
    /// [default: no limit] or a signal [default: 5]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    #[arg(verbatim_doc_comment)]
    linger: Option<Duration>,

    /// Time to wait for the reader of a pipe
    /// [default: no limit] or its server [default: 0]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    #[arg(verbatim_doc_comment)]
    connect_timeout: Option<Duration>,

    /// Open a sink that fails again, N times or always
    #[arg(long, value_name = "N", value_parser = quantity::times)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    retry: Option<u64>,

    /// skip or resend what a reader that died may
    /// not have read [default: skip]
    #[arg(
        long,
        value_name = "WHAT",
        default_value = "skip",
        hide_possible_values = true,
        hide_default_value = true,
        verbatim_doc_comment
    )]
    in_doubt: InDoubt,

    /// auto, always, plain (lines for logs) or never
    #[arg(long, value_name = "WHEN", hide_possible_values = true)]
    #[arg(num_args = 0..=1, require_equals = true, default_missing_value = "always")]
    #[arg(default_value = "auto", hide_default_value = true)]
    progress: When,

    /// The input's size, if it is not a file
    #[arg(long, value_name = "SIZE", value_parser = quantity::bytes)]
    size: Option<u64>,

    /// Account for every byte on stderr: text or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    stats: Option<StatsFormat>,

    /// Put the account into this file
    #[arg(long, value_name = "PATH", requires = "stats")]
    stats_file: Option<PathBuf>,

    /// Print a man page or completions
    #[arg(long, value_name = "WHAT", exclusive = true, hide = true)]
    generate: Option<Text>,

    /// Print help
    #[arg(short, long, action = ArgAction::HelpShort)]
    help: Option<bool>,

    /// Print version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Relay(relay::Args),
}

const USAGE: &str = "pipewright [OPTIONS] SINK...
       pipewright relay [OPTIONS] TARGET";

/// The usual, without a list of commands: there is one, and it is in the usage.
const TEMPLATE: &str = "\
{about-with-newline}
{usage-heading} {usage}

Options:
{options}{after-help}";

/// What is told after the options; in parts the operating system's own.
fn after() -> String {
    format!(
        "\
Sinks:
{sinks}
  NAME=VALUE,...@SINK   a sink with its own options: buffer=, connect-timeout=,
                 in-doubt=, name=, on-full=, retry=, required=yes (ends all)

Policies for full buffers (--on-full for all, on-full=...@SINK for one):
  wait           the whole copy waits for it, and nothing is lost
  drop-newest, drop-oldest   it misses what does not fit, or what has waited
                 longest; all is counted
  detach         it is given up; its command is left alone

SIZEs take K, M, G, T (powers of 1024) or KB, MB, ... (of 1000); TIMEs are in
seconds, or take ms, s, m, h.

Exit status: 0 every sink got everything; 1 some did not; 2 the command line
makes no sense; 3 the input could not be read to its end; {signals}

Examples:
{examples}",
        sinks = os::SINKS,
        examples = os::EXAMPLES,
        signals = os::SIGNALS,
    )
}

/// How statistics are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatsFormat {
    /// For people
    Text,
    /// One line with one JSON object
    Json,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) input: Option<PathBuf>,
    pub(crate) size: Option<u64>,
    pub(crate) rate: Option<NonZeroU64>,
    pub(crate) sinks: Vec<PlannedSink>,
    pub(crate) linger: Option<Duration>,
    pub(crate) progress: When,
    pub(crate) stats: Option<StatsFormat>,
    pub(crate) stats_file: Option<PathBuf>,
}

/// A sink with everything settled about it.
#[derive(Debug)]
pub(crate) struct PlannedSink {
    pub(crate) spec: Spec,
    pub(crate) buffer: NonZeroU64,
    pub(crate) on_full: OnFull,
    pub(crate) lines: bool,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) retry: u64,
    pub(crate) in_doubt: InDoubt,
    /// Whether it may get bytes that this process has never seen.
    pub(crate) splice: bool,
    pub(crate) required: bool,
}

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Task {
    Copy(Plan),
    Relay(relay::Plan),
    Generate(Text),
}

/// Reads the command line.
///
/// # Errors
///
/// What to print, also if that is the help or the version.
pub(crate) fn task() -> Result<Task, clap::Error> {
    Args::try_parse()?.task()
}

/// The whole definition of the command line.
pub(crate) fn definition() -> clap::Command {
    Args::command()
}

impl Args {
    fn task(self) -> Result<Task, clap::Error> {
        if let Some(text) = self.generate {
            return Ok(Task::Generate(text));
        }
        match self.command {
            Some(Command::Relay(args)) => {
                let wrong = |what| Args::command().error(ErrorKind::ValueValidation, what);
                args.plan().map(Task::Relay).map_err(wrong)
            }
            None => self.plan().map(Task::Copy),
        }
    }

    fn plan(self) -> Result<Plan, clap::Error> {
        if self.sinks[0] == "relay" {
            let message = "'relay' comes before all options\n\n  \
                           a file of this name is written ./relay";
            return Err(Args::command().error(ErrorKind::InvalidSubcommand, message));
        }
        let planned = |typed: &OsString| {
            let spec = Spec::parse(typed)
                .map_err(|error| Args::command().error(ErrorKind::ValueValidation, error))?;
            let own = &spec.own;
            let on_full = own.on_full.unwrap_or(self.on_full);
            let in_doubt = own.in_doubt.unwrap_or(self.in_doubt);
            // What is seen by nobody cannot be dropped, or sent again, or be for two.
            let needs_none = self.sinks.len() == 1
                && self.rate.is_none()
                && (on_full, in_doubt) == (OnFull::Wait, InDoubt::Skip);
            Ok(PlannedSink {
                buffer: own.buffer.unwrap_or(self.buffer),
                on_full,
                lines: self.lines,
                connect_timeout: own.connect_timeout.or(self.connect_timeout),
                retry: own.retry.or(self.retry).unwrap_or(0),
                in_doubt,
                splice: self.splice && needs_none,
                required: own.required.unwrap_or(false),
                spec,
            })
        };
        let sinks: Result<_, clap::Error> = self.sinks.iter().map(planned).collect();
        Ok(Plan {
            input: self.input,
            size: self.size,
            rate: self.rate,
            sinks: sinks?,
            linger: self.linger,
            progress: self.progress,
            stats: self.stats,
            stats_file: self.stats_file,
        })
    }
}

/// Sinks as they are typed, without options for all.
#[cfg(test)]
pub(crate) fn planned(sinks: &[&str]) -> Vec<PlannedSink> {
    let typed = [&["pipewright"], sinks].concat();
    Args::try_parse_from(typed).unwrap().plan().unwrap().sinks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_fits_a_screen() {
        let help = Args::command().render_help().to_string();
        assert!(help.lines().count() <= 56, "{}", help.lines().count());
        assert!(
            help.lines().all(|line| line.chars().count() <= 80),
            "{help}"
        );
    }

    #[test]
    fn a_sinks_own_options_come_before_those_for_all() {
        let typed = [
            "pipewright",
            "--on-full",
            "detach",
            "--buffer",
            "1M",
            "-",
            "buffer=2M@x",
        ];
        let plan = Args::try_parse_from(typed).unwrap().plan().unwrap();
        let settled: Vec<_> = plan
            .sinks
            .iter()
            .map(|s| (s.buffer.get(), s.on_full))
            .collect();
        assert_eq!(
            settled,
            [(1 << 20, OnFull::Detach), (2 << 20, OnFull::Detach)]
        );
    }
}
