//! Ten thousand writers at once: each gets its own data through, one thread serves
//! them all, the stalled ones hold nobody up, and while all are stalled that thread
//! sleeps. Each test has a process of its own.

#![cfg(any(target_os = "linux", windows))]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::data::{assert_stream, read_exact, reading, stream};
use common::ends::{NULL, Pipe, fill, full_pipe, pipe_of};
use common::process::{
    cpu_time, naps, our_threads, pool_for, raise_handle_limit, threads, threads_named,
};
use common::{LONG, alone, until};
use pipewright::PipeWriter;

/// How much each pipe takes: together they are many, and the system keeps it all.
const SIZE: usize = 16_384;

/// How much each writer has to write, and how much of it is read first.
const EACH: usize = 30_000;
const FIRST: usize = 10_000;

/// As many as are asked for, or as many as the system allows.
fn as_many_as(wanted: usize) -> usize {
    // Two for each pipe, and some for everything else.
    let limit = raise_handle_limit(2 * wanted as u64 + 200);
    let possible = usize::try_from(limit.saturating_sub(200) / 2).unwrap();
    if possible < wanted {
        let _ = writeln!(
            std::io::stderr(),
            "only {possible} of {wanted} writers: the limit of descriptors is {limit}"
        );
    }
    wanted.min(possible)
}

fn writer(pipe: Pipe) -> PipeWriter {
    PipeWriter::builder()
        .sole_owner(true)
        .capacity(200_000)
        .build(pipe)
        .unwrap()
}

/// Writers to as many pipes, each with more to write than its pipe takes, which
/// begins at a position of its own in the stream.
fn stalled_writers(count: usize) -> Vec<(PipeWriter, File)> {
    (0..count)
        .map(|n| {
            let (reader, pipe) = pipe_of(SIZE);
            let writer = writer(pipe);
            writer.try_send(stream(n as u64, EACH)).unwrap();
            (writer, reader)
        })
        .collect()
}

/// One thread of ours serves them all, and beside it there are only the system's.
#[track_caller]
fn assert_one_thread(before: usize, writers: usize) {
    // Threads get their names when they begin.
    until(|| our_threads() > 0);
    assert_eq!(our_threads(), 1);
    let now = threads();
    assert!(now <= before + 1 + pool_for(writers), "{now} threads");
}

#[test]
fn ten_thousand_writers_each_get_their_own_data_through_with_one_thread() {
    alone(|| {
        let before = threads();
        let mut writers = stalled_writers(as_many_as(10_000));
        assert_one_thread(before, writers.len());
        // In an order that has nothing to do with theirs, some of it now and the
        // rest when all have had their turn.
        let count = writers.len();
        let shuffled = |n: usize| (n * 7_919) % count;
        for n in 0..count {
            let at = shuffled(n);
            assert_stream(at as u64, &read_exact(&mut writers[at].1, FIRST));
        }
        for n in 0..count {
            let at = shuffled(n);
            assert_stream(
                (at + FIRST) as u64,
                &read_exact(&mut writers[at].1, EACH - FIRST),
            );
        }
        for (writer, _) in &writers {
            writer.flush_timeout(LONG).unwrap();
            assert_eq!(writer.progress().written, EACH as u64);
        }
        assert_one_thread(before, count);
    });
}

#[test]
fn while_all_are_stalled_the_thread_that_serves_them_sleeps() {
    alone(|| {
        let writers = stalled_writers(as_many_as(2_000));
        until(|| {
            writers
                .iter()
                .all(|(writer, _)| writer.progress().written > 0)
        });
        let thread = threads_named("pipewright").remove(0);
        let seen = || (naps(&thread), cpu_time(&thread));
        let mut last = seen();
        let mut quiet = 0;
        // It falls asleep, and stays so through a hundred of our looks.
        until(|| {
            let now = seen();
            quiet = if now == last { quiet + 1 } else { 0 };
            last = now;
            quiet == 100
        });
        let mut looks = 0;
        until(|| {
            looks += 1;
            looks == 200
        });
        let (naps, cpu) = seen();
        assert_eq!(naps, last.0, "woken with nothing to do");
        assert_eq!(cpu, last.1, "busy with nothing");
    });
}

#[test]
fn those_who_are_stalled_hold_up_nobody_else() {
    alone(|| {
        let stalled = stalled_writers(as_many_as(1_000));
        let (reader, free) = pipe_of(SIZE);
        let reading = reading(reader);
        let free = writer(free);
        let mut sent = 0;
        for _ in 0..300 {
            sent = free.send_timeout(stream(sent, 10_000), LONG).unwrap().get();
        }
        free.close_timeout(LONG).unwrap();
        let heard = reading.join().unwrap();
        assert_eq!(heard.len() as u64, sent);
        assert_stream(0, &heard);
        for (writer, _) in &stalled {
            assert!(writer.progress().written < EACH as u64);
        }
    });
}

#[test]
fn one_who_is_always_busy_holds_up_nobody_else() {
    alone(|| {
        // The null device takes everything at once, so its writer has always more
        // to do; the others still get their turns.
        let null = std::fs::OpenOptions::new().write(true).open(NULL);
        let busy = PipeWriter::builder()
            .capacity(u64::MAX)
            .build(null.unwrap())
            .unwrap();
        let endless = bytes::Bytes::from(vec![0; 1 << 28]);
        let feed = || {
            while busy.progress().queued < 1 << 36 {
                busy.try_send(endless.clone()).unwrap();
            }
        };
        feed();
        for n in 0..50 {
            let (mut reader, stalled, filling) = full_pipe();
            let writer = writer(stalled);
            writer.try_send(stream(n, 150_000)).unwrap();
            read_exact(&mut reader, filling);
            assert_stream(n, &read_exact(&mut reader, 150_000));
            assert!(busy.progress().queued > 0);
            feed();
        }
        drop(busy.stop());
    });
}

#[test]
fn a_thousand_callbacks_and_waits_hear_of_their_own_writer() {
    alone(|| {
        let count = as_many_as(1_000);
        let told = Arc::new(AtomicUsize::new(0));
        let mut readers = Vec::new();
        let writers: Vec<_> = (0..count)
            .map(|n| {
                let (reader, stalled) = pipe_of(SIZE);
                let filling = fill(&stalled);
                readers.push((reader, filling));
                let tells = Arc::clone(&told);
                let writer = PipeWriter::builder()
                    .sole_owner(true)
                    .on_progress(move |progress| {
                        if progress.outcome.is_some() {
                            assert_eq!(progress.written, n as u64 + 1);
                            tells.fetch_add(1, Ordering::SeqCst);
                        }
                    })
                    .build(stalled)
                    .unwrap();
                writer.try_send(stream(0, n + 1)).unwrap();
                writer.finish();
                writer
            })
            .collect();
        assert_eq!(told.load(Ordering::SeqCst), 0);
        for (n, (reader, filling)) in readers.iter_mut().enumerate() {
            read_exact(reader, *filling);
            assert_stream(0, &read_exact(reader, n + 1));
        }
        for writer in &writers {
            futures_lite::future::block_on(writer.ended());
        }
        until(|| told.load(Ordering::SeqCst) == count);
    });
}
