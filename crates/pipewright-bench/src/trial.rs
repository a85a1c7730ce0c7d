//! One contender, measured once, in a process that does nothing else.

use std::io;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, Lacking, Source, find, payload};
use crate::os::{self, Pipe};
use crate::reader::{Reader, Reading, Streamed};
use crate::role;

/// What is to be measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) contender: String,
    pub(crate) load: Load,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Load {
    /// Messages as fast as the contender takes them.
    Stream {
        stream: Streamed,
        pipe: Option<usize>,
    },
    /// Messages into an idle pipe, each after the one before was read.
    Latency(Pings),
    /// Messages at a steady pace while the reader stalls.
    Call { stream: Streamed, pace_ns: u64 },
    /// A few chunks into each of many pipes.
    Many {
        pipes: usize,
        chunks: usize,
        chunk: usize,
    },
}

/// Messages into an idle pipe.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pings {
    /// Sent first, and not counted.
    pub(crate) warm_up: u64,
    pub(crate) messages: u64,
    pub(crate) size: usize,
    /// The pause before each.
    pub(crate) pause_us: u64,
    /// The cores of the writer and of the reader.
    pub(crate) cores: Option<(usize, usize)>,
}

/// Of [`Load::Stream`] and [`Load::Many`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    /// What the writer's process used of the processors.
    pub(crate) cpu_seconds: Option<f64>,
    /// The most memory that it held, in bytes, above what it began with.
    pub(crate) memory: Option<u64>,
    /// Its threads, when half was done.
    pub(crate) threads: Option<u64>,
}

/// Of [`Load::Call`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Called {
    /// What each call took, in nanoseconds, without the clock.
    pub(crate) calls: Vec<u32>,
    pub(crate) memory: Option<u64>,
}

/// Of [`Load::Latency`]: from a message's time stamp until it was read, in
/// nanoseconds.
pub(crate) type Delays = Vec<u64>;

impl Trial {
    pub(crate) fn run(self) -> io::Result<()> {
        let contender = find(&self.contender)?;
        match self.load {
            Load::Stream { stream, pipe } => role::tell(&run_stream(contender, &stream, pipe)?),
            Load::Latency(pings) => role::tell(&run_latency(contender, &pings)?),
            Load::Call { stream, pace_ns } => role::tell(&run_call(contender, &stream, pace_ns)?),
            Load::Many {
                pipes,
                chunks,
                chunk,
            } => role::tell(&run_many(contender, pipes, chunks, chunk)?),
        }
    }
}

/// What a process has used so far.
struct Meter {
    at: u64,
    cpu: Option<u64>,
    memory: Option<u64>,
}

impl Meter {
    fn start() -> Meter {
        Meter {
            memory: os::memory().map(|memory| memory.now),
            cpu: os::cpu_time(),
            at: os::now(),
        }
    }

    fn stop(&self, at: u64, threads: Option<u64>) -> Ran {
        let cpu = os::cpu_time().zip(self.cpu);
        Ran {
            seconds: at.saturating_sub(self.at) as f64 / 1e9,
            cpu_seconds: cpu.map(|(now, then)| (now - then) as f64 / 1e9),
            memory: self.memory(),
            threads,
        }
    }

    fn memory(&self) -> Option<u64> {
        let held = os::memory().zip(self.memory);
        held.map(|(now, then)| now.peak.saturating_sub(then))
    }
}

fn only(pipes: Vec<Pipe>) -> io::Result<Pipe> {
    pipes
        .into_iter()
        .next()
        .ok_or(io::ErrorKind::NotFound.into())
}

fn run_stream(contender: &Contender, stream: &Streamed, pipe: Option<usize>) -> io::Result<Ran> {
    let (mut reader, pipes) = Reader::start(Reading::Stream(stream.clone()), pipe)?;
    let mut writer = (contender.stream)(only(pipes)?)?;
    let message = payload(stream.size);
    writer.feed(&mut Repeat::new(&message, stream.warm_up))?;
    reader.hear()?;
    let meter = Meter::start();
    writer.feed(&mut Repeat::new(&message, stream.messages))?;
    writer.close()?;
    let account = reader.account()?;
    Ok(meter.stop(account.at, account.threads))
}

/// The same message again and again.
struct Repeat<'a> {
    message: &'a Bytes,
    left: u64,
}

impl<'a> Repeat<'a> {
    fn new(message: &'a Bytes, left: u64) -> Self {
        Repeat { message, left }
    }
}

impl Source for Repeat<'_> {
    fn next(&mut self) -> io::Result<Option<&Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some(self.message))
    }
}

fn run_latency(contender: &Contender, pings: &Pings) -> io::Result<Delays> {
    if let Some((core, _)) = pings.cores {
        os::pin(core)?;
    }
    let reading = Reading::Stamps {
        messages: pings.warm_up + pings.messages,
        size: pings.size,
        core: pings.cores.map(|(_, core)| core),
    };
    let (reader, pipes) = Reader::start(reading, None)?;
    let mut writer = (contender.stream)(only(pipes)?)?;
    let mut stamped = Stamped {
        pings,
        sent: 0,
        reader,
        message: Bytes::new(),
    };
    writer.feed(&mut stamped)?;
    writer.close()?;
    let mut delays = stamped.reader.account()?.delays;
    let warm_up = usize::try_from(pings.warm_up).map_err(io::Error::other)?;
    Ok(delays.split_off(warm_up))
}

/// Messages that begin with the time at which they were sent, each after the reader
/// has answered the one before.
struct Stamped<'a> {
    pings: &'a Pings,
    sent: u64,
    reader: Reader,
    message: Bytes,
}

impl Source for Stamped<'_> {
    fn next(&mut self) -> io::Result<Option<&Bytes>> {
        if self.sent > 0 {
            self.reader.hear()?;
        }
        if self.sent == self.pings.warm_up + self.pings.messages {
            return Ok(None);
        }
        self.sent += 1;
        if self.pings.pause_us > 0 {
            thread::sleep(Duration::from_micros(self.pings.pause_us));
        }
        let mut message = vec![0; self.pings.size];
        message[..8].copy_from_slice(&os::now().to_le_bytes());
        self.message = message.into();
        Ok(Some(&self.message))
    }
}

fn run_call(contender: &Contender, stream: &Streamed, pace_ns: u64) -> io::Result<Called> {
    let call = contender.call.ok_or(Lacking("calls"))?;
    let (mut reader, pipes) = Reader::start(Reading::Stream(stream.clone()), None)?;
    let mut caller = call(only(pipes)?)?;
    let message = payload(stream.size);
    for _ in 0..stream.warm_up {
        caller.call(&message)?;
    }
    reader.hear()?;
    // Written to, so that the pages are there before they are measured.
    let calls = usize::try_from(stream.messages).map_err(io::Error::other)?;
    let mut times = vec![1; calls];
    let clock = clock_cost();
    let meter = Meter::start();
    let mut due = os::now();
    for time in &mut times {
        while os::now() < due {}
        due += pace_ns;
        let begun = os::now();
        caller.call(&message)?;
        let took = os::now().saturating_sub(begun + clock);
        *time = u32::try_from(took).unwrap_or(u32::MAX);
    }
    caller.close()?;
    reader.account()?;
    Ok(Called {
        calls: times,
        memory: meter.memory(),
    })
}

/// What two looks at the clock take when nothing is between them: the median.
fn clock_cost() -> u64 {
    let mut costs: Vec<_> = (0..10_001)
        .map(|_| {
            let begun = os::now();
            os::now().saturating_sub(begun)
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

fn run_many(contender: &Contender, pipes: usize, chunks: usize, chunk: usize) -> io::Result<Ran> {
    let many = contender.many.ok_or(Lacking("many pipes"))?;
    let each = chunks as u64 * chunk as u64;
    let (mut reader, pipes) = Reader::start(Reading::Many { pipes, each }, None)?;
    let open = many(pipes)?;
    reader.hear()?;
    let meter = Meter::start();
    open(&payload(chunk), chunks)?;
    let account = reader.account()?;
    Ok(meter.stop(account.at, account.threads))
}
