//! C6, liveness, when user code on the writing side waits, or always has more to do:
//! what it waits for goes on, for this writer and for all others, however many wait
//! and in whatever order their waits end.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use common::data::{read_exact, read_stream, reading, stream};
use common::ends::{full_pipe, pipe};
use common::{LONG, alone, until, watched};
use pipewright::{PipeWriter, Progress, WeakPipeWriter};

/// A writer to a full pipe, whose callback knows it, and the pipe's reader with
/// what there is to read before its data.
fn stalled(
    mut on_progress: impl FnMut(&PipeWriter, Progress) + Send + 'static,
) -> (PipeWriter, File, usize) {
    let (reader, pipe, filling) = full_pipe();
    let slot = Arc::new(Mutex::new(None::<WeakPipeWriter>));
    let itself = Arc::clone(&slot);
    let writer = PipeWriter::builder()
        .capacity(300_000)
        .sole_owner(true)
        .on_progress(move |progress| {
            let writer = itself
                .lock()
                .unwrap()
                .as_ref()
                .and_then(|weak| weak.upgrade());
            if let Some(writer) = writer {
                on_progress(&writer, progress);
            }
        })
        .build(pipe)
        .unwrap();
    *slot.lock().unwrap() = Some(writer.downgrade());
    (writer, reader, filling)
}

/// Writers whose callbacks wait, at their first call, until all is written.
fn waiting_callbacks(writers: usize) -> (Vec<(PipeWriter, File, usize)>, Arc<AtomicUsize>) {
    let waited = Arc::new(AtomicUsize::new(0));
    let writers = (0..writers)
        .map(|_| {
            let (waited, mut first) = (Arc::clone(&waited), true);
            let stalled = stalled(move |writer, _| {
                if std::mem::take(&mut first) {
                    writer.flush_timeout(LONG).unwrap();
                    waited.fetch_add(1, Ordering::SeqCst);
                }
            });
            stalled.0.try_send(stream(0, 200_000)).unwrap();
            stalled
        })
        .collect();
    (writers, waited)
}

#[test]
fn a_callback_that_waits_keeps_no_other_writer_from_writing() {
    alone(|| {
        let (mut writers, waited) = waiting_callbacks(1);
        let (other, mut other_reader, other_filling) = stalled(|_, _| {});
        let (_, reader, filling) = &mut writers[0];
        read_exact(reader, *filling);
        until(|| waited.load(Ordering::SeqCst) == 0 && writers[0].0.progress().written > 0);
        // The first is in its callback now, and will be for long.
        let end = other.try_send(stream(0, 250_000)).unwrap();
        read_exact(&mut other_reader, other_filling + 250_000);
        other.wait_written(end, LONG).unwrap();
        assert_eq!(waited.load(Ordering::SeqCst), 0);
        read_exact(&mut writers[0].1, 200_000);
        until(|| waited.load(Ordering::SeqCst) == 1);
    });
}

#[test]
fn a_callback_that_sends_whenever_something_was_written_starves_nobody() {
    watched(|| {
        let (reader, stalled, _) = full_pipe();
        let slot = Arc::new(Mutex::new(None::<PipeWriter>));
        let writer_slot = Arc::clone(&slot);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let busy = PipeWriter::builder()
            .on_progress(move |_| {
                if !is_over.load(Ordering::SeqCst) {
                    if let Some(writer) = &*writer_slot.lock().unwrap() {
                        let _ = writer.try_send("again");
                    }
                }
            })
            .build(stalled)
            .unwrap();
        *slot.lock().unwrap() = Some(busy.clone());
        busy.try_send("first").unwrap();
        let chatter = reading(reader);
        until(|| busy.progress().written > 100);

        let (mut other_reader, pipe) = pipe();
        let other = PipeWriter::new(pipe).unwrap();
        other.try_send(stream(0, 500_000)).unwrap();
        other.finish();
        assert_eq!(read_stream(&mut other_reader, 0), 500_000);
        over.store(true, Ordering::SeqCst);
        slot.lock().unwrap().take();
        busy.close_timeout(LONG).unwrap();
        chatter.join().unwrap();
    });
}

#[test]
fn callbacks_that_wait_inside_each_other_all_hear_of_their_end() {
    alone(|| {
        const WRITERS: usize = 20;
        let (mut writers, waited) = waiting_callbacks(WRITERS);
        // All of them get into their callbacks before any has written everything.
        for (_, reader, _) in &mut writers {
            read_exact(reader, 10_000);
        }
        for (_, reader, filling) in &mut writers {
            read_exact(reader, *filling - 10_000);
            read_exact(reader, 200_000);
        }
        until(|| waited.load(Ordering::SeqCst) == WRITERS);
    });
}

#[test]
fn a_wait_ends_when_its_writer_is_done_whoever_else_waits() {
    alone(|| {
        for last_first in [false, true] {
            let (mut writers, waited) = waiting_callbacks(20);
            for (_, reader, filling) in &mut writers {
                read_exact(reader, *filling);
            }
            until(|| {
                writers
                    .iter()
                    .all(|(writer, ..)| writer.progress().written > 0)
            });
            if last_first {
                writers.reverse();
            }
            for (n, (_, reader, _)) in writers.iter_mut().enumerate() {
                read_exact(reader, 200_000);
                until(|| waited.load(Ordering::SeqCst) > n);
            }
        }
    });
}

#[cfg(unix)]
#[test]
fn a_callback_that_waits_is_not_called_before_the_pipe_is_watched() {
    alone(|| {
        let (entered, is_waiting) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let (writer, mut reader, filling) = stalled(move |writer, _| {
            let _ = entered.send(());
            writer.flush_timeout(LONG).unwrap();
            let _ = done.send(());
        });
        // The writing side is kept busy elsewhere,
        let (busy, mut busy_reader, busy_filling) = {
            let (entered, is_in) = mpsc::channel();
            let (leave, may_leave) = mpsc::channel::<()>();
            let busy = stalled(move |_, _| {
                let _ = entered.send(());
                let _ = may_leave.recv();
            });
            (busy.0, busy.1, (busy.2, is_in, leave))
        };
        let (busy_filling, is_in, leave) = busy_filling;
        busy.try_send("x").unwrap();
        read_exact(&mut busy_reader, busy_filling);
        is_in.recv().unwrap();
        // while a message waits for its first attempt, and a larger one is refused
        // although there is some room. That is told when the attempt fails.
        let permit = writer.try_reserve(10).unwrap();
        permit.send("0123456789").unwrap();
        assert!(writer.try_send(stream(0, 299_999)).unwrap_err().is_full());
        drop(leave);
        is_waiting.recv().unwrap();
        read_exact(&mut reader, filling + 10);
        is_done.recv().unwrap();
    });
}

#[test]
fn the_callback_of_the_end_may_wait_for_a_thread_that_waits_for_the_last_byte() {
    alone(|| {
        let (flushed, is_flushed) = mpsc::channel();
        let (done, is_done) = mpsc::channel();
        let (writer, mut reader, filling) = stalled(move |_, progress| {
            if progress.outcome.is_some() {
                is_flushed.recv().unwrap();
                done.send(()).unwrap();
            }
        });
        writer.try_send("last").unwrap();
        let flushing = writer.clone();
        let mut flush = Box::pin(async move { flushing.flush().await });
        let waker = common::wakers::when_woken({
            let flushed = Mutex::new(flushed);
            move || flushed.lock().unwrap().send(()).unwrap()
        });
        assert!(common::wakers::poll_with(&mut flush, &waker).is_pending());
        writer.finish();
        read_exact(&mut reader, filling + 4);
        is_done.recv().unwrap();
    });
}

#[cfg(any(target_os = "linux", windows))]
#[test]
fn a_thousand_callbacks_that_wait_do_not_exhaust_the_stack() {
    alone(|| {
        common::process::raise_handle_limit(4_000);
        let (mut writers, waited) = waiting_callbacks(1_000);
        for (_, reader, filling) in &mut writers {
            read_exact(reader, *filling);
        }
        until(|| {
            writers
                .iter()
                .all(|(writer, ..)| writer.progress().written > 0)
        });
        for (_, reader, _) in writers.iter_mut().rev() {
            read_exact(reader, 200_000);
        }
        until(|| waited.load(Ordering::SeqCst) == writers.len());
    });
}
