//! What a process of the benchmark is. The program starts itself again for each.

use std::env;
use std::io::{self, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::reader::Reading;
use crate::trial::Trial;

/// After this a trial is taken for hung.
const TRIAL_LIMIT: Duration = Duration::from_secs(300);

/// The option that precedes a role.
const AS: &str = "--as";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Role {
    /// One contender, measured once.
    Trial(Trial),
    /// The other end of its pipes.
    Reader(Reading),
    /// What a tool writes to.
    #[cfg(unix)]
    Sink(crate::tools::Sink),
    /// What a tool reads from: so many bytes on standard output.
    #[cfg(unix)]
    Source(u64),
    /// A loop that one would write by hand: standard input to each of the files, one
    /// after the other.
    #[cfg(unix)]
    Loop(Vec<std::path::PathBuf>),
    /// The same, without a copy.
    #[cfg(target_os = "linux")]
    Tee(Vec<std::path::PathBuf>),
}

/// The role of this process, if it was given one.
pub(crate) fn given() -> Option<io::Result<Role>> {
    let mut args = env::args().skip(1);
    if args.next()? != AS {
        return None;
    }
    let role = args.next().unwrap_or_default();
    Some(serde_json::from_str(&role).map_err(io::Error::from))
}

impl Role {
    pub(crate) fn play(self) -> io::Result<()> {
        match self {
            Role::Trial(trial) => trial.run(),
            Role::Reader(reading) => reading.run(),
            #[cfg(unix)]
            Role::Sink(sink) => sink.run(),
            #[cfg(unix)]
            Role::Source(bytes) => crate::tools::source(bytes),
            #[cfg(unix)]
            Role::Loop(files) => crate::by_hand::copy(&files),
            #[cfg(target_os = "linux")]
            Role::Tee(files) => crate::by_hand::tee(&files),
        }
    }

    /// How a process of this role is started.
    pub(crate) fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(env::current_exe()?);
        command.args(self.arguments()?);
        Ok(command)
    }

    /// What makes this program play the role.
    pub(crate) fn arguments(&self) -> io::Result<[String; 2]> {
        Ok([AS.to_owned(), serde_json::to_string(self)?])
    }
}

/// Says the outcome of a role, for whoever started it.
pub(crate) fn tell(outcome: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_string(outcome)?;
    line.push('\n');
    io::stdout().write_all(line.as_bytes())
}

/// Runs a trial in a process of its own.
pub(crate) fn measure<T: DeserializeOwned>(trial: Trial) -> io::Result<T> {
    let mut command = Role::Trial(trial).command()?;
    #[cfg(windows)]
    crate::contenders::qt::pass_on(&mut command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let outcome = heard(&mut child);
    if outcome.is_err() {
        // It may have ended already.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let outcome = outcome?;
    if !status.success() {
        return Err(io::Error::other(format!("the trial failed: {status}")));
    }
    serde_json::from_str(&outcome).map_err(io::Error::from)
}

/// All that a process says, if it ends in time.
fn heard(child: &mut Child) -> io::Result<String> {
    let mut said = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut outcome = String::new();
        let read = said.read_to_string(&mut outcome);
        // Nobody listens if the time is over.
        let _ = tell.send(read.map(|_| outcome));
    });
    match told.recv_timeout(TRIAL_LIMIT) {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the trial did not end within {TRIAL_LIMIT:?}"),
        )),
    }
}
