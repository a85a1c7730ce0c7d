//! A terminal to run in, and what is seen on it.
//!
//! What makes one is in `unix` and `windows`, with one face.

#![allow(dead_code, reason = "each test binary uses a part of it")]

#[cfg(unix)]
#[path = "unix.rs"]
pub(crate) mod system;
#[cfg(windows)]
#[path = "windows.rs"]
pub(crate) mod system;

use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use crate::common::{self, Folder};
use system::Terminal;

pub(crate) const ROWS: u16 = 12;
pub(crate) const COLUMNS: u16 = 100;

/// A `pipewright` whose standard output and error are a terminal.
pub(crate) struct OnTerminal {
    pub(crate) terminal: Terminal,
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    /// Dropped at the end, which calls the watchdog off.
    _watched: Sender<()>,
}

impl OnTerminal {
    /// On a terminal as it usually is, on the input of the folder.
    pub(crate) fn start(folder: &Folder, args: &[&str]) -> OnTerminal {
        OnTerminal::start_as(system::USUAL, folder, args)
    }

    /// On a terminal that calls itself `term`, if it has a name.
    pub(crate) fn start_as(term: Option<&str>, folder: &Folder, args: &[&str]) -> OnTerminal {
        let (terminal, output) =
            Terminal::start(term, folder, &[&["--input=input"], args].concat());
        OnTerminal {
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            output,
            _watched: common::watch(terminal.process()),
            terminal,
        }
    }

    /// What is on the screen now.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.screen.screen()
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.screen().rows(0, COLUMNS);
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until the screen is as wanted, and returns its lines.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        loop {
            let lines = self.lines();
            if wanted(&lines) {
                return lines;
            }
            let Ok(bytes) = self.output.recv() else {
                panic!("never on the screen, at last: {lines:#?}");
            };
            self.screen.process(&bytes);
        }
    }

    /// Checks that for this time the screen is never like that.
    pub(crate) fn never(&mut self, time: Duration, unwanted: impl Fn(&[String]) -> bool) {
        let end = Instant::now() + time;
        loop {
            let lines = self.lines();
            assert!(!unwanted(&lines), "{lines:#?}");
            let left = end.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(_) => return,
            }
        }
    }

    /// Waits for the end, and returns what is left on the screen, with `<end>` at the
    /// place where the next program writes.
    pub(crate) fn end(mut self) -> (i32, Vec<String>) {
        let code = self.terminal.end();
        let lines = self.wait_for(|lines| has(lines, "<end>"));
        (code, lines)
    }
}

pub(crate) fn has(lines: &[String], text: &str) -> bool {
    lines.iter().any(|line| line.contains(text))
}

/// The seconds of the stall that is shown.
pub(crate) fn stalled_for(lines: &[String]) -> Option<u32> {
    let (_, time) = lines
        .iter()
        .find_map(|line| line.split_once("  stalled "))?;
    let (minutes, seconds) = time.split_once(':')?;
    Some(minutes.parse::<u32>().unwrap() * 60 + seconds.parse::<u32>().unwrap())
}

pub(crate) fn line<'a>(lines: &'a [String], start: &str) -> &'a str {
    let found: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with(start))
        .collect();
    assert_eq!(found.len(), 1, "one line begins with {start}: {lines:#?}");
    found[0]
}
