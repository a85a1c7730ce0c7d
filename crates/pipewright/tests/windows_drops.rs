//! The writer goes, at every step of an operation and in every way, and the kernel's
//! memory stays until the kernel is done with it.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::mem;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::OwnedHandle;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use pipewright::PipeWriter;
use windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED;

use common::accounts::{assert_accounts, until_stalled};
use common::data::{assert_stream, read_exact, stream};
use common::ends::{Named, anonymous, small_pipe};
use common::{LONG, until, watched};

const LEN: usize = 200_000;

/// How far the operation has come when the writer goes.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// Maybe not even started: whatever the writing side has got to.
    Sent,
    Pending,
    BeingCancelled,
    /// The reader takes it at the same time.
    Completing,
    Stopped,
    /// A close has come to the end of its time.
    ClosedLate,
}

/// How the writer goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Dropped,
    Forgotten,
    /// Dropped, and its callback panics.
    Panics,
}

/// The memory of a message: spoiled when it is freed, so that whoever still reads from
/// it is found out.
struct Spoiled(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Spoiled {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Spoiled {
    fn drop(&mut self) {
        self.0.fill(0xee);
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn the_kernels_memory_outlives_the_writer_at_every_step() {
    use Step::{BeingCancelled, ClosedLate, Completing, Pending, Sent, Stopped};
    for step in [
        Sent,
        Pending,
        BeingCancelled,
        Completing,
        Stopped,
        ClosedLate,
    ] {
        for how in [How::Dropped, How::Forgotten, How::Panics] {
            for pipe in [small_pipe, anonymous] {
                for _ in 0..10 {
                    watched(|| goes(pipe(), step, how));
                }
            }
        }
    }
}

#[allow(clippy::mem_forget, reason = "that is what is tried")]
fn goes((mut reader, pipe): (File, OwnedHandle), step: Step, how: How) {
    let freed = Arc::new(AtomicUsize::new(0));
    let writer = PipeWriter::builder()
        .linger(Duration::ZERO)
        .on_progress(move |_| assert_ne!(how, How::Panics, "as intended"))
        .build(pipe)
        .unwrap();
    let data = Spoiled(stream(0, LEN), Arc::clone(&freed));
    writer.try_send(Bytes::from_owner(data)).unwrap();
    if !matches!(step, Step::Sent) {
        until_stalled(&writer);
        assert_eq!(freed.load(Ordering::SeqCst), 0, "the kernel has it");
    }
    let mut ends = how != How::Forgotten;
    let mut heard = Vec::new();
    match step {
        Step::Sent | Step::Pending => {}
        Step::Completing => heard = read_exact(&mut reader, 4096),
        Step::BeingCancelled => writer.cancel(),
        Step::Stopped => drop(writer.stop()),
        Step::ClosedLate => {
            let late = writer.close_timeout(Duration::from_millis(1)).unwrap_err();
            assert!(late.timed_out());
        }
    }
    ends |= matches!(
        step,
        Step::BeingCancelled | Step::Stopped | Step::ClosedLate
    );
    match how {
        How::Forgotten => mem::forget(writer),
        How::Dropped | How::Panics => drop(writer),
    }
    if ends {
        hear_all(&mut reader, &mut heard);
        assert!(heard.len() <= LEN);
    } else {
        // Nobody ended it: it goes on to the last byte.
        let left = LEN - heard.len();
        heard.append(&mut read_exact(&mut reader, left));
    }
    assert_stream(0, &heard);
    if how == How::Forgotten && matches!(step, Step::BeingCancelled) {
        // What was not written is there to be taken, and nobody will.
        assert_eq!(freed.load(Ordering::SeqCst), 0);
    } else {
        until(|| freed.load(Ordering::SeqCst) == 1);
    }
}

/// To the end of the stream, which a client hears of as an error.
fn hear_all(reader: &mut File, heard: &mut Vec<u8>) {
    if let Err(error) = reader.read_to_end(heard) {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    }
}

#[test]
fn the_last_handle_of_a_blocking_writer_can_be_dropped_in_its_callback() {
    for _ in 0..100 {
        watched(|| {
            let (mut reader, pipe) = anonymous();
            let slot: Arc<Mutex<Option<PipeWriter>>> = Arc::default();
            let dropped = Arc::new(AtomicUsize::new(0));
            let (takes, counts) = (Arc::clone(&slot), Arc::clone(&dropped));
            let writer = PipeWriter::builder()
                .linger(LONG)
                .on_progress(move |_| {
                    let taken = takes.lock().unwrap().take();
                    if let Some(writer) = taken {
                        drop(writer);
                        counts.fetch_add(1, Ordering::SeqCst);
                    }
                })
                .build(pipe)
                .unwrap();
            let mut held = slot.lock().unwrap();
            writer.try_send(stream(0, 20_000)).unwrap();
            *held = Some(writer);
            drop(held);
            let mut heard = Vec::new();
            hear_all(&mut reader, &mut heard);
            assert_stream(0, &heard);
            assert_eq!(heard.len(), 20_000);
            until(|| dropped.load(Ordering::SeqCst) == 1);
        });
    }
}

/// Both ends of a named pipe, opened in both ways, and an anonymous pipe.
fn pipes() -> [(File, OwnedHandle); 5] {
    let waits = Named {
        overlapped: false,
        ..Named::DEFAULT
    };
    let client = |flags| {
        let (name, server) = waits.server();
        let client = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags)
            .open(name)
            .unwrap();
        (File::from(server), OwnedHandle::from(client))
    };
    [
        small_pipe(),
        waits.pair(),
        client(FILE_FLAG_OVERLAPPED),
        client(0),
        anonymous(),
    ]
}

#[test]
fn what_was_closed_in_time_is_read_after_the_close() {
    watched(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 4000)).unwrap();
            let summary = writer.close_timeout(LONG).unwrap();
            assert_eq!(summary.written, 4000);
            drop(writer);
            // Only now does anybody read.
            let mut heard = Vec::new();
            hear_all(&mut reader, &mut heard);
            assert_eq!(heard, stream(0, 4000));
        }
    });
}

#[test]
fn what_was_written_before_a_close_ran_out_of_time_is_read_after_it() {
    watched(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 3000)).unwrap();
            writer.flush_timeout(LONG).unwrap();
            writer.try_send(stream(3000, 300_000)).unwrap();
            until_stalled(&writer);
            let late = writer.close_timeout(Duration::from_millis(1)).unwrap_err();
            let summary = late.summary().clone();
            let mut heard = Vec::new();
            hear_all(&mut reader, &mut heard);
            assert!(heard.len() >= 3000, "{} were heard", heard.len());
            assert_accounts(&summary, &late.into_unsent(), &heard);
        }
    });
}

#[test]
fn a_close_that_has_time_lets_a_slow_reader_finish() {
    watched(|| {
        for (mut reader, pipe) in pipes() {
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 50_000)).unwrap();
            until_stalled(&writer);
            let closing = thread::spawn(move || writer.close_timeout(LONG).unwrap());
            let mut heard = Vec::new();
            while heard.len() < 50_000 {
                let next = (50_000 - heard.len()).min(777);
                heard.append(&mut read_exact(&mut reader, next));
            }
            assert_eq!(closing.join().unwrap().written, 50_000);
            hear_all(&mut reader, &mut heard);
            assert_eq!(heard.len(), 50_000);
            assert_stream(0, &heard);
        }
    });
}
