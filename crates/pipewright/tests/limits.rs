//! C9, limits: sizes and positions are 64 bits wide everywhere, a message may be
//! larger than any 32-bit number, and no time and no length is too large or too
//! small to be given.

#![cfg(target_pointer_width = "64")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use common::accounts::in_doubt;
use common::data::{read_stream, stream};
use common::ends::{NULL, Stallable, full_pipe, pipe, stallables};
use common::wakers::poll_once;
use common::{LONG, alone, until, watched};
use futures_lite::future::block_on;
use pipewright::{PipeWriter, Position};

const FOUR_GIB: usize = 1 << 32;

/// More than 32 bits can count. Of the memory only the marked pages are there: the
/// system gives the others out when they are written to, and nobody does.
fn more_than_4_gib() -> (Bytes, [usize; 5]) {
    let len = FOUR_GIB + 70_001;
    let mut memory = vec![0_u8; len];
    let marks = [0, 65_536, FOUR_GIB - 1, FOUR_GIB, len - 1];
    for (mark, at) in (1..).zip(marks) {
        memory[at] = mark;
    }
    (memory.into(), marks)
}

#[test]
fn a_message_of_more_than_4_gib_arrives_whole() {
    watched(|| {
        let (message, marks) = more_than_4_gib();
        let len = message.len();
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::builder()
            .sole_owner(true)
            .pipe_size(1 << 20)
            .build(pipe)
            .unwrap();
        assert_eq!(writer.try_send(message).unwrap().get(), len as u64);
        writer.finish();
        let mut buffer = vec![0; 1 << 20];
        let mut heard = 0;
        let zeros = vec![0; 1 << 20];
        loop {
            let n = reader.read(&mut buffer).unwrap();
            if n == 0 {
                break;
            }
            for (mark, at) in (1..).zip(marks) {
                if (heard..heard + n).contains(&at) {
                    assert_eq!(buffer[at - heard], mark);
                    buffer[at - heard] = 0;
                }
            }
            assert!(buffer[..n] == zeros[..n], "near byte {heard}");
            heard += n;
        }
        assert_eq!(heard, len);
        assert_eq!(block_on(writer.ended()).written, len as u64);
    });
}

#[test]
fn the_rest_of_a_message_of_more_than_4_gib_comes_back_whole() {
    watched(|| {
        let (message, _) = more_than_4_gib();
        let (start, len) = (message.as_ptr(), message.len() as u64);
        let (_reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(message).unwrap();
        until(|| writer.progress().written > 0);
        let progress = writer.progress();
        assert_eq!(progress.written + progress.in_flight + progress.queued, len);
        let unsent = writer.stop();
        let given_up = unsent.written() + in_doubt(&unsent);
        assert_eq!(unsent.len(), len - given_up);
        let rest = start.wrapping_add(usize::try_from(given_up).unwrap());
        assert_eq!(unsent.pieces()[0].as_ptr(), rest);
    });
}

#[cfg(not(pipewright_portable))]
#[test]
fn the_books_count_beyond_32_bits() {
    watched(|| {
        // The device takes everything at once, so this is 20 GiB of bookkeeping.
        let (message, _) = more_than_4_gib();
        let len = message.len() as u64;
        let null = File::options().write(true).open(NULL).unwrap();
        let writer = PipeWriter::builder()
            .capacity(u64::MAX)
            .build(null)
            .unwrap();
        for n in 1..=5 {
            let end = writer.send_timeout(message.clone(), LONG).unwrap();
            assert_eq!(end.get(), n * len);
        }
        writer.wait_written(Position::new(5 * len), LONG).unwrap();
        let summary = writer.close_timeout(LONG).unwrap();
        assert_eq!((summary.accepted, summary.written), (5 * len, 5 * len));
    });
}

#[test]
fn queues_and_capacities_count_beyond_32_bits() {
    watched(|| {
        let (message, _) = more_than_4_gib();
        let len = message.len() as u64;
        let writer = PipeWriter::builder()
            .capacity(3 * len)
            .unattached()
            .unwrap();
        for _ in 0..2 {
            writer.try_send(message.clone()).unwrap();
        }
        let permit = writer.try_reserve(message.len()).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
        drop(permit);
        writer.try_send("x").unwrap();
        assert_eq!(writer.progress().queued, 2 * len + 1);
        assert_eq!(writer.stop().len(), 2 * len + 1);
    });
}

#[test]
fn the_largest_numbers_overflow_nothing() {
    watched(|| {
        for capacity in [1, u64::MAX - 1, u64::MAX] {
            let writer = PipeWriter::builder()
                .capacity(capacity)
                .unattached()
                .unwrap();
            let permit = writer.try_reserve(usize::MAX).unwrap();
            assert!(writer.try_send("x").unwrap_err().is_full());
            let mut waiting = Box::pin(writer.reserve(usize::MAX));
            assert!(poll_once(&mut waiting).is_pending());
            assert!(writer.try_reserve(usize::MAX).unwrap_err().is_full());
            drop(permit);
            assert!(poll_once(&mut waiting).is_ready());
            drop(waiting);
            writer.try_send("xyz").unwrap();
            if capacity > 1 {
                assert!(writer.try_reserve(usize::MAX).unwrap_err().is_full());
                let almost = usize::try_from(capacity - 3).unwrap();
                drop(writer.try_reserve(almost).unwrap());
            }
            let far = Position::new(u64::MAX);
            assert!(writer.wait_written(far, Duration::ZERO).is_err());
            assert_eq!(writer.stop().len(), 3);
        }
    });
}

/// Times from none at all to more than any clock can hold.
const TIMES: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_nanos(1),
    Duration::from_secs(u32::MAX as u64 + 1),
    Duration::from_secs(1 << 40),
    Duration::from_secs((i64::MAX / 2) as u64),
    Duration::from_secs(i64::MAX as u64),
    Duration::from_secs(u64::MAX),
    Duration::MAX,
];

#[test]
fn no_time_is_too_long_to_be_waited() {
    alone(|| {
        for time in TIMES.into_iter().skip(2) {
            let (mut reader, stalled, filling) = full_pipe();
            let writer = PipeWriter::builder().linger(time).build(stalled).unwrap();
            let end = writer.try_send(stream(0, 200_000)).unwrap();
            let waits = [
                std::thread::spawn({
                    let writer = writer.clone();
                    move || writer.wait_written(end, time).is_ok()
                }),
                std::thread::spawn({
                    let writer = writer.clone();
                    move || writer.close_timeout(time).is_ok()
                }),
                std::thread::spawn({
                    let writer = writer.clone();
                    move || block_on(writer.close(time)).is_ok()
                }),
                std::thread::spawn(move || pipewright::wait_lingering(time).is_ok()),
            ];
            // Timers that are due in between still come.
            until(|| writer.progress().written == 0);
            let short = writer.flush_timeout(Duration::from_millis(1));
            assert!(short.is_err());
            common::data::read_exact(&mut reader, filling);
            assert_eq!(read_stream(&mut reader, 0), 200_000);
            for wait in waits {
                assert!(wait.join().unwrap());
            }
        }
    });
}

#[test]
fn no_linger_time_is_too_long_and_timers_go_on() {
    alone(|| {
        let mut readers = Vec::new();
        for time in TIMES.into_iter().skip(2) {
            let (reader, stalled, filling) = full_pipe();
            let writer = PipeWriter::builder().linger(time).build(stalled).unwrap();
            writer.try_send(stream(0, 200_000)).unwrap();
            drop(writer);
            readers.push((reader, filling));
        }
        // One with little time ends while the others go on.
        let (_stays, stalled, _) = full_pipe();
        let writer = PipeWriter::builder()
            .linger(Duration::from_millis(1))
            .build(stalled)
            .unwrap();
        writer.try_send("x").unwrap();
        drop(writer);
        let long = readers.len();
        let lingering = |expected| {
            let waited = pipewright::wait_lingering(Duration::ZERO);
            waited.is_err_and(|still| still.writers == expected)
        };
        until(|| lingering(long));
        for (mut reader, filling) in readers {
            common::data::read_exact(&mut reader, filling);
            assert_eq!(read_stream(&mut reader, 0), 200_000);
        }
        pipewright::wait_lingering(LONG).unwrap();
    });
}

#[test]
fn no_time_is_too_short_to_be_waited() {
    watched(|| {
        for time in [TIMES[0], TIMES[1]] {
            let (_reader, stalled, _) = full_pipe();
            let writer = PipeWriter::builder().capacity(1).build(stalled).unwrap();
            writer.try_send("x").unwrap();
            assert!(writer.flush_timeout(time).is_err());
            assert!(writer.wait_read(time).is_err());
            assert!(writer.send_timeout("y", time).is_err());
            assert!(writer.reserve_timeout(1, time).is_err());
            assert!(writer.close_timeout(time).is_err());
        }
        // What is so already needs no time.
        let (_reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let end = writer.send_timeout("x", Duration::ZERO).unwrap();
        writer.wait_written(end, LONG).unwrap();
        writer.wait_written(end, Duration::ZERO).unwrap();
        drop(writer.reserve_timeout(1, Duration::ZERO).unwrap());
    });
}

#[test]
fn messages_of_nothing_do_nothing() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        for _ in 0..1_000 {
            assert_eq!(writer.try_send("").unwrap().get(), 0);
            assert_eq!(writer.try_send_slice(b"").unwrap().get(), 0);
        }
        writer.try_reserve(0).unwrap().send("").unwrap();
        writer.flush_timeout(LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        assert_eq!(read_stream(&mut reader, 0), 0);
    });
}

#[test]
fn a_gathering_write_takes_any_number_of_pieces() {
    watched(|| {
        // More chunks than one system call takes, each too large to be joined.
        for Stallable {
            mut reader, pipe, ..
        } in stallables()
        {
            let writer = PipeWriter::builder()
                .capacity(u64::MAX)
                .build(pipe)
                .unwrap();
            let mut sent = 0;
            for n in 0..3_000 {
                let len = pipewright::JOIN_MAX + 1 + n % 7;
                sent = writer.try_send(stream(sent, len)).unwrap().get();
            }
            writer.finish();
            assert_eq!(read_stream(&mut reader, 0), sent);
        }
    });
}
