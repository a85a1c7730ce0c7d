//! What two threads that send to one writer cost each other, and whether a queue whose
//! tail is not behind one lock would cost less.
//!
//! ```sh
//! cargo run --release -p pipewright-bench --example senders
//! ```
//!
//! Most of a message's time goes to the system then, for memory that nobody had yet. A
//! writer whose reader keeps up uses its blocks again. That is seen with memory that
//! stays with the program:
//!
//! ```sh
//! MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=8000000000 \
//!     cargo run --release -p pipewright-bench --example senders
//! ```
//!
//! * *a writer each* is the most that a tail without the one lock could save.
//! * *count* is what it has to do in any case: messages are numbered, to keep their order.
//! * *sharded* and *lock-free* are prototypes, with the order, the capacity and the end of
//!   the library's queue, and nothing else of it: nobody is woken, nobody stands in line,
//!   nothing is given back. In the library they would cost more.
//! * *unsharded* is the first of them in one part: how far what it lacks matters.
//! * *to take out* is what a message then costs who writes: it is put into blocks of
//!   64 KiB, in order. The library's blocks are written as they are.
//!
//! Before anything is measured the prototypes are checked: every byte has to come out at
//! the position that its sender was told.

#![allow(clippy::print_stdout, reason = "a program says what it found")]

use std::hint::black_box;
use std::io::{self, PipeReader};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use pipewright::PipeWriter;

use self::accounts::Tail;
use self::lockfree::LockFree;
use self::sharded::Sharded;

mod accounts;
mod check;
mod lockfree;
mod sharded;

const ROUNDS: usize = 15;
const MESSAGES: u32 = 1_000_000;
/// More than a pipe holds.
const MORE: usize = 2 << 20;
const CAPACITY: u64 = 2 * MESSAGES as u64 * 64 + MORE as u64;

type Measure = fn() -> io::Result<f64>;

const CASES: [(&str, Measure); 15] = [
    ("one thread", || {
        let (_reader, writer) = stalled()?;
        Ok(until_stopped(times([&writer], send), [&writer]))
    }),
    ("two threads, one writer", || {
        let (_reader, writer) = stalled()?;
        Ok(until_stopped(times([&writer; 2], send), [&writer]))
    }),
    ("two threads, a writer each", || {
        let [(_reader, first), (_other_reader, second)] = [stalled()?, stalled()?];
        let both = [&first, &second];
        Ok(until_stopped(times(both, send), both))
    }),
    ("one thread counts", || {
        Ok(times([&AtomicU64::new(0)], count))
    }),
    ("two threads count together", || {
        Ok(times([&AtomicU64::new(0); 2], count))
    }),
    ("unsharded, one thread", sends::<Sharded<1>, 1>),
    ("unsharded, two threads", sends::<Sharded<1>, 2>),
    ("sharded, one thread", sends::<Sharded<4>, 1>),
    ("sharded, two threads", sends::<Sharded<4>, 2>),
    ("sharded, to take out of one", takes::<Sharded<4>, 1>),
    ("sharded, to take out of two", takes::<Sharded<4>, 2>),
    ("lock-free, one thread", sends::<LockFree, 1>),
    ("lock-free, two threads", sends::<LockFree, 2>),
    ("lock-free, to take out of one", takes::<LockFree, 1>),
    ("lock-free, to take out of two", takes::<LockFree, 2>),
];

fn main() -> io::Result<()> {
    check::check::<Sharded<1>>()?;
    check::check::<Sharded<4>>()?;
    check::check::<LockFree>()?;
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
        println!("{name:29}  {middle:5.1}  ({low:.1} to {high:.1})");
    }
    Ok(())
}

/// A writer whose reader takes nothing, so that only the sending takes time.
fn stalled() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, pipe) = io::pipe()?;
    let writer = PipeWriter::builder().capacity(CAPACITY).build(pipe)?;
    writer.try_send(vec![0; MORE]).map_err(io::Error::other)?;
    Ok((reader, writer))
}

/// Has the memory given back now, and not by a thread of the library while the next case
/// is measured.
fn until_stopped<const N: usize>(time: f64, writers: [&PipeWriter; N]) -> f64 {
    for writer in writers {
        drop(writer.stop());
    }
    time
}

fn send(writer: &PipeWriter) {
    let message = black_box([7; 64]);
    let sent = writer.try_send_slice(&message);
    assert!(sent.is_ok(), "there is room for all, and nobody stops it");
}

/// How long these many threads take to send, to a tail of which nobody takes.
fn sends<T: Tail, const N: usize>() -> io::Result<f64> {
    Ok(times([&T::new(CAPACITY); N], append))
}

/// How long it takes to have a message out again.
fn takes<T: Tail, const N: usize>() -> io::Result<f64> {
    let tail = T::new(CAPACITY);
    times([&tail; N], append);
    let mut drain = T::Drain::default();
    let mut bytes = 0;
    let begun = Instant::now();
    tail.take(&mut drain, &mut |block| bytes += black_box(block).len());
    let time = begun.elapsed().as_nanos() as f64;
    assert_eq!(bytes, N * MESSAGES as usize * 64, "all is taken");
    Ok(time / (f64::from(MESSAGES) * N as f64))
}

fn append<T: Tail>(tail: &T) {
    let message = black_box([7; 64]);
    let sent = tail.try_send(&message);
    assert!(sent.is_ok(), "there is room for all, and nobody ends it");
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
