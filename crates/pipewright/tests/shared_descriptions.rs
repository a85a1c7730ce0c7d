//! C8, good neighbour, towards those who share an open file description: no flag of
//! it is ever changed, whatever kind it is, before, while and after a writer waits
//! for it, unless the user said that nobody shares it.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::thread;

use common::data::{assert_stream, read_exact, reading, stream};
use common::ends::{
    Stallable, duplicate, fifo, full_pipe, on_a_thread, pipe, stallables, terminal,
};
use common::{LONG, alone, until, watched};
use pipewright::{Mode, PipeWriter};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

#[test]
fn the_flags_of_a_description_stay_as_they_are() {
    watched(|| {
        for nonblocking in [OFlags::empty(), OFlags::NONBLOCK] {
            for Stallable { kind, reader, pipe } in stallables() {
                let flags = fcntl_getfl(&pipe).unwrap() | nonblocking;
                fcntl_setfl(&pipe, flags).unwrap();
                let shared = duplicate(&pipe);
                let check = |when| {
                    assert_eq!(fcntl_getfl(&shared).unwrap(), flags, "{kind}, {when}");
                };
                let writer = PipeWriter::new(pipe).unwrap();
                check("made");
                writer.try_send("one").unwrap();
                writer.flush_timeout(LONG).unwrap();
                check("written to");
                writer.try_send(stream(0, 5_000_000)).unwrap();
                until(|| writer.progress().written > 3);
                check("stalled");
                let (pipe, _) = writer.into_parts();
                check("stopped");
                assert_eq!(fcntl_getfl(pipe.unwrap()).unwrap(), flags);
                drop(reader);
            }
        }
    });
}

#[test]
fn the_flags_of_a_description_on_a_thread_stay_as_they_are() {
    watched(|| {
        let mut shared = None;
        let (_reader, writer) = on_a_thread(|pipe| {
            shared = Some(duplicate(&pipe));
            PipeWriter::new(pipe).unwrap()
        });
        let shared = shared.unwrap();
        let flags = fcntl_getfl(&shared).unwrap();
        assert!(!flags.contains(OFlags::NONBLOCK));
        writer.try_send(stream(0, 300_000)).unwrap();
        until(|| writer.progress().written > 60_000);
        assert_eq!(fcntl_getfl(&shared).unwrap(), flags);
        let _ = writer.stop();
        assert_eq!(fcntl_getfl(&shared).unwrap(), flags);
    });
}

#[test]
fn the_flags_of_files_and_devices_stay_as_they_are() {
    watched(|| {
        let (master, _slave) = terminal();
        let append = OpenOptions::new()
            .append(true)
            .create(true)
            .open(tempfile::tempdir().unwrap().path().join("log"))
            .unwrap();
        let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
        for pipe in [append.into(), null.into(), master] {
            let shared: OwnedFd = duplicate(&pipe);
            let flags = fcntl_getfl(&shared).unwrap();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("x").unwrap();
            writer.flush_timeout(LONG).unwrap();
            assert_eq!(fcntl_getfl(&shared).unwrap(), flags);
            drop(writer);
            assert_eq!(fcntl_getfl(&shared).unwrap(), flags);
        }
    });
}

#[test]
fn a_description_of_a_sole_owner_may_change_and_works() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let (mut reader, pipe) = fifo(&folder.path().join("fifo"));
        let writer = PipeWriter::builder().sole_owner(true).build(pipe).unwrap();
        writer.try_send(stream(0, 300_000)).unwrap();
        assert_stream(0, &read_exact(&mut reader, 300_000));
        writer.close_timeout(LONG).unwrap();
    });
}

#[test]
fn a_handle_that_is_refused_is_given_back_untouched() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let (_reader, pipe) = fifo(&folder.path().join("fifo"));
        let flags = fcntl_getfl(&pipe).unwrap();
        let refused = PipeWriter::builder()
            .mode(Mode::Message)
            .sole_owner(true)
            .build(pipe)
            .unwrap_err();
        assert_eq!(fcntl_getfl(refused.into_pipe()).unwrap(), flags);
    });
}

#[test]
fn others_who_share_the_description_can_still_wait_for_it() {
    watched(|| {
        // A blocking write through the other descriptor waits, as it did before,
        // instead of failing with "would block".
        let (reader, pipe, filling) = full_pipe();
        let mut shared = File::from(duplicate(&pipe));
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("from the writer").unwrap();
        let writing = thread::spawn(move || shared.write_all(&[b'x'; 100_000]).unwrap());
        let reading = reading(reader);
        writer.close_timeout(LONG).unwrap();
        writing.join().unwrap();
        assert_eq!(reading.join().unwrap().len(), filling + 15 + 100_000);
    });
}

/// What a child process does whose standard output is the test's pipe.
const ROLE: &str = "PIPEWRIGHT_TEST_WRITES_TO_STDOUT";

#[test]
fn an_inherited_standard_output_stays_as_it_is_for_everybody() {
    alone(|| {
        if std::env::var_os(ROLE).is_some() {
            let stdout = std::io::stdout();
            let stdout = stdout.as_fd().try_clone_to_owned().unwrap();
            let writer = PipeWriter::new(stdout).unwrap();
            writer.try_send(stream(0, 400_000)).unwrap();
            writer.close_timeout(LONG).unwrap();
            std::process::exit(0);
        }
        let folder = tempfile::tempdir().unwrap();
        let kinds: [(Box<dyn Read>, OwnedFd); 3] = {
            let ((r1, w1), (r2, w2)) = (pipe(), fifo(&folder.path().join("stdout")));
            let (r3, w3) = common::ends::unix_stream();
            [(Box::new(r1), w1), (Box::new(r2), w2), (Box::new(r3), w3)]
        };
        for (mut reader, pipe) in kinds {
            let shared = duplicate(&pipe);
            let flags = fcntl_getfl(&shared).unwrap();
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args(std::env::args().skip(1))
                .env(ROLE, "1")
                .stdout(Stdio::from(pipe))
                .spawn()
                .unwrap();
            // The child is stalled while we look. What its test harness says comes
            // before the stream.
            let mut heard = read_exact(&mut reader, 100_000);
            assert_eq!(fcntl_getfl(&shared).unwrap(), flags);
            drop(shared);
            reader.read_to_end(&mut heard).unwrap();
            assert!(child.wait().unwrap().success());
            let said = heard.len() - 400_000;
            assert_stream(0, &heard[said..]);
        }
    });
}
