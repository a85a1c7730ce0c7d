//! Handles that can only block: a thread writes them, and can be called back from
//! inside the system's write.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common_windows;

use std::fs::File;
use std::io::Read;
use std::os::windows::io::OwnedHandle;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipewright::{Outcome, PipeWriter};

use common_windows::data::{read_stream, reading, slow_reader, stream, tracked};
use common_windows::{
    LONG, Named, Random, anonymous, assert_accounts, fresh_handle_value, stalled, until, watched,
};

/// Both kinds of pipes that can only block.
fn pipes() -> [(File, OwnedHandle); 2] {
    let named = Named {
        overlapped: false,
        ..Named::default()
    };
    [anonymous(), named.pair()]
}

#[test]
fn messages_arrive_in_order_and_before_the_end() {
    watched(|| {
        let (reader, pipe) = anonymous();
        let reading = reading(reader);
        let writer = PipeWriter::new(pipe).unwrap();
        for n in 0..1000_u32 {
            writer.try_send(format!("message {n}\n")).unwrap();
        }
        writer.close_timeout(LONG).unwrap();
        let expected: String = (0..1000).map(|n| format!("message {n}\n")).collect();
        assert_eq!(reading.join().unwrap(), expected.as_bytes());
    });
}

#[test]
fn a_large_stream_arrives_whole_at_a_slow_reader() {
    watched(|| {
        const LEN: usize = 4 << 20;
        let (reader, pipe) = anonymous();
        let reading = slow_reader(reader);
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, LEN)).unwrap();
        writer.close_timeout(LONG).unwrap();
        assert_eq!(reading.join().unwrap(), LEN);
    });
}

#[test]
fn a_thread_that_sits_in_a_write_is_stopped() {
    watched(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            let (data, fate) = tracked(stream(0, 300_000));
            writer.try_send(data).unwrap();
            stalled(&writer);
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
            stalled(&writer);
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
            stalled(&writer);
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
                    stalled(&writer);
                }
                drop(reader);
                if !pending {
                    writer.try_send(stream(0, 100)).unwrap();
                }
                let summary = writer.wait_ended(LONG).unwrap();
                let Outcome::Failed(error) = &summary.outcome else {
                    panic!("{summary}");
                };
                assert!(
                    matches!(error.raw_os_error(), Some(109 | 232 | 233)),
                    "{error}"
                );
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
fn files_are_written() {
    watched(|| {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let writer = PipeWriter::new(File::create(&path).unwrap()).unwrap();
        writer.try_send(stream(0, 1_000_000)).unwrap();
        writer.close_timeout(LONG).unwrap();
        let mut written = File::open(&path).unwrap();
        assert_eq!(read_stream(&mut written, 0), 1_000_000);
    });
}

#[test]
fn no_handle_and_no_thread_is_left_behind() {
    watched(|| {
        let mut after_warm_up = 0;
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
                after_warm_up = fresh_handle_value();
            }
        }
        // Handle values are multiples of 4. Other tests of this process make some too.
        until(|| fresh_handle_value() < after_warm_up + 4 * 500);
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
            stalled(writer);
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
