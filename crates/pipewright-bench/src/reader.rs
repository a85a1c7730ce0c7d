//! The other end of a contender's pipes, in a process of its own.
//!
//! It says a first line when it has the warm-up, and a second one, its
//! [`Account`], when everything came and the pipe was closed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::contenders::payload;
use crate::os::{self, Pipe};
use crate::role::{self, Role};

/// How much is asked for at once.
const READ: usize = 256 * 1024;

/// What a reader does.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Reading {
    /// Checks the warm-up, stalls, and counts the rest of a stream of messages.
    Stream(Streamed),
    /// Looks at the clock at each message, and answers it.
    Stamps {
        messages: u64,
        size: usize,
        core: Option<usize>,
    },
    /// Counts what comes from many pipes.
    Many { pipes: usize, each: u64 },
}

/// A stream of equal messages.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Streamed {
    pub(crate) size: usize,
    /// Messages of the warm-up.
    pub(crate) warm_up: u64,
    /// Messages after it.
    pub(crate) messages: u64,
    /// How long nothing is read after the warm-up.
    pub(crate) stall_ms: u64,
}

impl Streamed {
    fn warm_up_bytes(&self) -> u64 {
        self.warm_up * self.size as u64
    }

    fn bytes(&self) -> u64 {
        self.messages * self.size as u64
    }
}

/// What a reader saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Bytes after the warm-up.
    pub(crate) bytes: u64,
    /// When the last of them was there.
    pub(crate) at: u64,
    /// From a message's time stamp until it was read, in nanoseconds.
    pub(crate) delays: Vec<u64>,
    /// The threads of the writer's process when half was there.
    pub(crate) threads: Option<u64>,
}

impl Reading {
    pub(crate) fn run(&self) -> io::Result<()> {
        let account = match self {
            Reading::Stream(stream) => count(one()?, stream)?,
            &Reading::Stamps {
                messages,
                size,
                core,
            } => {
                core.map_or(Ok(()), os::pin)?;
                stamp(one()?, messages, size)?
            }
            &Reading::Many { pipes, each } => many(os::inputs(pipes)?, each)?,
        };
        role::tell(&account)
    }

    fn pipes(&self) -> usize {
        match self {
            Reading::Many { pipes, .. } => *pipes,
            _ => 1,
        }
    }

    /// How many bytes are to come after the warm-up.
    fn expected(&self) -> u64 {
        match self {
            Reading::Stream(stream) => stream.bytes(),
            &Reading::Stamps { messages, size, .. } => messages * size as u64,
            &Reading::Many { pipes, each } => pipes as u64 * each,
        }
    }
}

fn one() -> io::Result<File> {
    os::inputs(1)?.pop().ok_or(io::ErrorKind::NotFound.into())
}

fn say_ready() -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(b"\n")?;
    out.flush()
}

fn count(mut input: File, stream: &Streamed) -> io::Result<Account> {
    let mut buffer = vec![0; READ];
    check(&mut input, stream, &mut buffer)?;
    say_ready()?;
    thread::sleep(Duration::from_millis(stream.stall_ms));
    let mut account = Account::default();
    loop {
        let read = read(&mut input, &mut buffer)?;
        if read == 0 {
            return Ok(account);
        }
        account.bytes += read as u64;
        if account.bytes == stream.bytes() {
            account.at = os::now();
        }
    }
}

/// The warm-up, compared byte by byte.
fn check(input: &mut File, stream: &Streamed, buffer: &mut [u8]) -> io::Result<()> {
    let expected = payload(stream.size).repeat(READ.div_ceil(stream.size) + 1);
    let (mut at, mut left) = (0, stream.warm_up_bytes());
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(READ).min(READ);
        let read = read(input, &mut buffer[..most])?;
        if read == 0 || buffer[..read] != expected[at..at + read] {
            return Err(io::Error::other(format!(
                "the warm-up is not what was sent, {left} bytes before its end"
            )));
        }
        at = (at + read) % stream.size;
        left -= read as u64;
    }
    Ok(())
}

/// What is there, or 0 at the end: a writer that is gone, on Windows.
fn read(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    match input.read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        read => read,
    }
}

fn stamp(mut input: File, messages: u64, size: usize) -> io::Result<Account> {
    let mut out = io::stdout();
    let mut message = vec![0; size];
    let mut account = Account::default();
    for _ in 0..messages {
        input.read_exact(&mut message)?;
        account.at = os::now();
        let sent = message.first_chunk().copied().map(u64::from_le_bytes);
        account
            .delays
            .push(account.at.saturating_sub(sent.unwrap_or_default()));
        account.bytes += size as u64;
        // Standard output goes out at the end of a line.
        out.write_all(b"\n")?;
    }
    account.bytes += read(&mut input, &mut message)? as u64;
    Ok(account)
}

/// Reads what comes, on one thread.
#[cfg(unix)]
fn many(inputs: Vec<File>, each: u64) -> io::Result<Account> {
    use mio::unix::SourceFd;
    use mio::{Events, Interest, Poll, Token};
    use rustix::fs::{OFlags, fcntl_setfl};
    use std::os::fd::AsRawFd;

    let mut poll = Poll::new()?;
    for (n, input) in inputs.iter().enumerate() {
        fcntl_setfl(input, OFlags::NONBLOCK)?;
        let source = &mut SourceFd(&input.as_raw_fd());
        poll.registry()
            .register(source, Token(n), Interest::READABLE)?;
    }
    say_ready()?;
    let total = inputs.len() as u64 * each;
    let mut inputs: Vec<_> = inputs.into_iter().map(Some).collect();
    let mut open = inputs.len();
    let mut account = Account::default();
    let mut buffer = vec![0; READ];
    let mut events = Events::with_capacity(1024);
    while open > 0 {
        poll.poll(&mut events, None)?;
        for event in &events {
            // Until the pipe is empty: only then is there another event.
            while let Some(input) = &mut inputs[event.token().0] {
                match input.read(&mut buffer) {
                    Ok(0) => {
                        inputs[event.token().0] = None;
                        open -= 1;
                    }
                    Ok(read) => account.add(read, total),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(account)
}

/// Reads what comes, each pipe on a thread of its own.
#[cfg(windows)]
fn many(inputs: Vec<File>, each: u64) -> io::Result<Account> {
    use std::sync::Mutex;
    let total = inputs.len() as u64 * each;
    let account = Mutex::new(Account::default());
    let drain = |mut input: File| {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match read(&mut input, &mut buffer)? {
                0 => return Ok(()),
                read => lock(&account).add(read, total),
            }
        }
    };
    say_ready()?;
    thread::scope(|scope| {
        let drains: Vec<_> = inputs
            .into_iter()
            .map(|input| scope.spawn(|| drain(input)))
            .collect();
        let mut ends = drains.into_iter().map(|drain| drain.join());
        ends.try_for_each(|end| end.unwrap_or_else(|_| Err(io::Error::other("a reader panicked"))))
    })?;
    account
        .into_inner()
        .map_err(|_| io::Error::other("a reader panicked"))
}

#[cfg(windows)]
fn lock(account: &std::sync::Mutex<Account>) -> std::sync::MutexGuard<'_, Account> {
    account
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Account {
    fn add(&mut self, read: usize, total: u64) {
        self.bytes += read as u64;
        if self.threads.is_none() && self.bytes >= total / 2 {
            self.threads = os::threads_of_parent();
        }
        if self.bytes == total {
            self.at = os::now();
        }
    }
}

/// A reader, as the trial sees it.
#[derive(Debug)]
pub(crate) struct Reader {
    child: Child,
    said: BufReader<ChildStdout>,
    expected: u64,
}

impl Reader {
    /// Starts one, with pipes of this size where it can be had.
    pub(crate) fn start(reading: Reading, size: Option<usize>) -> io::Result<(Reader, Vec<Pipe>)> {
        let (expected, pipes) = (reading.expected(), reading.pipes());
        let command = Role::Reader(reading).command()?;
        let (mut child, pipes) = os::spawn(command, pipes, size)?;
        let said = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let reader = Reader {
            child,
            said: BufReader::new(said),
            expected,
        };
        Ok((reader, pipes))
    }

    /// Waits for its next line.
    pub(crate) fn hear(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.said.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the reader ended without a word"));
        }
        Ok(line)
    }

    /// Waits for its end. It must have read exactly what was sent.
    pub(crate) fn account(mut self) -> io::Result<Account> {
        let account: Account = serde_json::from_str(&self.hear()?)?;
        let status = self.child.wait()?;
        if !status.success() {
            return Err(io::Error::other(format!("the reader failed: {status}")));
        }
        if account.bytes != self.expected {
            return Err(io::Error::other(format!(
                "the reader got {} bytes instead of {}",
                account.bytes, self.expected
            )));
        }
        Ok(account)
    }
}
