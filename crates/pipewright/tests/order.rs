//! C2, order: the reader receives exactly the accepted sends, in order, each
//! contiguous, whatever threads and front-ends they came from.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::io::Write;
use std::thread;

use bytes::Bytes;
use common::accounts::{assert_heard, in_doubt};
use common::data::{assert_stream, read_exact, read_stream, reading, stream};
use common::ends::{Pipe, full_pipe, pipe};
use common::{LONG, Random, rounds, watched};
use futures_lite::future::block_on;
use pipewright::{PipeWriter, Position};

#[test]
fn messages_of_all_sizes_arrive_in_order() {
    watched(|| {
        rounds(8, |random| {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let mut random = random.clone();
            let sending = thread::spawn(move || {
                let mut position = 0;
                for _ in 0..400 {
                    let message = stream(position, random.message_len());
                    position += message.len() as u64;
                    let sent = writer.send_timeout(message, LONG).unwrap();
                    assert_eq!(sent.get(), position);
                }
                writer.close_timeout(LONG).unwrap();
                position
            });
            let heard = read_stream(&mut reader, 0);
            assert_eq!(heard, sending.join().unwrap());
        });
    });
}

#[test]
fn a_message_into_an_idle_pipe_does_not_overtake_the_queue() {
    watched(|| {
        // Bursts that fill the pipe alternate with single messages after a drain,
        // so that the inline path and the queue take turns.
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let (mut sent, mut heard) = (0, 0);
        rounds(300, |random| {
            for _ in 0..random.between(1, 6) {
                let message = stream(sent, random.message_len());
                sent = writer.send_timeout(message, LONG).unwrap().get();
                if random.one_in(4) {
                    let some = random.below(usize::try_from(sent - heard).unwrap() + 1);
                    assert_stream(heard, &read_exact(&mut reader, some));
                    heard += some as u64;
                }
            }
            if random.one_in(2) {
                let rest = usize::try_from(sent - heard).unwrap();
                assert_stream(heard, &read_exact(&mut reader, rest));
                heard = sent;
            }
        });
        writer.finish();
        assert_eq!(read_stream(&mut reader, heard), sent);
    });
}

/// One message of a known sender: who, which of his, how long, and a pattern.
fn tagged(sender: u8, number: u32, len: usize) -> Vec<u8> {
    let mut message = vec![sender];
    message.extend_from_slice(&number.to_be_bytes());
    message.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    message.resize(9 + len, sender ^ number.to_be_bytes()[3]);
    message
}

/// Sends in one of the ways there are.
fn send(writer: &PipeWriter, message: &[u8], random: &mut Random) -> Position {
    let copy = || Bytes::copy_from_slice(message);
    match random.below(7) {
        0 => loop {
            match writer.try_send(copy()) {
                Ok(position) => break position,
                Err(refused) => assert!(refused.is_full()),
            }
            writer
                .reserve_timeout(message.len(), LONG)
                .map(drop)
                .unwrap();
        },
        1 => loop {
            match writer.try_send_slice(message) {
                Ok(position) => break position,
                Err(refused) => assert!(refused.is_full()),
            }
            thread::yield_now();
        },
        2 => block_on(writer.send(copy())).unwrap(),
        3 => {
            let permit = block_on(writer.reserve(message.len())).unwrap();
            thread::yield_now();
            permit.send(copy()).unwrap()
        }
        4 => {
            let permit = writer.reserve_timeout(message.len(), LONG).unwrap();
            permit.send(copy()).unwrap()
        }
        _ => writer.send_timeout(copy(), LONG).unwrap(),
    }
}

/// Many threads send in every way there is; each message must lie at the position
/// that its send returned, whole, and the messages must fill the stream.
fn many_senders(reader: impl std::io::Read + Send + 'static, pipe: Pipe, random: &mut Random) {
    const SENDERS: u8 = 5;
    const MESSAGES: u32 = 120;
    let writer = PipeWriter::builder().capacity(150_000).build(pipe).unwrap();
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let (writer, mut random) = (writer.clone(), random.fork());
            thread::spawn(move || {
                let mut sent = Vec::new();
                for number in 0..MESSAGES {
                    let message = tagged(sender, number, random.message_len());
                    let end = send(&writer, &message, &mut random).get();
                    sent.push((end - message.len() as u64, message));
                }
                assert!(sent.is_sorted_by_key(|(start, _)| *start));
                sent
            })
        })
        .collect();
    let mut reader = reader;
    let reading = thread::spawn(move || {
        let mut heard = Vec::new();
        reader.read_to_end(&mut heard).unwrap();
        heard
    });
    let mut sent: Vec<_> = senders
        .into_iter()
        .flat_map(|sender| sender.join().unwrap())
        .collect();
    writer.close_timeout(LONG).unwrap();
    let heard = reading.join().unwrap();

    sent.sort_unstable_by_key(|(start, _)| *start);
    let mut position = 0;
    for (start, message) in sent {
        assert_eq!(start, position as u64, "no gap and no overlap");
        assert!(heard[position..].starts_with(&message), "at {position}");
        position += message.len();
    }
    assert_eq!(position, heard.len());
}

#[test]
fn messages_of_many_threads_lie_whole_where_their_positions_say() {
    watched(|| {
        rounds(4, |random| {
            let (reader, pipe) = pipe();
            many_senders(reader, pipe, random);
        });
    });
}

#[cfg(unix)]
#[test]
fn messages_of_many_threads_lie_whole_in_a_socket_too() {
    watched(|| {
        rounds(2, |random| {
            let (reader, pipe) = common::ends::unix_stream();
            many_senders(reader, pipe, random);
        });
    });
}

#[test]
fn what_was_queued_before_the_pipe_came_goes_first() {
    watched(|| {
        let writer = PipeWriter::unattached();
        let mut position = 0;
        for len in [1, 3_000, 10, 100_000, 2_000, 70_000] {
            position = writer.try_send(stream(position, len)).unwrap().get();
        }
        let (mut reader, pipe) = pipe();
        let late = writer.clone();
        let sending = thread::spawn(move || {
            for len in [5, 50_000, 5] {
                position = late
                    .send_timeout(stream(position, len), LONG)
                    .unwrap()
                    .get();
            }
            late.close_timeout(LONG).unwrap();
            position
        });
        writer.attach(pipe).unwrap();
        assert_eq!(read_stream(&mut reader, 0), sending.join().unwrap());
    });
}

#[test]
fn what_one_pipe_did_not_take_continues_the_stream_in_the_next() {
    watched(|| {
        rounds(30, |random| {
            let (first_reader, first_pipe) = pipe();
            let writer = PipeWriter::new(first_pipe).unwrap();
            let mut position = 0;
            while position < 300_000 {
                let message = stream(position, random.message_len());
                position = writer.try_send(message).unwrap().get();
            }
            let unsent = writer.stop();
            let heard = reading(first_reader).join().unwrap();
            assert_stream(0, &heard);
            let (written, doubtful) = (unsent.written(), in_doubt(&unsent));
            assert_heard(heard.len() as u64, written, doubtful);

            let (mut second_reader, second_pipe) = pipe();
            let second = PipeWriter::new(second_pipe).unwrap();
            for bytes in unsent {
                second.try_send(bytes).unwrap();
            }
            second.finish();
            let end = read_stream(&mut second_reader, written + doubtful);
            assert_eq!(end, position);
        });
    });
}

#[test]
fn pieces_of_io_write_follow_each_other() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let mut writer = PipeWriter::builder().capacity(1_000).build(pipe).unwrap();
        let sending = thread::spawn(move || {
            let mut position = 0;
            for len in [1, 999, 1_000, 1_001, 5_000, 100_000, 200_000] {
                writer.write_all(&stream(position, len)).unwrap();
                position += len as u64;
            }
            Write::flush(&mut writer).unwrap();
            position
        });
        read_exact(&mut reader, filling);
        assert_eq!(read_stream(&mut reader, 0), sending.join().unwrap());
    });
}
