//! One stream through many writers on the same pipe: each is stopped at a random
//! moment, and what it gives back goes into the next. The reader has every byte once.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_lite::future::block_on;
use pipewright::{PipeWriter, Unsent};

use crate::common::data::{assert_stream, read_stream};
use crate::common::ends::{duplicate, on_a_thread, stallables};
use crate::common::{LONG, Random, rounds, until, watched};
use crate::senders::Senders;
use crate::times;

/// A reader that is slow, and checks every byte; and how far it is.
fn reading(mut reader: impl Read + Send + 'static, random: &mut Random) -> Reading {
    let mut random = random.fork();
    let heard = Arc::new(AtomicU64::new(0));
    let tells = Arc::clone(&heard);
    let thread = thread::spawn(move || {
        let longest = [300, 5_000, 100_000][random.below(3)];
        let mut buffer = vec![0; longest];
        loop {
            let some = random.between(1, longest);
            let n = reader.read(&mut buffer[..some]).unwrap();
            if n == 0 {
                return;
            }
            let position = tells.load(Ordering::SeqCst);
            assert_stream(position, &buffer[..n]);
            tells.store(position + n as u64, Ordering::SeqCst);
            if random.one_in(20) {
                thread::sleep(Duration::from_micros(random.below(1_000) as u64));
            }
        }
    });
    Reading { heard, thread }
}

struct Reading {
    heard: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Reading {
    /// It has read the whole stream and not a byte more; `pipe` is the last end that is
    /// written to, which it is not closed before: a terminal forgets what it holds.
    fn assert_has(self, len: u64, pipe: OwnedFd) {
        until(|| self.thread.is_finished() || self.heard.load(Ordering::SeqCst) >= len);
        drop(pipe);
        self.thread.join().unwrap();
        assert_eq!(self.heard.load(Ordering::SeqCst), len);
    }
}

/// A writer that begins with what another has left.
fn resume(pipe: OwnedFd, unsent: Unsent, random: &mut Random) -> PipeWriter {
    let capacity = [1, 700, 20_000, 400_000][random.below(4)];
    let builder = PipeWriter::builder().sole_owner(random.one_in(2));
    if random.one_in(2) {
        let capacity = unsent.len().max(capacity);
        let writer = builder.capacity(capacity).unattached().unwrap();
        for piece in unsent {
            writer.try_send(piece).unwrap();
        }
        writer.attach(pipe).unwrap();
        return writer;
    }
    let writer = builder.capacity(capacity).build(pipe).unwrap();
    for piece in unsent {
        writer.send_timeout(piece, LONG).unwrap();
    }
    writer
}

/// Ends it at a random moment, and tells what it has not written.
fn end(writer: PipeWriter, random: &mut Random) -> Unsent {
    thread::sleep(Duration::from_micros(random.below(4_000) as u64));
    let limit = Duration::from_micros(random.below(3_000) as u64);
    match random.below(6) {
        0 => writer.stop(),
        1 => writer.into_parts().1,
        2 => {
            writer.cancel();
            drop(writer.wait_ended(LONG).unwrap());
            writer.take_unsent().unwrap()
        }
        3 => match writer.close_timeout(limit) {
            Ok(_) => Unsent::default(),
            Err(error) => error.into_unsent(),
        },
        4 => match block_on(writer.close(limit)) {
            Ok(_) => Unsent::default(),
            Err(error) => error.into_unsent(),
        },
        _ => {
            writer.finish();
            writer.stop()
        }
    }
}

/// Sends a stream through writers on `pipe` one after the other; tells how long it is.
/// The first may be made already.
fn through_many_writers(pipe: &OwnedFd, first: Option<PipeWriter>, random: &mut Random) -> u64 {
    let (mut written, mut unsent, mut first) = (0, Unsent::default(), first);
    for _ in 0..random.between(3, 12) {
        let left = unsent.len();
        let writer = match first.take() {
            Some(writer) => writer,
            None => resume(duplicate(pipe), unsent, random),
        };
        let senders = Senders::of(written + left);
        unsent = thread::scope(|scope| {
            for _ in 0..random.between(1, 3) {
                senders.start(scope, &writer, random);
            }
            end(writer.clone(), random)
        });
        let progress = writer.progress();
        assert_eq!(progress.in_doubt, 0);
        assert_eq!(progress.accepted, progress.written + unsent.len());
        assert_eq!(progress.queued, unsent.len());
        assert_eq!(senders.end(), written + progress.accepted);
        written += progress.written;
        let mut position = written;
        for piece in unsent.pieces() {
            assert_stream(position, piece);
            position += piece.len() as u64;
        }
    }
    let last = resume(duplicate(pipe), unsent, random);
    written + last.close_timeout(LONG).unwrap().written
}

#[test]
fn what_a_stopped_writer_gives_back_completes_the_stream_on_every_kind_of_pipe() {
    for kind in 0..5 {
        rounds(times(12), |random| {
            watched(|| {
                let stallable = stallables().swap_remove(kind);
                let reading = reading(stallable.reader, random);
                let len = through_many_writers(&stallable.pipe, None, random);
                reading.assert_has(len, stallable.pipe);
            });
        });
    }
}

#[test]
fn what_a_stopped_thread_gives_back_completes_the_stream() {
    rounds(times(20), |random| {
        watched(|| {
            let mut another = None;
            let (reader, writer) = on_a_thread(|pipe| {
                another = Some(duplicate(&pipe));
                let capacity = random.between(1, 100_000) as u64;
                PipeWriter::builder()
                    .capacity(capacity)
                    .build(pipe)
                    .unwrap()
            });
            let (pipe, reading) = (another.unwrap(), reading(reader, random));
            let len = through_many_writers(&pipe, Some(writer), random);
            reading.assert_has(len, pipe);
        });
    });
}

#[test]
fn what_a_stopped_writer_gives_back_completes_a_file() {
    rounds(times(30), |random| {
        watched(|| {
            let mut file: File = tempfile::tempfile().unwrap();
            let pipe = OwnedFd::from(file.try_clone().unwrap());
            let len = through_many_writers(&pipe, None, random);
            file.rewind().unwrap();
            assert_eq!(read_stream(&mut file, 0), len);
        });
    });
}
