//! Commands that copy their standard input: what feeds them, what they write to, and
//! how they are called.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use serde::{Deserialize, Serialize};

use crate::args::Options;
use crate::contenders::payload;
use crate::os;
use crate::role::{self, Role};

/// How much the source writes at once, and the loops by hand read.
pub(crate) const BLOCK: usize = 64 << 10;

/// What a tool writes to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sink {
    /// A FIFO, or standard input.
    pub(crate) fifo: Option<PathBuf>,
    /// How many bytes it takes a second at most.
    pub(crate) rate: Option<u64>,
}

/// What a sink saw.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) bytes: u64,
    /// When it had the last of them.
    pub(crate) at: u64,
}

impl Sink {
    pub(crate) fn run(&self) -> io::Result<()> {
        let mut input = match &self.fifo {
            Some(fifo) => File::open(fifo)?,
            None => File::from(io::stdin().as_fd().try_clone_to_owned()?),
        };
        let mut buffer = vec![0; 4 * BLOCK];
        let mut took = Took {
            bytes: 0,
            at: os::now(),
        };
        let begun = Instant::now();
        loop {
            let most = if self.rate.is_some() {
                BLOCK
            } else {
                buffer.len()
            };
            let read = input.read(&mut buffer[..most])?;
            if read == 0 {
                return role::tell(&took);
            }
            took.bytes += read as u64;
            took.at = os::now();
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64(took.bytes as f64 / rate as f64);
                thread::sleep(due.saturating_sub(begun.elapsed()));
            }
        }
    }
}

/// Writes so many bytes to standard output.
pub(crate) fn source(bytes: u64) -> io::Result<()> {
    let mut output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let block = payload(BLOCK);
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
        output.write_all(&block[..most])?;
        left -= most as u64;
    }
    Ok(())
}

/// A program of this name on the search path, if it is installed.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// The command of this project: as given, or built now like this program.
pub(crate) fn pipewright_command(options: &Options) -> io::Result<PathBuf> {
    if let Some(given) = &options.command {
        return Ok(given.clone());
    }
    let this = env::current_exe()?;
    let folder = this.parent().ok_or(io::ErrorKind::NotFound)?;
    let target = folder.parent().ok_or(io::ErrorKind::NotFound)?;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo
        .args(["build", "--quiet", "-p", "pipewright-cli", "--target-dir"])
        .arg(target);
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    match cargo.status()?.success() {
        true => Ok(folder.join("pipewright")),
        false => Err(io::Error::other(
            "the pipewright command cannot be built; give --command",
        )),
    }
}

/// Starts what writes so many bytes into a pipe. This process keeps nothing of it.
pub(crate) fn start_source(bytes: u64, output: OwnedFd) -> io::Result<Child> {
    let mut source = Role::Source(bytes).command()?;
    source.stdin(Stdio::null()).stdout(output).spawn()
}

/// Feeds a tool through a pipe, waits for it and for its source, and says how it
/// ended. `arrange` says where its output goes.
pub(crate) fn feed(
    mut tool: Command,
    bytes: u64,
    arrange: impl FnOnce(&mut Command),
) -> io::Result<ExitStatus> {
    let (input, output) = io::pipe()?;
    let mut source = start_source(bytes, output.into())?;
    tool.stdin(OwnedFd::from(input)).stderr(Stdio::null());
    arrange(&mut tool);
    let child = tool.spawn();
    // It holds the pipes, whose ends would never be seen.
    drop(tool);
    let status = child?.wait()?;
    source.wait()?;
    Ok(status)
}

/// A folder with FIFOs, and a sink at the end of each.
pub(crate) struct Sinks {
    folder: tempfile::TempDir,
    count: usize,
    running: Vec<Child>,
}

impl Sinks {
    /// The folder, and room for this many.
    pub(crate) fn new(count: usize) -> io::Result<Sinks> {
        let folder = tempfile::tempdir()?;
        for n in 0..count {
            pipewright::fifo::create(folder.path().join(n.to_string()))?;
        }
        Ok(Sinks {
            folder,
            count,
            running: Vec::new(),
        })
    }

    pub(crate) fn fifo(&self, n: usize) -> PathBuf {
        self.folder.path().join(n.to_string())
    }

    pub(crate) fn fifos(&self) -> Vec<PathBuf> {
        (0..self.count).map(|n| self.fifo(n)).collect()
    }

    fn account(&self, n: usize) -> PathBuf {
        self.folder.path().join(format!("{n}.took"))
    }

    /// Starts one behind each FIFO, the last at this rate.
    pub(crate) fn start(&mut self, last: Option<u64>) -> io::Result<()> {
        for n in 0..self.count {
            let rate = last.filter(|_| n + 1 == self.count);
            let fifo = Some(self.fifo(n));
            let mut sink = Role::Sink(Sink { fifo, rate }).command()?;
            sink.stdin(Stdio::null())
                .stdout(File::create(self.account(n))?);
            self.running.push(sink.spawn()?);
        }
        Ok(())
    }

    /// The same as shell commands, for a tool that starts its sinks itself.
    pub(crate) fn shell(&self, last: Option<u64>) -> io::Result<Vec<String>> {
        let program = env::current_exe()?;
        let command = |n| {
            let rate = last.filter(|_| n + 1 == self.count);
            let [option, role] = Role::Sink(Sink { fifo: None, rate }).arguments()?;
            let words = [program.as_path(), Path::new(&option), Path::new(&role)];
            let words: Vec<_> = words.map(quoted).into();
            Ok(format!(
                "exec {} > {}",
                words.join(" "),
                quoted(&self.account(n))
            ))
        };
        (0..self.count).map(command).collect()
    }

    /// Waits for all, after the tool has ended, and says what they took.
    pub(crate) fn took(mut self) -> io::Result<Vec<Took>> {
        for fifo in self.fifos() {
            // A sink that the tool never wrote to still waits for somebody who does.
            // Those that ended do not: then this fails.
            let _ = open(&fifo, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty());
        }
        for mut sink in self.running.drain(..) {
            sink.wait()?;
        }
        let took = |n| Ok(serde_json::from_slice(&fs::read(self.account(n))?)?);
        (0..self.count).map(took).collect()
    }
}

/// One word of the shell.
fn quoted(word: &Path) -> String {
    format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_path_does_not_end_the_word() {
        assert_eq!(quoted(Path::new("it's")), r"'it'\''s'");
    }
}
