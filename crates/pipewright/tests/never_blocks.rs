//! C1, never blocks: sending, looking, ending and dropping never wait for the pipe,
//! its reader or another writer, and no lock is held while user code runs: a
//! callback, a waker, the destructor of a message's memory.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use common::data::{stream, tracked, when_freed};
use common::ends::{Stallable, full_pipe, pipe, stallables};
use common::wakers::{poll_once, poll_with, when_dropped, when_woken};
use common::{LONG, until, watched};
use pipewright::{PipeWriter, WeakPipeWriter};

/// Calls everything that promises not to wait, but for what ends the writer.
fn use_it(writer: &PipeWriter) {
    let _ = writer.try_send("small");
    let _ = writer.try_send(vec![0; 10_000]);
    let _ = writer.try_send_slice(b"borrowed");
    let _ = writer.try_reserve(10).map(drop);
    let _ = writer.progress();
    let _ = writer.position();
    let _ = writer.take_progress();
    let _ = writer.waitable().unwrap();
    let _ = writer.take_unsent();
    let _ = format!("{writer:?}");
    let weak = writer.downgrade();
    drop((writer.clone(), weak.upgrade()));
}

#[test]
fn nothing_that_promises_it_waits_for_a_stalled_reader() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        for Stallable { kind, reader, pipe } in stallables(folder.path()) {
            let writer = PipeWriter::builder()
                .capacity(1 << 20)
                .linger(LONG)
                .build(pipe)
                .unwrap();
            while writer.try_send(stream(0, 50_000)).is_ok() {}
            use_it(&writer);
            assert!(writer.try_send("more").is_ok(), "{kind}: some room is left");
            while writer.try_send("x").is_ok() {}
            use_it(&writer);
            assert!(
                writer.progress().queued > 0,
                "{kind}: the reader is stalled"
            );
            writer.finish();
            use_it(&writer);
            drop(writer);
            drop(reader);
        }
    });
}

#[test]
fn stopping_does_not_wait_for_a_stalled_reader() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        for Stallable { kind, reader, pipe } in stallables(folder.path()) {
            let writer = PipeWriter::builder().capacity(1 << 22).build(pipe).unwrap();
            while writer.try_send(stream(0, 50_000)).is_ok() {}
            let unsent = writer.stop();
            let progress = writer.progress();
            assert_eq!(
                unsent.len() + progress.written,
                progress.accepted,
                "{kind}: all is accounted for"
            );
            drop(reader);
        }
    });
}

#[test]
fn dropping_the_last_handle_does_not_wait_for_a_stalled_reader() {
    watched(|| {
        for linger in [Duration::ZERO, Duration::from_millis(1), LONG] {
            let (reader, pipe, _) = full_pipe();
            let writer = PipeWriter::builder().linger(linger).build(pipe).unwrap();
            writer.try_send(stream(0, 500_000)).unwrap();
            drop(writer);
            drop(reader);
        }
    });
}

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
fn a_refused_message_is_not_freed_but_handed_back() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::builder().capacity(1).build(pipe).unwrap();
        writer.try_send("!").unwrap();
        let (message, fate) = tracked(stream(0, 9));
        let refused = writer.try_send(message).unwrap_err();
        assert!(!fate.is_freed());
        drop(refused.into_inner());
        assert!(fate.is_freed());
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

#[test]
fn a_thread_that_sends_is_not_kept_to_serve_the_callback() {
    watched(|| {
        // The callback sends whenever something was written, and takes longer than
        // a write does: there is always something new to tell it.
        let (reader, pipe) = pipe();
        let returned = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&returned);
        let writer = {
            let slot = Arc::new(Mutex::new(None::<WeakPipeWriter>));
            let weak = Arc::clone(&slot);
            let writer = PipeWriter::builder()
                .on_progress(move |_| {
                    let writer = weak
                        .lock()
                        .unwrap()
                        .as_ref()
                        .and_then(|weak| weak.upgrade());
                    if let Some(writer) = writer.filter(|_| !over.load(Ordering::SeqCst)) {
                        // When the second is written, the news of the first is out.
                        for _ in 0..2 {
                            let sent = writer.try_send("again").unwrap();
                            until(|| writer.progress().written >= sent.get());
                        }
                    }
                })
                .build(pipe)
                .unwrap();
            *slot.lock().unwrap() = Some(writer.downgrade());
            writer
        };
        let reading = common::data::reading(reader);
        writer.try_send("first").unwrap();
        returned.store(true, Ordering::SeqCst);
        writer.close_timeout(LONG).unwrap();
        reading.join().unwrap();
    });
}

#[test]
fn wakers_that_do_nothing_cost_nothing() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("x").unwrap();
        let mut futures: Vec<_> = (0..100).map(|_| Box::pin(writer.flush())).collect();
        for future in &mut futures {
            assert!(poll_with(future, Waker::noop()).is_pending());
        }
        let _ = writer.stop();
        assert!(futures.iter_mut().all(|f| poll_once(f).is_ready()));
    });
}
