//! C6, liveness, when user code panics: a callback, a waker or the destructor of a
//! message's memory that panics costs no other writer and no other waiter anything.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::data::{read_exact, read_stream, stream, when_freed};
use common::ends::{full_pipe, pipe};
use common::wakers::{poll_once, poll_with, when_dropped, when_woken};
use common::{LONG, alone, until};
use pipewright::PipeWriter;

/// A pipe, and a writer to it, whose user code panics on the writing side.
fn panicking(on_progress: impl FnMut(pipewright::Progress) + Send + 'static) -> (File, PipeWriter) {
    let (reader, pipe, filling) = full_pipe();
    let writer = PipeWriter::builder()
        .sole_owner(true)
        .on_progress(on_progress)
        .build(pipe)
        .unwrap();
    writer.try_send(stream(0, 1_000)).unwrap();
    let mut draining = reader.try_clone().unwrap();
    thread::spawn(move || read_exact(&mut draining, filling));
    (reader, writer)
}

/// The writing side still works, for this writer and for others.
fn assert_alive(mut reader: File, writer: &PipeWriter) {
    writer.flush_timeout(LONG).unwrap();
    read_exact(&mut reader, 1_000);
    let sent = writer.position();
    writer.try_send(stream(sent.get(), 300_000)).unwrap();
    writer.finish();
    read_stream(&mut reader, sent.get());
    let (mut other_reader, pipe) = pipe();
    let other = PipeWriter::new(pipe).unwrap();
    other.try_send(stream(0, 300_000)).unwrap();
    other.finish();
    assert_eq!(read_stream(&mut other_reader, 0), 300_000);
}

#[test]
fn a_callback_that_panics_is_not_called_again_and_harms_nobody() {
    alone(|| {
        let calls = Arc::new(AtomicUsize::new(0));
        let called = Arc::clone(&calls);
        let (reader, writer) = panicking(move |_| {
            called.fetch_add(1, Ordering::SeqCst);
            panic!("on purpose");
        });
        assert_alive(reader, &writer);
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    });
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

#[test]
fn a_panic_with_a_payload_that_panics_harms_nobody() {
    alone(|| {
        let (reader, writer) = panicking(|_| std::panic::panic_any(Bomb));
        assert_alive(reader, &writer);
    });
}

#[test]
fn a_callback_whose_drop_panics_harms_nobody() {
    alone(|| {
        let bomb = Bomb;
        let (_reader, writer) = panicking(move |_| {
            let _held = &bomb;
        });
        writer.flush_timeout(LONG).unwrap();
        writer.cancel();
        let (reader, other) = panicking(|_| {});
        assert_alive(reader, &other);
    });
}

#[test]
fn memory_whose_destructors_panic_one_after_the_other_ends_nothing() {
    alone(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let builder = PipeWriter::builder().sole_owner(true);
        let writer = builder.build(pipe).unwrap();
        let mut sent = 0;
        for _ in 0..5 {
            let message = when_freed(stream(sent, 10_000), || panic!("on purpose"));
            sent = writer.try_send(message).unwrap().get();
        }
        read_exact(&mut reader, filling);
        writer.finish();
        assert_eq!(read_stream(&mut reader, 0), sent);
        let (reader, other) = panicking(|_| {});
        assert_alive(reader, &other);
    });
}

#[test]
fn a_waker_that_panics_costs_the_others_nothing() {
    alone(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("hello").unwrap();
        let woken = Arc::new(AtomicUsize::new(0));
        let mut futures: Vec<_> = (0..9).map(|_| Box::pin(writer.flush())).collect();
        for (n, future) in futures.iter_mut().enumerate() {
            let woken = Arc::clone(&woken);
            let waker = when_woken(move || {
                woken.fetch_add(1, Ordering::SeqCst);
                assert!(n % 2 == 0, "on purpose");
            });
            assert!(poll_with(future, &waker).is_pending());
        }
        read_exact(&mut reader, filling);
        until(|| woken.load(Ordering::SeqCst) == 9);
        read_exact(&mut reader, 5);
        let (reader, other) = panicking(|_| {});
        assert_alive(reader, &other);
    });
}

#[test]
fn memory_whose_destructor_panics_costs_the_writing_side_nothing() {
    alone(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let message = when_freed(stream(0, 100_000), || panic!("on purpose"));
        let sent = writer.try_send(message).unwrap().get();
        let sent = writer.try_send(stream(sent, 300_000)).unwrap().get();
        read_exact(&mut reader, filling);
        writer.finish();
        assert_eq!(read_stream(&mut reader, 0), sent);
        let (reader, other) = panicking(|_| {});
        assert_alive(reader, &other);
    });
}

#[test]
fn a_timed_wake_with_a_payload_that_panics_harms_nobody() {
    alone(|| {
        let is_pending = |time| {
            let (_reader, pipe, _) = full_pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("hello").unwrap();
            let woken = Arc::new(AtomicUsize::new(0));
            let wakes = Arc::clone(&woken);
            let waker = when_woken(move || {
                wakes.fetch_add(1, Ordering::SeqCst);
                std::panic::panic_any(Bomb);
            });
            let mut close = Box::pin(writer.close(time));
            let is_pending = poll_with(&mut close, &waker).is_pending();
            until(|| !is_pending || woken.load(Ordering::SeqCst) == 1);
            is_pending
        };
        // A thread that is held up may find that the time is over at once.
        let mut times = (0..).map(|n| Duration::from_millis(1 << n));
        until(|| is_pending(times.next().unwrap()));
        let (reader, other) = panicking(|_| {});
        assert_alive(reader, &other);
    });
}

#[test]
fn destructors_of_unsent_messages_that_panic_end_nothing() {
    alone(|| {
        let (_reader, stalled, _) = full_pipe();
        let writer = PipeWriter::builder()
            .linger(Duration::ZERO)
            .build(stalled)
            .unwrap();
        let freed = Arc::new(AtomicUsize::new(0));
        for n in 0..3 {
            let frees = Arc::clone(&freed);
            let message = when_freed(stream(n * 5_000, 5_000), move || {
                frees.fetch_add(1, Ordering::SeqCst);
                panic!("on purpose");
            });
            writer.try_send(message).unwrap();
        }
        drop(writer);
        until(|| freed.load(Ordering::SeqCst) == 3);
        let (reader, writer) = panicking(|_| {});
        assert_alive(reader, &writer);
    });
}

#[test]
fn a_sender_whose_waker_panics_does_not_keep_its_place_in_the_line() {
    alone(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(10).build(pipe).unwrap();
        writer.try_send(stream(0, 10)).unwrap();
        let mut waiting = Box::pin(writer.send("never sent"));
        // Its last reference is dropped when the task is polled with another.
        let waker = when_dropped(|| panic!("on purpose"));
        assert!(poll_with(&mut waiting, &waker).is_pending());
        drop(waker);
        let polled = catch_unwind(AssertUnwindSafe(|| poll_once(&mut waiting).is_pending()));
        assert!(polled.is_err());
        drop(waiting);
        read_exact(&mut reader, filling);
        writer.flush_timeout(LONG).unwrap();
        writer.try_send(stream(10, 10)).unwrap();
        writer.finish();
        assert_eq!(read_stream(&mut reader, 0), 20);
    });
}
