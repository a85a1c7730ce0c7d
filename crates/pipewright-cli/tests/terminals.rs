//! What `--progress` shows on a terminal.

#[cfg(test)]
mod common;
#[cfg(test)]
mod terminal;

use std::thread;
use std::time::Duration;

use common::system::NOT_THERE_YET;
use common::{Folder, MIB, assert_same, random, read_all};
use terminal::{OnTerminal, ROWS, has, line, stalled_for};

fn folder_with_input() -> Folder {
    let folder = Folder::new();
    folder.write("input", &random(4 * MIB));
    folder
}

#[test]
fn every_sink_has_a_line_on_a_terminal_also_while_everything_is_stalled() {
    let folder = folder_with_input();
    let mut shown = OnTerminal::start(&folder, &["copy", &folder.tap("buffer=1M")]);
    let mut reader = folder.open_tap();
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
fn the_last_lines_stay_and_what_comes_next_is_below_them() {
    let folder = folder_with_input();
    let mut shown = OnTerminal::start(&folder, &["copy", &folder.tap("")]);
    let mut reader = folder.open_tap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    read_all(&mut reader);
    let (_, lines) = shown.end();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap();
    let starts = lines[first..].iter().map(|line| line.split(' ').next());
    let expected = ["copy", "stalled", "total", "<end>"].map(Some);
    assert_eq!(starts.take(4).collect::<Vec<_>>(), expected, "{lines:#?}");
    assert!(
        lines[first + 4..].iter().all(String::is_empty),
        "{lines:#?}"
    );
}

#[test]
fn lines_are_written_over_and_do_not_vanish_meanwhile() {
    let folder = folder_with_input();
    let mut shown = OnTerminal::start(&folder, &["copy", &folder.tap("")]);
    let mut reader = folder.open_tap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    // Longer than until the next bars.
    shown.never(Duration::from_secs(1), |lines| {
        let starts = ["copy ", "stalled ", "total "];
        !starts
            .iter()
            .all(|start| lines.iter().any(|line| line.starts_with(start)))
    });
    read_all(&mut reader);
    assert_eq!(shown.end().0, 0);
}

#[test]
fn what_is_said_does_not_spoil_the_bars() {
    let folder = folder_with_input();
    let args = [
        &format!("name=bad,retry=1@{NOT_THERE_YET}")[..],
        &folder.tap(""),
        "name=never\x1b[2J@missing/file",
    ];
    let mut shown = OnTerminal::start(&folder, &args);
    let mut reader = folder.open_tap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    read_all(&mut reader);
    let (code, lines) = shown.end();
    assert_eq!(code, 1);
    let again = line(&lines, "pipewright: 'bad' will be opened again: ");
    assert!(again.contains("(os error 2)"), "{again}");
    let given_up = line(&lines, "pipewright: bad: ");
    assert!(given_up.contains("(os error 2)"), "{given_up}");
    assert!(line(&lines, "stalled ").contains("complete"));
    assert!(line(&lines, "bad ").contains("failed"));
    assert!(line(&lines, "never\\u{1b}[2J ").contains("failed"));
    line(&lines, "total ");
}

#[test]
fn as_many_sinks_have_a_line_as_there_is_room_for_and_the_total_has_one() {
    let folder = folder_with_input();
    let copies: Vec<String> = (0..ROWS).map(|copy| format!("copy-{copy}")).collect();
    let tap = folder.tap("");
    let mut args = vec![&tap[..]];
    args.extend(copies.iter().map(String::as_str));
    let mut shown = OnTerminal::start(&folder, &args);
    let mut reader = folder.open_tap();
    let first = shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    let later = shown.wait_for(|lines| stalled_for(lines) >= Some(2));
    read_all(&mut reader);
    let (_, last) = shown.end();
    // There is room for what comes next.
    let fit = usize::from(ROWS) - 1;
    for lines in [first, later, last] {
        line(&lines, "stalled ");
        assert!(lines[fit - 1].starts_with("total "), "{lines:#?}");
        let of_copies = lines.iter().filter(|line| line.starts_with("copy-"));
        assert_eq!(of_copies.count(), fit - 2, "{lines:#?}");
    }
}

#[test]
fn there_are_no_colours() {
    let folder = folder_with_input();
    let mut shown = OnTerminal::start(&folder, &[&folder.tap("")]);
    let mut reader = folder.open_tap();
    shown.wait_for(|lines| stalled_for(lines) >= Some(1));
    let lines = shown.wait_for(|lines| has(lines, "total "));
    let (rows, columns) = shown.screen().size();
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    for (row, column) in cells {
        let cell = shown.screen().cell(row, column).unwrap();
        let colours = (cell.fgcolor(), cell.bgcolor());
        let none = (vt100::Color::Default, vt100::Color::Default);
        let plain = colours == none && !cell.bold() && !cell.inverse() && !cell.underline();
        assert!(plain, "row {row}, column {column}: {lines:#?}");
    }
    read_all(&mut reader);
    shown.end();
}

#[test]
fn nothing_is_drawn_where_it_would_be_in_the_way() {
    for (term, args) in [
        (Some("dumb"), &["copy"][..]),
        (terminal::system::USUAL, &["--progress=never"]),
        // Standard output is the terminal, too.
        (terminal::system::USUAL, &["-"]),
    ] {
        let folder = Folder::new();
        // Nothing that is seen.
        folder.write("input", &vec![b'\r'; MIB]);
        let tap = folder.tap("buffer=64K");
        let args = [args, &[&tap]].concat();
        let mut shown = OnTerminal::start_as(term, &folder, &args);
        let mut reader = folder.open_tap();
        // Longer than until the first bars.
        shown.never(Duration::from_secs(1), |lines| has(lines, "total "));
        let reader = thread::spawn(move || read_all(&mut reader));
        let (code, lines) = shown.end();
        assert_eq!(code, 0, "{lines:#?}");
        assert!(!has(&lines, "total "), "{args:?}: {lines:#?}");
        assert_eq!(reader.join().unwrap().len(), MIB);
    }
}
