//! C8, good neighbour, towards the process: no handle leaks or is inherited or is closed
//! twice, and all writers together have one thread. Each test has a process
//! of its own.

#![cfg(any(target_os = "linux", windows))]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::data::{read_exact, stream};
use common::ends::{NULL, Pipe, pipe, raw, stallables};
use common::process::{handles, inherited, our_threads, pool_for, raise_handle_limit, threads};
use common::{LONG, alone, until};
use futures_lite::future::block_on;
use pipewright::PipeWriter;

#[test]
fn all_writers_together_have_one_thread() {
    alone(|| {
        const WRITERS: usize = 1_000;
        raise_handle_limit(4_000);
        let before = threads();
        // Beside it there are at most the system's own.
        let assert_one_thread = || {
            // Threads get their names when they begin.
            until(|| our_threads() > 0);
            assert_eq!(our_threads(), 1);
            let now = threads();
            assert!(now <= before + 1 + pool_for(WRITERS), "{now} threads");
        };
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
        assert_one_thread();
        for (reader, writer) in readers.iter_mut().zip(&writers) {
            let len = usize::try_from(writer.position().get()).unwrap();
            read_exact(reader, len);
        }
        assert_one_thread();
        drop(writers);
        assert_one_thread();
    });
}

#[test]
fn a_thread_of_a_file_ends_with_its_writer() {
    alone(|| {
        // The one thread that is always there keeps the time for all of them.
        let builder = PipeWriter::builder().sole_owner(true);
        drop(builder.build(pipe().1).unwrap());
        until(|| our_threads() == 1);
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
            until(|| our_threads() == 1);
        }
    });
}

/// The ends that are not of [`pipe`].
#[cfg(unix)]
struct Others(tempfile::TempDir);

#[cfg(unix)]
impl Others {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        pipewright::fifo::create(folder.path().join("fifo")).unwrap();
        Others(folder)
    }

    fn first(&self) -> (impl Read, Pipe) {
        common::ends::open_fifo(&self.0.path().join("fifo"))
    }

    fn second(&self) -> (impl Read, Pipe) {
        common::ends::unix_stream()
    }

    /// Tries to open what nobody reads.
    fn wait_in_vain(&self, time: Duration) {
        assert!(pipewright::fifo::open(self.0.path().join("fifo"), time).is_err());
    }
}

/// The ends that are not of [`pipe`].
#[cfg(windows)]
struct Others;

#[cfg(windows)]
impl Others {
    fn new() -> Self {
        Others
    }

    fn first(&self) -> (impl Read, Pipe) {
        common::ends::anonymous()
    }

    fn second(&self) -> (impl Read, Pipe) {
        common::ends::client_end()
    }

    /// Waits for a client that does not come.
    fn wait_in_vain(&self, time: Duration) {
        use pipewright::named_pipe::ServerOptions;
        let name = format!(r"\\.\pipe\pipewright-test-in-vain-{}", std::process::id());
        assert!(
            ServerOptions::new(name)
                .create()
                .unwrap()
                .accept(time)
                .is_err()
        );
    }
}

/// Says a word, which arrives.
fn hello((mut reader, pipe): (impl Read, Pipe)) -> PipeWriter {
    let writer = PipeWriter::new(pipe).unwrap();
    writer.try_send("hello").unwrap();
    read_exact(&mut reader, 5);
    writer
}

/// Makes, uses and ends a writer, each time in another way.
fn use_one(n: usize, others: &Others) {
    let writer = match n % 5 {
        0 => hello(others.first()),
        1 => hello(others.second()),
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

/// Does it so many times, after a few that may leave behind what is made once.
fn leaves_nothing_behind(times: usize, mut act: impl FnMut(usize)) {
    (0..10).for_each(&mut act);
    pipewright::wait_lingering(LONG).unwrap();
    // Where a pipe has a thread of its own, that ends a little later.
    until(|| our_threads() == 1);
    let had = handles();
    (0..times).for_each(&mut act);
    pipewright::wait_lingering(LONG).unwrap();
    until(|| our_threads() == 1);
    // The last reference to a writer, with its waitable object, may go a little later
    // than the writer ends. The threads of the system's pool have handles too.
    until(|| handles() <= had + pool_for(0));
}

#[test]
fn handles_and_threads_are_the_same_after_ten_thousand_writers() {
    alone(|| {
        let others = Others::new();
        leaves_nothing_behind(10_000, |n| use_one(n, &others));
    });
}

#[test]
fn refused_handles_and_cancelled_waits_leave_nothing_open() {
    alone(|| {
        let others = Others::new();
        leaves_nothing_behind(300, |_| {
            let (reader, end) = pipe();
            assert!(PipeWriter::new(reader).is_err());
            assert!(PipeWriter::new(File::open(NULL).unwrap()).is_err());
            let writer = PipeWriter::builder().capacity(1).build(end).unwrap();
            let (_other, second) = pipe();
            assert!(writer.attach(second).is_err());
            assert!(writer.attach(tempfile::tempfile().unwrap()).is_err());
            let short = Duration::from_micros(1);
            others.wait_in_vain(short);
            writer.try_send("!").ok();
            let _ = writer.send_timeout("x", short);
            let _ = writer.wait_read(short);
            drop(writer.stop());
        });
    });
}

#[test]
fn no_handle_of_ours_is_inherited_by_a_child() {
    const ROLE: &str = "PIPEWRIGHT_TEST_STAYS";
    alone(|| {
        if std::env::var_os(ROLE).is_some() {
            std::thread::sleep(LONG);
            return;
        }
        let before = inherited();
        let writers: Vec<_> = stallables()
            .into_iter()
            .map(|stallable| {
                let writer = PipeWriter::new(stallable.pipe).unwrap();
                writer.try_send(stream(0, 1_000_000)).unwrap();
                let waitable = writer.waitable().unwrap();
                (writer, waitable, stallable.reader)
            })
            .collect();
        let file = PipeWriter::new(tempfile::tempfile().unwrap()).unwrap();
        file.try_send("x").unwrap();
        assert_eq!(inherited(), before);
        drop(writers);

        // A pipe in a child's hands would keep its reader from seeing the end.
        let (mut reader, pipe) = pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(std::env::args().skip(1))
            .env(ROLE, "1")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        writer.try_send("all").unwrap();
        writer.close_timeout(LONG).unwrap();
        assert_eq!(read_exact(&mut reader, 3), b"all");
        assert_eq!(common::data::read_stream(&mut reader, 0), 0);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[cfg(unix)]
#[test]
fn a_fifo_that_was_opened_for_a_writer_is_not_inherited_by_a_child() {
    alone(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        let before = inherited();
        pipewright::fifo::create(&path).unwrap();
        let from = path.clone();
        let reader = std::thread::spawn(move || File::open(from).unwrap());
        let opened = pipewright::fifo::open(&path, LONG).unwrap();
        let writer = PipeWriter::new(opened).unwrap();
        let waitable = writer.waitable().unwrap();
        let reader = reader.join().unwrap();
        assert_eq!(inherited(), before);
        drop((reader, waitable));
    });
}

#[test]
fn nothing_is_closed_twice() {
    alone(|| {
        for n in 0..200 {
            let (_reader, pipe) = pipe();
            let number = raw(&pipe);
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
            while reused.last().is_none_or(|file: &File| raw(file) < number) {
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

#[cfg(unix)]
#[test]
fn a_terminal_does_not_become_the_controlling_terminal() {
    alone(|| {
        // In a session of its own a process without a terminal gets the first that
        // it opens, unless it says that it does not want to.
        rustix::process::setsid().ok();
        let has_terminal = || File::open("/dev/tty").is_ok();
        let had = has_terminal();
        let (_master, slave) = common::ends::terminal();
        let writer = PipeWriter::new(slave).unwrap();
        writer.try_send("hello").unwrap();
        writer.flush_timeout(LONG).unwrap();
        assert_eq!(has_terminal(), had);
    });
}
