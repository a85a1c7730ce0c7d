//! The barrier "read by the reader": when it is there, what goes on meanwhile, and
//! what becomes of it at the end.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;
mod windows_counts;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use pipewright::{Outcome, PipeWriter, WaitError};
use windows_sys::Win32::Foundation::DuplicateHandle;
use windows_sys::Win32::Storage::FileSystem::{FILE_FLAG_OVERLAPPED, FILE_WRITE_DATA, SYNCHRONIZE};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

use common::data::{assert_stream, read_exact, stream};
use common::ends::{Named, anonymous, small_pipe};
use common::process::{handles, threads};
use common::{LONG, Random, until};
use windows_counts::counted;

/// Long enough for a flush to begin, and not to wait for.
const SHORT: Duration = Duration::from_millis(5);

const WAITS: Named = Named {
    overlapped: false,
    ..Named::DEFAULT
};

/// Every kind of pipe: both ends of a named one, each way of opening it, and an
/// anonymous one.
fn pipes() -> [(File, OwnedHandle); 4] {
    let (name, server) = WAITS.server();
    let client = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .open(name)
        .unwrap();
    [
        small_pipe(),
        (server.into(), client.into()),
        WAITS.pair(),
        anonymous(),
    ]
}

/// All is written, and not read.
#[track_caller]
fn not_read_yet(writer: &PipeWriter) {
    writer.flush_timeout(LONG).unwrap();
    let waited = writer.wait_read(SHORT);
    assert!(matches!(waited, Err(WaitError::Timeout)), "{waited:?}");
}

/// A thread that waits for the reader, and has begun to.
fn waiting(writer: &PipeWriter) -> thread::JoinHandle<Result<(), WaitError>> {
    let waits = writer.clone();
    let waiting = thread::spawn(move || waits.wait_read(LONG));
    not_read_yet(writer);
    waiting
}

#[test]
fn the_barrier_is_there_when_all_is_read_and_not_before() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.wait_read(LONG).unwrap();
            writer.try_send(stream(0, 1000)).unwrap();
            not_read_yet(&writer);
            let waiting = waiting(&writer);
            let mut future = Box::pin(writer.read_by_reader());
            assert!(block_on(poll_once(&mut future)).is_none());
            read_exact(&mut reader, 400);
            not_read_yet(&writer);
            assert!(!waiting.is_finished());
            read_exact(&mut reader, 600);
            waiting.join().unwrap().unwrap();
            block_on(future).unwrap();
            writer.wait_read(LONG).unwrap();
        }
    });
}

#[test]
fn a_wait_that_began_later_is_for_what_was_written_later_too() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 500)).unwrap();
            let first = waiting(&writer);
            let end = writer.try_send(stream(500, 500)).unwrap();
            writer.wait_written(end, LONG).unwrap();
            let second = waiting(&writer);
            read_exact(&mut reader, 500);
            not_read_yet(&writer);
            assert!(!second.is_finished());
            read_exact(&mut reader, 500);
            first.join().unwrap().unwrap();
            second.join().unwrap().unwrap();
        }
    });
}

#[test]
fn writing_goes_on_while_somebody_waits_for_the_reader() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 100)).unwrap();
            let waiting = waiting(&writer);
            for n in 1..30 {
                writer.try_send(stream(n * 100, 100)).unwrap();
                // It fits into the pipe: handed over without the reader.
                writer.flush_timeout(LONG).unwrap();
                assert!(!waiting.is_finished());
            }
            assert_stream(0, &read_exact(&mut reader, 3000));
            waiting.join().unwrap().unwrap();
        }
    });
}

#[test]
fn every_end_comes_through_while_somebody_waits_for_the_reader() {
    counted(|| {
        for round in 0..100 {
            for (mut reader, pipe) in pipes() {
                let writer = PipeWriter::builder()
                    .linger(Duration::ZERO)
                    .build(pipe)
                    .unwrap();
                writer.try_send(stream(0, 1000)).unwrap();
                let waits = writer.clone();
                let wait = thread::spawn(move || {
                    let waited = waits.wait_read(LONG);
                    assert!(matches!(waited, Err(WaitError::Ended(_))), "{waited:?}");
                });
                if round % 2 == 0 {
                    not_read_yet(&writer);
                } else {
                    writer.flush_timeout(LONG).unwrap();
                }
                match round % 3 {
                    0 => assert!(writer.stop().is_empty()),
                    1 => drop(writer.close_timeout(LONG).unwrap()),
                    _ => {
                        let (pipe, unsent) = writer.into_parts();
                        assert!(unsent.is_empty());
                        drop(File::from(pipe.unwrap()));
                    }
                }
                wait.join().unwrap();
                // The end of the stream: nobody has the handle any more.
                let mut heard = Vec::new();
                reader.read_to_end(&mut heard).unwrap();
                assert_stream(0, &heard);
                assert_eq!(heard.len(), 1000);
            }
        }
    });
}

#[test]
fn the_handle_is_given_back_usable_although_somebody_waited() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("before").unwrap();
            let waiting = waiting(&writer);
            let (pipe, _) = writer.into_parts();
            assert!(waiting.join().unwrap().is_err());
            File::from(pipe.unwrap()).write_all(b", after").unwrap();
            assert_eq!(read_exact(&mut reader, 13), b"before, after");
        }
    });
}

#[test]
fn a_dropped_writer_does_not_wait_for_the_reader() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 1000)).unwrap();
            writer.flush_timeout(LONG).unwrap();
            let mut future = Box::pin(async { writer.read_by_reader().await });
            assert!(block_on(poll_once(&mut future)).is_none());
            drop(future);
            drop(writer);
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).unwrap();
            assert_eq!(heard.len(), 1000);
        }
    });
}

#[test]
fn a_reader_that_leaves_has_not_read() {
    counted(|| {
        for before in [true, false] {
            for (mut reader, pipe) in pipes() {
                let writer = PipeWriter::new(pipe).unwrap();
                writer.try_send(stream(0, 1000)).unwrap();
                writer.flush_timeout(LONG).unwrap();
                read_exact(&mut reader, 999);
                let waited = if before {
                    drop(reader);
                    writer.wait_read(LONG)
                } else {
                    let waiting = waiting(&writer);
                    drop(reader);
                    waiting.join().unwrap()
                };
                let Err(WaitError::Ended(Outcome::Failed(error))) = waited else {
                    panic!("{waited:?}");
                };
                assert_eq!(error.raw_os_error(), Some(109));
                // Everybody learns of it.
                let summary = writer.wait_ended(LONG).unwrap();
                assert!(matches!(summary.outcome, Outcome::Failed(_)), "{summary}");
                assert_eq!((summary.written, summary.in_doubt), (1000, 0));
            }
        }
    });
}

#[test]
fn waits_that_are_given_up_leave_nothing_behind() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 10)).unwrap();
            writer.flush_timeout(LONG).unwrap();
            not_read_yet(&writer);
            let (threads_before, handles_before) = (threads(), handles());
            for _ in 0..20 {
                let waits = [(); 64].map(|()| {
                    let mut wait = Box::pin(writer.read_by_reader());
                    assert!(block_on(poll_once(&mut wait)).is_none());
                    wait
                });
                // One waits; those before it are about to end.
                let more = threads().saturating_sub(threads_before);
                assert!(more < 32, "{more} threads for 64 waits");
                drop(waits);
            }
            // The system's own pool has threads that come and go.
            until(|| threads() < threads_before + 10);
            // Handle values are multiples of 4.
            until(|| handles() < handles_before + 50);
            read_exact(&mut reader, 10);
            writer.wait_read(LONG).unwrap();
        }
    });
}

/// The flush would sit there until the reader reads.
#[test]
fn a_wait_that_is_given_up_leaves_no_thread_with_a_reader_that_does_not_read() {
    counted(|| {
        for pipe in [small_pipe, anonymous] {
            let writers = [(); 32].map(|()| {
                let (reader, pipe) = pipe();
                let writer = PipeWriter::new(pipe).unwrap();
                writer.try_send(stream(0, 10)).unwrap();
                writer.flush_timeout(LONG).unwrap();
                (reader, writer)
            });
            let before = threads();
            for (_, writer) in &writers {
                not_read_yet(writer);
            }
            // The system's own pool has threads that come and go.
            until(|| threads() < before + 10);
        }
    });
}

/// Whether it leaves before the wait, in its midst or between is left to chance.
#[test]
fn a_reader_that_leaves_at_any_moment_of_a_wait_has_not_read() {
    counted(|| {
        let mut random = Random::new(31);
        for _ in 0..400 {
            let (reader, pipe) = small_pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 1000)).unwrap();
            writer.flush_timeout(LONG).unwrap();
            let spins = random.between(0, 20_000);
            let leaving = thread::spawn(move || {
                (0..spins).for_each(|_| std::hint::spin_loop());
                drop(reader);
            });
            let waited = writer.wait_read(LONG);
            assert!(matches!(waited, Err(WaitError::Ended(_))), "{waited:?}");
            leaving.join().unwrap();
        }
    });
}

#[test]
fn a_callback_may_wait_until_all_is_read() {
    counted(|| {
        for (mut reader, pipe) in pipes() {
            let slot: Arc<Mutex<Option<PipeWriter>>> = Arc::default();
            let takes = Arc::clone(&slot);
            let writer = PipeWriter::builder()
                .on_progress(move |_| {
                    let taken = takes.lock().unwrap().take();
                    if let Some(writer) = taken {
                        writer.try_send("more").unwrap();
                        writer.wait_read(LONG).unwrap();
                        writer.finish();
                    }
                })
                .build(pipe)
                .unwrap();
            *slot.lock().unwrap() = Some(writer.clone());
            let sending = writer.clone();
            // The callback may run on the thread that sends.
            let sent = thread::spawn(move || sending.try_send("some").unwrap());
            assert_eq!(read_exact(&mut reader, 8), b"somemore");
            sent.join().unwrap();
            let summary = writer.wait_ended(LONG).unwrap();
            assert!(matches!(summary.outcome, Outcome::Closed), "{summary}");
        }
    });
}

#[test]
fn where_nobody_can_tell_a_wait_is_refused_and_not_endless() {
    counted(|| {
        let file: OwnedHandle = tempfile::tempfile().unwrap().into();
        let nul = OpenOptions::new().write(true).open("NUL").unwrap();
        // Two handles that may not ask what became of the reader.
        let blind = [small_pipe(), anonymous()].map(|(reader, pipe)| (reader, only_writes(pipe)));
        let [(mut first, one), (mut second, other)] = blind;
        for pipe in [file, nul.into(), one, other] {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("1234").unwrap();
            let waited = writer.wait_read(LONG);
            assert!(matches!(waited, Err(WaitError::Unsupported)), "{waited:?}");
            writer.close_timeout(LONG).unwrap();
        }
        assert_eq!(read_exact(&mut first, 4), b"1234");
        assert_eq!(read_exact(&mut second, 4), b"1234");
    });
}

/// The same pipe, through a handle that may write and nothing else.
fn only_writes(pipe: OwnedHandle) -> OwnedHandle {
    let mut only_writes = ptr::null_mut();
    // SAFETY: it takes no memory.
    let me = unsafe { GetCurrentProcess() };
    let (from, to) = (pipe.as_raw_handle(), &raw mut only_writes);
    // SAFETY: the handle is open, and `to` has room for one.
    let done = unsafe { DuplicateHandle(me, from, me, to, FILE_WRITE_DATA | SYNCHRONIZE, 0, 0) };
    assert_ne!(done, 0);
    // SAFETY: it was just made, and nobody else has it.
    unsafe { OwnedHandle::from_raw_handle(only_writes) }
}

#[test]
fn many_wait_while_others_write_read_and_end_it() {
    counted(|| {
        for seed in 0..60 {
            for (mut reader, pipe) in pipes() {
                let writer = PipeWriter::new(pipe).unwrap();
                let waiters: Vec<_> = (0..3)
                    .map(|n| {
                        let (writer, mut random) = (writer.clone(), Random::new(seed * 3 + n));
                        thread::spawn(move || {
                            loop {
                                let limit = random.between(0, 2000) as u64;
                                match writer.wait_read(Duration::from_micros(limit)) {
                                    Ok(()) | Err(WaitError::Timeout) => {}
                                    Err(WaitError::Ended(_)) => return,
                                    Err(other) => panic!("{other}"),
                                }
                            }
                        })
                    })
                    .collect();
                let reading = thread::spawn(move || {
                    let mut heard = Vec::new();
                    reader.read_to_end(&mut heard).unwrap();
                    heard
                });
                let mut random = Random::new(seed);
                let mut position = 0;
                for _ in 0..20 {
                    let len = random.between(1, 6000);
                    position = writer.try_send(stream(position, len)).unwrap().get();
                }
                let summary = writer.close_timeout(LONG).unwrap();
                assert_eq!(summary.written, position);
                let heard = reading.join().unwrap();
                assert_stream(0, &heard);
                assert_eq!(heard.len() as u64, position);
                for waiter in waiters {
                    waiter.join().unwrap();
                }
            }
        }
    });
}
