//! A terminal to run in, and what is seen on it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::common::system::Process;
use crate::common::{self, Folder};

const ROWS: u16 = 12;
const COLUMNS: u16 = 100;

/// A `pipewright` whose standard error is a terminal.
pub(crate) struct OnTerminal {
    child: Child,
    screen: vt100::Parser,
    /// What came, raw.
    pub(crate) raw: Vec<u8>,
    output: Receiver<Vec<u8>>,
    /// The other side of the terminal, for what others write there.
    pub(crate) side: File,
    /// Dropped at the end, which calls the watchdog off.
    _watched: mpsc::Sender<()>,
}

pub(crate) fn open_terminal() -> (File, File) {
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&main).unwrap();
    unlockpt(&main).unwrap();
    let size = Winsize {
        ws_row: ROWS,
        ws_col: COLUMNS,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&main, size).unwrap();
    let path = ptsname(&main, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let side = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    (main.into(), side.into())
}

impl OnTerminal {
    pub(crate) fn start(folder: &Folder, args: &[&str], stdin: Stdio) -> OnTerminal {
        let (mut main, side) = open_terminal();
        let child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
            .args(args)
            .current_dir(folder.path("."))
            .env("TERM", "xterm")
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(side.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let watched = common::watch(Process::of(&child));
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = main.read(&mut buffer) {
                let _ = sender.send(buffer[..len].to_vec());
            }
        });
        OnTerminal {
            child,
            screen: vt100::Parser::new(ROWS, COLUMNS, 0),
            raw: Vec::new(),
            output,
            side,
            _watched: watched,
        }
    }

    /// Waits until the screen is as wanted, and returns its lines.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&[String]) -> bool) -> Vec<String> {
        loop {
            let lines: Vec<String> = self.screen.screen().rows(0, COLUMNS).collect();
            if wanted(&lines) {
                return lines;
            }
            let Ok(bytes) = self.output.recv() else {
                panic!("never on the screen, at last: {lines:#?}");
            };
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    pub(crate) fn wait_until_stopped(&self) {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(&self.child)), options).unwrap();
        assert!(status.unwrap().stopped());
    }

    /// Waits for the end, and returns what is left on the screen.
    pub(crate) fn end(mut self) -> (i32, Vec<String>) {
        let code = self.child.wait().unwrap().code().unwrap();
        // The last of all.
        self.side.write_all(b"\r\n<end>").unwrap();
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
    let (minutes, seconds) = time.trim().split_once(':')?;
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
