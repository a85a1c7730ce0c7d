//! C8, good neighbour, towards the program's signals: a broken pipe raises none,
//! whatever the program decided about `SIGPIPE`, and no handler of the program runs
//! on a thread of ours. Each test has a process of its own.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use common::data::stream;
use common::ends::{fifo, full_pipe, pipe, stallables, tcp, unix_stream};
use common::process::{status, this_thread, threads_named};
use common::{alone, until};
use futures_lite::future::block_on;
use pipewright::{Outcome, PipeWriter};

/// What this thread does with signals: those it blocks, those that are pending for
/// it and for the process, and those that the process ignores and catches.
fn signals() -> Vec<String> {
    let thread = this_thread();
    ["SigBlk", "SigPnd", "ShdPnd", "SigIgn", "SigCgt"]
        .map(|key| status(&thread, key))
        .into()
}

/// Puts `SIGPIPE` back to what a program that is not written in Rust begins with.
fn let_sigpipe_kill() {
    // SAFETY: the default action is a valid one, and no handler is replaced that
    // other code relies on: the process runs this one test.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Ways to break a pipe under a writer: with each mechanism, on the sending thread
/// and in the background.
fn break_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let ends: [(Box<dyn Send>, OwnedFd); 5] = [
        boxed(pipe()),
        boxed(fifo(&folder.path().join("broken"))),
        boxed(unix_stream()),
        boxed(tcp()),
        boxed(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::DIRECT).unwrap()),
    ];
    for (reader, pipe) in ends {
        // Nobody reads when the first byte is sent.
        let writer = PipeWriter::new(pipe).unwrap();
        drop(reader);
        until(|| writer.try_send("unheard").is_err());
        assert!(matches!(
            block_on(writer.ended()).outcome,
            Outcome::Failed(_)
        ));
    }
    for stallable in stallables() {
        // The reader goes while the writer waits for it.
        let writer = PipeWriter::new(stallable.pipe).unwrap();
        writer.try_send(stream(0, 4_000_000)).unwrap();
        until(|| writer.progress().written > 0);
        drop(stallable.reader);
        let outcome = block_on(writer.ended()).outcome;
        assert!(matches!(outcome, Outcome::Failed(_)), "{}", stallable.kind);
    }
    // A FIFO that only a thread of its own can write.
    let (reader, writer) = common::ends::on_a_thread(|pipe| PipeWriter::new(pipe).unwrap());
    writer.try_send(stream(0, 300_000)).unwrap();
    until(|| writer.progress().written > 0);
    drop(reader);
    assert!(matches!(
        block_on(writer.ended()).outcome,
        Outcome::Failed(_)
    ));
}

fn boxed<R: Send + 'static>((reader, pipe): (R, OwnedFd)) -> (Box<dyn Send>, OwnedFd) {
    (Box::new(reader), pipe)
}

#[test]
fn a_broken_pipe_does_not_kill_a_process_that_lets_sigpipe_kill_it() {
    alone(|| {
        let_sigpipe_kill();
        let before = signals();
        break_pipes();
        assert_eq!(
            signals(),
            before,
            "no mask, no action and nothing pending changed"
        );
    });
}

#[test]
fn a_raw_write_would_have_killed_that_process() {
    // The control: without it the test above would pass where it shows nothing.
    alone(|| {
        const ROLE: &str = "PIPEWRIGHT_TEST_IS_KILLED";
        if std::env::var_os(ROLE).is_some() {
            let_sigpipe_kill();
            let (reader, pipe) = pipe();
            drop(reader);
            let _ = File::from(pipe).write(b"x");
            return;
        }
        let killed = Command::new(std::env::current_exe().unwrap())
            .args(std::env::args().skip(1))
            .env(ROLE, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        assert_eq!(killed.signal(), Some(libc::SIGPIPE));
    });
}

#[test]
fn a_sigpipe_that_was_pending_before_stays_pending() {
    alone(|| {
        let mut set = std::mem::MaybeUninit::uninit();
        // SAFETY: `sigemptyset` initialises the set that it is given.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        // SAFETY: the set was initialised in the line above.
        unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
        // SAFETY: the set is initialised, and null asks for no old mask.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut()) };
        let_sigpipe_kill();
        let quiet = signals();
        break_pipes();
        assert_eq!(signals(), quiet, "nothing is left pending");

        let (reader, broken) = pipe();
        drop(reader);
        File::from(broken).write_all(b"x").unwrap_err();
        let pending = signals();
        assert_ne!(pending, quiet);
        break_pipes();
        assert_eq!(signals(), pending, "what was pending is the program's own");
    });
}

#[test]
fn the_programs_signal_handlers_never_run_on_our_threads() {
    alone(|| {
        let (_reader, stalled, _) = full_pipe();
        let builder = PipeWriter::builder().sole_owner(true);
        let writer = builder.build(stalled).unwrap();
        writer.try_send("x").unwrap();
        let file = PipeWriter::new(tempfile::tempfile().unwrap()).unwrap();
        file.try_send("x").unwrap();
        for name in ["pipewright", "pipewright-file"] {
            let mut mask = 0;
            until(|| {
                // Set by the thread itself, first of all.
                let threads = threads_named(name);
                let Some(thread) = threads.first() else {
                    return false;
                };
                mask = u64::from_str_radix(&status(thread, "SigBlk"), 16).unwrap();
                mask != 0
            });
            for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGPIPE] {
                assert_ne!(
                    mask & (1 << (signal - 1)),
                    0,
                    "{name} takes signal {signal}"
                );
            }
        }
    });
}
