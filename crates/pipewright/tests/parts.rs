//! C10, ends well, of writers and pipes that come apart: `into_parts` gives back the
//! pipe itself, open and as it was, and a writer without a pipe ends like any other.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::os::fd::AsRawFd;
use std::time::Duration;

use common::data::{assert_stream, read_exact, read_stream, reading, stream};
use common::ends::{duplicate, fifo, full_pipe, pipe, write_raw};
use common::{LONG, until, watched};
use futures_lite::future::block_on;
use pipewright::{Outcome, PipeWriter};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn into_parts_gives_back_the_same_open_pipe() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let number = pipe.as_raw_fd();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        let (pipe, unsent) = writer.into_parts();
        let pipe = pipe.unwrap();
        assert_eq!(pipe.as_raw_fd(), number);
        assert_eq!((unsent.written(), unsent.len()), (0, 100_000));
        // The stream goes on where it was interrupted, in a second writer.
        let second = PipeWriter::new(pipe).unwrap();
        for bytes in unsent {
            second.try_send(bytes).unwrap();
        }
        read_exact(&mut reader, filling);
        assert_stream(0, &read_exact(&mut reader, 100_000));
        second.flush_timeout(LONG).unwrap();
        let (pipe, unsent) = second.into_parts();
        assert!(unsent.is_empty());
        write_raw(pipe.unwrap(), b"raw");
        assert_eq!(reading(reader).join().unwrap(), b"raw");
    });
}

#[test]
fn into_parts_gives_back_a_fifo_and_not_our_way_to_it() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let (reader, pipe) = fifo(&folder.path().join("fifo"));
        let number = pipe.as_raw_fd();
        let flags = rustix::fs::fcntl_getfl(&pipe).unwrap();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 300_000)).unwrap();
        until(|| writer.progress().written > 0);
        let (pipe, unsent) = writer.into_parts();
        let pipe = pipe.unwrap();
        assert_eq!(pipe.as_raw_fd(), number);
        assert_eq!(rustix::fs::fcntl_getfl(&pipe).unwrap(), flags);
        let rest = unsent.written();
        let reading = reading(reader);
        write_raw(pipe, &unsent.into_bytes());
        let heard = reading.join().unwrap();
        assert_stream(0, &heard);
        assert!(heard.len() == 300_000 && rest > 0);
    });
}

#[test]
fn into_parts_gives_back_a_file_from_its_thread() {
    watched(|| {
        let mut file = tempfile::tempfile().unwrap();
        let other = duplicate(&file);
        let writer = PipeWriter::new(file.try_clone().unwrap()).unwrap();
        writer.try_send(stream(0, 300_000)).unwrap();
        let (pipe, unsent) = writer.into_parts();
        let position = unsent.written();
        write_raw(pipe.unwrap(), &unsent.into_bytes());
        drop(other);
        std::io::Seek::rewind(&mut file).unwrap();
        assert_eq!(read_stream(&mut file, 0), 300_000);
        assert!(position <= 300_000);
    });
}

#[test]
fn after_the_end_there_is_no_pipe_to_give_back() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let other = writer.clone();
        writer.close_timeout(LONG).unwrap();
        assert!(writer.into_parts().0.is_none());
        assert!(other.into_parts().0.is_none());
        assert!(PipeWriter::unattached().into_parts().0.is_none());
    });
}

#[test]
fn a_writer_without_a_pipe_ends_too() {
    watched(|| {
        let writer = PipeWriter::unattached();
        writer.finish();
        assert!(matches!(writer.progress().outcome, Some(Outcome::Closed)));

        let writer = PipeWriter::unattached();
        writer.try_send("queued").unwrap();
        let error = writer.close_timeout(SHORT).unwrap_err();
        assert_eq!(error.into_unsent().into_bytes(), "queued");

        let writer = PipeWriter::unattached();
        writer.try_send("queued").unwrap();
        assert_eq!(writer.stop().into_bytes(), "queued");

        let writer = PipeWriter::unattached();
        writer.try_send("queued").unwrap();
        drop(writer);
    });
}

#[test]
fn what_was_said_about_the_pipe_holds_for_one_that_comes_later() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, pipe) = fifo(&folder.path().join("fifo"));
        let flags = rustix::fs::fcntl_getfl(&pipe).unwrap();
        let builder = PipeWriter::builder().sole_owner(true).pipe_size(1 << 16);
        let writer = builder.unattached().unwrap();
        writer.try_send(stream(0, 300_000)).unwrap();
        writer.attach(pipe).unwrap();
        assert_stream(0, &read_exact(&mut reader, 300_000));
        // It may have been changed meanwhile; it comes back as it was.
        let (pipe, _) = writer.into_parts();
        assert_eq!(rustix::fs::fcntl_getfl(pipe.unwrap()).unwrap(), flags);
    });
}

#[test]
fn a_writer_that_was_finished_without_a_pipe_writes_when_it_gets_one() {
    watched(|| {
        let writer = PipeWriter::unattached();
        writer.try_send(stream(0, 200_000)).unwrap();
        writer.finish();
        assert!(writer.progress().outcome.is_none());
        let (mut reader, pipe) = pipe();
        writer.attach(pipe).unwrap();
        assert_eq!(read_stream(&mut reader, 0), 200_000);
        assert!(matches!(block_on(writer.ended()).outcome, Outcome::Closed));
    });
}
