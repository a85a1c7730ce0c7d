//! One direction of a relay: a thread that reads, and a writer.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use pipewright::PipeWriter;

use super::Event;
use crate::os::{Input, Waker, WayOut};
use crate::outlet::{End, Outlet};

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// Where a direction leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From standard input.
    ToTarget,
    /// From the target.
    ToStdout,
}

/// Why no more is read.
#[derive(Debug)]
pub(super) enum ReadEnd {
    /// There is no more.
    Eof,
    /// Nobody wants more.
    Stopped,
    Failed(io::Error),
}

/// One direction, as the conductor sees it.
pub(super) struct Lane {
    /// The side that is read, and the one that is written.
    pub(super) from: String,
    pub(super) to: String,
    outlet: Outlet,
    waker: Waker,
    /// Bytes so far.
    read: Arc<AtomicU64>,
    pub(super) read_end: Option<ReadEnd>,
    /// How the writing ended.
    pub(super) end: Option<End>,
}

/// A pipe to read, one to write, and what they are called.
pub(super) struct Pipes {
    pub(super) input: Input,
    pub(super) waker: Waker,
    pub(super) from: String,
    pub(super) way_out: WayOut,
    /// Whether nobody else has the handle's open file description.
    pub(super) sole_owner: bool,
    pub(super) to: String,
    /// What the other side hears when there is no more to read.
    pub(super) last: Option<Bytes>,
}

impl Lane {
    /// Begins to read and to write.
    ///
    /// # Errors
    ///
    /// The system's, if that is not possible at all.
    pub(super) fn start(
        way: Way,
        pipes: Pipes,
        buffer: u64,
        events: &Sender<Event>,
    ) -> io::Result<Lane> {
        let (written, carried) = (events.clone(), events.clone());
        let builder = PipeWriter::builder()
            .name(&pipes.to)
            .capacity(buffer)
            .sole_owner(pipes.sole_owner)
            .on_progress(move |progress| {
                if progress.outcome.is_some() {
                    let _ = written.send(Event::WriterEnded(way));
                }
            });
        let outlet = Outlet::open(builder, pipes.way_out, move || {
            let _ = carried.send(Event::WriterEnded(way));
        })
        .map_err(|trouble| io::Error::other(trouble.message))?;
        let read = Arc::new(AtomicU64::new(0));
        let reading = Reading {
            input: pipes.input,
            writer: outlet.writer().clone(),
            read: Arc::clone(&read),
            last: pipes.last,
        };
        let events = events.clone();
        thread::Builder::new()
            .name(way.to_string())
            .spawn(move || reading.run(|end| drop(events.send(Event::ReadEnded(way, end)))))?;
        Ok(Lane {
            from: pipes.from,
            to: pipes.to,
            outlet,
            waker: pipes.waker,
            read,
            read_end: None,
            end: None,
        })
    }

    /// Reads no more. What was read is still written.
    pub(super) fn stop_reading(&mut self) {
        self.waker.wake();
    }

    /// Writes no more.
    pub(super) fn stop(&mut self) {
        self.waker.wake();
        self.outlet.cancel();
    }

    /// How the writing ended, all of it: says so once.
    pub(super) fn ends(&mut self) -> Option<End> {
        self.outlet.follow_carrier();
        if self.end.is_none() {
            let outcome = self.outlet.writer().progress().outcome;
            self.end = outcome.and_then(|outcome| self.outlet.end(&outcome));
            return self.end.clone();
        }
        None
    }

    pub(super) fn is_over(&self) -> bool {
        self.read_end.is_some() && self.end.is_some()
    }

    /// How many bytes were written, and how many are in doubt.
    pub(super) fn bytes_written(&self) -> (u64, u64) {
        match self.outlet.carried() {
            Some(carried) => (carried, 0),
            None => {
                let progress = self.outlet.writer().progress();
                (progress.written, progress.in_doubt)
            }
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::ToTarget => "to target",
            Way::ToStdout => "to stdout",
        })
    }
}

/// What the thread has that reads.
struct Reading {
    input: Input,
    writer: PipeWriter,
    read: Arc<AtomicU64>,
    last: Option<Bytes>,
}

impl Reading {
    /// Until the end of what there is to read, or of who takes it; then the writer has
    /// everything that it will get.
    fn run(mut self, told: impl FnOnce(ReadEnd)) {
        let end = self.read_all();
        let last = self.last.filter(|_| matches!(end, ReadEnd::Eof));
        // Told first: the other side may end because this one has.
        told(end);
        if let Some(last) = last {
            // Refused only by a writer that has ended, and nobody is left to hear it.
            let _ = self.writer.send_timeout(last, Duration::MAX);
        }
        self.writer.finish();
    }

    fn read_all(&mut self) -> ReadEnd {
        let mut block = vec![0; BLOCK];
        loop {
            let len = match self.input.read(&mut block) {
                Ok(Some(0)) => return ReadEnd::Eof,
                Ok(Some(len)) => len,
                Ok(None) => return ReadEnd::Stopped,
                Err(error) => return ReadEnd::Failed(error),
            };
            self.read.fetch_add(len as u64, Ordering::Relaxed);
            let message = Bytes::copy_from_slice(&block[..len]);
            // Refused only by a writer that has ended. What it did not take is missing
            // from its account, and so is not lost from ours.
            if self.writer.send_timeout(message, Duration::MAX).is_err() {
                return ReadEnd::Stopped;
            }
        }
    }
}
