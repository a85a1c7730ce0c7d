//! Pipes that are made here and passed to the reader over a socket, so that writers
//! keep the description that the pipe was made with, as in any program.

use std::fs::{self, File};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::Memory;

/// How many descriptors are passed at once; Linux allows 253.
const BATCH: usize = 128;
/// Descriptors that a process has besides those of its pipes.
const OTHERS: u64 = 512;

/// The writing end of a pipe.
#[derive(Debug)]
pub(crate) struct Pipe(OwnedFd);

/// The writing end, as an `io::Write` that waits.
pub(crate) type Blocking = File;

impl Pipe {
    pub(crate) fn blocking(self) -> io::Result<Blocking> {
        Ok(self.0.into())
    }

    pub(crate) fn into_handle(self) -> io::Result<OwnedFd> {
        Ok(self.0)
    }
}

/// Starts a reader with the reading ends of so many new pipes, of this size where it
/// can be had.
pub(crate) fn spawn(
    mut command: Command,
    pipes: usize,
    size: Option<usize>,
) -> io::Result<(Child, Vec<Pipe>)> {
    allow_descriptors(pipes)?;
    let (ours, theirs) = UnixStream::pair()?;
    command.stdin(OwnedFd::from(theirs)).stdout(Stdio::piped());
    let child = command.spawn()?;
    // It holds the socket's other end, whose end the reader would never see.
    drop(command);
    let mut writing = Vec::with_capacity(pipes);
    while writing.len() < pipes {
        let batch = BATCH.min(pipes - writing.len());
        let mut reading = Vec::with_capacity(batch);
        for _ in 0..batch {
            let (reader, writer) = io::pipe()?;
            let writer = OwnedFd::from(writer);
            set_size(&writer, size)?;
            reading.push(OwnedFd::from(reader));
            writing.push(Pipe(writer));
        }
        pass(&ours, &reading)?;
    }
    Ok((child, writing))
}

fn pass(socket: &UnixStream, reading: &[OwnedFd]) -> io::Result<()> {
    let borrowed: Vec<BorrowedFd<'_>> = reading.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&borrowed)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    sendmsg(
        socket,
        &[IoSlice::new(&[0])],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}

/// The reading ends of so many pipes, in the reader.
pub(crate) fn inputs(pipes: usize) -> io::Result<Vec<File>> {
    allow_descriptors(pipes)?;
    let socket = io::stdin();
    let mut inputs = Vec::with_capacity(pipes);
    while inputs.len() < pipes {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut into = [IoSliceMut::new(&mut byte)];
        let received = recvmsg(&socket, &mut into, &mut control, RecvFlags::empty())?;
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(passed) = message {
                inputs.extend(passed.map(File::from));
            }
        }
    }
    Ok(inputs)
}

/// Whose pipes these are, because that decides how large they are.
pub(crate) fn note_on_many_pipes() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let whose = if rustix::process::geteuid().is_root() {
        "Measured as root, whose pipes all have their full size"
    } else {
        "Measured as an ordinary user, whose pipes beyond the first 1,024 are smaller"
    };
    Some(format!("{whose} (Linux man page pipe(7))."))
}

/// How many pipes this process may have, after raising its limit as far as it goes.
pub(crate) fn most_pipes(wanted: usize) -> usize {
    if allow_descriptors(wanted).is_ok() {
        return wanted;
    }
    let limit = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    usize::try_from(limit.saturating_sub(OTHERS)).unwrap_or(usize::MAX)
}

/// Raises the limit of descriptors if that is needed for so many pipes.
fn allow_descriptors(pipes: usize) -> io::Result<()> {
    let needed = u64::try_from(pipes).map_or(u64::MAX, |pipes| pipes.saturating_add(OTHERS));
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(needed),
        maximum: limit.maximum.map(|maximum| maximum.max(needed)),
    };
    setrlimit(Resource::Nofile, raised)?;
    Ok(())
}

/// Nanoseconds on a clock that all processes share.
pub(crate) fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// What this process has used of the processors, in nanoseconds.
pub(crate) fn cpu_time() -> Option<u64> {
    Some(nanoseconds(ClockId::ProcessCPUTime))
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}

pub(crate) fn memory() -> Option<Memory> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(Memory {
        now: field(&status, "VmRSS:")? * 1024,
        peak: field(&status, "VmHWM:")? * 1024,
    })
}

/// How many threads the process has that started this one.
pub(crate) fn threads_of_parent() -> Option<u64> {
    let parent = std::os::unix::process::parent_id();
    field(
        &fs::read_to_string(format!("/proc/{parent}/status")).ok()?,
        "Threads:",
    )
}

/// A number in the manner of `/proc/PID/status` (man page proc_pid_status(5)).
fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(target_os = "linux")]
pub(crate) fn set_size(pipe: &OwnedFd, size: Option<usize>) -> io::Result<()> {
    if let Some(size) = size {
        rustix::pipe::fcntl_setpipe_size(pipe, size)?;
    }
    Ok(())
}

/// Other systems have pipes of one size.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_size(_pipe: &OwnedFd, _size: Option<usize>) -> io::Result<()> {
    Ok(())
}

/// The cores that this process may use, by number; none where it cannot choose.
#[cfg(target_os = "linux")]
pub(crate) fn cores() -> Vec<usize> {
    use rustix::thread::{CpuSet, sched_getaffinity};
    let allowed = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

/// Keeps this thread, and those that it starts, on one core.
#[cfg(target_os = "linux")]
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut only = rustix::thread::CpuSet::new();
    only.set(core);
    rustix::thread::sched_setaffinity(None, &only)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn cores() -> Vec<usize> {
    Vec::new()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn pin(_core: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
