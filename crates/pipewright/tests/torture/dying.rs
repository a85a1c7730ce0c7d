//! Readers that stop or die at a random byte, and writers that are ended or dropped at
//! a random moment: what was read is a prefix of what was sent, and what is left comes
//! back to the byte, beside what is in doubt.

use std::io::Read;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use pipewright::{Builder, CloseError, Outcome, PipeWriter, Progress, Unsent};

use crate::common::accounts::{Heard, assert_balanced, assert_unsent};
use crate::common::data::assert_stream;
use crate::common::ends::on_a_thread;
use crate::common::{LONG, Random, rounds, watched};
use crate::senders::Senders;
use crate::{kinds, times};

/// Reads up to a random byte; stops there a while, or at once for good.
fn read_some(mut reader: impl Read, random: &mut Random) -> Heard {
    let fate = [0, 1, 5_000, 300_000, usize::MAX][random.below(5)];
    let dies_at = random.between(fate / 2, fate) as u64;
    let mut buffer = [0; 20_000];
    let mut heard = Heard {
        len: 0,
        is_all: false,
    };
    while heard.len < dies_at {
        let left = usize::try_from(dies_at - heard.len).unwrap();
        let some = random.between(1, buffer.len()).min(left);
        let n = reader.read(&mut buffer[..some]).unwrap();
        if n == 0 {
            heard.is_all = true;
            return heard;
        }
        assert_stream(heard.len, &buffer[..n]);
        heard.len += n as u64;
        if random.one_in(50) {
            thread::sleep(Duration::from_micros(random.below(1_000) as u64));
        }
    }
    thread::sleep(Duration::from_micros(random.below(1_000) as u64));
    heard
}

/// How a writer is ended while others send: `Some` with what it gave back. Or it is
/// not, and the drop of the last handle is its end, or that of the reader.
fn end(writer: PipeWriter, random: &mut Random) -> Option<Unsent> {
    let latest = [500, 20_000][random.below(2)];
    thread::sleep(Duration::from_micros(random.below(latest) as u64));
    let limit = Duration::from_micros(random.below(5_000) as u64);
    match random.below(6) {
        0 => Some(writer.stop()),
        1 => Some(writer.into_parts().1),
        2 => writer
            .close_timeout(limit)
            .err()
            .map(CloseError::into_unsent),
        3 => {
            writer.cancel();
            drop(writer.wait_ended(LONG).unwrap());
            Some(writer.take_unsent().unwrap())
        }
        4 => {
            writer.finish();
            None
        }
        _ => None,
    }
}

/// The last that the callback is told, which has the outcome.
fn last(told: &Receiver<Progress>) -> Progress {
    let mut before = told.recv().unwrap();
    for progress in told {
        assert!(progress.written >= before.written && progress.accepted >= before.accepted);
        before = progress;
    }
    before
}

fn send_until_it_ends<R: Read + Send + 'static>(
    random: &mut Random,
    make: impl FnOnce(Builder) -> (R, PipeWriter),
) {
    let (tells, told) = mpsc::channel();
    let builder = PipeWriter::builder()
        .capacity([1, 3_000, 200_000][random.below(3)])
        .linger(Duration::from_micros(random.below(3_000) as u64))
        .on_progress(move |progress| tells.send(progress).unwrap());
    let (reader, writer) = make(builder);
    let mut choices = random.fork();
    let reading = thread::spawn(move || read_some(reader, &mut choices));
    let senders = Senders::of(0);
    let unsent = thread::scope(|scope| {
        for _ in 0..random.between(1, 3) {
            senders.start(scope, &writer, random);
        }
        end(writer.clone(), random)
    });
    drop(writer);
    let end = last(&told);
    let heard = reading.join().unwrap();

    assert_eq!(end.accepted, senders.end());
    assert_eq!(end.in_flight, 0);
    assert_balanced(&end);
    heard.assert_fits(&end);
    if let Some(unsent) = unsent {
        assert_unsent(&unsent, end.written, end.accepted);
    }
    match end.outcome.unwrap() {
        Outcome::Closed => assert_eq!(end.queued, 0),
        Outcome::Stopped => {}
        Outcome::Failed(error) => {
            assert!(!heard.is_all, "{error}");
            assert!(error.raw_os_error().is_some());
        }
    }
}

#[test]
fn a_reader_that_dies_at_any_byte_leaves_exact_accounts_on_every_kind_of_pipe() {
    for kind in 0..kinds().len() {
        rounds(times(60), |random| {
            watched(|| {
                let stallable = kinds().swap_remove(kind);
                send_until_it_ends(random, |builder| {
                    (stallable.reader, builder.build(stallable.pipe).unwrap())
                });
            });
        });
    }
}

#[test]
fn a_reader_that_dies_at_any_byte_leaves_exact_accounts_to_a_thread() {
    rounds(times(100), |random| {
        watched(|| {
            send_until_it_ends(random, |builder| {
                on_a_thread(|pipe| builder.build(pipe).unwrap())
            });
        });
    });
}
