//! Shell commands whose standard input is a sink.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::windows::process::CommandExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_SUSPENDED};

use super::Handle;
use super::sys::Job;
use crate::os::Exit;

/// The status of commands that are ended by [`Child::terminate`]: what a shell on
/// Unix says of one that was ended by SIGTERM.
const TERMINATED: u32 = 128 + 15;

/// A command that runs, or has run.
pub(crate) struct Child {
    process: Option<std::process::Child>,
    /// The command, and all that it starts.
    job: Arc<Job>,
}

impl Child {
    /// Starts the command in the shell, in a process group of its own: the console's
    /// Ctrl-C is for this process, which still has to deliver what was read.
    pub(crate) fn start(command: &OsStr) -> io::Result<(Child, Handle)> {
        let line = in_quotes(command)?;
        let job = Job::new()?;
        // Without what the registry may want run first, and with what is between the
        // outer quotes taken as it is ("cmd").
        let mut process = Command::new(shell())
            .args(["/d", "/s", "/c"])
            .raw_arg(line)
            .stdin(Stdio::piped())
            .creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED)
            .spawn()?;
        let Some(stdin) = process.stdin.take() else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        if let Err(error) = job.run(&process) {
            // It has done nothing yet, and nobody will let it.
            let _ = process.kill();
            return Err(error);
        }
        let child = Child {
            process: Some(process),
            job: Arc::new(job),
        };
        Ok((child, stdin.into()))
    }

    /// Calls `told` when the command has ended, on a thread of its own.
    pub(crate) fn watch(
        &mut self,
        told: impl FnOnce(io::Result<Exit>) + Send + 'static,
    ) -> io::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        thread::Builder::new()
            .name("command".into())
            .spawn(move || told(process.wait().map(exit)))?;
        Ok(())
    }

    /// Ends the command, and all that it started. The system knows no way to ask that
    /// every program would hear.
    pub(crate) fn terminate(&self) {
        // It may have ended by itself.
        let _ = self.job.terminate(TERMINATED);
    }
}

/// The shell that C's `system` takes, too.
fn shell() -> OsString {
    env::var_os("COMSPEC").unwrap_or_else(|| "cmd.exe".into())
}

fn in_quotes(command: &OsStr) -> io::Result<OsString> {
    let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n');
    if command.as_encoded_bytes().iter().any(breaks) {
        let why = "the shell would not read beyond the first line of the command";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut line = OsString::from("\"");
    line.push(command);
    line.push("\"");
    Ok(line)
}

fn exit(status: ExitStatus) -> Exit {
    Exit::Status(status.code().unwrap_or_default())
}

/// How it ended, for people.
pub(crate) fn exit_in_words(exit: Exit) -> String {
    let Exit::Status(status) = exit;
    match status {
        // What the shell says: Microsoft, "cmd".
        9009 => "the command was not found (status 9009)".into(),
        // A status of the system's own, such as that of an access violation.
        ..0 => format!("the command was ended by the system (status {status:#x})"),
        _ => format!("the command exited with status {status}"),
    }
}
