//! A writer in somebody else's event loop, here `poll`: one descriptor to wait
//! for, one call to fetch the news.
//!
//! ```sh
//! cargo run --example event_loop
//! ```

#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(
    clippy::incompatible_msrv,
    reason = "only the library keeps to the oldest Rust"
)]

#[cfg(unix)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use std::io::{Read, pipe};
    use std::thread;

    use pipewright::PipeWriter;
    use rustix::event::{PollFd, PollFlags, poll};

    let (mut reader, pipe) = pipe()?;
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).map(|_| bytes.len())
    });

    let writer = PipeWriter::builder().capacity(64 * 1024).build(pipe)?;
    let waitable = writer.waitable()?;
    let mut blocks_left = 1_000;
    loop {
        // Whatever this loop has to do, it never waits for the reader.
        while blocks_left > 0 && writer.try_send(vec![b'x'; 4096]).is_ok() {
            blocks_left -= 1;
        }
        if blocks_left == 0 {
            writer.finish();
        }
        let progress = writer.take_progress();
        if let Some(outcome) = progress.outcome {
            println!("{outcome}: {} bytes written", progress.written);
            break;
        }
        poll(&mut [PollFd::new(&waitable, PollFlags::IN)], None)?;
    }
    let read = reader.join().map_err(|_| "the reader panicked")??;
    println!("{read} bytes read");
    Ok(())
}

#[cfg(not(unix))]
fn main() {
    println!("this example is for Unix");
}
