//! FIFOs: who may open one, when it opens, and what comes back when it is taken
//! away from its writer.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use common::data::{assert_stream, read_exact, read_stream, reading, stream};
use common::ends::{fifo, open_fifo, write_raw};
use common::{LONG, until, watched};
use pipewright::{PipeWriter, fifo as fifos};
use rustix::io::Errno;

#[test]
fn a_fifo_is_opened_when_its_reader_comes() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        fifos::create(&path).unwrap();
        let options = fifos::OpenOptions::new();
        assert!(options.try_open(&path).unwrap().is_none());
        for is_async in [false, true] {
            let from = path.clone();
            let opening = thread::spawn(move || {
                let options = fifos::OpenOptions::new();
                if is_async {
                    futures_lite::future::block_on(options.open_async(from)).unwrap()
                } else {
                    options.open(from, LONG).unwrap()
                }
            });
            let mut reader = File::open(&path).unwrap();
            let writer = PipeWriter::builder()
                .sole_owner(true)
                .build(opening.join().unwrap())
                .unwrap();
            writer.try_send(stream(0, 500_000)).unwrap();
            writer.finish();
            assert_eq!(read_stream(&mut reader, 0), 500_000);
        }
    });
}

#[test]
fn a_fifo_of_ours_is_for_its_owner_only() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        fifos::create(&path).unwrap();
        let metadata = std::fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.permissions().mode() & 0o077, 0);
    });
}

const SHORT: Duration = Duration::from_millis(20);

#[track_caller]
fn cannot_open(path: &Path) -> io::Error {
    fifos::open(path, SHORT).unwrap_err()
}

#[test]
fn a_fifo_that_nobody_reads_is_reported_when_the_time_is_over() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        fifos::create(&path).unwrap();
        let error = cannot_open(&path);
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("reading"), "{error}");
        let none = fifos::OpenOptions::new().try_open(&path).unwrap();
        assert!(none.is_none());
    });
}

#[test]
fn what_is_no_fifo_is_not_opened_as_one() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "untouched").unwrap();
        let error = cannot_open(&path);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("not a FIFO"));
        assert_eq!(std::fs::read(&path).unwrap(), b"untouched");

        let error = cannot_open(folder.path());
        assert_eq!(error.raw_os_error(), Some(Errno::ISDIR.raw_os_error()));
        let error = cannot_open(&folder.path().join("missing"));
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let error = fifos::create(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        let error = fifos::create(folder.path().join("no/such/folder")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    });
}

#[test]
fn a_socket_in_the_file_system_is_not_taken_for_a_fifo_without_a_reader() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let _ = UnixStream::connect(&path).unwrap();
        let error = cannot_open(&path);
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    });
}

#[test]
fn a_link_to_a_fifo_is_followed_only_on_request() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("fifo"), folder.path().join("link"));
        fifos::create(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let (_reader, _writer) = open_fifo(&path);
        let error = cannot_open(&link);
        let is_loop = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
        assert!(is_loop || cfg!(not(target_os = "linux")), "{error}");
        fifos::OpenOptions::new()
            .follow_links(true)
            .open(&link, LONG)
            .unwrap();
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
