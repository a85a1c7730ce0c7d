//! Bars on a terminal that is shared with a shell, or changes its size.

#![cfg(unix)]

#[cfg(test)]
mod common;
#[cfg(test)]
mod terminal;

use std::io::Write;
use std::slice::from_ref;

use common::{Folder, MIB, assert_same, random, read_all};
use rustix::process::Signal;
use terminal::{COLUMNS, OnTerminal, ROWS, has, line, stalled_for};

#[test]
fn a_suspended_run_leaves_the_terminal_and_draws_anew_afterwards() {
    let folder = Folder::new();
    folder.write("input", &random(4 * MIB));
    let mut shown = OnTerminal::start(&folder, &[&folder.tap("")]);
    let mut reader = folder.open_tap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    shown.terminal.process().signal(Signal::TSTP);
    shown.wait_for(|lines| lines.iter().all(String::is_empty));
    shown.terminal.wait_until_stopped();
    // What a shell says meanwhile.
    let said = b"[1]+ Stopped\r\n$ fg\r\n";
    shown.terminal.side.write_all(said).unwrap();
    shown.wait_for(|lines| has(lines, "$ fg"));
    shown.terminal.process().signal(Signal::CONT);
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
fn in_a_terminal_that_changes_its_size_what_fits_is_drawn_once() {
    let folder = Folder::new();
    folder.write("input", &random(4 * MIB));
    let tap = folder.tap("");
    let mut shown = OnTerminal::start(&folder, &[&tap, "copy-1", "copy-2", "copy-3"]);
    let mut reader = folder.open_tap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    shown.resize(4, COLUMNS);
    let starts_are = |lines: &[String], starts: &[&str]| {
        let mut drawn = lines.iter().filter(|line| !line.is_empty());
        let all = starts
            .iter()
            .all(|start| drawn.next().is_some_and(|line| line.starts_with(start)));
        all && drawn.next().is_none()
    };
    shown.wait_for(|lines| starts_are(lines, &["stalled ", "copy-1 ", "total "]));
    shown.resize(ROWS, COLUMNS);
    let all = ["stalled ", "copy-1 ", "copy-2 ", "copy-3 ", "total "];
    shown.wait_for(|lines| starts_are(lines, &all));
    read_all(&mut reader);
    assert_eq!(shown.end().0, 0);
}

#[test]
fn in_a_terminal_that_becomes_narrower_no_line_goes_on_in_the_next() {
    let folder = Folder::new();
    folder.write("input", &random(4 * MIB));
    let mut shown = OnTerminal::start(&folder, &[&folder.tap(""), "copy"]);
    let mut reader = folder.open_tap();
    let whole = shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    // Enough for the sinks.
    let columns = 64;
    assert!(line(&whole, "total ").len() > columns.into(), "{whole:#?}");
    shown.resize(ROWS, columns);
    // Lines that were on their way meanwhile were too long for what the terminal had
    // become; no program can help what is left of those, above.
    shown.wait_for(|lines| {
        let mut last = lines.iter().rev().skip_while(|line| line.is_empty());
        let mut is_next = |start: &str| last.next().filter(|line| line.starts_with(start));
        let (total, copy, stalled) = (is_next("total "), is_next("copy "), is_next("stalled "));
        total.is_some()
            && copy.is_some()
            && stalled.is_some_and(|line| stalled_for(from_ref(line)) >= Some(3))
    });
    shown.resize(ROWS, COLUMNS);
    shown.wait_for(|lines| has(lines, "of 4.0 MiB"));
    read_all(&mut reader);
    assert_eq!(shown.end().0, 0);
}
