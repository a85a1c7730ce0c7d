//! One stream through many writers on the same pipe: each is stopped at a random
//! moment, and what it gives back goes into the next. The reader has every byte once,
//! and of what was in doubt a beginning.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_lite::future::block_on;
use pipewright::{PipeWriter, Unsent};

use crate::common::accounts::{assert_balanced, in_doubt};
use crate::common::data::{assert_stream, stream};
use crate::common::ends::{Pipe, duplicate, on_a_thread};
use crate::common::{LONG, Random, rounds, until, watched};
use crate::senders::Senders;
use crate::{kinds, times};

/// A slow reader, and how far it is.
struct Reading {
    heard: Arc<AtomicU64>,
    thread: JoinHandle<Vec<u8>>,
}

impl Reading {
    fn start(mut reader: impl Read + Send + 'static, random: &mut Random) -> Self {
        let mut random = random.fork();
        let heard = Arc::new(AtomicU64::new(0));
        let tells = Arc::clone(&heard);
        let thread = thread::spawn(move || {
            let longest = [300, 5_000, 100_000][random.below(3)];
            let mut buffer = vec![0; longest];
            let mut heard = Vec::new();
            loop {
                let some = random.between(1, longest);
                let n = reader.read(&mut buffer[..some]).unwrap();
                if n == 0 {
                    return heard;
                }
                heard.extend_from_slice(&buffer[..n]);
                tells.store(heard.len() as u64, Ordering::SeqCst);
                if random.one_in(20) {
                    thread::sleep(Duration::from_micros(random.below(1_000) as u64));
                }
            }
        });
        Reading { heard, thread }
    }

    /// All that it reads. `pipe` is the last end that is written to, which is not closed
    /// before what was written is read: a terminal forgets what it holds.
    fn finish(self, parts: &[Part], pipe: Pipe) -> Vec<u8> {
        let written = parts.iter().map(|part| part.written).sum();
        until(|| self.thread.is_finished() || self.heard.load(Ordering::SeqCst) >= written);
        drop(pipe);
        self.thread.join().unwrap()
    }
}

/// What a writer did with its part of the stream, as it says.
#[derive(Debug)]
struct Part {
    written: u64,
    in_doubt: u64,
}

impl Part {
    fn len(&self) -> u64 {
        self.written + self.in_doubt
    }
}

/// What was read is the stream without a byte too few or too many, but that a part which
/// is in doubt may end early.
#[track_caller]
fn assert_read(heard: &[u8], parts: &[Part]) {
    // Where the parts so far may end in it: there may be several ways to read it.
    let mut ends = BTreeSet::from([0]);
    let mut position = 0;
    for part in parts {
        let most = stream(position, usize::try_from(part.len()).unwrap());
        let least = usize::try_from(part.written).unwrap();
        let more = ends.iter().flat_map(|&end| {
            let bytes = heard[end..].iter().zip(&most);
            let same = bytes.take_while(|(heard, sent)| heard == sent).count();
            (least..=same).map(move |len| end + len)
        });
        ends = more.collect();
        assert!(
            !ends.is_empty(),
            "at {position}, what was read is not as said: {parts:?}"
        );
        position += part.len();
    }
    assert!(
        ends.contains(&heard.len()),
        "{} bytes were read: {parts:?}",
        heard.len()
    );
}

/// A writer that begins with what another has left.
fn resume(pipe: Pipe, unsent: Unsent, random: &mut Random) -> PipeWriter {
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

/// Sends a stream through writers on `pipe` one after the other; tells what each did.
/// The first may be made already.
fn through_many_writers(pipe: &Pipe, first: Option<PipeWriter>, random: &mut Random) -> Vec<Part> {
    let (mut parts, mut unsent, mut first) = (Vec::new(), Unsent::default(), first);
    let mut position = 0;
    for _ in 0..random.between(3, 12) {
        let left = unsent.len();
        let writer = match first.take() {
            Some(writer) => writer,
            None => resume(duplicate(pipe), unsent, random),
        };
        let senders = Senders::of(position + left);
        unsent = thread::scope(|scope| {
            for _ in 0..random.between(1, 3) {
                senders.start(scope, &writer, random);
            }
            end(writer.clone(), random)
        });
        let progress = writer.progress();
        assert_balanced(&progress);
        assert_eq!(progress.queued, unsent.len());
        assert_eq!(progress.in_doubt, in_doubt(&unsent));
        assert_eq!(senders.end(), position + progress.accepted);
        let part = Part {
            written: progress.written,
            in_doubt: progress.in_doubt,
        };
        assert_stream(position + part.written, &unsent.in_doubt().concat());
        position += part.len();
        assert_stream(position, &unsent.pieces().concat());
        parts.push(part);
    }
    let last = resume(duplicate(pipe), unsent, random);
    parts.push(Part {
        written: last.close_timeout(LONG).unwrap().written,
        in_doubt: 0,
    });
    parts
}

#[test]
fn what_a_stopped_writer_gives_back_completes_the_stream_on_every_kind_of_pipe() {
    for kind in 0..kinds().len() {
        rounds(times(12), |random| {
            watched(|| {
                let stallable = kinds().swap_remove(kind);
                let reading = Reading::start(stallable.reader, random);
                let parts = through_many_writers(&stallable.pipe, None, random);
                assert_read(&reading.finish(&parts, stallable.pipe), &parts);
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
            let (pipe, reading) = (another.unwrap(), Reading::start(reader, random));
            let parts = through_many_writers(&pipe, Some(writer), random);
            assert_read(&reading.finish(&parts, pipe), &parts);
        });
    });
}

#[test]
fn what_a_stopped_writer_gives_back_completes_a_file() {
    rounds(times(30), |random| {
        watched(|| {
            let mut file: File = tempfile::tempfile().unwrap();
            let pipe = Pipe::from(file.try_clone().unwrap());
            let parts = through_many_writers(&pipe, None, random);
            file.rewind().unwrap();
            let mut heard = Vec::new();
            file.read_to_end(&mut heard).unwrap();
            assert_read(&heard, &parts);
        });
    });
}
