//! What signals are on Unix: to a process or to a group, SIGTERM, and FIFOs that go
//! with them.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Folder, exists, helper, random};
use rustix::process::Signal;

#[test]
fn sigterm_is_told_from_sigint() {
    for (signal, code, name) in [(Signal::INT, 130, "SIGINT"), (Signal::TERM, 143, "SIGTERM")] {
        let folder = Folder::new();
        let args = ["--linger=100ms", "-", &folder.tap("")];
        let (mut running, _reads_nothing) = folder.start_stalled(&args, Stdio::piped());
        let mut stdin = running.stdin.take().unwrap();
        stdin.write_all(&random(common::MIB)).unwrap();
        running.read_exactly(common::MIB);
        running.process.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, code);
        assert_eq!(ended.stats["total"]["signal"], name);
        assert_eq!(ended.outcome(1), "stopped");
    }
}

#[test]
fn a_fifo_that_was_made_is_removed_after_a_signal() {
    for signals in [1, 2] {
        let folder = Folder::new();
        let args = ["--linger=1h", "-", "listen:tap"];
        let mut running = folder.start(&args);
        let mut stdin = running.stdin.take().unwrap();
        if signals == 2 {
            stdin.write_all(b"data").unwrap();
            running.read_exactly(4);
        }
        while !exists(&folder.path("tap")) {
            std::thread::yield_now();
        }
        running.process.signal(Signal::TERM);
        if signals == 2 {
            running.wait_for("SIGTERM");
            running.process.signal(Signal::TERM);
        }
        let ended = running.end();
        assert_eq!(ended.code, 143);
        assert!(!exists(&folder.path("tap")));
    }
}

#[test]
fn ctrl_c_leaves_the_commands_alone() {
    let folder = Folder::new();
    let mut running = folder.start(&["-", &helper::exec("", "cat piped")]);
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"data").unwrap();
    running.read_exactly(4);
    running.process.signal_group(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert_eq!(ended.outcome(1), "complete");
    assert_eq!(folder.text("piped"), "data");
}
