//! C7, one end, told to everybody: whoever waits, in whatever way, learns of it,
//! with the same outcome, and none is left waiting.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::io::Write;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use common::data::stream;
use common::ends::pipe;
use common::news::wait;
use common::outcomes::{assert_broken, ended, full_writer, of_io};
use common::wakers::{Wakes, poll_with};
use common::{LONG, until, watched};
use futures_lite::future::block_on;
use pipewright::{Outcome, PipeWriter, SendError, SendTimeoutError, WaitError};

/// All the ways to wait for something that comes only with the end.
fn all_waits(writer: &PipeWriter) -> Vec<(&'static str, JoinHandle<Outcome>)> {
    type Waiting = fn(PipeWriter) -> Outcome;
    let room = stream(0, 10);
    assert!(writer.try_send(room).unwrap_err().is_full());
    let ways: [(&str, Waiting); 15] = [
        ("send", |writer| {
            match block_on(writer.send(stream(7, 5_000))) {
                Err(SendError(back, outcome)) => {
                    assert_eq!(back, stream(7, 5_000));
                    outcome
                }
                other => panic!("{other:?}"),
            }
        }),
        ("send_timeout", |writer| {
            match writer.send_timeout(stream(7, 5_000), LONG) {
                Err(SendTimeoutError::Closed(back, outcome)) => {
                    assert_eq!(back, stream(7, 5_000));
                    outcome
                }
                other => panic!("{other:?}"),
            }
        }),
        ("reserve", |writer| {
            block_on(writer.reserve(10)).unwrap_err().0
        }),
        ("reserve_timeout", |writer| {
            match writer.reserve_timeout(10, LONG) {
                Err(WaitError::Ended(outcome)) => outcome,
                other => panic!("{other:?}"),
            }
        }),
        ("flush", |writer| block_on(writer.flush()).unwrap_err().0),
        ("flush_timeout", |writer| ended(writer.flush_timeout(LONG))),
        ("written_to", |writer| {
            block_on(writer.written_to(writer.position()))
                .unwrap_err()
                .0
        }),
        ("wait_written", |writer| {
            ended(writer.wait_written(writer.position(), LONG))
        }),
        ("read_by_reader", |writer| {
            ended(block_on(writer.read_by_reader()))
        }),
        ("wait_read", |writer| ended(writer.wait_read(LONG))),
        ("ended", |writer| block_on(writer.ended()).outcome),
        ("wait_ended", |writer| {
            writer.wait_ended(LONG).unwrap().outcome
        }),
        ("io::Write::write", |writer| {
            of_io(Write::write(&mut &writer, &[0; 10]).unwrap_err())
        }),
        ("io::Write::flush", |writer| {
            of_io(Write::flush(&mut &writer).unwrap_err())
        }),
        ("waitable", |writer| {
            let waitable = writer.waitable().unwrap();
            loop {
                if let Some(outcome) = writer.take_progress().outcome {
                    return outcome;
                }
                wait(&waitable);
            }
        }),
    ];
    ways.into_iter()
        .map(|(name, wait)| {
            let writer = writer.clone();
            (name, thread::spawn(move || wait(writer)))
        })
        .collect()
}

/// Everybody learns of the end that `bring_about` brings about.
fn everybody_learns(
    bring_about: impl FnOnce(&PipeWriter, std::fs::File),
    check: impl Fn(&str, &Outcome),
) {
    let (writer, reader, told) = full_writer();
    let waits = all_waits(&writer);
    // Some wait already, some are about to: all of them learn.
    thread::yield_now();
    bring_about(&writer, reader);
    for (name, wait) in waits {
        check(name, &wait.join().unwrap());
    }
    until(|| matches!(told.lock().unwrap().last(), Some(Some(_))));
    let told = told.lock().unwrap();
    assert_eq!(told.iter().filter(|outcome| outcome.is_some()).count(), 1);
    if let Some(Some(outcome)) = told.last() {
        check("callback", outcome);
    }
}

#[test]
fn everybody_who_waits_learns_that_the_reader_died() {
    watched(|| {
        for _ in 0..20 {
            everybody_learns(
                |_, reader| drop(reader),
                |_, outcome| {
                    assert_broken(outcome);
                },
            );
        }
    });
}

#[test]
fn everybody_who_waits_learns_of_a_stop() {
    watched(|| {
        for _ in 0..20 {
            everybody_learns(
                |writer, _| writer.cancel(),
                |name, outcome| assert!(matches!(outcome, Outcome::Stopped), "{name}: {outcome:?}"),
            );
        }
    });
}

#[test]
fn tasks_that_wait_are_woken_by_the_end() {
    watched(|| {
        let (writer, reader, _) = full_writer();
        let mut waits: Vec<std::pin::Pin<Box<dyn Future<Output = bool>>>> = vec![
            Box::pin(async { writer.send("x").await.is_err() }),
            Box::pin(async { writer.reserve(1).await.is_err() }),
            Box::pin(async { writer.flush().await.is_err() }),
            Box::pin(async { writer.read_by_reader().await.is_err() }),
            Box::pin(async {
                writer
                    .written_to(pipewright::Position::new(100))
                    .await
                    .is_err()
            }),
            Box::pin(async { !matches!(writer.ended().await.outcome, Outcome::Closed) }),
        ];
        let (wakes, waker) = Wakes::new();
        for wait in &mut waits {
            assert!(poll_with(wait, &waker).is_pending());
        }
        drop(reader);
        until(|| wakes.count() >= waits.len());
        for wait in &mut waits {
            assert_eq!(poll_with(wait, &waker), std::task::Poll::Ready(true));
        }
    });
}

#[test]
fn the_end_is_told_in_a_callback_that_brought_it_about() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let slot = Arc::new(Mutex::new(None::<PipeWriter>));
        let writer_slot = Arc::clone(&slot);
        let (tell, told): (Sender<Option<Outcome>>, _) = mpsc::channel();
        let writer = PipeWriter::builder()
            .on_progress(move |progress| {
                let writer = writer_slot.lock().unwrap().take();
                drop(writer.map(|writer| writer.stop()));
                tell.send(progress.outcome).unwrap();
            })
            .build(pipe)
            .unwrap();
        *slot.lock().unwrap() = Some(writer.clone());
        writer.try_send("hello").unwrap();
        let calls: Vec<_> = told.iter().collect();
        let (last, before) = calls.split_last().unwrap();
        assert!(matches!(last, Some(Outcome::Stopped)));
        assert!(before.iter().all(Option::is_none));
    });
}
