//! Overlapped writes that are cut short: stopped, cancelled by others, or left by their
//! reader. What arrived, what is accounted for, and how long the kernel's memory lives.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::fs::File;
use std::io::Read;
use std::os::windows::io::AsRawHandle;
use std::ptr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use pipewright::{Outcome, PipeWriter};
use windows_sys::Win32::System::IO::CancelIoEx;
use windows_sys::Win32::System::Pipes::DisconnectNamedPipe;

use common::accounts::{assert_accounts, in_doubt, until_stalled};
use common::data::{assert_stream, read_exact, read_stream, stream, tracked};
use common::ends::{Named, Pipe, client_end, duplicate};
use common::outcomes::assert_broken;
use common::{LONG, Random, until, watched};

/// A pipe that is full with a part of what these tests write.
fn small() -> (File, Pipe) {
    Named::DEFAULT.pair()
}

#[test]
fn the_buffer_of_a_stopped_write_lives_until_its_completion() {
    watched(|| {
        let (mut reader, pipe) = small();
        let writer = PipeWriter::new(pipe).unwrap();
        let (data, fate) = tracked(stream(0, 200_000));
        writer.try_send(data).unwrap();
        until_stalled(&writer);
        assert!(!fate.is_freed());
        let unsent = writer.stop();
        assert!(!fate.is_freed(), "it was handed back");
        let summary = writer.wait_ended(LONG).unwrap();
        let mut heard = Vec::new();
        let _ = reader.read_to_end(&mut heard);
        assert_accounts(&summary, &unsent, &heard);
        drop(unsent);
        assert!(fate.is_freed());
    });
}

#[test]
fn dropping_with_a_write_in_flight_never_waits_and_the_buffer_outlives_the_writer() {
    watched(|| {
        for linger in [Duration::ZERO, LONG] {
            let (mut reader, pipe) = small();
            let writer = PipeWriter::builder().linger(linger).build(pipe).unwrap();
            let (data, fate) = tracked(stream(0, 200_000));
            writer.try_send(data).unwrap();
            until_stalled(&writer);
            drop(writer);
            if linger.is_zero() {
                // The cancel's completion frees it; nothing else does.
                until(|| fate.is_freed());
            } else {
                assert!(!fate.is_freed());
                assert_eq!(read_stream(&mut reader, 0), 200_000);
                until(|| fate.is_freed());
            }
        }
    });
}

/// How much is sent, how much the reader takes before the stop, and who is faster, is
/// left to chance; the accounts are not.
#[test]
fn a_stop_that_races_the_reader_accounts_for_every_byte() {
    watched(|| {
        let mut random = Random::new(7);
        for round in 0..2000 {
            let buffer = [1, 512, 4096, 65_536][round % 4];
            let (reader, pipe) = Named {
                buffer,
                ..Named::DEFAULT
            }
            .pair();
            let writer = PipeWriter::new(pipe).unwrap();
            let len = random.between(1, 150_000);
            let first = random.between(1, len);
            writer.try_send(stream(0, first)).unwrap();
            writer.try_send(stream(first as u64, len - first)).unwrap();
            let taken = random.between(0, len);
            let reading = Partial::start(reader, taken);
            if random.between(0, 1) == 0 {
                reading.has_taken.recv().unwrap();
            }
            let unsent = writer.stop();
            let summary = writer.wait_ended(LONG).unwrap();
            assert_accounts(&summary, &unsent, &reading.finish());
        }
    });
}

#[test]
fn what_a_stop_left_can_follow_on_the_same_pipe_and_repeats_nothing() {
    watched(|| {
        let mut random = Random::new(8);
        for _ in 0..500 {
            let (reader, pipe) = small();
            let writer = PipeWriter::new(pipe).unwrap();
            let len = random.between(70_000, 150_000);
            writer.try_send(stream(0, len)).unwrap();
            let taken = random.between(0, 60_000);
            let reading = Partial::start(reader, taken);
            reading.has_taken.recv().unwrap();
            let (pipe, unsent) = writer.into_parts();
            let doubtful = in_doubt(&unsent);
            let (written, left) = (unsent.written(), unsent.len());
            assert_eq!(written + doubtful + left, len as u64);

            let next = PipeWriter::new(pipe.unwrap()).unwrap();
            for piece in unsent {
                next.try_send(piece).unwrap();
            }
            let closing = thread::spawn(move || next.close_timeout(LONG).unwrap());
            let heard = reading.finish();
            closing.join().unwrap();
            let (before, after) = heard.split_at(heard.len() - usize::try_from(left).unwrap());
            assert_stream(0, before);
            assert_stream(written + doubtful, after);
            assert!((written..=written + doubtful).contains(&(before.len() as u64)));
        }
    });
}

/// A reader that takes a part, says so, and goes on when it is told.
struct Partial {
    has_taken: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
    reading: thread::JoinHandle<Vec<u8>>,
}

impl Partial {
    fn start(mut reader: File, taken: usize) -> Partial {
        let (tell, has_taken) = mpsc::channel();
        let (go_on, told) = mpsc::channel();
        let reading = thread::spawn(move || {
            let mut heard = vec![0; taken];
            let mut len = 0;
            while len < taken {
                match reader.read(&mut heard[len..]).unwrap() {
                    0 => break,
                    n => len += n,
                }
            }
            heard.truncate(len);
            let _ = tell.send(());
            let _ = told.recv();
            reader.read_to_end(&mut heard).unwrap();
            heard
        });
        Partial {
            has_taken,
            go_on,
            reading,
        }
    }

    fn finish(self) -> Vec<u8> {
        drop(self.go_on);
        self.reading.join().unwrap()
    }
}

#[test]
fn a_write_that_somebody_else_cancels_is_a_failure_with_its_doubt_reported() {
    watched(|| {
        let (mut reader, pipe) = small();
        let theirs = duplicate(&pipe);
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        until_stalled(&writer);
        let mut heard = read_exact(&mut reader, 1000);
        // Again and again: there may be no write in the kernel at a given moment.
        let summary = loop {
            // SAFETY: the handle is open; the pointer may be null: whatever is pending.
            unsafe { CancelIoEx(theirs.as_raw_handle(), ptr::null()) };
            if let Some(summary) = writer.wait_ended(Duration::from_millis(1)) {
                break summary;
            }
        };
        drop(theirs);
        match &summary.outcome {
            Outcome::Failed(error) => assert_eq!(error.raw_os_error(), Some(995)),
            other => panic!("{other}"),
        }
        assert!(summary.in_doubt > 0);
        let _ = reader.read_to_end(&mut heard);
        let unsent = writer.take_unsent().unwrap();
        assert_accounts(&summary, &unsent, &heard);
    });
}

#[test]
fn a_reader_that_dies_fails_a_pending_write_and_the_next_one() {
    watched(|| {
        for pending in [true, false] {
            let (reader, pipe) = small();
            let writer = PipeWriter::new(pipe).unwrap();
            if pending {
                writer.try_send(stream(0, 200_000)).unwrap();
                until_stalled(&writer);
            }
            drop(reader);
            if !pending {
                writer.try_send(stream(0, 100)).unwrap();
            }
            let summary = writer.wait_ended(LONG).unwrap();
            assert_broken(&summary.outcome);
            if !pending {
                assert_eq!(summary.unsent, 100);
                assert_eq!(summary.in_doubt, 0);
            }
            let unsent = writer.take_unsent().unwrap();
            assert_eq!(
                summary.accepted,
                summary.written + summary.in_doubt + unsent.len()
            );
        }
    });
}

/// It has an error number of its own (`ERROR_PIPE_NOT_CONNECTED`).
#[test]
fn a_server_that_disconnects_its_client_leaves_it_a_broken_pipe() {
    watched(|| {
        for pending in [true, false] {
            let (server, pipe) = client_end();
            let writer = PipeWriter::new(pipe).unwrap();
            if pending {
                writer.try_send(stream(0, 200_000)).unwrap();
                until_stalled(&writer);
            }
            // SAFETY: the handle is open.
            let done = unsafe { DisconnectNamedPipe(server.as_raw_handle()) };
            assert_ne!(done, 0);
            let _ = writer.try_send("unheard");
            let summary = writer.wait_ended(LONG).unwrap();
            assert_broken(&summary.outcome);
            assert_eq!(summary.in_doubt > 0, pending);
        }
    });
}

#[test]
fn a_write_that_was_not_started_yet_is_stopped_without_the_thread_that_starts_it() {
    watched(|| {
        let (go_on, told) = mpsc::channel::<()>();
        let (tell, standing) = mpsc::channel();
        let (_keep, pipe) = small();
        let mut first = true;
        let stands = PipeWriter::builder()
            .on_progress(move |_| {
                if std::mem::take(&mut first) {
                    tell.send(()).unwrap();
                    let _ = told.recv();
                }
            })
            .build(pipe)
            .unwrap();
        stands.try_send("this one").unwrap();
        standing.recv().unwrap();
        let (_reader, pipe) = small();
        let unstarted = PipeWriter::new(pipe).unwrap();
        unstarted.try_send(stream(0, 100_000)).unwrap();
        let unsent = unstarted.stop();
        assert_eq!((unsent.len(), unsent.in_doubt().len()), (100_000, 0));
        drop(go_on);
        stands.close_timeout(LONG).unwrap();
    });
}
