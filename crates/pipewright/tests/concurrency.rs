//! Everything at once: threads that send in every way, a reader that is slow, stops
//! or dies, and others who stop, close, finish or drop at any moment. Whatever
//! happens, the reader has a prefix of the accepted stream, and the books balance to
//! the byte.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use common::accounts::{assert_balanced, assert_heard};
use common::ends::{Pipe, on_a_thread, pipe};
use common::{Random, rounds, watched};
use futures_lite::future::block_on;
use pipewright::{Outcome, PipeWriter};

/// One message: its length, who sent it, which of his it is, then filling.
fn tagged(sender: u8, number: u16, len: usize) -> Bytes {
    let mut message = Vec::with_capacity(len + 7);
    message.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    message.push(sender);
    message.extend_from_slice(&number.to_be_bytes());
    message.resize(len + 7, sender);
    message.into()
}

/// Sends until it is refused for good; tells what was accepted, and where it ends.
fn produce(writer: &PipeWriter, sender: u8, random: &mut Random) -> Vec<(u64, Bytes)> {
    let mut accepted = Vec::new();
    for number in 0..60 {
        let message = tagged(sender, number, random.message_len());
        let short = Duration::from_micros(random.below(3_000) as u64);
        let sent = match random.below(6) {
            0 => writer.try_send(message.clone()).ok(),
            1 => writer.try_send_slice(&message).ok(),
            2 => writer.send_timeout(message.clone(), short).ok(),
            3 => block_on(writer.send(message.clone())).ok(),
            4 => match writer.reserve_timeout(random.below(message.len() + 100), short) {
                Ok(permit) if random.one_in(3) => {
                    drop(permit);
                    None
                }
                Ok(permit) => permit.send(message.clone()).ok(),
                Err(_) => None,
            },
            _ => {
                // Given up at once, mostly while it waits.
                let mut send = Box::pin(writer.send(message.clone()));
                match common::wakers::poll_once(&mut send) {
                    std::task::Poll::Ready(sent) => sent.ok(),
                    std::task::Poll::Pending => None,
                }
            }
        };
        if let Some(end) = sent {
            accepted.push((end.get(), message));
        } else if writer.progress().outcome.is_some() {
            break;
        }
    }
    accepted
}

/// What a reader does with its end.
fn read(mut reader: impl Read, random: &mut Random) -> (Vec<u8>, bool) {
    let dies_at = random.one_in(2).then(|| random.below(1_500_000));
    let piece = [100, 4_096, 70_000][random.below(3)];
    let mut heard = Vec::new();
    let mut buffer = vec![0; piece];
    loop {
        if dies_at.is_some_and(|at| heard.len() >= at) {
            return (heard, false);
        }
        let some = random.between(1, piece);
        let n = reader.read(&mut buffer[..some]).unwrap();
        if n == 0 {
            return (heard, true);
        }
        heard.extend_from_slice(&buffer[..n]);
        if random.one_in(50) {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// How somebody ends it: with a handle, or by letting go of it.
fn end(writer: PipeWriter, random: &mut Random) {
    thread::sleep(Duration::from_micros(random.below(8_000) as u64));
    match random.below(7) {
        0 => writer.finish(),
        1 => writer.cancel(),
        2 => drop(writer.close_timeout(Duration::from_millis(random.below(5) as u64))),
        3 => drop(block_on(
            writer.close(Duration::from_millis(random.below(5) as u64)),
        )),
        4 => drop(writer.flush_timeout(Duration::from_millis(1))),
        5 => drop(writer.wait_read(Duration::from_millis(1))),
        _ => drop(writer),
    }
}

fn everything_at_once(reader: impl Read + Send + 'static, writer: PipeWriter, random: &mut Random) {
    let senders: Vec<_> = (0..3)
        .map(|sender| {
            let (writer, mut random) = (writer.clone(), random.fork());
            thread::spawn(move || produce(&writer, sender, &mut random))
        })
        .collect();
    let enders: Vec<_> = (0..random.below(3))
        .map(|_| {
            let (writer, mut random) = (writer.clone(), random.fork());
            thread::spawn(move || end(writer, &mut random))
        })
        .collect();
    let mut choices = random.fork();
    let reading = thread::spawn(move || read(reader, &mut choices));

    let mut accepted: Vec<_> = senders
        .into_iter()
        .flat_map(|sender| sender.join().unwrap())
        .collect();
    for ender in enders {
        ender.join().unwrap();
    }
    let stops = random.one_in(2);
    if stops {
        drop(writer.try_reserve(1));
        writer.cancel();
    } else {
        writer.finish();
    }
    let summary = block_on(writer.ended());
    let unsent = writer.take_unsent();
    drop(writer);
    let (heard, to_the_end) = reading.join().unwrap();

    // Every accepted message lies where its send said, and they fill the stream.
    accepted.sort_unstable_by_key(|(end, _)| *end);
    let mut stream = Vec::new();
    for (end, message) in &accepted {
        stream.extend_from_slice(message);
        assert_eq!(stream.len() as u64, *end);
    }
    assert_eq!(summary.accepted, stream.len() as u64);
    let (written, doubtful) = (summary.written, summary.in_doubt);
    assert_eq!(summary.accepted, written + doubtful + summary.unsent);
    assert!(
        stream.starts_with(&heard),
        "not a prefix of what was accepted"
    );
    if to_the_end {
        assert_heard(heard.len() as u64, written, doubtful);
    } else {
        assert!(heard.len() as u64 <= written + doubtful);
    }
    // Somebody who closed in vain may have taken the rest with the error.
    let rest = &stream[usize::try_from(written).unwrap()..];
    let (doubt, rest) = rest.split_at(usize::try_from(doubtful).unwrap());
    if let Some(unsent) = unsent.filter(|unsent| !unsent.is_empty()) {
        assert!(doubt == unsent.in_doubt().concat());
        assert!(rest == unsent.into_bytes());
    }
    match summary.outcome {
        Outcome::Closed => assert_eq!(summary.unsent, 0),
        Outcome::Stopped => {}
        Outcome::Failed(error) => {
            assert!(!to_the_end, "{error}");
            assert!(error.raw_os_error().is_some());
        }
    }
}

/// What the callback was told of: how much was written.
type Told = Arc<Mutex<Vec<u64>>>;

fn build(pipe: Pipe, random: &mut Random) -> (PipeWriter, Told) {
    let told = Told::default();
    let builder = PipeWriter::builder()
        .capacity([1, 500, 10_000, 300_000][random.below(4)])
        .sole_owner(random.one_in(2));
    let builder = if random.one_in(2) {
        let tells = Arc::clone(&told);
        builder.on_progress(move |progress| tells.lock().unwrap().push(progress.written))
    } else {
        builder
    };
    (builder.build(pipe).unwrap(), told)
}

#[test]
fn whatever_happens_to_a_pipe_the_books_balance() {
    watched(|| {
        rounds(150, |random| {
            let (reader, pipe) = pipe();
            let (writer, told) = build(pipe, random);
            everything_at_once(reader, writer, random);
            assert!(told.lock().unwrap().is_sorted());
        });
    });
}

#[cfg(unix)]
#[test]
fn whatever_happens_to_a_socket_the_books_balance() {
    watched(|| {
        rounds(60, |random| {
            let (reader, pipe) = common::ends::unix_stream();
            let (writer, told) = build(pipe, random);
            everything_at_once(reader, writer, random);
            assert!(told.lock().unwrap().is_sorted());
        });
    });
}

#[test]
fn whatever_happens_to_a_pipe_on_a_thread_the_books_balance() {
    watched(|| {
        rounds(60, |random| {
            let mut choices = random.fork();
            let (reader, writer) = on_a_thread(|pipe| {
                let builder = PipeWriter::builder();
                builder
                    .capacity(choices.between(1, 50_000) as u64)
                    .build(pipe)
                    .unwrap()
            });
            everything_at_once(reader, writer, random);
        });
    });
}

#[test]
fn whatever_happens_to_a_file_the_books_balance() {
    watched(|| {
        rounds(60, |random| {
            let mut file = tempfile::tempfile().unwrap();
            let (writer, told) = build(file.try_clone().unwrap().into(), random);
            let senders: Vec<_> = (0..2)
                .map(|sender| {
                    let (writer, mut random) = (writer.clone(), random.fork());
                    thread::spawn(move || produce(&writer, sender, &mut random))
                })
                .collect();
            end(writer.clone(), random);
            let accepted: u64 = senders
                .into_iter()
                .flat_map(|sender| sender.join().unwrap())
                .map(|(_, message)| message.len() as u64)
                .sum();
            let _ = writer.stop();
            let progress = writer.progress();
            assert!(told.lock().unwrap().is_sorted());
            assert_eq!(progress.accepted, accepted);
            assert_balanced(&progress);
            assert_eq!(progress.in_flight, 0);
            std::io::Seek::rewind(&mut file).unwrap();
            let mut heard = Vec::new();
            file.read_to_end(&mut heard).unwrap();
            assert_heard(heard.len() as u64, progress.written, progress.in_doubt);
        });
    });
}
