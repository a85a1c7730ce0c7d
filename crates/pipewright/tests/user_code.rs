//! C1, never blocks: no lock is held while user code runs, whatever kind it is (a
//! callback, a waker, the destructor of a message's memory) and wherever it runs: it
//! may use the writer, and so may everybody else meanwhile.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::data::{stream, when_freed};
use common::ends::{full_pipe, pipe};
use common::wakers::{poll_once, poll_with, when_dropped, when_woken};
use common::{LONG, until, use_it, watched};
use pipewright::{PipeWriter, WeakPipeWriter};

/// Where user code is while the test uses the writer from another thread.
#[derive(Clone)]
struct Inside {
    entered: Arc<Barrier>,
    leave: Arc<Barrier>,
    once: Arc<AtomicBool>,
}

impl Inside {
    fn new() -> Self {
        Inside {
            entered: Arc::new(Barrier::new(2)),
            leave: Arc::new(Barrier::new(2)),
            once: Arc::default(),
        }
    }

    /// For the user code: stays until the test is done, the first time.
    fn stay(&self) {
        if !self.once.swap(true, Ordering::SeqCst) {
            self.entered.wait();
            self.leave.wait();
        }
    }

    /// For the test: does something while the user code runs.
    fn meanwhile(&self, act: impl FnOnce()) {
        self.entered.wait();
        act();
        self.leave.wait();
    }
}

#[test]
fn the_writer_can_be_used_while_its_callback_runs_on_the_sending_thread() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let inside = Inside::new();
        let callback = inside.clone();
        let writer = PipeWriter::builder()
            .on_progress(move |_| callback.stay())
            .build(pipe)
            .unwrap();
        let sender = writer.clone();
        let sending = thread::spawn(move || sender.try_send("hello").map(drop));
        inside.meanwhile(|| {
            use_it(&writer);
            writer.finish();
            writer.cancel();
        });
        sending.join().unwrap().unwrap();
    });
}

#[test]
fn the_writer_can_be_used_while_its_callback_runs_on_the_writing_side() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let inside = Inside::new();
        let callback = inside.clone();
        let writer = PipeWriter::builder()
            .on_progress(move |_| callback.stay())
            .build(pipe)
            .unwrap();
        writer.try_send("hello").unwrap();
        common::data::read_exact(&mut reader, filling);
        inside.meanwhile(|| {
            use_it(&writer);
            writer.finish();
            writer.cancel();
        });
        let _ = writer.stop();
    });
}

#[test]
fn the_writer_can_be_used_while_a_waker_runs() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("hello").unwrap();

        let inside = Inside::new();
        let woken = inside.clone();
        let mut flush = Box::pin(writer.flush());
        let waker = when_woken(move || woken.stay());
        assert!(poll_with(&mut flush, &waker).is_pending());
        common::data::read_exact(&mut reader, filling);
        inside.meanwhile(|| {
            use_it(&writer);
            assert!(poll_once(&mut flush).is_ready());
            writer.cancel();
        });
    });
}

/// User code that uses the writer, wherever it runs.
fn using(weak: &WeakPipeWriter, runs: &Arc<AtomicUsize>) -> impl Fn() + Send + Sync + 'static {
    let (weak, runs) = (weak.clone(), Arc::clone(runs));
    move || {
        if let Some(writer) = weak.upgrade() {
            use_it(&writer);
        }
        runs.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_waker_that_is_replaced_or_dropped_may_use_the_writer() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::builder().capacity(10).build(pipe).unwrap();
        writer.try_send("0123456789").unwrap();
        let dropped = Arc::new(AtomicUsize::new(0));
        let user_code = || when_dropped(using(&writer.downgrade(), &dropped));
        let wait: [&dyn Fn() -> _; 4] = [
            &|| boxed(async { writer.flush().await.is_ok() }),
            &|| boxed(async { writer.reserve(1).await.is_ok() }),
            &|| boxed(async { writer.close(LONG).await.is_ok() }),
            &|| boxed(async { writer.ended().await.written > 0 }),
        ];
        for (n, wait) in wait.iter().enumerate() {
            let mut future = wait();
            // The library holds the only waker when the next poll replaces it,
            assert!(poll_with(&mut future, &user_code()).is_pending());
            assert!(poll_with(&mut future, &user_code()).is_pending());
            assert_eq!(dropped.load(Ordering::SeqCst), 2 * n + 1);
            // and when the wait is given up.
            drop(future);
            assert_eq!(dropped.load(Ordering::SeqCst), 2 * n + 2);
        }
    });
}

#[test]
fn a_waker_may_use_the_writer_whatever_wakes_it() {
    type Event = fn(&PipeWriter, pipewright::Permit);
    let events: [(&str, Event); 5] = [
        ("a permit is dropped", |_, permit| drop(permit)),
        ("a permit is used", |_, permit| drop(permit.send("x"))),
        ("the writer is finished", |writer, permit| {
            writer.finish();
            drop(permit);
        }),
        ("the writer is stopped", |writer, permit| {
            writer.cancel();
            drop(permit);
        }),
        ("a pipe comes", |writer, permit| {
            drop(permit.send("x"));
            let (_reader, pipe) = pipe();
            writer.attach(pipe).unwrap();
        }),
    ];
    watched(|| {
        for (what, event) in events {
            let writer = PipeWriter::builder().capacity(10).unattached().unwrap();
            let permit = writer.try_reserve(10).unwrap();
            let woken = Arc::new(AtomicUsize::new(0));
            let waker = when_woken(using(&writer.downgrade(), &woken));
            let mut reserve = Box::pin(writer.reserve(5));
            let mut ended = Box::pin(writer.ended());
            let mut written = Box::pin(writer.written_to(pipewright::Position::new(1)));
            assert!(poll_with(&mut reserve, &waker).is_pending());
            assert!(poll_with(&mut ended, &waker).is_pending());
            assert!(poll_with(&mut written, &waker).is_pending());
            event(&writer, permit);
            until(|| woken.load(Ordering::SeqCst) > 0);
            let _ = writer.stop();
            assert!(poll_once(&mut ended).is_ready(), "{what}");
        }
    });
}

fn boxed<'a, T>(
    future: impl Future<Output = T> + 'a,
) -> std::pin::Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(future)
}

#[test]
fn freeing_a_message_may_use_the_writer_wherever_it_is_freed() {
    watched(|| {
        for len in [100, pipewright::JOIN_MAX, 3_000, 60_000, 500_000] {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let freed = Arc::new(AtomicUsize::new(0));
            let user_code = using(&writer.downgrade(), &freed);
            let position = writer
                .try_send(when_freed(stream(0, len), user_code))
                .unwrap();
            common::data::read_exact(&mut reader, len);
            writer.wait_written(position, LONG).unwrap();
            until(|| freed.load(Ordering::SeqCst) == 1);
        }
    });
}

#[test]
fn freeing_what_was_not_written_may_use_the_writer() {
    type End = fn(PipeWriter);
    let ends: [(&str, End); 4] = [
        ("stopped", |writer| drop(writer.stop())),
        ("cancelled and dropped", |writer| writer.cancel()),
        ("dropped", drop),
        ("parted", |writer| drop(writer.into_parts())),
    ];
    watched(|| {
        for (how, end) in ends {
            let (_reader, pipe, _) = full_pipe();
            let writer = PipeWriter::builder()
                .linger(Duration::ZERO)
                .build(pipe)
                .unwrap();
            let freed = Arc::new(AtomicUsize::new(0));
            for _ in 0..3 {
                let user_code = using(&writer.downgrade(), &freed);
                writer
                    .try_send(when_freed(stream(0, 5_000), user_code))
                    .unwrap();
            }
            end(writer);
            until(|| freed.load(Ordering::SeqCst) == 3);
            assert_eq!(freed.load(Ordering::SeqCst), 3, "{how}");
        }
    });
}

#[test]
fn a_callback_may_hold_a_lock_that_the_senders_take_too() {
    watched(|| {
        // The user's own lock: the callback takes it, and a thread that holds it
        // looks at the writer. Were the callback called under the writer's lock,
        // this would be a cycle.
        let (mut reader, pipe, filling) = full_pipe();
        let users = Arc::new(Mutex::new(()));
        let (called, calls) = mpsc::channel();
        let in_callback = Arc::clone(&users);
        let writer = PipeWriter::builder()
            .on_progress(move |_| {
                let _ = called.send(());
                drop(in_callback.lock().unwrap());
            })
            .build(pipe)
            .unwrap();
        writer.try_send("hello").unwrap();
        let held = users.lock().unwrap();
        common::data::read_exact(&mut reader, filling);
        calls.recv().unwrap();
        use_it(&writer);
        drop(held);
        let _ = writer.stop();
    });
}
