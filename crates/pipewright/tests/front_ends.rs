//! The front-ends, all over the same writer: `io::Write`, the callback, the waitable
//! object and weak handles (the two `AsyncWrite`s are in `async_write`). None loses
//! or misses anything, however slow the reader is.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use common::data::{read_exact, slow_reader, stream};
use common::ends::{full_pipe, pipe};
use common::news::{wait, wait_for};
use common::{LONG, Random, until, watched};
use pipewright::{Outcome, PipeWriter, Progress};

const TOTAL: usize = 1_500_000;

#[test]
fn io_copy_goes_through_a_slow_reader_whole() {
    watched(|| {
        for capacity in [1, 100, 65_536, 1 << 20] {
            let total = if capacity == 1 { 20_000 } else { TOTAL };
            let (reader, pipe) = pipe();
            let reading = slow_reader(reader);
            let mut writer = PipeWriter::builder()
                .capacity(capacity)
                .build(pipe)
                .unwrap();
            let source = stream(0, total);
            assert_eq!(
                io::copy(&mut &source[..], &mut writer).unwrap(),
                total as u64
            );
            Write::flush(&mut writer).unwrap();
            assert_eq!(writer.progress().written, total as u64);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap(), total);
        }
    });
}

#[test]
fn io_write_formats_and_gathers_like_any_other() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let mut writer = PipeWriter::new(pipe).unwrap();
        for n in 0..100 {
            writeln!(writer, "line {n}").unwrap();
        }
        let slices = [io::IoSlice::new(b"one"), io::IoSlice::new(b"two")];
        let n = writer.write_vectored(&slices).unwrap();
        assert!(n == 3 || n == 6);
        assert_eq!(writer.write(b"").unwrap(), 0);
        writer.close_timeout(LONG).unwrap();
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard.lines().count(), 101);
    });
}

#[test]
fn the_callback_hears_of_everything_and_of_the_end_last() {
    watched(|| {
        let (reader, pipe) = pipe();
        let reading = slow_reader(reader);
        let inside = Arc::new(AtomicUsize::new(0));
        let (tell, told) = mpsc::channel::<Progress>();
        let writer = PipeWriter::builder()
            .capacity(100_000)
            .on_progress(move |progress| {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
                tell.send(progress).unwrap();
                inside.fetch_sub(1, Ordering::SeqCst);
            })
            .build(pipe)
            .unwrap();
        let mut sent = 0;
        while sent < TOTAL as u64 {
            sent = writer
                .send_timeout(stream(sent, 10_000), LONG)
                .unwrap()
                .get();
        }
        writer.close_timeout(LONG).unwrap();
        drop(writer);
        // The channel ends when the callback is dropped.
        let told: Vec<_> = told.iter().collect();
        assert!(told.is_sorted_by_key(|progress| progress.written));
        let (last, before) = told.split_last().unwrap();
        assert!(matches!(last.outcome, Some(Outcome::Closed)));
        assert_eq!(last.written, sent);
        assert!(before.iter().all(|progress| progress.outcome.is_none()));
        assert_eq!(reading.join().unwrap() as u64, sent);
    });
}

#[test]
fn what_happens_during_a_call_is_told_in_one_more() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let (enter, entered) = mpsc::channel::<Progress>();
        let (leave, may_leave) = mpsc::channel::<()>();
        let writer = PipeWriter::builder()
            .capacity(100)
            .on_progress(move |progress| {
                enter.send(progress).unwrap();
                let _ = may_leave.recv();
            })
            .build(pipe)
            .unwrap();
        // On a thread that keeps nobody else from anything: one that gives back room.
        let permit = writer.try_reserve(100).unwrap();
        assert!(writer.try_send("first").unwrap_err().is_full());
        let giving = thread::spawn(move || drop(permit));
        assert_eq!(entered.recv().unwrap().written, 0);
        // What this thread gives back, it tells of before it goes on.
        for _ in 0..50 {
            let permit = writer.try_reserve(100).unwrap();
            assert!(writer.try_send("more").unwrap_err().is_full());
            drop(permit);
        }
        leave.send(()).unwrap();
        assert!(entered.recv().unwrap().outcome.is_none());
        // While that call lasts, so that it is not told of in between.
        writer.cancel();
        drop(leave);
        giving.join().unwrap();
        let _ = writer.stop();
        drop(writer);
        let rest: Vec<_> = entered.iter().collect();
        assert_eq!(rest.len(), 1, "only the end is left to tell");
        assert!(rest[0].outcome.is_some());
    });
}

#[test]
fn the_callback_tells_that_there_is_room_again() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let (tell, told) = mpsc::channel();
        let writer = PipeWriter::builder()
            .capacity(100)
            .on_progress(move |_| {
                let _ = tell.send(());
            })
            .build(pipe)
            .unwrap();
        let permit = writer.try_reserve(100).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
        // Nothing is written, but a permit is dropped.
        drop(permit);
        told.recv().unwrap();
        writer.try_send(stream(0, 100)).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
        read_exact(&mut reader, filling);
        told.recv().unwrap();
        until(|| writer.try_send("x").is_ok());
    });
}

#[test]
fn a_loop_that_waits_for_nothing_but_the_waitable_object_misses_nothing() {
    watched(|| {
        let (reader, pipe) = pipe();
        let reading = slow_reader(reader);
        let writer = PipeWriter::builder().capacity(50_000).build(pipe).unwrap();
        let waitable = writer.waitable().unwrap();
        let mut sent = 0;
        let mut random = Random::new(2);
        while sent < TOTAL as u64 {
            match writer.try_send(stream(sent, random.between(1, 20_000))) {
                Ok(end) => sent = end.get(),
                Err(refused) => {
                    assert!(refused.is_full());
                    wait(&waitable);
                    let _ = writer.take_progress();
                }
            }
        }
        // Every position is waited for alone, then the end.
        while writer.take_progress().written < sent {
            wait(&waitable);
        }
        for _ in 0..500 {
            sent = writer
                .try_send(stream(sent, random.between(1, 100)))
                .unwrap()
                .get();
            while writer.take_progress().written < sent {
                wait(&waitable);
            }
        }
        writer.finish();
        while writer.take_progress().outcome.is_none() {
            wait(&waitable);
        }
        assert_eq!(reading.join().unwrap() as u64, sent);
    });
}

#[test]
fn the_waitable_object_is_ready_while_there_is_news_and_not_longer() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let waitable = writer.waitable().unwrap();
        let other = writer.waitable().unwrap();
        let is_ready = || wait_for(&other, Some(Duration::ZERO));
        let _ = writer.take_progress();
        writer.try_send(stream(0, 10)).unwrap();
        assert!(!is_ready(), "nothing was written");
        read_exact(&mut reader, filling);
        wait(&waitable);
        assert!(is_ready(), "looking does not end it");
        until(|| writer.take_progress().written == 10);
        writer.cancel();
        while writer.take_progress().outcome.is_none() {
            wait(&waitable);
        }
        // Now there is nothing left that could become news.
        until(|| {
            let _ = writer.take_progress();
            !is_ready()
        });
        writer.cancel();
        writer.finish();
        assert!(!is_ready());
    });
}

#[test]
fn many_threads_may_take_progress_and_none_is_left_waiting() {
    watched(|| {
        for _ in 0..20 {
            let (reader, pipe) = pipe();
            let writer = PipeWriter::builder().capacity(5_000).build(pipe).unwrap();
            let waitable = writer.waitable().unwrap();
            let reading = common::data::reading(reader);
            let taking: Vec<_> = (0..2)
                .map(|_| {
                    let writer = writer.clone();
                    thread::spawn(move || {
                        while writer.take_progress().outcome.is_none() {
                            thread::yield_now();
                        }
                    })
                })
                .collect();
            let watcher = writer.clone();
            let watching = thread::spawn(move || {
                // Others take the news away; the end stays to be seen.
                while watcher.progress().outcome.is_none() {
                    wait_for(&waitable, Some(Duration::from_millis(1)));
                }
            });
            for _ in 0..200 {
                writer.send_timeout(stream(0, 500), LONG).unwrap();
            }
            writer.close_timeout(LONG).unwrap();
            for thread in taking {
                thread.join().unwrap();
            }
            watching.join().unwrap();
            assert_eq!(reading.join().unwrap().len(), 100_000);
        }
    });
}

#[test]
fn a_weak_handle_does_not_keep_the_writer() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let weak = writer.downgrade();
        let strong = weak.clone().upgrade().unwrap();
        drop(writer);
        strong.try_send("still there").unwrap();
        strong.flush_timeout(LONG).unwrap();
        drop(strong);
        assert!(weak.upgrade().is_none());
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "still there");
        assert!(format!("{weak:?}").contains("WeakPipeWriter"));
    });
}

#[test]
fn handles_can_be_shared_and_printed() {
    fn shareable<T: Send + Sync + std::fmt::Debug>(_: &T) {}
    fn movable<T: Send>(_: &T) {}
    watched(|| {
        let (_reader, pipe) = pipe();
        let writer = PipeWriter::builder().name("log").build(pipe).unwrap();
        shareable(&writer);
        shareable(&writer.downgrade());
        shareable(&writer.async_writer());
        shareable(&writer.waitable().unwrap());
        shareable(&writer.try_reserve(1).unwrap());
        movable(&writer.send("x"));
        movable(&writer.flush());
        movable(&writer.close(LONG));
        movable(&writer.reserve(1));
        let text = format!("{writer:?}");
        assert!(text.contains("log") && text.contains("accepted"), "{text}");
        let slot = Mutex::new(writer);
        drop(slot);
    });
}
