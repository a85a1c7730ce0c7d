//! Unix.

use std::fs::File;
pub(crate) use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::thread::{self, JoinHandle};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{Folder, exists};

/// What somebody who wants an end of it sends, as it is called.
pub(crate) const INTERRUPT: &str = "SIGINT";
/// What a reader that has gone leaves behind.
pub(crate) const BROKEN_PIPES: &[&str] = &["Broken pipe (os error 32)"];
/// What the system says of a port that nobody listens on.
pub(crate) const REFUSED: i32 = Errno::CONNREFUSED.raw_os_error();
/// What it says of a connection whose peer has died: first, and ever after.
pub(crate) const RESETS: [i64; 2] = [
    Errno::CONNRESET.raw_os_error() as i64,
    Errno::PIPE.raw_os_error() as i64,
];
/// How much that a socket has taken goes with a process that is stopped.
pub(crate) const DIES_WITH_PROCESS: usize = 0;
/// How a command that was told to end shows in the statistics.
pub(crate) const TERMINATED: (&str, i64) = ("exit_signal", 15);
/// A sink that somebody may make possible any time, and nobody does.
pub(crate) const NOT_THERE_YET: &str = "unix:nobody";
/// Takes everything.
pub(crate) const NULL: &str = "/dev/null";

pub(crate) trait Group {
    /// A process group of its own, for what a terminal sends.
    fn in_own_group(&mut self) -> &mut Self;
}

impl Group for Command {
    fn in_own_group(&mut self) -> &mut Self {
        self.process_group(0)
    }
}

#[derive(Clone)]
pub(crate) struct Process(Pid);

impl Process {
    pub(crate) fn of(child: &Child) -> Self {
        Process(Pid::from_child(child))
    }

    pub(crate) fn kill(&self) {
        let _ = kill_process(self.0, Signal::KILL);
    }

    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.0, signal).unwrap();
    }

    /// As a terminal does: to the whole process group.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(self.0, signal).unwrap();
    }
}

/// A FIFO that the command makes, in the folder in which it runs.
pub(crate) struct Tap(String);

impl Tap {
    pub(crate) fn new(number: u32) -> Self {
        Tap(format!("tap-{number}"))
    }

    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// Waits until it is there.
    pub(crate) fn open(&self, folder: &Path) -> File {
        let path = folder.join(self.name());
        while !exists(&path) {
            thread::yield_now();
        }
        File::open(path).unwrap()
    }
}

/// Somebody who listens, and the sink or the target of a relay that leads there.
pub(crate) fn listen(folder: &Folder) -> (UnixListener, String) {
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    (listener, "unix:socket".into())
}

impl Folder {
    pub(crate) fn fifo(&self, name: &str) {
        pipewright::fifo::create(self.path(name)).unwrap();
    }

    /// Opens a FIFO for reading, as soon as somebody opens it for writing.
    pub(crate) fn reader(&self, name: &str) -> JoinHandle<File> {
        let path = self.path(name);
        thread::spawn(move || File::open(path).unwrap())
    }

    /// What a shell says.
    pub(crate) fn shell(&self, command: &str) -> String {
        let output = Command::new("sh")
            .arg("-c")
            .arg(command)
            .current_dir(self.path("."))
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}
