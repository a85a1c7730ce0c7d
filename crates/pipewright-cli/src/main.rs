//! `pipewright`: copies standard input to any number of sinks at once.
//!
//! ```text
//! args, spec, quantity   what was typed, and what it means; text: how it is shown
//! run, event             the conductor: one thread that hears of everything
//!   sink                   one sink: its writer, its command, how it ended
//!   copy, block            the thread that reads and hands out
//! report, stats          what is said at the end, and the exit status
//! os                     everything that differs between operating systems
//! ```

#![deny(unsafe_code)]

mod args;
mod block;
mod copy;
mod event;
mod os;
mod quantity;
mod report;
mod run;
mod sink;
mod spec;
mod stats;
mod text;

use std::process::ExitCode;

/// Exit statuses are the business of [`report::Status`], but for 2, which is a
/// command line that makes no sense.
fn main() -> ExitCode {
    let plan = match args::plan() {
        Ok(plan) => plan,
        Err(error) => error.exit(),
    };
    let report = match run::run(&plan) {
        Ok(report) => report,
        Err(error) => {
            report::say(&format!("cannot start: {error}"));
            return report::Status::Input.into();
        }
    };
    let status = report.status();
    if let Some(format) = plan.stats {
        stats::print(&report, status, format);
    }
    status.into()
}
