//! C10, ends well, when the user says so: `close` delivers everything before the
//! reader sees the end, and gives the rest back exactly when its time is over;
//! `stop` gives back at once; `into_parts` gives back the pipe itself.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::accounts::{assert_accounts, in_doubt};
use common::data::{read_exact, read_stream, reading, stream};
use common::ends::{
    ON_A_THREAD, Stallable, full_pipe, on_a_thread, pipe, read_what_is_there, stallables,
};
use common::wakers::{poll_once, poll_with, when_woken};
use common::{LONG, alone, rounds, until, watched};
use futures_lite::future::block_on;
use pipewright::{CloseError, Outcome, PipeWriter, TrySendError};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn close_delivers_everything_before_the_reader_sees_the_end() {
    watched(|| {
        for Stallable {
            kind,
            mut reader,
            pipe,
        } in stallables()
        {
            let writer = PipeWriter::builder().capacity(1 << 24).build(pipe).unwrap();
            let mut sent = 0;
            for len in [1, 100_000, 5, 5, 3_000_000, 2_000] {
                sent = writer.try_send(stream(sent, len)).unwrap().get();
            }
            let closing = thread::spawn(move || writer.close_timeout(LONG));
            assert_eq!(read_stream(&mut reader, 0), sent, "{kind}");
            let summary = closing.join().unwrap().unwrap();
            assert!(matches!(summary.outcome, Outcome::Closed), "{kind}");
            assert_eq!((summary.accepted, summary.written), (sent, sent));
        }
    });
}

#[test]
fn close_delivers_everything_to_a_reader_that_begins_later() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 60_000)).unwrap();
        writer.close_timeout(LONG).unwrap();
        drop(writer);
        assert_eq!(read_stream(&mut reader, 0), 60_000);
    });
}

#[test]
fn an_async_close_does_the_same() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 700_000)).unwrap();
        let closing = thread::spawn(move || block_on(writer.close(LONG)));
        assert_eq!(read_stream(&mut reader, 0), 700_000);
        assert_eq!(closing.join().unwrap().unwrap().written, 700_000);
    });
}

/// Whatever was not written came back, and the reader sees the end after the rest.
#[track_caller]
fn assert_given_back(error: CloseError, reader: File, skip: usize, sent: u64) {
    assert!(error.timed_out());
    let summary = error.summary().clone();
    assert!(matches!(summary.outcome, Outcome::Stopped));
    assert_eq!(summary.accepted, sent);
    let heard = reading(reader).join().unwrap();
    assert_accounts(&summary, &error.into_unsent(), &heard[skip..]);
}

#[test]
fn close_gives_back_exactly_what_it_could_not_write_in_time() {
    watched(|| {
        for limit in [Duration::ZERO, SHORT] {
            for is_async in [false, true] {
                let (reader, pipe, filling) = full_pipe();
                let writer = PipeWriter::new(pipe).unwrap();
                writer.try_send(stream(0, 300_000)).unwrap();
                let closed = if is_async {
                    block_on(writer.close(limit))
                } else {
                    writer.close_timeout(limit)
                };
                assert_given_back(closed.unwrap_err(), reader, filling, 300_000);
            }
        }
    });
}

#[test]
fn close_gives_back_exactly_what_it_could_not_write_while_some_was_read() {
    watched(|| {
        rounds(30, |random| {
            let (reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 600_000)).unwrap();
            let mut some = random.below(400_000);
            let mut early = reader.try_clone().unwrap();
            let reads = thread::spawn(move || {
                let mut heard = Vec::new();
                while some > 0 {
                    let mut piece = vec![0; some.min(30_000)];
                    early.read_exact(&mut piece).unwrap();
                    some -= piece.len();
                    heard.extend(piece);
                }
                heard
            });
            let error = writer.close_timeout(Duration::from_millis(2)).unwrap_err();
            drop(writer);
            // The early reader may have found the end of the stream already.
            let summary = error.summary().clone();
            let mut heard = match reads.join() {
                Ok(heard) => heard,
                Err(_) => return,
            };
            heard.extend(reading(reader).join().unwrap());
            assert_accounts(&summary, &error.into_unsent(), &heard);
        });
    });
}

#[test]
fn the_pipe_is_closed_when_close_or_stop_returns() {
    // A process that another test starts meanwhile has the pipe for a moment, too.
    alone(|| {
        for close in [true, false] {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("all").unwrap();
            if close {
                writer.close_timeout(LONG).unwrap();
            } else {
                let _ = writer.stop();
            }
            // Nothing and nobody writes any more: a read that may not wait finds
            // the end, with a handle of the writer still there.
            assert!(b"all".starts_with(&read_what_is_there(&mut reader)));
            drop(writer);
        }
    });
}

#[test]
fn closing_twice_or_from_many_threads_is_closing_once() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        let closing: Vec<_> = (0..6)
            .map(|n| {
                let writer = writer.clone();
                thread::spawn(move || {
                    let closed = if n % 2 == 0 {
                        writer.close_timeout(LONG)
                    } else {
                        block_on(writer.close(LONG))
                    };
                    closed.unwrap().written
                })
            })
            .collect();
        read_exact(&mut reader, filling);
        assert_eq!(read_stream(&mut reader, 0), 100_000);
        for closing in closing {
            assert_eq!(closing.join().unwrap(), 100_000);
        }
        assert_eq!(writer.close_timeout(LONG).unwrap().written, 100_000);
    });
}

#[test]
fn a_close_that_is_given_up_goes_on_closing() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        let mut close = Box::pin(writer.close(SHORT));
        assert!(poll_once(&mut close).is_pending());
        drop(close);
        assert!(matches!(
            writer.try_send("late"),
            Err(TrySendError::Closed(_, Outcome::Closed))
        ));
        // Past the time that the close would have waited.
        assert!(writer.flush_timeout(2 * SHORT).is_err());
        read_exact(&mut reader, filling);
        assert_eq!(read_stream(&mut reader, 0), 100_000);
    });
}

#[test]
fn an_async_close_is_woken_when_its_time_is_over_and_by_the_last_waker() {
    watched(|| {
        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("x").unwrap();
        let (woken, wakes) = std::sync::mpsc::channel();
        let woken = Arc::new(std::sync::Mutex::new(woken));
        let mut close = Box::pin(writer.close(SHORT));
        assert!(poll_with(&mut close, &when_woken(|| {})).is_pending());
        let waker = when_woken(move || woken.lock().unwrap().send(()).unwrap());
        assert!(poll_with(&mut close, &waker).is_pending());
        loop {
            wakes.recv().unwrap();
            if let std::task::Poll::Ready(closed) = poll_with(&mut close, &waker) {
                assert!(closed.unwrap_err().timed_out());
                return;
            }
        }
    });
}

#[test]
fn finish_lets_nothing_in_and_everything_out() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        let permit = writer.try_reserve(10).unwrap();
        writer.finish();
        assert!(matches!(
            permit.send("too late"),
            Err(TrySendError::Closed(back, Outcome::Closed)) if back == "too late"
        ));
        assert!(matches!(
            writer.try_send("x"),
            Err(TrySendError::Closed(_, Outcome::Closed))
        ));
        assert!(writer.progress().outcome.is_none(), "not yet");
        read_exact(&mut reader, filling);
        assert_eq!(read_stream(&mut reader, 0), 100_000);
        assert!(matches!(block_on(writer.ended()).outcome, Outcome::Closed));
    });
}

#[test]
fn the_end_is_for_all_handles() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let other = writer.clone();
        drop(writer);
        other.try_send("still open").unwrap();
        let third = other.clone();
        third.close_timeout(LONG).unwrap();
        assert!(other.try_send("x").is_err());
    });
}

#[test]
fn stop_cancels_what_a_writing_thread_waits_for() {
    watched(|| {
        for _ in 0..20 {
            let (reader, writer) = on_a_thread(|pipe| PipeWriter::new(pipe).unwrap());
            writer.try_send(stream(0, 300_000)).unwrap();
            until(|| writer.progress().written >= ON_A_THREAD);
            let unsent = writer.stop();
            let summary = writer.wait_ended(LONG).unwrap();
            let heard = reading(reader).join().unwrap();
            assert_accounts(&summary, &unsent, &heard);
        }
    });
}

#[test]
fn a_wait_for_the_end_gives_up_when_its_time_is_over_and_changes_nothing() {
    watched(|| {
        let (reader, stalled, filling) = full_pipe();
        let writer = PipeWriter::new(stalled).unwrap();
        writer.try_send("kept").unwrap();
        writer.finish();
        assert!(writer.wait_ended(Duration::ZERO).is_none());
        assert!(writer.wait_ended(SHORT).is_none());
        let reading = reading(reader);
        let summary = writer.wait_ended(LONG).unwrap();
        assert!(matches!(summary.outcome, Outcome::Closed));
        assert_eq!(summary.written, 4);
        assert_eq!(reading.join().unwrap().len(), filling + 4);
        assert!(writer.wait_ended(Duration::ZERO).is_some());
    });
}

#[test]
fn three_barriers_are_three_things() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("unread").unwrap();
        writer.flush_timeout(LONG).unwrap();
        match writer.wait_read(SHORT) {
            Err(pipewright::WaitError::Unsupported) => return,
            read => assert!(matches!(read, Err(pipewright::WaitError::Timeout))),
        }
        let waiting = writer.clone();
        let read = thread::spawn(move || waiting.wait_read(LONG));
        read_exact(&mut reader, 6);
        read.join().unwrap().unwrap();
        block_on(writer.read_by_reader()).unwrap();
        assert!(writer.progress().outcome.is_none(), "read is not closed");
    });
}

#[test]
fn io_write_into_a_closed_writer_writes_nothing() {
    watched(|| {
        let (reader, pipe) = pipe();
        let mut writer = PipeWriter::new(pipe).unwrap();
        writer.write_all(b"before").unwrap();
        writer.close_timeout(LONG).unwrap();
        assert!(writer.write_all(b"after").is_err());
        assert_eq!(reading(reader).join().unwrap(), b"before");
    });
}

#[test]
fn stop_does_not_wait_for_user_code_that_keeps_the_writing_side() {
    alone(|| {
        let (entered, inside) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let (reader, pipe) = pipe();
        let _reading = reading(reader);
        let kept = PipeWriter::builder()
            .on_progress(move |_| {
                if thread::current()
                    .name()
                    .is_some_and(|name| name.starts_with("pipewright"))
                {
                    let _ = entered.send(());
                    let _ = released.recv();
                }
            })
            .build(pipe)
            .unwrap();
        // What does not fit into one write is left to the writing side,
        while inside.try_recv().is_err() {
            let _ = kept.try_send(stream(0, 500_000));
        }

        // which is kept now.
        let (_reader, pipe) = common::ends::pipe();
        let writer = PipeWriter::builder().capacity(1 << 30).build(pipe).unwrap();
        while writer.progress().queued == 0 {
            for _ in 0..10 {
                writer.try_send("!").unwrap();
            }
        }
        let unsent = writer.stop();
        let given_back = unsent.len() + in_doubt(&unsent);
        assert_eq!(unsent.written() + given_back, writer.progress().accepted);
        drop(release);
    });
}
