//! Random scripts with several threads: senders, two that play the system, and one
//! who ends it.

use std::thread;
use std::time::Duration;

use bytes::Bytes;
use pipewright_core::{Mode, Position};

use super::common::data::{Fate, tracked};
use super::common::{LONG, Random, rounds, until, watched};
use super::*;
use crate::error::SendTimeoutError;
use crate::sys::scripted::Rest;

const ROUNDS: u64 = 1_000;

#[test]
fn random_scripts_of_bytes_with_several_threads_are_accounted_for_to_the_byte() {
    watched(|| rounds(ROUNDS, |random| round(random, Mode::Byte)));
}

#[test]
fn random_scripts_of_messages_with_several_threads_are_accounted_for_to_the_byte() {
    watched(|| rounds(ROUNDS, |random| round(random, Mode::Message)));
}

fn round(random: &mut Random, mode: Mode) {
    let script = script(random, mode);
    let stalls = script
        .answers
        .iter()
        .any(|answer| matches!(answer, Answer::Stalls(_)));
    let kernel = Kernel::new(script);
    let told = Told::default();
    let builder = told.listen(PipeWriter::builder().mode(mode));
    let capacity = random.between(1, 20_000) as u64;
    let writer = builder.capacity(capacity).unattached().unwrap();
    let senders = [random.fork(), random.fork()];
    let systems = [random.fork(), random.fork()];
    let (accepted, fates) = thread::scope(|scope| {
        for random in systems {
            scope.spawn(|| play(&kernel, random));
        }
        let senders = senders.map(|random| {
            let writer = writer.clone();
            scope.spawn(move || send(&writer, random))
        });
        attach(&kernel, &writer);
        for _ in 0..random.below(40) {
            thread::yield_now();
        }
        end(&writer, stalls, random);
        let mut accepted = Vec::new();
        let mut fates = Vec::new();
        for sender in senders {
            let (sent, theirs) = sender.join().unwrap();
            accepted.extend(sent);
            fates.extend(theirs);
        }
        (accepted, fates)
    });
    let unsent = writer.take_unsent().unwrap();
    let progress = writer.progress();
    let audited = kernel
        .account()
        .audit(&stream(accepted), &progress, Some(&unsent));
    assert_eq!(audited, Ok(()));
    // A timer's thread may be the one that tells.
    until(|| told.has_ended());
    let last = told.last();
    assert_eq!(last.written, progress.written);
    assert_eq!(last.in_doubt, progress.in_doubt);
    drop((writer, unsent));
    assert!(fates.iter().all(Fate::is_freed));
}

fn script(random: &mut Random, mode: Mode) -> Script {
    let answers = (0..random.below(12)).map(|_| answer(random)).collect();
    Script {
        answers,
        inline: random.one_in(2),
        max_bytes: random.between(1, 70_000),
        max_chunks: random.between(1, 3),
        burst: random.between(1, 4),
        mode,
    }
}

fn answer(random: &mut Random) -> Answer {
    let end = match random.below(24) {
        0 => End::Took(0),
        1..=4 => End::Took(random.between(1, 100)),
        5..=14 => End::Took(usize::MAX),
        15..=17 => End::NotReady(Ready::Later),
        18..=20 => End::NotReady(Ready::AtOnce),
        21 if random.one_in(4) => End::NotReady(Ready::Fails(24)),
        22 if random.one_in(4) => End::Exhausted(12),
        23 => End::Failed(Fault {
            code: 32,
            counted: random.below(50),
            uncounted: random.below(50),
            rest: if random.one_in(2) {
                Rest::Unsent
            } else {
                Rest::InDoubt
            },
        }),
        _ => End::Took(usize::MAX),
    };
    let cancelled = Cancelled {
        uncounted: random.below(100),
        at_once: random.one_in(2),
    };
    match random.below(8) {
        0..=3 => Answer::Now(end),
        4 | 5 => Answer::Ends(end),
        6 => Answer::EndsUnlessCancelled(end, cancelled),
        _ => Answer::Stalls(cancelled),
    }
}

/// Does what the kernel has to do, in any order.
fn play(kernel: &Kernel, mut random: Random) {
    while kernel.wait() {
        kernel.step(random.below(8));
    }
}

/// Sends in every way until it is refused for good; what was accepted, and what
/// became of its memory.
fn send(writer: &PipeWriter, mut random: Random) -> (Vec<(Position, Bytes)>, Vec<Fate>) {
    let mut accepted = Vec::new();
    let mut fates = Vec::new();
    for _ in 0..random.below(12) {
        let byte = random.next().to_be_bytes()[0];
        let data = vec![byte; random.between(1, 6_000)];
        let (message, fate) = tracked(data.clone());
        fates.push(fate);
        let position = match random.below(3) {
            0 => match writer.try_send(message) {
                Ok(position) => Some(position),
                Err(refused) if refused.is_full() => None,
                Err(_) => break,
            },
            1 => match writer.send_timeout(message, LONG) {
                Ok(position) => Some(position),
                Err(SendTimeoutError::Timeout(_)) => panic!("an hour is over"),
                Err(SendTimeoutError::Closed(..)) => break,
            },
            _ => match writer.reserve_timeout(data.len(), Duration::from_micros(50)) {
                Ok(permit) => permit.send(message).ok(),
                Err(_) => None,
            },
        };
        accepted.extend(position.map(|position| (position, data.into())));
    }
    (accepted, fates)
}

/// Ends it, so that the system is sure to come to an end too.
fn end(writer: &PipeWriter, stalls: bool, random: &mut Random) {
    if !random.one_in(3) {
        writer.finish();
        let patience = match stalls {
            false if random.one_in(2) => LONG,
            _ => Duration::from_micros(100),
        };
        if writer.wait_ended(patience).is_some() {
            return;
        }
    }
    writer.cancel();
    writer.wait_ended(LONG).unwrap();
}

/// The stream that they make together.
fn stream(mut accepted: Vec<(Position, Bytes)>) -> Vec<u8> {
    accepted.sort_by_key(|(position, _)| *position);
    let mut stream = Vec::new();
    for (position, message) in accepted {
        stream.extend_from_slice(&message);
        assert_eq!(position.get(), stream.len() as u64, "messages overlap");
    }
    stream
}
