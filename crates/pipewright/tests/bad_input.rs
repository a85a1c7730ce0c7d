//! Bad input: whatever cannot be written to is refused with an error that names it
//! and keeps the system's reason, and comes back as it was; nothing panics and
//! nothing is lost without a word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::{self, Read, Write};

use common::ends::{NULL, Pipe, label, pipe, pipe_label, raw};
use common::outcomes::text_of;
use common::{LONG, alone, watched};
use pipewright::{AttachError, PipeWriter};

/// What the system says to a handle that is not open for writing, and to one that is
/// not open at all.
#[cfg(unix)]
const UNWRITABLE: i32 = rustix::io::Errno::BADF.raw_os_error();
#[cfg(unix)]
const CLOSED: i32 = rustix::io::Errno::BADF.raw_os_error();

/// `ERROR_ACCESS_DENIED` and `ERROR_INVALID_HANDLE`.
#[cfg(windows)]
const UNWRITABLE: i32 = 5;
#[cfg(windows)]
const CLOSED: i32 = 6;

/// The handle comes back with an error that names it, and the system's reason.
#[track_caller]
fn assert_refused(handle: impl Into<Pipe>, expected: i32) -> Pipe {
    let handle = handle.into();
    let (value, what) = (raw(&handle), label(&handle));
    let unnamed = PipeWriter::new(handle).unwrap_err();
    let text = unnamed.to_string();
    assert!(text.contains(&what), "{text}");
    let named = PipeWriter::builder()
        .name("the collector")
        .build(unnamed.into_pipe())
        .unwrap_err();
    let text = named.to_string();
    assert!(text.contains("the collector"), "{text}");
    assert_eq!(named.error().raw_os_error(), Some(expected));
    assert!(text.contains(&text_of(expected)), "{text}");
    let builder = PipeWriter::builder().name("the collector");
    let late = attach(builder, named.into_pipe(), "the collector");
    let handle = attach(PipeWriter::builder(), late, &what);
    assert_eq!(raw(&handle), value);
    handle
}

/// A writer that was made without a handle refuses it as well, by the name it has.
#[track_caller]
fn attach(builder: pipewright::Builder, handle: Pipe, called: &str) -> Pipe {
    let writer = builder.unattached().unwrap();
    let refused = writer.attach(handle).unwrap_err();
    let text = refused.to_string();
    assert!(text.starts_with(called), "{text}");
    refused.into_pipe()
}

#[test]
fn the_reading_end_of_a_pipe_is_refused_and_still_reads() {
    watched(|| {
        let (reader, writer) = pipe();
        let reader = assert_refused(reader, UNWRITABLE);
        File::from(writer).write_all(b"hello").unwrap();
        let mut heard = String::new();
        File::from(reader).read_to_string(&mut heard).unwrap();
        assert_eq!(heard, "hello");
    });
}

/// Not sound if it were used: nothing is open under this number. It is given to the
/// library to be refused, and forgotten before it would be closed.
#[cfg(unix)]
fn closed_handle() -> Pipe {
    use std::os::fd::FromRawFd;
    // SAFETY: see above; nobody in this process closes what is not open.
    unsafe { Pipe::from_raw_fd(999) }
}

/// As on Unix: for the library to be refused.
#[cfg(windows)]
fn closed_handle() -> Pipe {
    use std::os::windows::io::FromRawHandle;
    // SAFETY: nothing is open under this value, and nobody closes it.
    unsafe { Pipe::from_raw_handle(std::ptr::without_provenance_mut(0xfff_fff0)) }
}

#[test]
fn a_handle_that_is_not_open_is_refused() {
    // Another test could open a file under the number.
    alone(|| {
        let closed = closed_handle();
        let what = label(&closed);
        let refused = PipeWriter::builder()
            .name("gone")
            .build(closed)
            .unwrap_err();
        assert_eq!(refused.error().raw_os_error(), Some(CLOSED));
        assert!(refused.to_string().contains("gone"));
        let unnamed = PipeWriter::new(refused.into_pipe()).unwrap_err();
        assert!(unnamed.to_string().contains(&what));
        #[allow(clippy::mem_forget, reason = "there is nothing to close")]
        std::mem::forget(unnamed.into_pipe());
    });
}

#[cfg(unix)]
#[test]
fn a_directory_is_refused() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let is_dir = rustix::io::Errno::ISDIR.raw_os_error();
        assert_refused(File::open(folder.path()).unwrap(), is_dir);
    });
}

#[test]
fn a_file_that_is_open_for_reading_only_is_refused() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "untouched").unwrap();
        assert_refused(File::open(&path).unwrap(), UNWRITABLE);
        assert_refused(File::open(NULL).unwrap(), UNWRITABLE);
        assert_eq!(std::fs::read(&path).unwrap(), b"untouched");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_descriptor_that_only_names_a_path_is_refused() {
    use rustix::fs::{Mode, OFlags, open};
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "untouched").unwrap();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        assert_refused(open(&path, flags, Mode::empty()).unwrap(), UNWRITABLE);
    });
}

#[test]
fn a_capacity_of_nothing_is_refused() {
    watched(|| {
        let (_reader, pipe) = pipe();
        let what = pipe_label(&pipe);
        let refused = PipeWriter::builder().capacity(0).build(pipe).unwrap_err();
        assert_eq!(refused.error().kind(), io::ErrorKind::InvalidInput);
        let text = refused.to_string();
        assert!(text.contains("capacity of 0") && text.contains(&what));
        PipeWriter::new(refused.into_pipe()).unwrap();
        let refused = PipeWriter::builder().capacity(0).unattached().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    });
}

#[test]
fn a_second_pipe_is_refused() {
    watched(|| {
        let (first_reader, first) = pipe();
        let writer = PipeWriter::unattached();
        writer.attach(first).unwrap();
        for other in [pipe().1, tempfile::tempfile().unwrap().into()] {
            let refused = writer.attach(other).unwrap_err();
            assert_eq!(refused.error().kind(), io::ErrorKind::AlreadyExists);
            // It is as good as before.
            write_through(refused);
        }
        writer.try_send("to the first").unwrap();
        writer.close_timeout(LONG).unwrap();
        drop(writer);
        let heard = common::data::reading(first_reader).join().unwrap();
        assert_eq!(heard, b"to the first");
    });
}

#[test]
fn a_pipe_for_a_writer_that_has_ended_is_refused() {
    watched(|| {
        let ends: [fn(&PipeWriter); 2] = [PipeWriter::finish, PipeWriter::cancel];
        for end in ends {
            let writer = PipeWriter::unattached();
            end(&writer);
            let (_reader, pipe) = pipe();
            let refused = writer.attach(pipe).unwrap_err();
            assert_eq!(refused.error().kind(), io::ErrorKind::BrokenPipe);
            write_through(refused);
        }
    });
}

/// A refused handle can still be written to.
fn write_through(refused: AttachError) {
    let _: &dyn std::error::Error = &refused;
    let mut file = File::from(refused.into_pipe());
    let _ = file.write(b"raw").unwrap_or_default();
    drop(file);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_and_everything_comes_back() {
    use common::data::{assert_stream, stream, tracked};
    use pipewright::Outcome;
    watched(|| {
        for len in [10, 5_000, 500_000] {
            let full = File::options().write(true).open("/dev/full").unwrap();
            let writer = PipeWriter::builder().name("the log").build(full).unwrap();
            let (message, fate) = tracked(stream(0, len));
            writer.try_send(message).unwrap();
            let error = writer.close_timeout(LONG).unwrap_err();
            match &error.summary().outcome {
                Outcome::Failed(failed) => {
                    assert_eq!(failed.kind(), io::ErrorKind::StorageFull);
                    let expected = rustix::io::Errno::NOSPC.raw_os_error();
                    assert_eq!(failed.raw_os_error(), Some(expected));
                }
                other => panic!("{other:?}"),
            }
            let text = error.to_string();
            assert!(text.contains("the log") && text.contains(&format!("{len} unsent")));
            let unsent = error.into_unsent();
            assert_eq!(unsent.written(), 0);
            assert_stream(0, &unsent.into_bytes());
            assert!(fate.is_freed());
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_may_not_grow_is_reported_and_the_rest_comes_back() {
    use common::data::{assert_stream, stream};
    use pipewright::Outcome;
    use rustix::process::{Resource, Rlimit, setrlimit};
    // The limit is the whole process's, and its signal would kill it.
    alone(|| {
        let limit = Rlimit {
            current: Some(100_000),
            maximum: Some(100_000),
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let writer = PipeWriter::new(file.try_clone().unwrap()).unwrap();
        writer.try_send(stream(0, 300_000)).unwrap();
        let error = writer.close_timeout(LONG).unwrap_err();
        let written = error.summary().written;
        match &error.summary().outcome {
            Outcome::Failed(failed) => {
                let too_big = rustix::io::Errno::FBIG.raw_os_error();
                assert_eq!(failed.raw_os_error(), Some(too_big));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(written, 100_000);
        assert_stream(written, &error.into_unsent().into_bytes());
        io::Seek::rewind(&mut file).unwrap();
        assert_eq!(common::data::read_stream(&mut file, 0), written);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_without_descriptors_left_is_told_so_and_can_go_on_later() {
    use common::process::raise_handle_limit;
    alone(|| {
        let (reader, pipe) = pipe();
        let writer = PipeWriter::unattached();
        writer.try_send("later").unwrap();
        let limit = raise_handle_limit(1_000);
        // The number after the highest that is open, and not one more.
        let mut taken = Vec::new();
        while (taken.len() as u64) < limit {
            match File::open("/dev/null") {
                Ok(file) => taken.push(file),
                Err(_) => break,
            }
        }
        let none_left = Some(rustix::io::Errno::MFILE.raw_os_error());
        let refused = writer.attach(pipe).unwrap_err();
        assert_eq!(refused.error().raw_os_error(), none_left);
        assert_eq!(writer.waitable().unwrap_err().raw_os_error(), none_left);
        drop(taken);
        writer.attach(refused.into_pipe()).unwrap();
        writer.close_timeout(LONG).unwrap();
        drop(writer);
        assert_eq!(common::data::reading(reader).join().unwrap(), b"later");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_may_have_no_thread_more_is_told_so_and_loses_no_descriptor() {
    use common::process::handles;
    use rustix::process::{Resource, Rlimit, Uid, getrlimit, getuid, setrlimit};
    // The limit is the whole process's.
    alone(|| {
        let (reader, mut pipe) = pipe();
        let open = handles();
        let refused = std::thread::spawn(move || {
            if getuid().is_root() {
                // Root has no limit; the user "nobody" has.
                rustix::thread::set_thread_uid(Uid::from_raw(65_534)).unwrap();
            }
            let before = getrlimit(Resource::Nproc);
            let limit = Rlimit {
                current: Some(0),
                ..before
            };
            setrlimit(Resource::Nproc, limit).unwrap();
            for _ in 0..10 {
                pipe = PipeWriter::new(pipe).unwrap_err().into_pipe();
            }
            setrlimit(Resource::Nproc, before).unwrap();
            pipe
        });
        let pipe = refused.join().unwrap();
        assert_eq!(handles(), open);
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("later").unwrap();
        drop(writer);
        assert_eq!(common::data::reading(reader).join().unwrap(), b"later");
    });
}

#[cfg(unix)]
#[test]
fn sockets_without_a_peer_are_reported() {
    use futures_lite::future::block_on;
    use pipewright::Outcome;
    watched(|| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let unconnected = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for socket in [Pipe::from(listener), Pipe::from(unconnected)] {
            let writer = PipeWriter::builder().name("nobody").build(socket).unwrap();
            writer.try_send("hello?").unwrap();
            match block_on(writer.ended()).outcome {
                Outcome::Failed(error) => {
                    assert!(error.raw_os_error().is_some());
                    assert!(error.to_string().contains("nobody"));
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(writer.take_unsent().unwrap().into_bytes(), "hello?");
        }
    });
}

#[test]
fn errors_of_refused_handles_turn_into_io_errors() {
    watched(|| {
        let (reader, _writer) = pipe();
        let refused = PipeWriter::new(reader).unwrap_err();
        let source = std::error::Error::source(&refused).unwrap();
        let source: &io::Error = source.downcast_ref().unwrap();
        assert_eq!(source.raw_os_error(), Some(UNWRITABLE));
        let error: io::Error = refused.into();
        assert_eq!(
            error.kind(),
            io::Error::from_raw_os_error(UNWRITABLE).kind()
        );
        assert!(error.to_string().contains("cannot be written to"));
    });
}
