//! Handles opened for overlapped I/O: what arrives, what is accounted for, and how
//! long the kernel's memory lives.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common_windows;

use std::fs::File;
use std::io::{Read, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipewright::{Outcome, PipeWriter};
use windows_sys::Win32::System::IO::CancelIoEx;

use common_windows::data::{read_exact, read_stream, reading, slow_reader, stream, tracked};
use common_windows::{
    LONG, Named, Random, assert_accounts, fresh_handle_value, overlapped, stalled, until, watched,
};

#[test]
fn messages_arrive_in_order() {
    watched(|| {
        let (reader, pipe) = overlapped();
        let reading = reading(reader);
        let writer = PipeWriter::new(pipe).unwrap();
        for n in 0..1000_u32 {
            let message = format!("message {n}\n");
            while writer.try_send(message.clone()).is_err() {
                writer.flush_timeout(LONG).unwrap();
            }
        }
        writer.close_timeout(LONG).unwrap();
        let expected: String = (0..1000).map(|n| format!("message {n}\n")).collect();
        assert_eq!(reading.join().unwrap(), expected.as_bytes());
    });
}

#[test]
fn a_large_stream_arrives_whole_at_a_slow_reader() {
    watched(|| {
        const LEN: usize = 8 << 20;
        for buffer in [1, 4096, 65_536, 1 << 20] {
            let (reader, pipe) = Named {
                buffer,
                ..Named::default()
            }
            .pair();
            let reading = slow_reader(reader);
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, LEN)).unwrap();
            let summary = writer.close_timeout(LONG).unwrap();
            assert_eq!(summary.written, LEN as u64);
            assert_eq!(reading.join().unwrap(), LEN);
        }
    });
}

/// Microsoft, "DisconnectNamedPipe": unread data is lost with it; closing must not be
/// that.
#[test]
fn close_delivers_before_the_end_of_the_stream() {
    watched(|| {
        let (mut reader, pipe) = Named {
            buffer: 65_536,
            ..Named::default()
        }
        .pair();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 10_000)).unwrap();
        let summary = writer.close_timeout(LONG).unwrap();
        assert_eq!(summary.written, 10_000);
        // Only now does anybody read.
        assert_eq!(read_stream(&mut Ended(&mut reader), 0), 10_000);
    });
}

/// A client hears of the end as an error (`ERROR_BROKEN_PIPE`, `ERROR_PIPE_NOT_CONNECTED`).
struct Ended<'a>(&'a mut File);

impl Read for Ended<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if matches!(error.raw_os_error(), Some(109 | 233)) => Ok(0),
            read => read,
        }
    }
}

#[test]
fn the_client_end_of_a_pipe_is_written_as_well() {
    watched(|| {
        use std::os::windows::fs::OpenOptionsExt;
        let (name, server) = Named {
            overlapped: false,
            ..Named::default()
        }
        .server();
        let client = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(windows_sys::Win32::Storage::FileSystem::FILE_FLAG_OVERLAPPED)
            .open(name)
            .unwrap();
        let reading = slow_reader(File::from(server));
        let writer = PipeWriter::new(client).unwrap();
        writer.try_send(stream(0, 1 << 20)).unwrap();
        writer.close_timeout(LONG).unwrap();
        assert_eq!(reading.join().unwrap(), 1 << 20);
    });
}

#[test]
fn the_buffer_of_a_stopped_write_lives_until_its_completion() {
    watched(|| {
        let (mut reader, pipe) = overlapped();
        let writer = PipeWriter::new(pipe).unwrap();
        let (data, fate) = tracked(stream(0, 200_000));
        writer.try_send(data).unwrap();
        stalled(&writer);
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
            let (mut reader, pipe) = overlapped();
            let writer = PipeWriter::builder().linger(linger).build(pipe).unwrap();
            let (data, fate) = tracked(stream(0, 200_000));
            writer.try_send(data).unwrap();
            stalled(&writer);
            drop(writer);
            if linger.is_zero() {
                // The cancel's completion frees it; nothing else does.
                until(|| fate.is_freed());
            } else {
                assert!(!fate.is_freed());
                assert_eq!(read_stream(&mut Ended(&mut reader), 0), 200_000);
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
                ..Named::default()
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
            let (reader, pipe) = overlapped();
            let writer = PipeWriter::new(pipe).unwrap();
            let len = random.between(70_000, 150_000);
            writer.try_send(stream(0, len)).unwrap();
            let taken = random.between(0, 60_000);
            let reading = Partial::start(reader, taken);
            reading.has_taken.recv().unwrap();
            let (pipe, unsent) = writer.into_parts();
            let doubtful: usize = unsent.in_doubt().iter().map(|piece| piece.len()).sum();
            let (written, left) = (unsent.written(), unsent.len());
            assert_eq!(written + doubtful as u64 + left, len as u64);

            let next = PipeWriter::new(pipe.unwrap()).unwrap();
            for piece in unsent {
                next.try_send(piece).unwrap();
            }
            let closing = thread::spawn(move || next.close_timeout(LONG).unwrap());
            let heard = reading.finish();
            closing.join().unwrap();
            let (before, after) = heard.split_at(heard.len() - usize::try_from(left).unwrap());
            common_windows::data::assert_stream(0, before);
            common_windows::data::assert_stream(written + doubtful as u64, after);
            assert!((written..=written + doubtful as u64).contains(&(before.len() as u64)));
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
                match Ended(&mut reader).read(&mut heard[len..]).unwrap() {
                    0 => break,
                    n => len += n,
                }
            }
            heard.truncate(len);
            let _ = tell.send(());
            let _ = told.recv();
            Ended(&mut reader).read_to_end(&mut heard).unwrap();
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

/// Keeps the value of a handle that the writer owns.
fn value(pipe: &OwnedHandle) -> usize {
    pipe.as_raw_handle().addr()
}

#[test]
fn a_write_that_somebody_else_cancels_is_a_failure_with_its_doubt_reported() {
    watched(|| {
        let (mut reader, pipe) = overlapped();
        let theirs = pipe.try_clone().unwrap();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        stalled(&writer);
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
        let _ = Ended(&mut reader).read_to_end(&mut heard);
        let unsent = writer.take_unsent().unwrap();
        assert_accounts(&summary, &unsent, &heard);
    });
}

/// Microsoft, "ExitThread function": what a thread has pending is canceled when it ends.
#[test]
fn a_write_outlives_the_thread_that_sent_it() {
    watched(|| {
        // So small that the first write is pending, not only the later ones.
        let small = Named {
            buffer: 1,
            ..Named::default()
        };
        let (mut reader, pipe) = small.pair();
        let writer = PipeWriter::new(pipe).unwrap();
        let sender = writer.clone();
        thread::spawn(move || {
            sender.try_send(stream(0, 100_000)).unwrap();
            stalled(&sender);
        })
        .join()
        .unwrap();
        let closing = thread::spawn(move || writer.close_timeout(LONG).unwrap());
        assert_eq!(read_stream(&mut Ended(&mut reader), 0), 100_000);
        closing.join().unwrap();
    });
}

#[test]
fn the_last_handle_can_be_dropped_in_the_callback() {
    watched(|| {
        for _ in 0..200 {
            let (mut reader, pipe) = overlapped();
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
            assert_eq!(read_stream(&mut Ended(&mut reader), 0), 20_000);
            until(|| dropped.load(Ordering::SeqCst) == 1);
        }
    });
}

#[test]
fn a_reader_that_dies_fails_a_pending_write_and_the_next_one() {
    watched(|| {
        for pending in [true, false] {
            let (reader, pipe) = overlapped();
            let writer = PipeWriter::new(pipe).unwrap();
            if pending {
                writer.try_send(stream(0, 200_000)).unwrap();
                stalled(&writer);
            }
            drop(reader);
            if !pending {
                writer.try_send(stream(0, 100)).unwrap();
            }
            let summary = writer.wait_ended(LONG).unwrap();
            let Outcome::Failed(error) = &summary.outcome else {
                panic!("{summary}");
            };
            assert!(
                matches!(error.raw_os_error(), Some(109 | 232 | 233)),
                "{error}"
            );
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

#[test]
fn a_pipe_without_a_client_yet_is_written_when_one_comes() {
    watched(|| {
        let named = Named::default();
        let (name, server) = named.server();
        let writer = PipeWriter::new(server).unwrap();
        writer.try_send(stream(0, 50_000)).unwrap();
        let finishing = writer.clone();
        let closing = thread::spawn(move || finishing.close_timeout(LONG).unwrap());
        until(|| writer.progress().in_flight == 0);
        let mut client = named.client(&name);
        assert_eq!(read_stream(&mut Ended(&mut client), 0), 50_000);
        closing.join().unwrap();
    });
}

#[test]
fn a_pipe_without_a_client_can_be_stopped_and_nothing_is_in_doubt() {
    watched(|| {
        let (_, server) = Named::default().server();
        let writer = PipeWriter::new(server).unwrap();
        writer.try_send(stream(0, 50_000)).unwrap();
        let unsent = writer.stop();
        assert_eq!(unsent.len(), 50_000);
        assert!(unsent.in_doubt().is_empty());
    });
}

#[test]
fn a_pipe_in_non_blocking_mode_is_written_bit_by_bit() {
    watched(|| {
        for overlapped in [true, false] {
            let (name, server) = Named {
                // Less than one operation holds.
                buffer: 512,
                overlapped,
                ..Named::default()
            }
            .server();
            let reader = Named::default().client(&name);
            make_nonblocking(&server);
            let writer = PipeWriter::new(server).unwrap();
            writer.try_send(stream(0, 20_000)).unwrap();
            let reading = slow_reader(reader);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap(), 20_000);
        }
    });
}

fn make_nonblocking(pipe: &OwnedHandle) {
    use windows_sys::Win32::System::Pipes::{PIPE_NOWAIT, SetNamedPipeHandleState};
    let mode = PIPE_NOWAIT;
    // SAFETY: the handle is open; the other pointers may be null.
    let done = unsafe {
        let none = ptr::null();
        SetNamedPipeHandleState(pipe.as_raw_handle(), &raw const mode, none, none)
    };
    assert_ne!(done, 0);
}

#[test]
fn messages_keep_their_boundaries_and_empty_ones_arrive() {
    watched(|| {
        let named = Named {
            messages: true,
            buffer: 65_536,
            ..Named::default()
        };
        let (mut reader, pipe) = named.pair();
        let writer = PipeWriter::new(pipe).unwrap();
        let lens = [3, 0, 1, 40_000, 0, 0, 200_000, 5];
        let sending = thread::spawn(move || {
            let mut position = 0;
            for len in lens {
                writer.try_send(stream(position, len)).unwrap();
                position += len as u64;
            }
            writer.close_timeout(LONG).unwrap();
        });
        let mut position = 0;
        for len in lens {
            let mut message = vec![0; 300_000];
            assert_eq!(reader.read(&mut message).unwrap(), len);
            common_windows::data::assert_stream(position, &message[..len]);
            position += len as u64;
        }
        sending.join().unwrap();
    });
}

#[test]
fn many_writers_go_on_at_once() {
    watched(|| {
        let pipes: Vec<_> = (0..256).map(|_| overlapped()).collect();
        let (readers, writers): (Vec<_>, Vec<_>) = pipes
            .into_iter()
            .map(|(reader, pipe)| (reader, PipeWriter::new(pipe).unwrap()))
            .unzip();
        for writer in &writers {
            writer.try_send(stream(0, 30_000)).unwrap();
        }
        for writer in &writers {
            stalled(writer);
        }
        for (reader, writer) in readers.into_iter().zip(writers).rev() {
            let reading = slow_reader(reader);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap(), 30_000);
        }
    });
}

#[test]
fn no_handle_is_left_behind() {
    watched(|| {
        let mut after_warm_up = 0;
        for round in 0..10_000 {
            let (mut reader, pipe) = overlapped();
            let writer = PipeWriter::builder()
                .linger(Duration::ZERO)
                .build(pipe)
                .unwrap();
            let len = if round % 2 == 0 { 10 } else { 100_000 };
            writer.try_send(stream(0, len)).unwrap();
            match round % 3 {
                0 => drop(writer),
                1 => drop(writer.stop()),
                _ => {
                    let reading = thread::spawn(move || {
                        let _ = std::io::copy(&mut Ended(&mut reader), &mut std::io::sink());
                    });
                    writer.close_timeout(LONG).unwrap();
                    reading.join().unwrap();
                }
            }
            if round == 100 {
                after_warm_up = fresh_handle_value();
            }
        }
        // Handle values are multiples of 4. Other tests of this process make some too.
        until(|| fresh_handle_value() < after_warm_up + 4 * 2000);
    });
}

#[test]
fn a_child_that_never_reads_can_be_stopped_killed_and_closed() {
    watched(|| {
        for how in ["stop", "kill", "close"] {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(["a_child_that_never_reads", "--exact", "--ignored"])
                .env("PIPEWRIGHT_TEST_CHILD", "1")
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            let stdin = child.stdin.take().unwrap();
            let writer = PipeWriter::new(stdin).unwrap();
            writer.try_send(stream(0, 500_000)).unwrap();
            stalled(&writer);
            match how {
                "stop" => assert!(!writer.stop().is_empty()),
                "close" => {
                    let error = writer.close_timeout(Duration::from_millis(20)).unwrap_err();
                    assert!(error.timed_out());
                    assert!(!error.into_unsent().is_empty());
                }
                _ => {
                    child.kill().unwrap();
                    let summary = writer.wait_ended(LONG).unwrap();
                    assert!(matches!(summary.outcome, Outcome::Failed(_)), "{summary}");
                }
            }
            let _ = child.kill();
            child.wait().unwrap();
        }
    });
}

#[test]
#[ignore = "the child of another test"]
fn a_child_that_never_reads() {
    if std::env::var_os("PIPEWRIGHT_TEST_CHILD").is_some() {
        loop {
            thread::sleep(LONG);
        }
    }
}

#[test]
fn a_handle_is_given_back_open_and_usable() {
    watched(|| {
        let (mut reader, pipe) = overlapped();
        let handle = value(&pipe);
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("before").unwrap();
        writer.flush_timeout(LONG).unwrap();
        let (pipe, unsent) = writer.into_parts();
        let pipe = pipe.unwrap();
        assert!(unsent.is_empty());
        assert_eq!(value(&pipe), handle);
        assert_eq!(read_exact(&mut reader, 6), b"before");
        File::from(pipe).write_all(b"after").unwrap();
        assert_eq!(read_exact(&mut reader, 5), b"after");
    });
}

/// The handle belongs to somebody else's completion port, as those of async runtimes do.
#[test]
fn somebody_elses_completion_port_hears_nothing() {
    use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
    use windows_sys::Win32::System::IO::{CreateIoCompletionPort, GetQueuedCompletionStatus};
    watched(|| {
        let (reader, pipe) = overlapped();
        // SAFETY: it makes a port, and takes no memory.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 0) };
        assert!(!port.is_null());
        // SAFETY: it was just made, and nobody else has it.
        let port = unsafe { OwnedHandle::from_raw_handle(port) };
        let (handle, bound_to) = (pipe.as_raw_handle(), port.as_raw_handle());
        // SAFETY: both handles are open.
        let bound = unsafe { CreateIoCompletionPort(handle, bound_to, 1, 0) };
        assert_eq!(bound, bound_to);

        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        stalled(&writer);
        let reading = slow_reader(reader);
        writer.close_timeout(LONG).unwrap();
        assert_eq!(reading.join().unwrap(), 100_000);

        let (mut count, mut key, mut overlapped) = (0, 0, ptr::null_mut());
        let (count, key) = (&raw mut count, &raw mut key);
        let packet = &raw mut overlapped;
        // SAFETY: the port is open, and the places live for the call, which does not wait.
        let heard =
            unsafe { GetQueuedCompletionStatus(port.as_raw_handle(), count, key, packet, 0) };
        let error = std::io::Error::last_os_error();
        assert_eq!(heard, 0, "a packet was queued");
        assert_eq!(error.raw_os_error(), i32::try_from(WAIT_TIMEOUT).ok());
    });
}

#[test]
fn a_message_that_a_non_blocking_pipe_can_never_hold_is_reported() {
    watched(|| {
        for overlapped in [true, false] {
            let named = Named {
                messages: true,
                overlapped,
                ..Named::default()
            };
            let (name, server) = named.server();
            let _reader = named.client(&name);
            make_nonblocking(&server);
            let writer = PipeWriter::new(server).unwrap();
            writer.try_send(stream(0, 100_000)).unwrap();
            let summary = writer.wait_ended(LONG).unwrap();
            assert!(matches!(summary.outcome, Outcome::Failed(_)), "{summary}");
            assert_eq!(summary.unsent, 100_000);
        }
    });
}

#[test]
fn a_callback_can_wait_for_its_own_writer() {
    watched(|| {
        for len in [10, 20_000] {
            let (reader, pipe) = overlapped();
            let reading = slow_reader(reader);
            let slot: Arc<Mutex<Option<PipeWriter>>> = Arc::default();
            let takes = Arc::clone(&slot);
            let writer = PipeWriter::builder()
                .on_progress(move |_| {
                    let taken = takes.lock().unwrap().take();
                    if let Some(writer) = taken {
                        writer.try_send(stream(len, 100_000)).unwrap();
                        writer.flush_timeout(LONG).unwrap();
                    }
                })
                .build(pipe)
                .unwrap();
            *slot.lock().unwrap() = Some(writer.clone());
            writer
                .try_send(stream(0, usize::try_from(len).unwrap()))
                .unwrap();
            until(|| writer.progress().written == len + 100_000);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap() as u64, len + 100_000);
        }
    });
}

#[test]
fn a_write_that_was_not_started_yet_is_stopped_without_the_thread_that_starts_it() {
    watched(|| {
        let (go_on, told) = mpsc::channel::<()>();
        let (tell, standing) = mpsc::channel();
        let (_keep, pipe) = overlapped();
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
        let (_reader, pipe) = overlapped();
        let unstarted = PipeWriter::new(pipe).unwrap();
        unstarted.try_send(stream(0, 100_000)).unwrap();
        let unsent = unstarted.stop();
        assert_eq!((unsent.len(), unsent.in_doubt().len()), (100_000, 0));
        drop(go_on);
        stands.close_timeout(LONG).unwrap();
    });
}
