//! A pair of pseudo-terminals.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use super::{COLUMNS, OnTerminal, ROWS};
use crate::common::system::Process;
use crate::common::{self, Folder};

/// What terminals call themselves.
pub(crate) const USUAL: Option<&str> = Some("xterm");

pub(crate) struct Terminal {
    child: Child,
    /// The other side of the terminal, for what others write there.
    pub(crate) side: File,
}

impl Terminal {
    /// Starts the command, and gives what comes out of the terminal.
    pub(super) fn start(
        term: Option<&str>,
        folder: &Folder,
        args: &[&str],
    ) -> (Terminal, Receiver<Vec<u8>>) {
        let (mut main, side) = open();
        let mut command = Command::new(common::binary());
        match term {
            Some(term) => command.env("TERM", term),
            None => command.env_remove("TERM"),
        };
        let child = command
            .args(args)
            .current_dir(folder.path("."))
            .stdin(Stdio::null())
            .stdout(side.try_clone().unwrap())
            .stderr(side.try_clone().unwrap())
            .process_group(0)
            .spawn()
            .unwrap();
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(len @ 1..) = main.read(&mut buffer) {
                let _ = sender.send(buffer[..len].to_vec());
            }
        });
        (Terminal { child, side }, output)
    }

    pub(crate) fn process(&self) -> Process {
        Process::of(&self.child)
    }

    pub(crate) fn wait_until_stopped(&self) {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(&self.child)), options).unwrap();
        assert!(status.unwrap().stopped());
    }

    /// Waits for the end of the command, and writes `<end>` on the terminal.
    pub(super) fn end(&mut self) -> i32 {
        let code = self.child.wait().unwrap().code().unwrap();
        self.side.write_all(b"<end>").unwrap();
        code
    }
}

impl OnTerminal {
    /// Gives the terminal another size.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.screen.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.terminal.side, size(rows, columns)).unwrap();
    }
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn open() -> (File, File) {
    let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&main).unwrap();
    unlockpt(&main).unwrap();
    tcsetwinsize(&main, size(ROWS, COLUMNS)).unwrap();
    let path = ptsname(&main, Vec::new()).unwrap();
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
    let side = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).unwrap();
    (main.into(), side.into())
}
