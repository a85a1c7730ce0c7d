//! Feeds a child process and reads its answer, without the deadlock in which both
//! sides write first and read later: the writer writes in the background.
//!
//! ```sh
//! cargo run --example feed_child
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(
    clippy::incompatible_msrv,
    reason = "only the library keeps to the oldest Rust"
)]

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use pipewright::PipeWriter;

fn main() -> Result<(), Box<dyn Error>> {
    let mut child = Command::new("sort")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take().ok_or("the child has no stdin")?;
    let writer = PipeWriter::builder().name("sort").build(stdin)?;

    // More than the pipe holds, and nobody has read a byte of the answer yet.
    for number in (0..100_000_u32).rev() {
        writer.send_timeout(format!("{number:06}\n"), Duration::from_secs(10))?;
    }
    let summary = writer.close_timeout(Duration::from_secs(10))?;
    let output = child.wait_with_output()?;
    println!("{summary}; {} bytes came back", output.stdout.len());
    Ok(())
}
