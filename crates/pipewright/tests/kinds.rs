//! Every kind of handle that bytes can be written to: each delivers them all, in its
//! own way.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::{Command, Stdio};
use std::thread;

use common::data::{assert_stream, read_stream, stream};
use common::ends::{NULL, Pipe, Stallable, duplicate, on_a_thread, pipe, stallables};
use common::{LONG, Random, alone, watched};
use pipewright::PipeWriter;

/// Sends messages of all sizes, and closes. Tells how many bytes that were.
fn send_all(writer: &PipeWriter, random: &mut Random) -> u64 {
    let mut sent = 0;
    for _ in 0..200 {
        sent = writer
            .send_timeout(stream(sent, random.message_len()), LONG)
            .unwrap()
            .get();
    }
    let summary = writer.close_timeout(LONG).unwrap();
    assert_eq!(summary.written, sent);
    sent
}

#[test]
fn everything_that_can_stall_delivers_everything() {
    watched(|| {
        for sole_owner in [false, true] {
            for Stallable {
                kind,
                mut reader,
                pipe,
            } in stallables()
            {
                let writer = PipeWriter::builder()
                    .sole_owner(sole_owner)
                    .build(pipe)
                    .unwrap();
                let sending = thread::spawn(move || send_all(&writer, &mut Random::new(4)));
                let heard = read_stream(&mut reader, 0);
                assert_eq!(heard, sending.join().unwrap(), "{kind}");
            }
        }
    });
}

#[test]
fn a_pipe_that_only_a_thread_can_write_delivers_everything() {
    watched(|| {
        let (mut reader, writer) = on_a_thread(|pipe| PipeWriter::new(pipe).unwrap());
        let sending = thread::spawn(move || send_all(&writer, &mut Random::new(4)));
        assert_eq!(read_stream(&mut reader, 0), sending.join().unwrap());
    });
}

#[test]
fn a_child_gets_its_input_and_its_end() {
    const ROLE: &str = "PIPEWRIGHT_TEST_ECHOES";
    alone(|| {
        if std::env::var_os(ROLE).is_some() {
            // Not on standard output: the test harness writes there.
            std::io::copy(&mut std::io::stdin(), &mut std::io::stderr()).unwrap();
            return;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(std::env::args().skip(1))
            .env(ROLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let writer = PipeWriter::new(child.stdin.take().unwrap()).unwrap();
        let mut echo = child.stderr.take().unwrap();
        let sending = thread::spawn(move || send_all(&writer, &mut Random::new(8)));
        assert_eq!(read_stream(&mut echo, 0), sending.join().unwrap());
        assert!(child.wait().unwrap().success());
    });
}

#[cfg(unix)]
#[test]
fn a_child_that_counts_counts_everything() {
    watched(|| {
        let child = Command::new("wc")
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let writer = PipeWriter::new(child.stdin.take().unwrap()).unwrap();
        let sent = send_all(&writer, &mut Random::new(9));
        let counted = child.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8(counted).unwrap().trim(), sent.to_string());
    });
}

#[test]
fn a_regular_file_is_written_from_where_it_stands() {
    watched(|| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"head").unwrap();
        let writer = PipeWriter::new(duplicate(&file)).unwrap();
        let sent = send_all(&writer, &mut Random::new(2));
        assert_eq!(file.stream_position().unwrap(), 4 + sent);
        file.seek(SeekFrom::Start(4)).unwrap();
        assert_eq!(read_stream(&mut file, 0), sent);
    });
}

#[test]
fn a_file_opened_for_appending_is_appended_to() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, stream(0, 1_000)).unwrap();
        let append = || OpenOptions::new().append(true).open(&path).unwrap();
        let writer = PipeWriter::new(append()).unwrap();
        writer.try_send(stream(1_000, 50_000)).unwrap();
        writer.flush_timeout(LONG).unwrap();
        append().write_all(&stream(51_000, 10)).unwrap();
        writer.try_send(stream(51_010, 50_000)).unwrap();
        writer.close_timeout(LONG).unwrap();
        let heard = std::fs::read(&path).unwrap();
        assert_eq!(heard.len(), 101_010);
        assert_stream(0, &heard);
    });
}

#[test]
fn the_null_device_swallows_everything() {
    watched(|| {
        let null = OpenOptions::new().write(true).open(NULL).unwrap();
        send_all(&PipeWriter::new(null).unwrap(), &mut Random::new(3));
    });
}

#[cfg(unix)]
#[test]
fn a_pipe_that_was_made_non_blocking_by_others_works_as_well() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        let flags = rustix::fs::fcntl_getfl(&pipe).unwrap();
        rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        let writer = PipeWriter::new(pipe).unwrap();
        let sending = thread::spawn(move || send_all(&writer, &mut Random::new(5)));
        assert_eq!(read_stream(&mut reader, 0), sending.join().unwrap());
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_that_was_opened_by_its_path_works_as_well() {
    use std::os::fd::AsRawFd;
    watched(|| {
        // As a shell does for `>(command)`: such a description takes no writes that
        // promise not to wait.
        for sole_owner in [false, true] {
            let (mut reader, pipe) = pipe();
            let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
            let opened = OpenOptions::new().write(true).open(path).unwrap();
            drop(pipe);
            let shared = duplicate(&opened);
            let flags = rustix::fs::fcntl_getfl(&shared).unwrap();
            let writer = PipeWriter::builder()
                .sole_owner(sole_owner)
                .build(opened)
                .unwrap();
            let sending = thread::spawn(move || send_all(&writer, &mut Random::new(5)));
            let mut heard = 0;
            // The duplicate would keep the end from coming.
            while heard == 0 || !sending.is_finished() {
                let mut piece = vec![0; 100_000];
                let poll = rustix::event::PollFd::new(&reader, rustix::event::PollFlags::IN);
                let soon = rustix::event::Timespec {
                    tv_sec: 0,
                    tv_nsec: 1_000_000,
                };
                if rustix::event::poll(&mut [poll], Some(&soon)).unwrap() > 0 {
                    let n = reader.read(&mut piece).unwrap();
                    assert_stream(heard, &piece[..n]);
                    heard += n as u64;
                }
            }
            assert_eq!(rustix::fs::fcntl_getfl(&shared).unwrap(), flags);
            drop(shared);
            assert_eq!(read_stream(&mut reader, heard), sending.join().unwrap());
        }
    });
}

#[test]
fn a_pipe_may_have_a_size_of_its_own() {
    watched(|| {
        let (mut reader, pipe) = pipe();
        // Best effort: whatever it gets, it works.
        let writer = PipeWriter::builder()
            .pipe_size(1 << 20)
            .build(pipe)
            .unwrap();
        let sending = thread::spawn(move || send_all(&writer, &mut Random::new(6)));
        assert_eq!(read_stream(&mut reader, 0), sending.join().unwrap());
        for Stallable { pipe, .. } in stallables() {
            for size in [1 << 20, usize::MAX] {
                let builder = PipeWriter::builder().pipe_size(size);
                builder.build(duplicate(&pipe)).unwrap();
            }
        }
    });
}

#[test]
fn writers_are_made_from_anything_that_owns_a_handle() {
    fn takes(pipe: impl Into<Pipe>) {
        drop(PipeWriter::new(pipe).unwrap());
    }
    watched(|| {
        let (mut reader, pipe) = common::ends::pipe();
        takes(File::from(pipe));
        let mut nothing = String::new();
        assert_eq!(reader.read_to_string(&mut nothing).unwrap(), 0);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        takes(child.stdin.take().unwrap());
        assert!(child.wait().unwrap().success());
        #[cfg(unix)]
        {
            takes(common::ends::unix_stream().0);
            takes(common::ends::tcp().0);
        }
    });
}
