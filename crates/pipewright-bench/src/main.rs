//! How fast Pipewright is, next to what one would use instead.
//!
//! ```text
//! cargo run --release -p pipewright-bench -- SCENARIO [--rounds N] [--quick] [--svg FOLDER] [--json FILE]
//! ```
//!
//! # How it is measured
//!
//! * **A trial is a process.** Each measurement of each contender is made in a
//!   process that does nothing else, so that no contender inherits another's threads
//!   or memory, and so that CPU time and peak memory are its own.
//! * **The reader is another process**, the same for all. It checks the warm-up byte
//!   by byte, counts what follows, and says when the last byte came. A contender that
//!   delivers anything but the bytes that were sent ends the run with an error.
//! * **Warm-up**: each trial first sends a part of its load, and waits until the
//!   reader has it. Then the clock starts. It stops when the reader has the last byte,
//!   not when the writer thinks that it is done.
//! * **Rounds**: in every round each contender has its turn, and the order rotates.
//!   What is compared is compared within a round: the ratio to the raw blocking loop
//!   of the same round. Tables show the median of these ratios, and the quartiles. A
//!   machine that is busy for a while slows down a round, and hardly a ratio.
//! * **Cores**: for rates nothing is pinned, because where the system puts the
//!   threads of a contender is a part of what it costs. For latency it decides too
//!   much (whether the reader's core must be woken), so both cases are measured:
//!   writer and reader each on a core of its own, and both on one.
//! * **Clocks**: one clock for all processes (`CLOCK_MONOTONIC`; on Windows the
//!   precise system time).
//!
//! # The house
//!
//! ```text
//! role         what a process of the benchmark is: trial, reader, sink, …
//!   trial        one contender, measured once
//!   reader       the other end of its pipes
//! contenders/  one file each
//! scenarios/   one file each: what is measured, and its tables
//! rounds, measure, report, plot
//!              turns, statistics, tables and JSON, pictures
//! tools, by_hand
//!              commands that copy, and the loops that one would write instead
//! os/          pipes, clocks, cores, limits
//! ```

mod args;
mod contenders;
mod measure;
mod os;
mod plot;
mod reader;
mod report;
mod role;
mod rounds;
mod scenarios;
mod trial;

#[cfg(unix)]
mod by_hand;
#[cfg(unix)]
mod tools;

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match role::given().map_or_else(benchmark, |role| role?.play()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without standard error there is nobody left to tell.
            let _ = writeln!(io::stderr(), "pipewright-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn benchmark() -> io::Result<()> {
    let options = args::parse();
    #[cfg(windows)]
    if let Some(path) = &options.qt6core {
        contenders::qt::give(path)?;
    }
    for scenario in options.scenarios() {
        let findings = scenario.run(&options)?;
        report::print(scenario, &findings, &options)?;
    }
    Ok(())
}
