//! A reader that dies: to the byte what was written, and the rest back, to send it
//! elsewhere.
//!
//! ```sh
//! cargo run --example take_back
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(
    clippy::incompatible_msrv,
    reason = "only the library keeps to the oldest Rust"
)]

use std::error::Error;
use std::io::{Read, pipe};
use std::time::Duration;

use pipewright::PipeWriter;

fn main() -> Result<(), Box<dyn Error>> {
    let (mut reader, first) = pipe()?;
    let writer = PipeWriter::builder().name("first").build(first)?;
    for line in 0..40_000 {
        writer.try_send(format!("line {line}\n"))?;
    }

    let mut some = [0; 1000];
    reader.read_exact(&mut some)?;
    drop(reader);

    let Err(error) = writer.close_timeout(Duration::from_secs(10)) else {
        return Err("the reader has gone, and nothing was noticed".into());
    };
    println!("{error}");

    let (reader, second) = pipe()?;
    let reader = std::thread::spawn(move || std::io::read_to_string(reader));
    let writer = PipeWriter::builder().name("second").build(second)?;
    for piece in error.into_unsent() {
        writer.send_timeout(piece, Duration::from_secs(10))?;
    }
    println!("{}", writer.close_timeout(Duration::from_secs(10))?);
    let rest = reader.join().map_err(|_| "the reader panicked")??;
    println!("the last line is {:?}", rest.lines().last().unwrap_or(""));
    Ok(())
}
