//! Shell commands whose standard input is a sink.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::os::Exit;

/// A command that runs, or has run.
pub(crate) struct Child {
    process: Option<std::process::Child>,
    group: Group,
}

/// The process group of a command: `None` once the command has been waited for,
/// because then the number may mean something else.
type Group = Arc<Mutex<Option<Pid>>>;

impl Child {
    /// Starts `sh -c command`, in a process group of its own: the terminal's
    /// Ctrl-C is for this process, which still has to deliver what was read.
    pub(crate) fn start(command: &OsStr) -> io::Result<(Child, OwnedFd)> {
        let mut process = Command::new("/bin/sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let Some(stdin) = process.stdin.take() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let group = Arc::new(Mutex::new(Some(Pid::from_child(&process))));
        Ok((
            Child {
                process: Some(process),
                group,
            },
            stdin.into(),
        ))
    }

    /// Calls `told` when the command has ended, on a thread of its own.
    pub(crate) fn watch(
        &mut self,
        told: impl FnOnce(io::Result<Exit>) + Send + 'static,
    ) -> io::Result<()> {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        let group = Arc::clone(&self.group);
        thread::Builder::new()
            .name("command".into())
            .spawn(move || told(wait(process, &group).map(exit)))?;
        Ok(())
    }

    /// Asks the command, and all that it started, to end (SIGTERM).
    pub(crate) fn terminate(&self) {
        let group = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = *group {
            // It may have ended by itself.
            let _ = kill_process_group(group, Signal::TERM);
        }
    }
}

/// Waits in two steps: until it has ended, and only then, with the group locked,
/// for good. In between nobody can take its number for something else's.
fn wait(mut process: std::process::Child, group: &Group) -> io::Result<ExitStatus> {
    let id = WaitId::Pid(Pid::from_child(&process));
    while let Err(error) = waitid(id.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT) {
        if error != Errno::INTR {
            break;
        }
    }
    let mut group = group.lock().unwrap_or_else(PoisonError::into_inner);
    *group = None;
    process.wait()
}

fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Status(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// How it ended, for people.
pub(crate) fn exit_in_words(exit: Exit) -> String {
    match exit {
        // What the shell says: POSIX, "Exit Status for Commands".
        Exit::Status(127) => "the command was not found (status 127)".into(),
        Exit::Status(126) => "the command cannot be executed (status 126)".into(),
        Exit::Status(status) => format!("the command exited with status {status}"),
        Exit::Signal(signal) => format!("the command was killed by signal {signal}"),
    }
}
