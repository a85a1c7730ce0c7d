//! While very many writers wait for the thread that writes for all, whoever sends more
//! than an operation writes one by itself. The test has a process of its own.

#![cfg(all(target_os = "linux", not(pipewright_portable)))]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::sync::mpsc::{self, Sender};

use common::data::{assert_stream, read_exact, reading, stream};
use common::ends::{NULL, full_pipe, pipe_of};
use common::process::raise_handle_limit;
use common::{LONG, alone};
use pipewright::PipeWriter;

/// More than what makes senders write by themselves.
const MANY: usize = 600;

/// What the system is offered at once, and what the pipe takes.
const OPERATION: usize = 64 * 1024;

/// A writer whose callback keeps the writing side until the sender is dropped.
fn keep_the_writing_side() -> (PipeWriter, File, Sender<()>) {
    let (mut reader, pipe, filling) = full_pipe();
    let (release, released) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let writer = PipeWriter::builder()
        .on_progress(move |_| {
            begin.send(()).unwrap();
            released.recv().unwrap_err();
        })
        .build(pipe)
        .unwrap();
    writer.try_send("something").unwrap();
    let _ = read_exact(&mut reader, filling);
    begun.recv().unwrap();
    (writer, reader, release)
}

/// A device that takes everything, and more for it than its sender writes.
fn waiting_writer() -> PipeWriter {
    let null = File::options().write(true).open(NULL).unwrap();
    let writer = PipeWriter::new(null).unwrap();
    writer.try_send(stream(0, OPERATION + 1)).unwrap();
    assert_eq!(writer.progress().queued, 1);
    writer
}

#[test]
fn senders_write_one_operation_while_very_many_wait_for_the_writing_side() {
    alone(|| {
        raise_handle_limit(MANY as u64 + 200);
        let (_keeping, _reader, release) = keep_the_writing_side();
        let (mut reader, pipe) = pipe_of(OPERATION);
        let writer = PipeWriter::new(pipe).unwrap();
        let operation = OPERATION as u64;
        let all = stream(0, 5 * OPERATION);
        let written = || writer.progress().written;
        let read = |reader: &mut File, at| assert_stream(at, &read_exact(reader, OPERATION));

        // Its sender writes the first part by itself, because it finds an idle pipe.
        writer.try_send_slice(&all[..=OPERATION]).unwrap();
        read(&mut reader, 0);
        let (other_reader, pipe) = pipe_of(OPERATION);
        let other = PipeWriter::new(pipe).unwrap();
        other.try_send_slice(&all[..2 * OPERATION]).unwrap();
        other.try_send_slice(&all[2 * OPERATION..]).unwrap();
        assert_eq!(other.progress().written, operation, "few wait");

        let waiting: Vec<_> = (0..MANY).map(|_| waiting_writer()).collect();
        writer
            .try_send_slice(&all[OPERATION + 1..3 * OPERATION])
            .unwrap();
        assert_eq!(written(), 2 * operation, "many wait");
        read(&mut reader, operation);
        writer.try_send_slice(&all[3 * OPERATION..]).unwrap();
        assert_eq!(written(), 2 * operation, "once for each turn");

        drop(release);
        (2..5).for_each(|n| read(&mut reader, n * operation));
        writer.close_timeout(LONG).unwrap();
        let other_reader = reading(other_reader);
        other.close_timeout(LONG).unwrap();
        assert_stream(0, &other_reader.join().unwrap());
        for writer in waiting {
            let closed = writer.close_timeout(LONG).unwrap();
            assert_eq!(closed.written, operation + 1);
        }
    });
}
