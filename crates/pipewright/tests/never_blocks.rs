//! C1, never blocks: sending, looking, ending and dropping never wait for the pipe,
//! its reader or another writer, nor for the user's own callback.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use common::accounts::in_doubt;
use common::data::{stream, tracked};
use common::ends::{Stallable, full_pipe, pipe, stallables};
use common::wakers::{poll_once, poll_with};
use common::{LONG, until, use_it, watched};
use pipewright::{PipeWriter, WeakPipeWriter};

#[test]
fn nothing_that_promises_it_waits_for_a_stalled_reader() {
    watched(|| {
        for Stallable { kind, reader, pipe } in stallables() {
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
        for Stallable { kind, reader, pipe } in stallables() {
            let writer = PipeWriter::builder().capacity(1 << 22).build(pipe).unwrap();
            while writer.try_send(stream(0, 50_000)).is_ok() {}
            let unsent = writer.stop();
            let progress = writer.progress();
            assert_eq!(
                unsent.len() + in_doubt(&unsent) + progress.written,
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
fn a_thread_that_sends_is_not_kept_to_serve_the_callback() {
    watched(|| {
        // The callback sends whenever something was written, and takes longer than
        // a write does: there is always something new to tell it. It does so only on
        // this thread, for what it waits for is done by another.
        let this_thread = thread::current().id();
        let (reader, pipe) = pipe();
        let returned = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&returned);
        let writer = {
            let slot = Arc::new(Mutex::new(None::<WeakPipeWriter>));
            let weak = Arc::clone(&slot);
            let writer = PipeWriter::builder()
                .capacity(100)
                .on_progress(move |_| {
                    let writer = weak
                        .lock()
                        .unwrap()
                        .as_ref()
                        .and_then(|weak| weak.upgrade());
                    let goes_on =
                        !over.load(Ordering::SeqCst) && thread::current().id() == this_thread;
                    if let Some(writer) = writer.filter(|_| goes_on) {
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
        // It is called by a thread that gives back room,
        let permit = writer.try_reserve(100).unwrap();
        assert!(writer.try_send("first").unwrap_err().is_full());
        drop(permit);
        // and by one that sends, where that one writes.
        writer.send_timeout("first", LONG).unwrap();
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
