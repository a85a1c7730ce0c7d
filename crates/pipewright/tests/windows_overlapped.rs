//! Handles opened for overlapped I/O: what arrives, at which end of the pipe, and what
//! the handle's other users notice.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::fs::File;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::process::{Command, Stdio};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pipewright::{Outcome, PipeWriter};

use common::accounts::until_stalled;
use common::data::{read_stream, slow_reader, stream};
use common::ends::{Named, Pipe};
use common::{LONG, until, watched};

/// A pipe that is full with a part of what these tests write.
fn small() -> (File, Pipe) {
    Named::DEFAULT.pair()
}

#[test]
fn a_large_stream_arrives_whole_at_a_slow_reader() {
    watched(|| {
        const LEN: usize = 8 << 20;
        for buffer in [1, 4096, 65_536, 1 << 20] {
            let (reader, pipe) = Named {
                buffer,
                ..Named::DEFAULT
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
            ..Named::DEFAULT
        }
        .pair();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 10_000)).unwrap();
        let summary = writer.close_timeout(LONG).unwrap();
        assert_eq!(summary.written, 10_000);
        // Only now does anybody read.
        assert_eq!(read_stream(&mut reader, 0), 10_000);
    });
}

/// Microsoft, "ExitThread function": what a thread has pending is canceled when it ends.
#[test]
fn a_write_outlives_the_thread_that_sent_it() {
    watched(|| {
        // So small that the first write is pending, not only the later ones.
        let small = Named {
            buffer: 1,
            ..Named::DEFAULT
        };
        let (mut reader, pipe) = small.pair();
        let writer = PipeWriter::new(pipe).unwrap();
        let sender = writer.clone();
        thread::spawn(move || {
            sender.try_send(stream(0, 100_000)).unwrap();
            until_stalled(&sender);
        })
        .join()
        .unwrap();
        let closing = thread::spawn(move || writer.close_timeout(LONG).unwrap());
        assert_eq!(read_stream(&mut reader, 0), 100_000);
        closing.join().unwrap();
    });
}

#[test]
fn the_last_handle_can_be_dropped_in_the_callback() {
    watched(|| {
        for _ in 0..200 {
            let (mut reader, pipe) = small();
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
            assert_eq!(read_stream(&mut reader, 0), 20_000);
            until(|| dropped.load(Ordering::SeqCst) == 1);
        }
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
            until_stalled(&writer);
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

/// The handle belongs to somebody else's completion port, as those of async runtimes do.
#[test]
fn somebody_elses_completion_port_hears_nothing() {
    use windows_sys::Win32::Foundation::{INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
    use windows_sys::Win32::System::IO::{CreateIoCompletionPort, GetQueuedCompletionStatus};
    watched(|| {
        let (reader, pipe) = small();
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
        until_stalled(&writer);
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
