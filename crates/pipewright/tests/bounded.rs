//! C5, bounded: every writer has a capacity in bytes; over it a send is refused and
//! hands the data back, or waits. One message larger than the capacity is accepted
//! when nothing else is queued.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::data::{read_exact, reading, stream};
use common::ends::{ON_A_THREAD, full_pipe, on_a_thread, pipe};
use common::{LONG, rounds, until, watched};
use pipewright::{Mode, PipeWriter, SendTimeoutError, TrySendError, WaitError};

/// A writer that accepts so much, and writes nothing.
fn bounded(capacity: u64) -> PipeWriter {
    PipeWriter::builder()
        .capacity(capacity)
        .unattached()
        .unwrap()
}

#[test]
fn exactly_the_capacity_is_accepted() {
    watched(|| {
        for capacity in [1, 2, 1_000, 2_048, 65_536, 1_000_000] {
            let writer = bounded(capacity);
            let mut left = capacity;
            while left > 0 {
                let len = left.min(3_333);
                writer
                    .try_send(stream(0, usize::try_from(len).unwrap()))
                    .unwrap();
                left -= len;
            }
            assert_eq!(writer.progress().accepted, capacity);
            assert!(writer.try_send("x").unwrap_err().is_full());
            assert!(writer.try_send_slice(b"x").unwrap_err().is_full());
            assert!(writer.try_reserve(1).unwrap_err().is_full());
            assert_eq!(writer.progress().accepted, capacity);
        }
    });
}

#[test]
fn a_refused_send_hands_back_the_very_data() {
    watched(|| {
        let writer = bounded(10);
        writer.try_send("12345678").unwrap();
        for message in [Bytes::from(stream(0, 3)), Bytes::from(stream(0, 50_000))] {
            let start = message.as_ptr();
            let back = writer.try_send(message.clone()).unwrap_err().into_inner();
            assert_eq!((back.as_ptr(), back.len()), (start, message.len()));
            match writer.send_timeout(message.clone(), Duration::from_millis(5)) {
                Err(SendTimeoutError::Timeout(back)) => assert_eq!(back.as_ptr(), start),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(writer.try_send("90").unwrap().get(), 10);
    });
}

#[test]
fn one_message_over_the_capacity_is_accepted_alone() {
    watched(|| {
        let writer = bounded(10);
        writer.try_send(stream(0, 100_000)).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
        assert!(writer.try_send(stream(0, 100_000)).unwrap_err().is_full());

        let writer = bounded(10);
        writer.try_send("x").unwrap();
        assert!(writer.try_send(stream(0, 11)).unwrap_err().is_full());

        let writer = bounded(10);
        let permit = writer.try_reserve(1).unwrap();
        assert!(
            writer.try_send(stream(0, 11)).unwrap_err().is_full(),
            "a permit counts like a message"
        );
        drop(permit);
        writer.try_send(stream(0, 11)).unwrap();
    });
}

#[test]
fn one_message_over_the_capacity_is_waited_for_and_goes_through() {
    watched(|| {
        let (reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(10).build(pipe).unwrap();
        writer.try_send("x").unwrap();
        let reading = reading(reader);
        writer.send_timeout(stream(0, 300_000), LONG).unwrap();
        writer.send_timeout("y", LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        assert_eq!(reading.join().unwrap().len(), filling + 300_002);
    });
}

#[test]
fn empty_messages_need_no_room_in_a_stream() {
    watched(|| {
        let writer = bounded(1);
        writer.try_send("x").unwrap();
        for _ in 0..1_000 {
            assert_eq!(writer.try_send("").unwrap().get(), 1);
        }
        drop(writer.try_reserve(0).unwrap());
    });
}

#[test]
fn empty_messages_that_are_messages_are_bounded_too() {
    watched(|| {
        let writer = PipeWriter::builder()
            .capacity(3)
            .mode(Mode::Message)
            .unattached()
            .unwrap();
        for _ in 0..3 {
            writer.try_send("").unwrap();
        }
        assert!(writer.try_send("").unwrap_err().is_full());
        assert_eq!(writer.stop().pieces().len(), 3);
    });
}

#[test]
fn permits_count_and_give_back_what_they_do_not_use() {
    watched(|| {
        let writer = bounded(100);
        let first = writer.try_reserve(60).unwrap();
        assert!(writer.try_send([0; 41].to_vec()).unwrap_err().is_full());
        writer.try_send([0; 40].to_vec()).unwrap();
        assert!(writer.try_reserve(1).unwrap_err().is_full());
        // Ten of sixty: fifty are free again.
        first.send([0; 10].to_vec()).unwrap();
        let second = writer.try_reserve(50).unwrap();
        drop(second);
        let third = writer.try_reserve(30).unwrap();
        // More than was reserved, and there is room for the rest.
        third.send([0; 35].to_vec()).unwrap();
        // More than was reserved, and there is none.
        let fourth = writer.try_reserve(10).unwrap();
        let message = Bytes::from(vec![0; 16]);
        match fourth.send(message.clone()) {
            Err(TrySendError::Full(back)) => assert_eq!(back, message),
            other => panic!("{other:?}"),
        }
        assert_eq!(writer.progress().accepted, 85);
        writer.try_send([0; 15].to_vec()).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
    });
}

#[test]
fn room_comes_back_with_every_byte_that_is_written() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(10_000).build(pipe).unwrap();
        writer.try_send(stream(0, 10_000)).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
        read_exact(&mut reader, filling);
        writer.flush_timeout(LONG).unwrap();
        for _ in 0..10 {
            writer.try_send(stream(0, 1_000)).unwrap();
        }
    });
}

#[test]
fn bytes_in_flight_count_against_the_capacity() {
    watched(|| {
        // A thread has the operation in its hands while the reader is stalled.
        let (_reader, writer) = on_a_thread(|pipe| {
            let builder = PipeWriter::builder().capacity(200_000);
            builder.build(pipe).unwrap()
        });
        writer.try_send(stream(0, 200_000)).unwrap();
        until(|| writer.progress().written >= ON_A_THREAD && writer.progress().in_flight > 0);
        let progress = writer.progress();
        let free = 200_000 - progress.in_flight - progress.queued;
        let more = usize::try_from(free).unwrap() + 50_000;
        assert!(writer.try_reserve(more).unwrap_err().is_full());
    });
}

#[test]
fn the_capacity_holds_whatever_the_senders_do() {
    watched(|| {
        rounds(4, |random| {
            const CAPACITY: u64 = 20_000;
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::builder()
                .capacity(CAPACITY)
                .build(pipe)
                .unwrap();
            let over = Arc::new(AtomicBool::new(false));
            let watching = {
                let (writer, over) = (writer.clone(), Arc::clone(&over));
                thread::spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        let progress = writer.progress();
                        assert!(progress.accepted - progress.written <= CAPACITY);
                    }
                })
            };
            let senders: Vec<_> = (0..4)
                .map(|_| {
                    let (writer, mut random) = (writer.clone(), random.fork());
                    thread::spawn(move || {
                        for _ in 0..200 {
                            let len = random.between(1, 9_000);
                            match random.below(3) {
                                0 => drop(writer.try_send(stream(0, len))),
                                1 => drop(writer.send_timeout(stream(0, len), LONG).unwrap()),
                                _ => {
                                    let permit = writer.reserve_timeout(len, LONG).unwrap();
                                    permit.send(stream(0, len / 2)).unwrap();
                                }
                            }
                        }
                    })
                })
                .collect();
            let finish = writer.clone();
            let finishing = thread::spawn(move || {
                for sender in senders {
                    sender.join().unwrap();
                }
                finish.close_timeout(LONG).unwrap()
            });
            let mut heard = 0;
            loop {
                let mut buffer = vec![0; random.between(1, 60_000)];
                match std::io::Read::read(&mut reader, &mut buffer).unwrap() {
                    0 => break,
                    n => heard += n as u64,
                }
            }
            assert_eq!(finishing.join().unwrap().accepted, heard);
            over.store(true, Ordering::SeqCst);
            watching.join().unwrap();
        });
    });
}

#[test]
fn waiting_for_room_ends_when_the_time_is_over() {
    watched(|| {
        let writer = bounded(1);
        writer.try_send("x").unwrap();
        let short = Duration::from_millis(2);
        let error = writer.reserve_timeout(1, short).unwrap_err();
        assert!(matches!(error, WaitError::Timeout));
        let error = writer.send_timeout("y", Duration::ZERO).unwrap_err();
        assert!(matches!(error, SendTimeoutError::Timeout(_)));
        assert_eq!(writer.stop().len(), 1, "those who gave up sent nothing");
    });
}

#[test]
fn a_capacity_without_limit_is_one() {
    watched(|| {
        let writer = bounded(u64::MAX);
        let message = Bytes::from(stream(0, 1_000_000));
        for _ in 0..1_000 {
            writer.try_send(message.clone()).unwrap();
        }
        assert_eq!(writer.progress().queued, 1_000_000_000);
    });
}
