//! C6, liveness, of the wakes: a pipe that fills up and is read again, at every
//! byte and in every step of the race between the write that finds it full and the
//! reader that makes room, always goes on; and who waits is always woken.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use common::data::{assert_stream, read_exact, read_stream, stream};
use common::ends::{Pipe, full_pipe, pipe, pipe_of};
use common::wakers::{Wakes, poll_once, poll_with};
use common::{LONG, Random, rounds, until, watched};
use futures_lite::future::block_on;
use pipewright::PipeWriter;

/// Reads to the end in random pieces, sometimes waiting until nothing moves.
fn read_randomly(reader: &mut impl Read, piece: usize, random: &mut Random) -> Vec<u8> {
    let mut heard = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        let some = random.between(1, piece);
        let n = reader.read(&mut buffer[..some]).unwrap();
        if n == 0 {
            return heard;
        }
        heard.extend_from_slice(&buffer[..n]);
        if random.one_in(16) {
            thread::yield_now();
        }
    }
}

/// One stream from a sender that is a task and one that is a thread, competing for
/// little room, into a pipe that is nearly always full.
fn compete(reader: impl Read + Send + 'static, pipe: Pipe, piece: usize, random: &mut Random) {
    let writer = PipeWriter::builder()
        .capacity(random.between(1, 8_000) as u64)
        .sole_owner(random.one_in(2))
        .build(pipe)
        .unwrap();
    let longest = random.between(1, 5_000);
    // There a read costs much more than here (on Wine, at any rate).
    let piece = if cfg!(windows) {
        piece.max(longest / 8)
    } else {
        piece
    };
    let senders: Vec<_> = (0..2_u8)
        .map(|sender| {
            let (writer, mut random) = (writer.clone(), random.fork());
            thread::spawn(move || {
                let mut total = 0;
                for n in 0..300 {
                    let message = vec![sender; random.between(1, longest)];
                    total += message.len();
                    let end = if sender == 0 {
                        block_on(writer.send(message)).unwrap()
                    } else {
                        writer.send_timeout(message, LONG).unwrap()
                    };
                    match (n % 32, sender) {
                        (0, 0) => block_on(writer.written_to(end)).unwrap(),
                        (0, _) => writer.wait_written(end, LONG).unwrap(),
                        _ => {}
                    }
                }
                total
            })
        })
        .collect();
    let (mut reader, mut choices) = (reader, random.fork());
    let reading = thread::spawn(move || read_randomly(&mut reader, piece, &mut choices));
    let totals: Vec<_> = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    writer.close_timeout(LONG).unwrap();
    let heard = reading.join().unwrap();
    let of_the_task = heard.iter().filter(|byte| **byte == 0).count();
    assert_eq!(totals, [of_the_task, heard.len() - of_the_task]);
}

#[test]
fn a_task_and_a_thread_compete_for_a_pipe_that_is_nearly_always_full() {
    watched(|| {
        rounds(24, |random| {
            let size = [4_096, 8_192, 65_536][random.below(3)];
            let (reader, pipe) = pipe_of(size);
            let piece = [1, 7, 300, 5_000, 70_000][random.below(5)].max(size / 2_000);
            compete(reader, pipe, piece, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn a_task_and_a_thread_compete_for_a_socket_that_is_nearly_always_full() {
    watched(|| {
        rounds(8, |random| {
            let (reader, pipe) = common::ends::unix_stream();
            rustix::net::sockopt::set_socket_send_buffer_size(&pipe, 2_048).unwrap();
            compete(reader, pipe, 5_000, random);
        });
    });
}

#[test]
fn every_page_that_is_read_lets_the_writer_go_on() {
    watched(|| {
        // The writer is always stalled when the reader takes just as much as it
        // needs to be woken again.
        let (mut reader, pipe) = pipe_of(4_096);
        let writer = PipeWriter::builder().capacity(100_000).build(pipe).unwrap();
        let (mut sent, mut heard) = (0, 0);
        rounds(3_000, |random| {
            while sent - heard < 12_000 {
                let message = stream(sent, random.between(1, 3_000));
                sent = writer.try_send(message).unwrap().get();
            }
            let some = random.between(1, 4_096);
            assert_stream(heard, &read_exact(&mut reader, some));
            heard += some as u64;
        });
        writer.finish();
        assert_eq!(read_stream(&mut reader, heard), sent);
    });
}

#[test]
fn a_write_that_races_the_reader_to_the_last_byte_is_not_forgotten() {
    watched(|| {
        // One byte at a time: the reader empties the pipe at the very moment at
        // which the writer finds it full.
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(64).build(pipe).unwrap();
        let total = 20_000;
        let sender = writer.clone();
        let sending = thread::spawn(move || {
            let mut sent = 0;
            while sent < total {
                let message = stream(sent, 1 + usize::try_from(sent % 63).unwrap());
                sent = sender.send_timeout(message, LONG).unwrap().get();
            }
            sender.finish();
            sent
        });
        read_exact(&mut reader, filling);
        let mut random = Random::new(5);
        let heard = read_randomly(&mut reader, 9, &mut random);
        assert_stream(0, &heard);
        assert_eq!(heard.len() as u64, sending.join().unwrap());
    });
}

#[test]
fn a_message_after_a_drain_is_always_written() {
    watched(|| {
        // The writer falls idle and is woken again, by a send on one thread while
        // another reads the one before.
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let heard = Arc::new(AtomicU64::new(0));
        let hears = Arc::clone(&heard);
        let reading = thread::spawn(move || {
            let mut buffer = [0; 64];
            loop {
                let n = reader.read(&mut buffer).unwrap();
                let before = hears.fetch_add(n as u64, Ordering::SeqCst);
                assert_stream(before, &buffer[..n]);
                if n == 0 {
                    return before;
                }
            }
        });
        let mut sent = 0;
        rounds(20_000, |random| {
            for _ in 0..random.between(1, 4) {
                let message = stream(sent, random.between(1, 16));
                sent = writer.send_timeout(message, LONG).unwrap().get();
            }
            // Nobody flushes: the bytes must come by themselves.
            while heard.load(Ordering::SeqCst) < sent {
                thread::yield_now();
            }
        });
        writer.finish();
        assert_eq!(reading.join().unwrap(), sent);
    });
}

#[test]
fn everybody_who_waits_for_something_is_woken_when_it_comes() {
    watched(|| {
        rounds(200, |random| {
            let (mut reader, pipe, filling) = full_pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let mut waits = Vec::new();
            for _ in 0..random.between(1, 12) {
                let end = writer.try_send(vec![1; random.between(1, 20_000)]).unwrap();
                let writer = writer.clone();
                let mut wait = Box::pin(async move { writer.written_to(end).await });
                let (wakes, waker) = Wakes::new();
                assert!(poll_with(&mut wait, &waker).is_pending());
                waits.push((wait, wakes, end));
            }
            let total = usize::try_from(writer.position().get()).unwrap();
            let read = filling + random.between(0, total);
            read_exact(&mut reader, read);
            // What was read was written before, and what was written is told.
            let told = (read - filling) as u64;
            waits.retain_mut(|(wait, wakes, end)| {
                let is_told = end.get() <= told;
                if is_told {
                    until(|| wakes.count() > 0);
                    assert!(poll_once(wait).is_ready());
                }
                !is_told
            });
            let mut ended = Box::pin(writer.ended());
            let (wakes, waker) = Wakes::new();
            let _ = poll_with(&mut ended, &waker);
            writer.cancel();
            for (wait, wakes, _) in &mut waits {
                until(|| wakes.count() > 0);
                assert!(poll_once(wait).is_ready());
            }
            until(|| wakes.count() > 0);
        });
    });
}
