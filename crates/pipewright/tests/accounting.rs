//! C3, exact accounting: `accepted = written + in flight + queued + in doubt` at all
//! times, and after any end nothing is in flight, to the byte: what the reader finds
//! in the pipe, what is handed back and what is in doubt make up what was accepted.
//! In doubt is nothing on Unix.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use common::accounts::{assert_balanced, assert_heard, assert_unsent, in_doubt};
use common::data::{assert_stream, read_exact, read_stream, stream};
use common::ends::{Pipe, full_pipe, pipe, stallables};
use common::{LONG, Random, rounds, until, watched};
use pipewright::{Outcome, PipeWriter};

#[test]
fn every_snapshot_balances_and_counts_only_grow() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let told = Arc::new(Mutex::new(Vec::new()));
        let telling = Arc::clone(&told);
        let writer = PipeWriter::builder()
            .capacity(100_000)
            .on_progress(move |progress| telling.lock().unwrap().push(progress))
            .build(pipe)
            .unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let looks = Arc::new(AtomicU64::new(0));
        let looking: Vec<_> = (0..2)
            .map(|_| {
                let (writer, over) = (writer.clone(), Arc::clone(&over));
                let looks = Arc::clone(&looks);
                thread::spawn(move || {
                    let (mut accepted, mut written) = (0, 0);
                    while !over.load(Ordering::SeqCst) {
                        let progress = writer.progress();
                        assert_balanced(&progress);
                        assert!(progress.accepted >= accepted && progress.written >= written);
                        (accepted, written) = (progress.accepted, progress.written);
                        looks.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let sender = writer.clone();
        let sending = thread::spawn(move || {
            let mut random = Random::new(7);
            let mut position = 0;
            while position < 4_000_000 {
                let message = stream(position, random.message_len());
                position = sender.send_timeout(message, LONG).unwrap().get();
            }
            sender.close_timeout(LONG).unwrap()
        });
        let heard = read_stream(&mut reader, 0);
        let summary = sending.join().unwrap();
        until(|| looks.load(Ordering::SeqCst) > 100);
        over.store(true, Ordering::SeqCst);
        for looking in looking {
            looking.join().unwrap();
        }
        assert_eq!((summary.accepted, summary.written), (heard, heard));
        assert_eq!((summary.unsent, summary.in_doubt), (0, 0));
        let told = told.lock().unwrap();
        told.iter().for_each(assert_balanced);
        assert!(told.is_sorted_by_key(|progress| progress.written));
    });
}

#[test]
fn what_is_written_is_never_less_than_what_was_read() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        // What one read finds may be less than was sent: the queue grows.
        let builder = PipeWriter::builder().capacity(u64::MAX);
        let writer = builder.build(pipe).unwrap();
        let mut heard = 0;
        let mut sent = 0;
        rounds(200, |random| {
            sent = writer
                .send_timeout(stream(sent, random.message_len()), LONG)
                .unwrap()
                .get();
            let n = reader
                .read(&mut vec![0; random.between(1, 70_000)])
                .unwrap();
            heard += n as u64;
            // The bytes may be read before the write that took them has returned:
            // until then they are in flight.
            let progress = writer.progress();
            assert!(progress.written + progress.in_flight >= heard);
            assert!(progress.accepted >= heard);
        });
    });
}

/// Stops a writer at any moment, then compares what the reader finds with what was
/// handed back.
fn stop_somewhere(mut reader: impl Read + Send + 'static, pipe: Pipe, random: &mut Random) {
    let writer = PipeWriter::new(pipe).unwrap();
    let enough = random.between(0, 400_000) as u64;
    let mut pauses = random.fork();
    let reading = thread::spawn(move || {
        let mut heard = Vec::new();
        let mut buffer = vec![0; 80_000];
        loop {
            let some = pauses.between(1, buffer.len());
            let n = reader.read(&mut buffer[..some]).unwrap();
            if n == 0 {
                return heard;
            }
            heard.extend_from_slice(&buffer[..n]);
            if heard.len() as u64 >= enough {
                thread::yield_now();
            }
        }
    });
    let sender = writer.clone();
    let mut lens = random.fork();
    let sending = thread::spawn(move || {
        let mut position = 0;
        while position < 400_000 {
            match sender.try_send(stream(position, lens.message_len())) {
                Ok(end) => position = end.get(),
                Err(refused) if refused.is_full() => thread::yield_now(),
                Err(_) => break,
            }
        }
        position
    });
    until(|| writer.progress().written >= enough.min(300_000) || sending.is_finished());
    let unsent = writer.stop();
    let accepted = sending.join().unwrap();
    let summary_of_the_end = writer.progress();
    drop(writer);
    let heard = reading.join().unwrap();

    assert_stream(0, &heard);
    assert_balanced(&summary_of_the_end);
    assert_eq!(summary_of_the_end.accepted, accepted);
    let written = summary_of_the_end.written;
    assert_heard(heard.len() as u64, written, in_doubt(&unsent));
    assert_unsent(&unsent, written, accepted);
}

#[test]
fn written_and_unsent_make_up_the_stream_wherever_a_pipe_is_stopped() {
    watched(|| {
        rounds(60, |random| {
            let (reader, pipe) = pipe();
            stop_somewhere(reader, pipe, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn written_and_unsent_make_up_the_stream_wherever_a_socket_is_stopped() {
    watched(|| {
        rounds(20, |random| {
            let (reader, pipe) = common::ends::unix_stream();
            stop_somewhere(reader, pipe, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn written_and_unsent_make_up_the_stream_wherever_a_fifo_is_stopped() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let mut count = 0;
        rounds(20, |random| {
            count += 1;
            let (reader, pipe) = common::ends::fifo(&folder.path().join(format!("{count}")));
            stop_somewhere(reader, pipe, random);
        });
    });
}

#[test]
fn written_and_unsent_make_up_the_stream_on_every_kind_of_pipe() {
    watched(|| {
        for stallable in stallables() {
            stop_somewhere(stallable.reader, stallable.pipe, &mut Random::new(3));
        }
    });
}

#[test]
fn after_a_failure_the_unsent_begins_where_the_pipe_broke() {
    watched(|| {
        rounds(60, |random| {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let mut position = 0;
            while position < 200_000 {
                let message = stream(position, random.message_len());
                position = writer.try_send(message).unwrap().get();
            }
            // So much that not all of it can be in the pipe.
            let most = usize::try_from(position).unwrap() - 65_537;
            let read = random.between(0, most.min(150_000));
            assert_stream(0, &read_exact(&mut reader, read));
            drop(reader);
            let error = writer.close_timeout(LONG).unwrap_err();
            let summary = error.summary();
            assert!(matches!(summary.outcome, Outcome::Failed(_)));
            assert!(summary.written + summary.in_doubt >= read as u64);
            assert_eq!(summary.accepted, position);
            let (written, doubtful) = (summary.written, summary.in_doubt);
            assert_eq!(summary.unsent, position - written - doubtful);
            let unsent = error.into_unsent();
            assert_eq!(in_doubt(&unsent), doubtful);
            assert_unsent(&unsent, written, position);
        });
    });
}

#[test]
fn the_unsent_is_given_back_once_and_stays_on_the_books() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        assert!(writer.take_unsent().is_none(), "not before the end");
        let unsent = writer.stop();
        let (len, doubtful) = (unsent.len(), in_doubt(&unsent));
        assert_eq!(len + doubtful, 100_000);
        let again = writer.stop();
        assert_eq!((again.len(), in_doubt(&again)), (0, 0));
        assert!(writer.take_unsent().unwrap().is_empty());
        let progress = writer.progress();
        assert_balanced(&progress);
        assert_eq!(progress.queued, len, "it is still unsent");
        assert_eq!(progress.in_doubt, doubtful);
    });
}

#[test]
fn only_what_was_accepted_counts() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::builder().capacity(100).build(pipe).unwrap();
        writer.try_send([0; 60].to_vec()).unwrap();
        assert!(writer.try_send([0; 41].to_vec()).is_err());
        assert!(writer.try_send_slice(&[0; 41]).is_err());
        let permit = writer.try_reserve(40).unwrap();
        assert_eq!(writer.progress().accepted, 60, "a permit is no message");
        permit.send([0; 10].to_vec()).unwrap();
        writer.try_send("").unwrap();
        assert_eq!(writer.position().get(), 70);
        writer.cancel();
        assert!(writer.try_send("late").is_err());
        assert_eq!(writer.progress().accepted, 70);
    });
}

#[test]
fn a_message_that_failed_to_go_out_is_unsent_as_a_whole() {
    watched(|| {
        // The pipe breaks before anything of it is written.
        let (reader, pipe) = pipe();
        drop(reader);
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 5_000)).unwrap();
        let outcome = futures_lite::future::block_on(writer.ended()).outcome;
        assert!(matches!(outcome, Outcome::Failed(_)));
        let unsent = writer.take_unsent().unwrap();
        assert_eq!(in_doubt(&unsent), 0);
        assert_unsent(&unsent, 0, 5_000);
    });
}
