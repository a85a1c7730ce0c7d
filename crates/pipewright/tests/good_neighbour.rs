//! C8, good neighbour, towards the process: no descriptor leaks or is inherited or is
//! closed twice, and all writers together have one thread. Each test has a process
//! of its own.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::data::{read_exact, stream};
use common::ends::{open_fifo, pipe, stallables, terminal, unix_stream};
use common::process::{descriptors, threads};
use common::{LONG, alone, is_alone, until};
use futures_lite::future::block_on;
use pipewright::PipeWriter;

#[test]
fn all_writers_together_have_one_thread() {
    alone(|| {
        const WRITERS: usize = 1_000;
        common::process::raise_descriptor_limit(4_000);
        let before = threads();
        let mut readers = Vec::new();
        let writers: Vec<_> = (0..WRITERS)
            .map(|n| {
                let (reader, pipe) = pipe();
                readers.push(reader);
                let writer = PipeWriter::builder().sole_owner(true).build(pipe).unwrap();
                writer.try_send(stream(0, 100 + 100 * n)).unwrap();
                writer
            })
            .collect();
        assert_eq!(threads(), before + 1);
        for (reader, writer) in readers.iter_mut().zip(&writers) {
            let len = usize::try_from(writer.position().get()).unwrap();
            read_exact(reader, len);
        }
        assert_eq!(threads(), before + 1);
        drop(writers);
        assert_eq!(threads(), before + 1);
    });
}

#[test]
fn a_thread_of_a_file_ends_with_its_writer() {
    alone(|| {
        // The one thread that is always there keeps the time for all of them.
        let builder = PipeWriter::builder().sole_owner(true);
        drop(builder.build(pipe().1).unwrap());
        let before = threads();
        let ends: [fn(PipeWriter); 4] = [
            drop,
            |writer| drop(writer.stop()),
            |writer| drop(writer.close_timeout(LONG).unwrap()),
            |writer| drop(writer.into_parts()),
        ];
        for end in ends {
            for _ in 0..5 {
                let writer = PipeWriter::new(tempfile::tempfile().unwrap()).unwrap();
                writer.try_send(stream(0, 10_000)).unwrap();
                end(writer);
            }
            until(|| threads() == before);
        }
    });
}

/// Makes, uses and ends a writer, each time in another way.
fn use_one(n: usize, fifo_path: &std::path::Path) {
    let writer = match n % 5 {
        0 => {
            let (mut reader, pipe) = unix_stream();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("hello").unwrap();
            read_exact(&mut reader, 5);
            writer
        }
        1 => {
            let (mut reader, pipe) = open_fifo(fifo_path);
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("hello").unwrap();
            read_exact(&mut reader, 5);
            writer
        }
        _ => {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::builder()
                .linger(Duration::ZERO)
                .build(pipe)
                .unwrap();
            writer.try_send(stream(0, 70_000)).unwrap();
            read_exact(&mut reader, 5_000);
            if n % 2 == 0 {
                let _ = writer.waitable().unwrap();
            }
            writer
        }
    };
    match n % 7 {
        0 => drop(writer.stop()),
        1 => drop(writer.close_timeout(Duration::ZERO)),
        2 => drop(writer.into_parts()),
        3 => drop(block_on(writer.close(Duration::ZERO))),
        4 => drop((writer.clone(), writer)),
        5 => {
            writer.cancel();
            block_on(writer.ended());
        }
        _ => drop(writer),
    }
}

#[test]
fn descriptors_and_threads_are_the_same_after_ten_thousand_writers() {
    alone(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        pipewright::fifo::create(&path).unwrap();
        let before = threads();
        use_one(0, &path);
        use_one(1, &path);
        pipewright::wait_lingering(LONG).unwrap();
        // Where a pipe has a thread of its own, that ends a little later.
        until(|| threads() == before + 1);
        let had_descriptors = descriptors();
        for n in 0..10_000 {
            use_one(n, &path);
        }
        pipewright::wait_lingering(LONG).unwrap();
        until(|| threads() == before + 1);
        // The last reference to a writer, with its waitable object, may go a little later
        // than the writer ends.
        until(|| descriptors() == had_descriptors);
    });
}

#[test]
fn refused_handles_and_cancelled_waits_leave_nothing_open() {
    alone(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        pipewright::fifo::create(&path).unwrap();
        let attempt = || {
            let (reader, pipe) = pipe();
            assert!(PipeWriter::new(reader).is_err());
            assert!(PipeWriter::new(File::open(folder.path()).unwrap()).is_err());
            let writer = PipeWriter::builder().capacity(1).build(pipe).unwrap();
            let (_other, second) = unix_stream();
            assert!(writer.attach(second).is_err());
            assert!(writer.attach(tempfile::tempfile().unwrap()).is_err());
            let short = Duration::from_micros(1);
            assert!(pipewright::fifo::open(&path, short).is_err());
            writer.try_send("!").ok();
            let _ = writer.send_timeout("x", short);
            let _ = writer.wait_read(short);
            drop(writer.stop());
        };
        let before = threads();
        attempt();
        // Threads of files end a little later than their writers.
        until(|| threads() == before + 1);
        let had_descriptors = descriptors();
        for _ in 0..300 {
            attempt();
        }
        until(|| threads() == before + 1);
        // The last reference to a writer, with its waitable object, may go a little later
        // than the writer ends.
        until(|| descriptors() == had_descriptors);
    });
}

/// The descriptors that a child finds open.
fn inherited_descriptors() -> String {
    let listed = Command::new("sh")
        .args(["-c", "cd /proc/self/fd; for fd in *; do readlink $fd; done"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // The pipe that the list comes through is another one each time.
    listed
        .lines()
        .filter(|line| !line.starts_with("pipe:"))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn no_descriptor_of_ours_is_inherited_by_a_child() {
    alone(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other-fifo");
        let before = inherited_descriptors();
        let mut writers: Vec<_> = stallables(folder.path())
            .into_iter()
            .map(|stallable| {
                let writer = PipeWriter::new(stallable.pipe).unwrap();
                writer.try_send(stream(0, 1_000_000)).unwrap();
                let waitable = writer.waitable().unwrap();
                (writer, waitable, stallable.reader)
            })
            .collect();
        pipewright::fifo::create(&path).unwrap();
        let from = path.clone();
        let reader = thread::spawn(move || File::open(from).unwrap());
        let opened = pipewright::fifo::open(&path, LONG).unwrap();
        let writer = PipeWriter::new(opened).unwrap();
        let waitable = writer.waitable().unwrap();
        writers.push((writer, waitable, Box::new(reader.join().unwrap())));
        let file = PipeWriter::new(tempfile::tempfile().unwrap()).unwrap();
        file.try_send("x").unwrap();
        assert_eq!(inherited_descriptors(), before);

        // A pipe in a child's hands would keep its reader from seeing the end.
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let mut child = Command::new("sleep").arg("3600").spawn().unwrap();
        writer.try_send("all").unwrap();
        writer.close_timeout(LONG).unwrap();
        assert_eq!(common::data::read_exact(&mut reader, 3), b"all");
        assert_eq!(common::data::read_stream(&mut reader, 0), 0);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn nothing_is_closed_twice() {
    alone(|| {
        for n in 0..200 {
            let (_reader, pipe) = pipe();
            let number = pipe.as_raw_fd();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("hello").unwrap();
            match n % 3 {
                0 => drop(writer.stop()),
                1 => drop(writer.close_timeout(LONG)),
                _ => {
                    writer.cancel();
                    block_on(writer.ended());
                }
            }
            // The number is free, and the next to be given out: whoever closed it
            // again would close this file.
            let mut reused = Vec::new();
            while reused
                .last()
                .is_none_or(|file: &File| file.as_raw_fd() < number)
            {
                reused.push(tempfile::tempfile().unwrap());
            }
            drop(writer.stop());
            drop(writer);
            for file in &mut reused {
                file.write_all(b"still mine").unwrap();
            }
        }
    });
}

#[test]
fn a_terminal_does_not_become_the_controlling_terminal() {
    alone(|| {
        assert!(is_alone());
        // In a session of its own a process without a terminal gets the first that
        // it opens, unless it says that it does not want to.
        rustix::process::setsid().ok();
        let has_terminal = || File::open("/dev/tty").is_ok();
        let had = has_terminal();
        let (_master, slave) = terminal();
        let writer = PipeWriter::new(slave).unwrap();
        writer.try_send("hello").unwrap();
        writer.flush_timeout(LONG).unwrap();
        assert_eq!(has_terminal(), had);
    });
}
