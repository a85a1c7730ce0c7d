//! What others do to a pipe: they close the handle under the writer's hands, and
//! readers leave at every moment.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;
mod windows_counts;

use std::io::Read;
use std::os::windows::io::{AsRawHandle, IntoRawHandle};
use std::thread;

use pipewright::{Outcome, PipeWriter, TrySendError};
use windows_sys::Win32::Foundation::CloseHandle;

use common::accounts::until_stalled;
use common::data::{assert_stream, stream};
use common::ends::{anonymous, small_pipe};
use common::{LONG, Random, alone};
use windows_counts::counted;

/// By itself, because the value of the handle may be given to somebody else's.
#[test]
fn a_handle_that_somebody_else_has_closed_ends_the_writer_with_the_systems_error() {
    alone(|| {
        for pipe in [small_pipe, anonymous] {
            let (_reader, pipe) = pipe();
            let value = pipe.as_raw_handle();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("before").unwrap();
            writer.flush_timeout(LONG).unwrap();
            // SAFETY: it is open. That it is closed twice is what is tried here; nobody
            // makes a handle meanwhile: the process has no other test, and no other
            // thread that does.
            assert_ne!(unsafe { CloseHandle(value) }, 0);
            let _ = writer.try_send(stream(6, 1000));
            let summary = writer.wait_ended(LONG).unwrap();
            let Outcome::Failed(error) = &summary.outcome else {
                panic!("{summary}");
            };
            assert_eq!(error.raw_os_error(), Some(6), "{error}");
            assert_eq!((summary.written, summary.in_doubt), (6, 0));
            assert_eq!(writer.take_unsent().unwrap().into_bytes(), stream(6, 1000));
            let refused = writer.try_send("after").unwrap_err();
            assert!(matches!(refused, TrySendError::Closed(..)), "{refused}");
        }
    });
}

#[test]
fn a_reader_that_leaves_at_any_moment_leaves_exact_accounts() {
    counted(|| {
        let mut random = Random::new(21);
        for round in 0..600 {
            let (mut reader, pipe) = if round % 2 == 0 {
                small_pipe()
            } else {
                anonymous()
            };
            let writer = PipeWriter::new(pipe).unwrap();
            let (len, takes) = (random.between(1, 60_000), random.between(0, 60_000));
            let reading = thread::spawn(move || {
                let mut heard = vec![0; takes];
                let mut len = 0;
                while len < takes {
                    match reader.read(&mut heard[len..]) {
                        Ok(n) if n > 0 => len += n,
                        _ => break,
                    }
                }
                heard.truncate(len);
                heard
            });
            let mut accepted = 0;
            for part in [len / 3, len - len / 3] {
                match writer.try_send(stream(accepted, part)) {
                    Ok(position) => accepted = position.get(),
                    Err(refused) => assert!(!refused.is_full(), "{refused}"),
                }
            }
            let closed = writer.close_timeout(LONG);
            let (summary, unsent) = match closed {
                Ok(summary) => (summary, None),
                Err(error) => (error.summary().clone(), Some(error.into_unsent())),
            };
            let heard = reading.join().unwrap();
            assert_stream(0, &heard);
            assert_eq!(
                summary.accepted,
                summary.written + summary.in_doubt + summary.unsent
            );
            assert!(heard.len() as u64 <= summary.written + summary.in_doubt);
            match &summary.outcome {
                Outcome::Closed => assert_eq!(summary.written, accepted),
                Outcome::Failed(error) => {
                    let code = error.raw_os_error();
                    assert!(matches!(code, Some(109 | 232 | 233)), "{error}");
                    let unsent = unsent.unwrap();
                    assert_stream(summary.written, &unsent.in_doubt().concat());
                    let at = summary.written + summary.in_doubt;
                    assert_stream(at, &unsent.pieces().concat());
                }
                Outcome::Stopped => panic!("{summary}"),
            }
        }
    });
}

#[test]
fn a_handle_that_was_stalled_when_somebody_else_closed_it_can_be_stopped() {
    alone(|| {
        for pipe in [small_pipe, anonymous] {
            let (reader, pipe) = pipe();
            let value = pipe.as_raw_handle();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send(stream(0, 100_000)).unwrap();
            until_stalled(&writer);
            // SAFETY: as above.
            assert_ne!(unsafe { CloseHandle(value) }, 0);
            // The reader's leaving ends whatever is still in the kernel.
            drop(reader);
            let (pipe, unsent) = writer.into_parts();
            // It is nobody's.
            let _ = pipe.map(IntoRawHandle::into_raw_handle);
            let doubtful = unsent.in_doubt().concat();
            assert_stream(unsent.written(), &doubtful);
            let at = unsent.written() + doubtful.len() as u64;
            assert_stream(at, &unsent.pieces().concat());
            assert_eq!(at + unsent.len(), 100_000);
        }
    });
}

#[test]
fn what_is_queued_stays_when_a_pipe_cannot_be_attached() {
    counted(|| {
        let writer = PipeWriter::unattached();
        writer.try_send("kept").unwrap();
        let (reader, pipe) = anonymous();
        // The wrong end.
        let error = writer.attach(reader).unwrap_err();
        assert_eq!(error.error().raw_os_error(), Some(5), "{error}");
        let mut reader = std::fs::File::from(error.into_pipe());
        writer.attach(pipe).unwrap();
        writer.close_timeout(LONG).unwrap();
        let mut heard = String::new();
        reader.read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "kept");
    });
}
