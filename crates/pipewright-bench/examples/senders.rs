//! What two threads that send to one writer cost each other, next to two that send to a
//! writer each: the most that a queue in several parts could save. Such a queue would
//! have to number the messages, to keep their order; what that takes is here as well.
//!
//! ```sh
//! cargo run --release -p pipewright-bench --example senders
//! ```

#![allow(clippy::print_stdout, reason = "a program says what it found")]

use std::hint::black_box;
use std::io::{self, PipeReader};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use pipewright::PipeWriter;

const ROUNDS: usize = 15;
const MESSAGES: u32 = 1_000_000;
/// More than a pipe holds.
const MORE: usize = 2 << 20;

type Measure = fn() -> io::Result<f64>;

const CASES: [(&str, Measure); 5] = [
    ("one thread", || {
        let (_reader, writer) = stalled()?;
        Ok(times([&writer], send))
    }),
    ("two threads, one writer", || {
        let (_reader, writer) = stalled()?;
        Ok(times([&writer; 2], send))
    }),
    ("two threads, a writer each", || {
        let [(_reader, first), (_other_reader, second)] = [stalled()?, stalled()?];
        Ok(times([&first, &second], send))
    }),
    ("one thread counts", || {
        Ok(times([&AtomicU64::new(0)], count))
    }),
    ("two threads count together", || {
        Ok(times([&AtomicU64::new(0); 2], count))
    }),
];

fn main() -> io::Result<()> {
    let mut all = CASES.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, measure), values) in CASES.iter().zip(&mut all) {
            values.push(measure()?);
        }
    }
    println!("{MESSAGES} messages of 64 bytes by each thread, {ROUNDS} rounds, ns a message");
    for ((name, _), mut values) in CASES.iter().zip(all) {
        values.sort_by(f64::total_cmp);
        let [low, middle, high] = [1, 2, 3].map(|quarter| values[ROUNDS * quarter / 4]);
        println!("{name:26}  {middle:5.1}  ({low:.1} to {high:.1})");
    }
    Ok(())
}

/// A writer whose reader takes nothing, so that only the sending takes time.
fn stalled() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, pipe) = io::pipe()?;
    let capacity = u64::from(2 * MESSAGES) * 64 + MORE as u64;
    let writer = PipeWriter::builder().capacity(capacity).build(pipe)?;
    writer.try_send(vec![0; MORE]).map_err(io::Error::other)?;
    Ok((reader, writer))
}

fn send(writer: &PipeWriter) {
    let message = black_box([7; 64]);
    let sent = writer.try_send_slice(&message);
    assert!(sent.is_ok(), "there is room for all, and nobody stops it");
}

fn count(messages: &AtomicU64) {
    black_box(messages.fetch_add(1, Ordering::AcqRel));
}

/// Has it done with each of these on a thread of its own, at the same time; how long it
/// takes once, in nanoseconds.
fn times<T: Sync, const N: usize>(with: [&T; N], work: fn(&T)) -> f64 {
    let begin = Barrier::new(N);
    let time = |with: &T| {
        begin.wait();
        let begun = Instant::now();
        (0..MESSAGES).for_each(|_| work(with));
        begun.elapsed().as_nanos() as f64 / f64::from(MESSAGES)
    };
    thread::scope(|threads| {
        let threads = with.map(|with| threads.spawn(|| time(with)));
        let times = threads.map(|thread| thread.join().unwrap_or(f64::NAN));
        times.iter().sum::<f64>() / N as f64
    })
}
