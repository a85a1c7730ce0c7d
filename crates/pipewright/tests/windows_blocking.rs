//! Handles that can only block: a thread writes them, and can be called back from
//! inside the system's write.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::fs::File;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipewright::{Outcome, PipeWriter};

use common::accounts::{assert_accounts, until_stalled};
use common::data::{reading, slow_reader, stream, tracked};
use common::ends::{Named, Pipe, anonymous};
use common::outcomes::assert_broken;
use common::process::{handles, our_threads, pool_for};
use common::{LONG, Random, alone, until, watched};

/// Both kinds of pipes that can only block.
fn pipes() -> [(File, Pipe); 2] {
    let named = Named {
        overlapped: false,
        ..Named::DEFAULT
    };
    [anonymous(), named.pair()]
}

#[test]
fn a_thread_that_sits_in_a_write_is_stopped() {
    watched(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            let (data, fate) = tracked(stream(0, 300_000));
            writer.try_send(data).unwrap();
            until_stalled(&writer);
            let unsent = writer.stop();
            let summary = writer.wait_ended(LONG).unwrap();
            assert!(matches!(summary.outcome, Outcome::Stopped), "{summary}");
            let mut heard = Vec::new();
            let _ = reader.read_to_end(&mut heard);
            assert_accounts(&summary, &unsent, &heard);
            assert!(!fate.is_freed());
            drop(unsent);
            until(|| fate.is_freed());
        }
    });
}

/// The cancel comes at any moment: before the write, at its beginning, while it waits.
#[test]
fn a_stop_is_never_missed() {
    watched(|| {
        let mut random = Random::new(3);
        for round in 0..1000 {
            let (mut reader, pipe) = anonymous();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 200_000)).unwrap();
            for _ in 0..random.between(0, 200) * (round % 3) {
                std::hint::spin_loop();
            }
            let unsent = writer.stop();
            let summary = writer.wait_ended(LONG).unwrap();
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).unwrap();
            assert_accounts(&summary, &unsent, &heard);
        }
    });
}

#[test]
fn closing_with_a_limit_ends_a_write_that_nobody_reads() {
    watched(|| {
        for (reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 300_000)).unwrap();
            until_stalled(&writer);
            let error = writer.close_timeout(Duration::from_millis(20)).unwrap_err();
            assert!(error.timed_out());
            drop(reader);
        }
    });
}

#[test]
fn dropping_the_last_handle_never_waits() {
    watched(|| {
        for (reader, pipe) in pipes() {
            let writer = PipeWriter::builder()
                .linger(Duration::ZERO)
                .build(pipe)
                .unwrap();
            let (data, fate) = tracked(stream(0, 300_000));
            writer.try_send(data).unwrap();
            until_stalled(&writer);
            drop(writer);
            until(|| fate.is_freed());
            drop(reader);
        }
    });
}

#[test]
fn a_reader_that_dies_ends_the_writer() {
    watched(|| {
        for pending in [true, false] {
            for (reader, pipe) in pipes() {
                let writer = PipeWriter::new(pipe).unwrap();
                if pending {
                    writer.try_send(stream(0, 300_000)).unwrap();
                    until_stalled(&writer);
                }
                drop(reader);
                if !pending {
                    writer.try_send(stream(0, 100)).unwrap();
                }
                let summary = writer.wait_ended(LONG).unwrap();
                assert_broken(&summary.outcome);
                let unsent = writer.take_unsent().unwrap();
                assert_eq!(
                    summary.accepted,
                    summary.written + summary.in_doubt + unsent.len()
                );
                if pending {
                    assert!(summary.in_doubt > 0);
                } else {
                    assert_eq!((summary.in_doubt, summary.unsent), (0, 100));
                }
            }
        }
    });
}

/// The callback runs on the writer's own thread, and waits for what only that thread
/// can do.
#[test]
fn a_callback_can_wait_for_its_own_writer() {
    watched(|| {
        let (reader, pipe) = anonymous();
        let reading = slow_reader(reader);
        let slot: Arc<Mutex<Option<PipeWriter>>> = Arc::default();
        let takes = Arc::clone(&slot);
        let writer = PipeWriter::builder()
            .on_progress(move |_| {
                let taken = takes.lock().unwrap().take();
                if let Some(writer) = taken {
                    writer.try_send(stream(10, 1000)).unwrap();
                    writer.flush_timeout(LONG).unwrap();
                }
            })
            .build(pipe)
            .unwrap();
        *slot.lock().unwrap() = Some(writer.clone());
        writer.try_send(stream(0, 10)).unwrap();
        until(|| writer.progress().written == 1010);
        writer.close_timeout(LONG).unwrap();
        assert_eq!(reading.join().unwrap(), 1010);
    });
}

#[test]
fn no_handle_and_no_thread_is_left_behind() {
    alone(|| {
        let mut had = 0;
        for round in 0..2000 {
            let (reader, pipe) = anonymous();
            let writer = PipeWriter::builder()
                .linger(Duration::ZERO)
                .build(pipe)
                .unwrap();
            writer.try_send(stream(0, 50_000)).unwrap();
            match round % 3 {
                0 => drop(writer),
                1 => drop(writer.stop()),
                _ => {
                    let reading = reading(reader);
                    writer.close_timeout(LONG).unwrap();
                    assert_eq!(reading.join().unwrap().len(), 50_000);
                }
            }
            if round == 100 {
                until(|| our_threads() == 1);
                had = handles();
            }
        }
        until(|| our_threads() == 1);
        until(|| handles() <= had + pool_for(0));
    });
}

#[test]
fn many_blocked_threads_are_called_back_at_once() {
    watched(|| {
        let writers: Vec<_> = (0..64)
            .map(|_| {
                let (reader, pipe) = anonymous();
                let writer = PipeWriter::new(pipe).unwrap();
                writer.try_send(stream(0, 200_000)).unwrap();
                (reader, writer)
            })
            .collect();
        for (_, writer) in &writers {
            until(|| writer.progress().in_flight > 0 && writer.progress().written > 0);
        }
        for (_, writer) in &writers {
            writer.cancel();
        }
        for (reader, writer) in writers {
            assert!(matches!(
                writer.wait_ended(LONG).unwrap().outcome,
                Outcome::Stopped
            ));
            drop(reader);
        }
        thread::yield_now();
    });
}
