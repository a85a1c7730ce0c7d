//! C10, ends well, when the last handle is dropped: the writer goes on in the
//! background for its linger time and not longer, without a wait in the drop, and
//! one call at the end of the process waits for all of them.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::thread;
use std::time::Duration;

use common::accounts::DOUBT;
use common::data::{assert_stream, read_exact, read_stream, reading, stream, tracked};
use common::ends::{Stallable, full_pipe, on_a_thread, pipe, stallables};
use common::{LONG, alone, until, watched};
use pipewright::{PipeWriter, wait_lingering};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn a_dropped_writer_drains_in_the_background() {
    watched(|| {
        for Stallable {
            mut reader, pipe, ..
        } in stallables()
        {
            let writer = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
            writer.try_send(stream(0, 900_000)).unwrap();
            drop(writer);
            assert_eq!(read_stream(&mut reader, 0), 900_000);
        }
    });
}

#[test]
fn a_writer_without_handles_cannot_be_had_back_and_still_drains() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
        writer.try_send(stream(0, 900_000)).unwrap();
        let weak = writer.downgrade();
        drop(writer);
        for _ in 0..3 {
            assert!(weak.upgrade().is_none());
        }
        read_exact(&mut reader, filling);
        assert_eq!(read_stream(&mut reader, 0), 900_000);
    });
}

#[test]
fn a_writer_with_an_idle_pipe_is_closed_by_the_drop_itself() {
    watched(|| {
        for linger in [Duration::ZERO, LONG] {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::builder().linger(linger).build(pipe).unwrap();
            writer.try_send("all").unwrap();
            writer.flush_timeout(LONG).unwrap();
            drop(writer);
            read_exact(&mut reader, 3);
            assert_eq!(read_stream(&mut reader, 0), 0);
        }
    });
}

#[test]
fn no_linger_time_means_that_the_rest_is_dropped() {
    watched(|| {
        let (reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder()
            .linger(Duration::ZERO)
            .build(pipe)
            .unwrap();
        let (message, fate) = tracked(stream(0, 500_000));
        writer.try_send(message).unwrap();
        drop(writer);
        until(|| fate.is_freed());
        let heard = reading(reader).join().unwrap();
        assert_stream(0, &heard[filling..]);
        assert!(DOUBT.contains(&((heard.len() - filling) as u64)));
    });
}

#[test]
fn the_linger_time_ends_and_with_it_the_writer() {
    watched(|| {
        let (pipe_reader, pipe, filling) = full_pipe();
        let on_reactor = PipeWriter::builder().linger(SHORT).build(pipe).unwrap();
        let (fifo_reader, on_thread) =
            on_a_thread(|pipe| PipeWriter::builder().linger(SHORT).build(pipe).unwrap());
        for (writer, reader, filling) in [
            (on_reactor, pipe_reader, filling),
            (on_thread, fifo_reader, 0),
        ] {
            let (message, fate) = tracked(stream(0, 500_000));
            writer.try_send(message).unwrap();
            drop(writer);
            // Nobody reads. The time comes, the memory is freed, the pipe closed.
            until(|| fate.is_freed());
            let heard = reading(reader).join().unwrap();
            assert_stream(0, &heard[filling..]);
            assert!(heard.len() < 200_000);
        }
    });
}

#[test]
fn only_the_last_handle_counts() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder()
            .linger(Duration::ZERO)
            .build(pipe)
            .unwrap();
        writer.try_send("kept").unwrap();
        let weak = writer.downgrade();
        let clones: Vec<_> = (0..10).map(|_| writer.clone()).collect();
        drop(writer);
        let last = weak.upgrade().unwrap();
        drop(clones);
        read_exact(&mut reader, filling);
        last.flush_timeout(LONG).unwrap();
        assert!(weak.upgrade().is_some());
        drop(last);
        assert!(weak.upgrade().is_none());
        assert_eq!(reading(reader).join().unwrap(), b"kept");
    });
}

#[test]
fn a_lingering_writer_has_no_handles_any_more() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
        writer.try_send("lingers").unwrap();
        let (weak, permit) = (writer.downgrade(), writer.try_reserve(1).unwrap());
        drop(writer);
        assert!(weak.upgrade().is_none());
        assert!(permit.send("!").is_err());
        read_exact(&mut reader, filling);
        assert_eq!(reading(reader).join().unwrap(), b"lingers");
    });
}

#[test]
fn one_call_waits_for_all_who_linger() {
    alone(|| {
        wait_lingering(Duration::ZERO).unwrap();
        let mut readers = Vec::new();
        for Stallable { reader, pipe, .. } in stallables() {
            let writer = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
            writer.try_send(stream(0, 3_000_000)).unwrap();
            drop(writer);
            readers.push(reader);
        }
        let (path, file) = tempfile::NamedTempFile::new().unwrap().into_parts();
        drop(path);
        let writer = PipeWriter::builder()
            .linger(LONG)
            .build(std::fs::OpenOptions::new().write(true).open(&file).unwrap());
        let writer = writer.unwrap();
        writer.try_send(stream(0, 5_000_000)).unwrap();
        drop(writer);

        let stalled = readers.len();
        until(|| matches!(wait_lingering(Duration::ZERO), Err(some) if some.writers == stalled));
        let error = wait_lingering(SHORT).unwrap_err();
        assert!(error.to_string().contains(&stalled.to_string()));
        let reading: Vec<_> = readers
            .into_iter()
            .map(|mut reader| thread::spawn(move || read_stream(&mut reader, 0)))
            .collect();
        wait_lingering(LONG).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 5_000_000);
        for reading in reading {
            assert_eq!(reading.join().unwrap(), 3_000_000);
        }
    });
}

#[test]
fn who_fails_or_runs_out_of_time_lingers_no_more() {
    alone(|| {
        let (reader, broken, _) = full_pipe();
        let writer = PipeWriter::builder().linger(LONG).build(broken).unwrap();
        writer.try_send("x").unwrap();
        drop(writer);
        assert_eq!(wait_lingering(Duration::ZERO).unwrap_err().writers, 1);
        drop(reader);
        wait_lingering(LONG).unwrap();

        let (_reader, stalled, _) = full_pipe();
        let writer = PipeWriter::builder().linger(SHORT).build(stalled).unwrap();
        writer.try_send("x").unwrap();
        drop(writer);
        wait_lingering(LONG).unwrap();
    });
}

#[test]
fn a_writer_that_was_finished_lingers_when_it_is_dropped() {
    alone(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
        writer.try_send("last words").unwrap();
        writer.finish();
        drop(writer);
        assert_eq!(wait_lingering(Duration::ZERO).unwrap_err().writers, 1);
        read_exact(&mut reader, filling);
        wait_lingering(LONG).unwrap();
        assert_eq!(reading(reader).join().unwrap(), b"last words");
    });
}

#[test]
fn a_process_with_lingering_writers_ends_when_it_wants_to() {
    // The end of the process that `alone` starts is the test: its main thread
    // returns with a writer that would linger for an hour.
    alone(|| {
        let (reader, pipe, _) = full_pipe();
        let writer = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
        writer.try_send("never read").unwrap();
        drop(writer);
        std::mem::drop(reader.try_clone().unwrap());
        std::thread::spawn(move || {
            // Stays open to the end.
            let _reader = reader;
            std::thread::park();
        });
    });
}
