//! What `--progress` shows on a terminal.

#![cfg(unix)]

#[cfg(test)]
mod common;
#[cfg(test)]
mod terminal;

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;
use std::thread;

use common::system::Process;
use common::{Folder, MIB, assert_same, random, read_all};
use rustix::process::Signal;
use terminal::{OnTerminal, has, line, open_terminal, stalled_for};

/// A folder with an input of 4 MiB, and a FIFO that is open and not read.
fn stalled() -> (Folder, thread::JoinHandle<File>) {
    let folder = Folder::new();
    folder.write("input", &random(4 * MIB));
    folder.fifo("stalled");
    let reader = folder.reader("stalled");
    (folder, reader)
}

#[test]
fn every_sink_has_a_line_on_a_terminal_also_while_everything_is_stalled() {
    let (folder, reader) = stalled();
    let args = ["copy", "buffer=1M@stalled"];
    let mut shown = OnTerminal::start(&folder, &args, folder.open("input"));
    let mut reader = reader.join().unwrap();
    let lines = shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    let stalled = line(&lines, "stalled ");
    assert!(
        stalled.contains("queued ") && stalled.contains("KiB"),
        "{stalled}"
    );
    assert!(line(&lines, "copy ").contains(" 1.1 MiB"), "{lines:#?}");
    let total = line(&lines, "total ");
    assert!(
        total.contains("[#####---------------]  2") && total.contains("of 4.0 MiB  ETA "),
        "{total}"
    );
    // It goes on: the time does.
    shown.wait_for(|lines| stalled_for(lines) >= Some(3));
    assert_same(&read_all(&mut reader), &random(4 * MIB));
    let (code, lines) = shown.end();
    assert_eq!(code, 0);
    assert!(
        line(&lines, "stalled ").contains("4.0 MiB  complete"),
        "{lines:#?}"
    );
    assert!(line(&lines, "total ").contains("[####################] 100%"));
}

#[test]
fn what_is_said_does_not_spoil_the_bars() {
    let (folder, reader) = stalled();
    let args = [
        "name=bad,retry=1@unix:nobody",
        "stalled",
        "name=never\x1b[2J@missing/file",
    ];
    let mut shown = OnTerminal::start(&folder, &args, folder.open("input"));
    let mut reader = reader.join().unwrap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    read_all(&mut reader);
    let (code, lines) = shown.end();
    assert_eq!(code, 1);
    assert!(
        has(
            &lines,
            "pipewright: 'bad' will be opened again: No such file"
        ),
        "{lines:#?}"
    );
    assert!(has(&lines, "pipewright: bad: No such file"), "{lines:#?}");
    assert!(line(&lines, "stalled ").contains("complete"));
    assert!(line(&lines, "bad ").contains("failed"));
    assert!(line(&lines, "never\\u{1b}[2J ").contains("failed"));
    line(&lines, "total ");
}

#[test]
fn there_are_no_colours() {
    let (folder, reader) = stalled();
    let mut shown = OnTerminal::start(&folder, &["stalled"], folder.open("input"));
    let mut reader = reader.join().unwrap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    read_all(&mut reader);
    shown.wait_for(|lines| has(lines, "complete"));
    let raw = String::from_utf8_lossy(&shown.raw).into_owned();
    let colours = raw.split("\x1b[").skip(1).filter(|code| {
        let end = code.find(|c: char| c.is_ascii_alphabetic());
        end.is_some_and(|end| code[end..].starts_with('m'))
    });
    assert_eq!(colours.count(), 0, "{raw:?}");
    shown.end();
}

#[test]
fn a_suspended_run_leaves_the_terminal_and_draws_anew_afterwards() {
    let (folder, reader) = stalled();
    let mut shown = OnTerminal::start(&folder, &["stalled"], folder.open("input"));
    let mut reader = reader.join().unwrap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    shown.signal(Signal::TSTP);
    shown.wait_for(|lines| lines.iter().all(String::is_empty));
    shown.wait_until_stopped();
    // What a shell says meanwhile.
    shown.side.write_all(b"[1]+ Stopped\r\n$ fg\r\n").unwrap();
    shown.wait_for(|lines| has(lines, "$ fg"));
    shown.signal(Signal::CONT);
    let lines = shown.wait_for(|lines| has(lines, "total "));
    assert_eq!(
        lines[..2],
        ["[1]+ Stopped", "$ fg"],
        "nothing was drawn over"
    );
    assert!(line(&lines, "stalled ").contains("stalled 0:0"));

    assert_same(&read_all(&mut reader), &random(4 * MIB));
    assert_eq!(shown.end().0, 0);
}

#[test]
fn nothing_is_drawn_where_it_would_be_in_the_way() {
    for (term, args) in [
        ("dumb", &["stalled"][..]),
        ("xterm", &["--progress=never", "stalled"]),
        // Standard output is the terminal, too.
        ("xterm", &["-", "stalled"]),
    ] {
        let (folder, reader) = stalled();
        folder.write("input", b"data\n");
        let (mut main, side) = open_terminal();
        let mut child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
            .args(args)
            .current_dir(folder.path("."))
            .env("TERM", term)
            .stdin(folder.open("input"))
            .stdout(side.try_clone().unwrap())
            .stderr(side.try_clone().unwrap())
            .spawn()
            .unwrap();
        let _watched = common::watch(Process::of(&child));
        let reader = reader.join().unwrap();
        // Longer than until the first bars.
        let stalled = rustix::event::Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        let hears = rustix::event::PollFlags::IN;
        let mut polled = [rustix::event::PollFd::new(&main, hears)];
        rustix::event::poll(&mut polled, Some(&stalled)).unwrap();
        drop(reader);
        child.wait().unwrap();
        (&side).write_all(b"<end>").unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"<end>") {
            let mut buffer = [0; 100];
            let len = main.read(&mut buffer).unwrap();
            seen.extend(&buffer[..len]);
        }
        let seen = String::from_utf8(seen).unwrap();
        assert!(!seen.contains("total"), "{args:?}: {seen:?}");
    }
}
