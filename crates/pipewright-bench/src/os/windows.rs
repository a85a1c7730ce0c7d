//! Named pipes: the contender makes its own, as a server, and the reader opens it by
//! its name, as a client.

use std::env;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::io::OwnedHandle;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pipewright::named_pipe::ServerOptions;

use super::Memory;
pub(crate) use super::overlapped::Blocking;
pub(crate) use super::qt::{Library, Writer};

/// Where the reader finds the beginning of its pipes' names.
const NAME: &str = "PIPEWRIGHT_BENCH_PIPE";
/// How long the ends of a pipe look for each other.
const MEETING: Duration = Duration::from_secs(60);
/// The size of a pipe's buffer, unless asked for.
const SIZE: u32 = 64 * 1024;

/// A pipe that is to be made.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) name: String,
    pub(crate) size: u32,
}

impl Pipe {
    pub(crate) fn blocking(self) -> io::Result<Blocking> {
        Blocking::new(self.into_handle()?)
    }

    /// Makes it, and waits for the reader.
    pub(crate) fn into_handle(self) -> io::Result<OwnedHandle> {
        let options = ServerOptions::new(&self.name).out_buffer(self.size);
        options.max_instances(1).create()?.accept(MEETING)
    }
}

/// Starts a reader of so many pipes, of this size.
pub(crate) fn spawn(
    mut command: Command,
    pipes: usize,
    size: Option<usize>,
) -> io::Result<(Child, Vec<Pipe>)> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!(r"\\.\pipe\pipewright-bench-{}-{n}", std::process::id());
    command.env(NAME, &name).stdout(Stdio::piped());
    let size = size.map_or(SIZE, |size| u32::try_from(size).unwrap_or(u32::MAX));
    let pipe = |n| Pipe {
        name: format!("{name}-{n}"),
        size,
    };
    Ok((command.spawn()?, (0..pipes).map(pipe).collect()))
}

/// The reading ends of so many pipes, in the reader.
pub(crate) fn inputs(pipes: usize) -> io::Result<Vec<File>> {
    let name = env::var(NAME).map_err(io::Error::other)?;
    (0..pipes).map(|n| open(&format!("{name}-{n}"))).collect()
}

/// Opens a pipe as soon as it is there.
fn open(name: &str) -> io::Result<File> {
    let deadline = Instant::now() + MEETING;
    loop {
        match OpenOptions::new().read(true).open(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            opened => return opened,
        }
    }
}

pub(crate) fn note_on_many_pipes() -> Option<String> {
    None
}

/// Handles are limited by memory only.
pub(crate) fn most_pipes(wanted: usize) -> usize {
    wanted
}

/// Nanoseconds on a clock that all processes share.
pub(crate) fn now() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = time.unwrap_or_default();
    time.as_secs() * 1_000_000_000 + u64::from(time.subsec_nanos())
}

pub(crate) fn cpu_time() -> Option<u64> {
    None
}

pub(crate) fn memory() -> Option<Memory> {
    None
}

pub(crate) fn threads_of_parent() -> Option<u64> {
    None
}

pub(crate) fn cores() -> Vec<usize> {
    Vec::new()
}

pub(crate) fn pin(_core: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
