//! C10, ends well, of writers and pipes that come apart: `into_parts` gives back the
//! pipe itself, open and as it was, and a writer without a pipe ends like any other.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::time::Duration;

use common::accounts::{assert_heard, in_doubt};
use common::data::{assert_stream, read_exact, read_stream, reading, stream};
use common::ends::{duplicate, full_pipe, pipe, raw, write_raw};
use common::{LONG, watched};
use futures_lite::future::block_on;
use pipewright::{Outcome, PipeWriter};

const SHORT: Duration = Duration::from_millis(20);

#[test]
fn into_parts_gives_back_the_same_open_pipe() {
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let value = raw(&pipe);
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send(stream(0, 100_000)).unwrap();
        let (pipe, unsent) = writer.into_parts();
        let pipe = pipe.unwrap();
        assert_eq!(raw(&pipe), value);
        let doubtful = in_doubt(&unsent);
        assert_eq!((unsent.written(), unsent.len() + doubtful), (0, 100_000));
        // The stream goes on where it was interrupted, in a second writer.
        let second = PipeWriter::new(pipe).unwrap();
        for bytes in unsent {
            second.try_send(bytes).unwrap();
        }
        read_exact(&mut reader, filling);
        let reading = reading(reader);
        second.flush_timeout(LONG).unwrap();
        let (pipe, unsent) = second.into_parts();
        assert!(unsent.is_empty());
        write_raw(pipe.unwrap(), b"raw");
        let heard = reading.join().unwrap();
        let heard = heard.strip_suffix(b"raw").unwrap();
        assert_goes_on(heard, 100_000, 0, doubtful);
    });
}

/// The first writer's part, of which some may be in doubt, and the rest after it.
#[track_caller]
fn assert_goes_on(heard: &[u8], all: u64, written: u64, doubtful: u64) {
    let rest = usize::try_from(all - written - doubtful).unwrap();
    let (first, rest) = heard.split_at(heard.len() - rest);
    assert_heard(first.len() as u64, written, doubtful);
    assert_stream(0, first);
    assert_stream(written + doubtful, rest);
}

#[test]
fn into_parts_gives_back_a_file_from_its_thread() {
    watched(|| {
        let mut file = tempfile::tempfile().unwrap();
        let other = duplicate(&file);
        let writer = PipeWriter::new(file.try_clone().unwrap()).unwrap();
        writer.try_send(stream(0, 300_000)).unwrap();
        let (pipe, unsent) = writer.into_parts();
        let (written, doubtful) = (unsent.written(), in_doubt(&unsent));
        write_raw(pipe.unwrap(), &unsent.into_bytes());
        drop(other);
        std::io::Seek::rewind(&mut file).unwrap();
        let mut heard = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut heard).unwrap();
        assert_goes_on(&heard, 300_000, written, doubtful);
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
