//! C4, memory: a message's memory lives as long as it may still be written, and
//! not longer; what was not written comes back in the very memory that was sent,
//! without a copy.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::data::{Fate, assert_stream, read_exact, reading, stream, tracked};
use common::ends::{Stallable, full_pipe, on_a_thread, pipe, stallables};
use common::wakers::poll_once;
use common::{LONG, rounds, until, watched};
use futures_lite::future::block_on;
use pipewright::{JOIN_MAX, PipeWriter, Unsent};

#[test]
fn memory_lives_until_its_last_byte_is_written() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let len = 4 * filling;
        let (message, fate) = tracked(stream(0, len));
        writer.try_send(message).unwrap();
        read_exact(&mut reader, filling);
        // The pipe holds `filling` bytes of it at most, the rest is in the memory.
        for read in 0..3 {
            until(|| writer.progress().written > read * filling as u64);
            assert!(!fate.is_freed(), "freed with bytes left to write");
            let position = read * filling as u64;
            assert_stream(position, &read_exact(&mut reader, filling));
        }
        assert_stream(3 * filling as u64, &read_exact(&mut reader, filling));
        until(|| fate.is_freed());
    });
}

#[test]
fn memory_is_freed_by_the_time_a_small_message_is_sent() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let (small, copied) = tracked(stream(0, JOIN_MAX));
        let (large, kept) = tracked(stream(0, JOIN_MAX + 1));
        writer.try_send(small).unwrap();
        writer.try_send(large).unwrap();
        assert!(copied.is_freed());
        assert!(!kept.is_freed());
    });
}

/// Sends messages that are not joined, and remembers their memory.
fn send_tracked(writer: &PipeWriter, lens: &[usize]) -> Vec<(*const u8, usize, Fate)> {
    let mut position = 0;
    lens.iter()
        .map(|&len| {
            let (message, fate) = tracked(stream(position, len));
            let start = message.as_ptr();
            position = writer.try_send(message).unwrap().get();
            (start, len, fate)
        })
        .collect()
}

/// What is given back are the ends of the messages, in the messages' own memory: what is
/// in doubt, then what is unsent.
#[track_caller]
fn assert_same_memory(unsent: &Unsent, sent: &[(*const u8, usize, Fate)]) {
    let mut skip = usize::try_from(unsent.written()).unwrap();
    let mut pieces = unsent.in_doubt().iter().chain(unsent.pieces());
    for (start, len, fate) in sent {
        if *len <= skip {
            // Written as a whole. It is freed by the thread that wrote it, which need
            // not be the one that closed the pipe.
            until(|| fate.is_freed());
            skip -= len;
            continue;
        }
        assert!(!fate.is_freed());
        while skip < *len {
            let piece = pieces.next().unwrap();
            assert_eq!(piece.as_ptr(), start.wrapping_add(skip), "a copy");
            skip += piece.len();
        }
        assert_eq!(skip, *len, "a piece of two messages");
        skip = 0;
    }
    assert!(pieces.next().is_none());
}

#[test]
fn the_unsent_is_the_memory_that_was_sent_on_every_kind_of_pipe() {
    watched(|| {
        for Stallable { reader, pipe, .. } in stallables() {
            let writer = PipeWriter::builder().capacity(1 << 30).build(pipe).unwrap();
            let sent = send_tracked(&writer, &[3_000, 100_000, 8_000_000, 5_000]);
            // Some are in the middle of a message, some have the next in flight.
            until(|| writer.progress().written > 0);
            let unsent = writer.stop();
            assert_same_memory(&unsent, &sent);
            drop(unsent);
            until(|| sent.iter().all(|(_, _, fate)| fate.is_freed()));
            drop(reader);
        }
    });
}

#[test]
fn the_unsent_is_the_memory_that_was_sent_after_a_broken_pipe() {
    watched(|| {
        rounds(50, |random| {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let lens: Vec<_> = (0..8)
                .map(|_| random.between(JOIN_MAX + 1, 60_000))
                .collect();
            let sent = send_tracked(&writer, &lens);
            let total = lens.iter().sum();
            read_exact(&mut reader, random.below(total));
            drop(reader);
            match writer.close_timeout(LONG) {
                // All was in the pipe when the reader went.
                Ok(_) => until(|| sent.iter().all(|(_, _, fate)| fate.is_freed())),
                Err(error) => assert_same_memory(&error.into_unsent(), &sent),
            }
        });
    });
}

#[test]
fn memory_is_freed_with_the_writer_whoever_was_last() {
    watched(|| {
        let ends: [fn(PipeWriter); 5] = [
            drop,
            |writer| writer.cancel(),
            |writer| drop(writer.stop()),
            |writer| drop(writer.into_parts()),
            |writer| drop(writer.close_timeout(Duration::ZERO)),
        ];
        for end in ends {
            let (_reader, pipe, _) = full_pipe();
            let writer = PipeWriter::builder()
                .linger(Duration::ZERO)
                .build(pipe)
                .unwrap();
            let sent = send_tracked(&writer, &[3_000, 500_000, 3_000]);
            end(writer);
            until(|| sent.iter().all(|(_, _, fate)| fate.is_freed()));
        }
    });
}

#[test]
fn waits_that_are_forgotten_do_not_endanger_the_writer() {
    watched(|| {
        let (reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(10_000).build(pipe).unwrap();
        let (message, fate) = tracked(stream(0, 10_000));
        writer.try_send(message).unwrap();
        let mut flush = Box::pin(writer.flush());
        let mut ended = Box::pin(writer.ended());
        assert!(poll_once(&mut flush).is_pending());
        assert!(poll_once(&mut ended).is_pending());
        #[allow(clippy::mem_forget, reason = "what a user may do too")]
        {
            mem::forget(flush);
            mem::forget(ended);
        }
        let reading = reading(reader);
        writer.close_timeout(LONG).unwrap();
        until(|| fate.is_freed());
        assert_stream(0, &reading.join().unwrap()[filling..]);
    });
}

#[test]
fn a_writer_that_is_forgotten_still_writes() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let (message, fate) = tracked(stream(0, 300_000));
        writer.try_send(message).unwrap();
        #[allow(clippy::mem_forget, reason = "what a user may do too")]
        mem::forget(writer);
        read_exact(&mut reader, filling);
        assert_stream(0, &read_exact(&mut reader, 300_000));
        until(|| fate.is_freed());
    });
}

#[test]
fn a_panic_in_the_callback_frees_the_message_all_the_same() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder()
            .on_progress(|_| panic!("on purpose"))
            .build(pipe)
            .unwrap();
        let sent = send_tracked(&writer, &[10_000, 200_000, 10_000]);
        read_exact(&mut reader, filling);
        assert_stream(0, &read_exact(&mut reader, 220_000));
        writer.flush_timeout(LONG).unwrap();
        until(|| sent.iter().all(|(_, _, fate)| fate.is_freed()));
    });
}

#[test]
fn the_callback_is_dropped_with_the_end() {
    watched(|| {
        for drops_it in [false, true] {
            let (_reader, pipe) = pipe();
            let held = Arc::new(());
            let holds = Arc::clone(&held);
            let writer = PipeWriter::builder()
                .on_progress(move |_| drop(Arc::clone(&holds)))
                .build(pipe)
                .unwrap();
            writer.try_send("hello").unwrap();
            if drops_it {
                drop(writer);
                until(|| Arc::strong_count(&held) == 1);
            } else {
                let _ = writer.stop();
                until(|| Arc::strong_count(&held) == 1);
                drop(writer);
            }
        }
    });
}

#[test]
fn memory_in_the_hands_of_a_writing_thread_outlives_every_handle() {
    watched(|| {
        // The thread waits with the operation in its hands while all else goes away.
        let (mut reader, writer) = on_a_thread(|pipe| {
            let builder = PipeWriter::builder().linger(LONG);
            builder.build(pipe).unwrap()
        });
        let (message, fate) = tracked(stream(0, 200_000));
        writer.try_send(message).unwrap();
        until(|| writer.progress().written > 0);
        drop(writer);
        assert!(!fate.is_freed());
        assert_stream(0, &read_exact(&mut reader, 200_000));
        until(|| fate.is_freed());
    });
}

#[test]
fn memory_in_the_hands_of_a_writing_thread_comes_back_when_it_is_stopped() {
    watched(|| {
        let (_reader, writer) = on_a_thread(|pipe| {
            let builder = PipeWriter::builder().capacity(1 << 20);
            builder.build(pipe).unwrap()
        });
        let sent = send_tracked(&writer, &[100_000, 300_000]);
        until(|| {
            let progress = writer.progress();
            progress.in_flight > 0 && progress.written > 0
        });
        let unsent = writer.stop();
        assert_same_memory(&unsent, &sent);
    });
}

#[test]
fn senders_that_wait_hold_their_message_and_give_it_back() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::builder().capacity(10).build(pipe).unwrap();
        writer.try_send("0123456789").unwrap();
        let (message, fate) = tracked(stream(0, 5_000));
        let mut sending = Box::pin(writer.send(message));
        assert!(poll_once(&mut sending).is_pending());
        assert!(!fate.is_freed());
        drop(sending);
        assert!(fate.is_freed(), "given up with the future");

        let (message, fate) = tracked(stream(0, 5_000));
        let start = message.as_ptr();
        let other = writer.clone();
        let sending = thread::spawn(move || block_on(other.send(message)));
        let mut line = Box::pin(writer.reserve(1));
        assert!(poll_once(&mut line).is_pending());
        let _ = writer.stop();
        let refused = sending.join().unwrap().unwrap_err();
        assert_eq!(refused.into_inner().as_ptr(), start);
        assert!(fate.is_freed());
    });
}
