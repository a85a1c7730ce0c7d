//! What a process holds while writers come and go: handles, threads, memory.
//!
//! Wine does not count a process's handles (`GetProcessHandleCount` says 0), but gives
//! values out lowest first, so the value of a new one tells.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;
mod windows_counts;

use std::fs::File;
use std::os::windows::io::OwnedHandle;
use std::thread;
use std::time::Duration;

use pipewright::PipeWriter;

use common::accounts::until_stalled;
use common::data::{read_exact, read_stream, stream};
use common::ends::{anonymous, small_pipe};
use common::process::{handles, memory, threads};
use common::{LONG, until, watched};
use windows_counts::{by_itself, counted};

/// Makes, uses and ends a writer in one of the ways there are.
fn use_one((mut reader, pipe): (File, OwnedHandle), round: usize) {
    let writer = PipeWriter::builder()
        .linger(Duration::ZERO)
        .build(pipe)
        .unwrap();
    match round % 5 {
        // Written at once.
        0 => {
            writer.try_send("short").unwrap();
            assert_eq!(read_exact(&mut reader, 5), b"short");
            writer.close_timeout(LONG).unwrap();
        }
        // In flight at the end.
        1 => {
            writer.try_send(stream(0, 20_000)).unwrap();
            until_stalled(&writer);
            drop(writer.stop());
        }
        2 => {
            writer.try_send(stream(0, 20_000)).unwrap();
            drop(writer);
        }
        // Never used.
        3 => drop(writer),
        _ => {
            let _waitable = writer.waitable().unwrap();
            writer.try_send("short").unwrap();
            let (pipe, _) = writer.into_parts();
            drop(pipe.unwrap());
        }
    }
}

/// Makes and ends so many writers, under a watchdog for each part of them.
fn use_many(pipe: fn() -> (File, OwnedHandle), writers: usize) {
    const PART: usize = 500;
    for _ in 0..writers / PART {
        watched(|| (0..PART).for_each(|round| use_one(pipe(), round)));
    }
}

#[test]
fn handles_and_threads_are_as_many_after_10_000_writers_as_before() {
    by_itself(|| {
        for pipe in [small_pipe, anonymous] {
            use_many(pipe, 500);
            let (had, started) = (handles(), threads());
            use_many(pipe, 10_000);
            // Threads of the last rounds end in their own time.
            watched(|| {
                until(|| handles() < had + 50);
                until(|| threads() < started + 10);
            });
        }
    });
}

/// What has no handle of its own shows here, as the waits of the thread pool.
#[test]
fn memory_is_as_much_after_20_000_writers_as_before() {
    by_itself(|| {
        use_many(small_pipe, 2000);
        let before = memory();
        use_many(small_pipe, 20_000);
        // What the last ones have in flight goes in its own time.
        watched(|| until(|| memory() < before + (1 << 20)));
    });
}

#[test]
fn overlapped_writers_have_no_thread_each() {
    const WRITERS: usize = 256;
    counted(|| {
        // One waits for 63 events (Microsoft, "Thread Pools"); a few carry callbacks.
        const THREADS: usize = WRITERS / 63 + 1 + 16;
        // What the process had before, and the one that starts the writes.
        use_one(small_pipe(), 0);
        let before = threads();
        let (readers, writers): (Vec<_>, Vec<_>) = (0..WRITERS)
            .map(|_| {
                let (reader, pipe) = small_pipe();
                (reader, PipeWriter::new(pipe).unwrap())
            })
            .unzip();
        for writer in &writers {
            writer.try_send(stream(0, 20_000)).unwrap();
        }
        for writer in &writers {
            until_stalled(writer);
        }
        let stalled = threads().saturating_sub(before);
        assert!(
            stalled <= THREADS,
            "{stalled} threads for {WRITERS} writers"
        );
        for writer in &writers {
            writer.finish();
        }
        let mut most = 0;
        for (mut reader, writer) in readers.into_iter().zip(writers) {
            assert_eq!(read_stream(&mut reader, 0), 20_000);
            writer.wait_ended(LONG).unwrap();
            most = most.max(threads().saturating_sub(before));
        }
        assert!(most <= THREADS, "{most} threads for {WRITERS} writers");
        thread::yield_now();
    });
}
