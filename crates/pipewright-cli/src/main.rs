//! `pipewright`: copies standard input to any number of sinks at once.
//!
//! ```text
//! args, spec, quantity   what was typed, and what it means; text: how it is shown
//! run, event             the conductor: one thread that hears of everything
//!   sink, retry            one sink: how it is opened, again too, and how it ended
//!   copy, block, rate      the thread that reads and hands out
//!     feed                   from that thread to a sink's writer
//!       backlog, sent, stall   what waits, what was handed on, and for how long
//!       outlet                 the writer, and what carries on from its pipe
//! progress               what is said meanwhile
//! report, stats          what is said at the end, and the exit status
//! relay                  standard input and output joined with a target, both ways
//! generate               man pages and completions, from the definition of the arguments
//! os                     everything that differs between operating systems
//! ```

#![deny(unsafe_code)]

mod args;
mod backlog;
mod block;
mod copy;
mod event;
mod feed;
mod generate;
mod os;
mod outlet;
mod progress;
mod quantity;
mod rate;
mod relay;
mod report;
mod retry;
mod run;
mod sent;
mod sink;
mod spec;
mod stall;
mod stats;
mod text;

use std::fs::File;
use std::io;
use std::process::ExitCode;

use args::{Plan, Task};
use report::Status;

/// Exit statuses are the business of [`Status`], but for 2, which is a
/// command line that makes no sense.
fn main() -> ExitCode {
    let status = match args::task() {
        Err(error) => error.exit(),
        Ok(Task::Copy(plan)) => run(&plan).unwrap_or_else(|error| cannot_start(&error)),
        Ok(Task::Relay(plan)) => relay(&plan),
        Ok(Task::Generate(text)) => generate(text),
    };
    status.into()
}

fn cannot_start(error: &io::Error) -> Status {
    report::say(&format!("cannot start: {error}"));
    Status::Input
}

fn relay(plan: &relay::Plan) -> Status {
    let report = match relay::run(plan) {
        Ok(report) => report,
        Err(relay::Failure::Standard(error)) => return cannot_start(&error),
        Err(relay::Failure::Target(trouble)) => {
            report::say(&format!("{}: {}", plan.name, trouble.message));
            return Status::Sink;
        }
    };
    if let Some(format) = plan.stats
        && let Err(error) = report.write(format, &mut io::stderr())
    {
        report::say(&format!("the statistics cannot be written: {error}"));
    }
    report.status()
}

fn generate(text: generate::Text) -> Status {
    match generate::write(text, args::definition(), &mut io::stdout()) {
        Ok(()) => Status::Success,
        Err(error) => {
            report::say(&format!("standard output: {error}"));
            Status::Sink
        }
    }
}

fn run(plan: &Plan) -> io::Result<Status> {
    // Before anything else: to lose the account at the end would be a pity.
    let file = match &plan.stats_file {
        Some(path) => Some(File::create(path).map_err(|error| report::named(path, &error))?),
        None => None,
    };
    let report = run::run(plan)?;
    let status = report.status();
    if let Some(format) = plan.stats {
        let written = match file {
            Some(mut file) => stats::write(&report, status, format, &mut file),
            None => stats::write(&report, status, format, &mut io::stderr()),
        };
        if let Err(error) = written {
            report::say(&format!("the statistics cannot be written: {error}"));
        }
    }
    Ok(status)
}
