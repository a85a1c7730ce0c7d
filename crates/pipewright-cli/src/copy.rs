//! The fan-out: one thread reads the input, and hands every sink the same blocks,
//! by reference and never as copies.

use std::io;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use bytes::{Buf, Bytes};

use crate::block::Blocks;
use crate::event::Event;
use crate::feed::{Feed, Refused};
use crate::os::{Input, Splice, Waker};
use crate::rate::Limiter;
use crate::spec::OnFull;

/// Why no more is read.
pub(crate) enum CopyEnd {
    EndOfInput,
    /// Nobody is left to take anything.
    NoSinks,
    Woken,
    Failed(io::Error),
}

/// Ends the reading, whatever it waits for.
pub(crate) struct Stopper {
    waker: Waker,
    /// Never sent on: dropped.
    pause: Option<Sender<()>>,
}

impl Stopper {
    pub(crate) fn stop(&mut self) {
        self.waker.wake();
        self.pause = None;
    }
}

/// What is read, and how fast.
pub(crate) struct Source {
    input: Input,
    /// The short way, as long as it works.
    splice: Option<Splice>,
    limiter: Option<Limiter>,
    /// Its sender goes when no more is to be read.
    pause: Receiver<()>,
}

impl Source {
    pub(crate) fn new(
        input: Input,
        waker: Waker,
        rate: Option<NonZeroU64>,
        splice: Option<Splice>,
    ) -> (Source, Stopper) {
        let (sender, pause) = channel();
        let limiter = rate.map(|rate| Limiter::new(rate, Instant::now()));
        let source = Source {
            input,
            splice,
            limiter,
            pause,
        };
        let stopper = Stopper {
            waker,
            pause: Some(sender),
        };
        (source, stopper)
    }

    /// As [`Input::read`], once it may.
    fn read(&mut self, space: &mut [u8]) -> io::Result<Option<usize>> {
        let Some(limiter) = &mut self.limiter else {
            return self.input.read(space);
        };
        let allowed = loop {
            match limiter.allows(Instant::now()) {
                Ok(allowed) => break allowed.min(space.len()),
                Err(wait) => {
                    if self.pause.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                        return Ok(None);
                    }
                }
            }
        };
        let read = self.input.read(&mut space[..allowed]);
        if let Ok(Some(len)) = read {
            limiter.spend(len);
        }
        read
    }

    /// Moves what there is past this process's memory for as long as that goes. Returns
    /// what was read of the input and did not get through: nothing if it goes on with
    /// an ordinary read, which also finds the end, or what is wrong.
    fn short_cut(&mut self, lanes: &[Lane], read: &AtomicU64) -> io::Result<Bytes> {
        let [lane] = lanes else {
            return Ok(Bytes::new());
        };
        while let Some(splice) = &mut self.splice
            && lane.feed.is_passable()
        {
            let Ok(taken) = splice.take(&self.input, lane.buffer) else {
                self.splice = None;
                break;
            };
            let Some(len) = taken.filter(|&len| len > 0) else {
                break;
            };
            read.fetch_add(len as u64, Ordering::Relaxed);
            if !lane.feed.pass(splice, &self.input) {
                return splice.take_back();
            }
        }
        Ok(Bytes::new())
    }
}

/// Reads until there is a reason not to. `read` is kept up to date meanwhile.
pub(crate) fn copy(mut source: Source, mut lanes: Vec<Lane>, read: &AtomicU64) -> CopyEnd {
    let mut blocks = Blocks::for_buffers(lanes.iter().map(|lane| lane.buffer));
    while !lanes.is_empty() {
        let mut block = match source.short_cut(&lanes, read) {
            Ok(rest) => rest,
            Err(error) => return CopyEnd::Failed(error),
        };
        if block.is_empty() {
            let len = match source.read(blocks.space()) {
                Ok(Some(0)) => return CopyEnd::EndOfInput,
                Ok(Some(len)) => len,
                Ok(None) => return CopyEnd::Woken,
                Err(error) => return CopyEnd::Failed(error),
            };
            read.fetch_add(len as u64, Ordering::Relaxed);
            block = blocks.take(len);
        }
        hand_out(&block, &mut lanes);
        lanes.retain(|lane| !lane.over);
    }
    CopyEnd::NoSinks
}

/// Every sink that has room gets the block before any is waited for.
fn hand_out(block: &Bytes, lanes: &mut [Lane]) {
    for lane in &mut *lanes {
        lane.offer(block.clone());
    }
    for lane in lanes {
        lane.wait_for_room();
    }
}

/// The way to one sink.
pub(crate) struct Lane {
    sink: usize,
    feed: Arc<Feed>,
    buffer: usize,
    events: Sender<Event>,
    /// What of the current block the sink has not got yet.
    rest: Bytes,
    /// The sink takes no more.
    over: bool,
}

impl Lane {
    pub(crate) fn new(sink: usize, feed: Arc<Feed>, buffer: u64, events: Sender<Event>) -> Self {
        Lane {
            sink,
            feed,
            buffer: usize::try_from(buffer).unwrap_or(usize::MAX),
            events,
            rest: Bytes::new(),
            over: false,
        }
    }

    /// Sends as much as goes without waiting; what is left waits in `rest`.
    fn offer(&mut self, block: Bytes) {
        self.rest = block;
        while let Some(piece) = self.piece() {
            let len = piece.len();
            match self.feed.offer(piece) {
                Ok(()) => self.rest.advance(len),
                Err(Refused::Over) => self.end(),
                Err(Refused::Full(_)) if self.feed.on_full() == OnFull::Detach => {
                    // Told before it is done, so that the end has its reason when
                    // it comes.
                    let _ = self.events.send(Event::Detached(self.sink));
                    self.feed.stop();
                    self.end();
                }
                Err(Refused::Full(_)) => return,
            }
        }
    }

    /// Sends the rest, however long that takes. It ends early if the sink does,
    /// which is how a wait without hope is broken off.
    fn wait_for_room(&mut self) {
        while let Some(piece) = self.piece() {
            let len = piece.len();
            if self.feed.offer_patiently(piece) {
                self.rest.advance(len);
            } else {
                self.end();
            }
        }
    }

    /// The next of what is left, no larger than the sink likes.
    fn piece(&self) -> Option<Bytes> {
        let len = self.rest.len().min(self.feed.largest_piece());
        (len > 0).then(|| self.rest.slice(..len))
    }

    fn end(&mut self) {
        self.rest.clear();
        self.over = true;
    }
}

/// Starts [`copy`] on a thread of its own.
pub(crate) fn start(
    source: Source,
    lanes: Vec<Lane>,
    read: Arc<AtomicU64>,
    events: Sender<Event>,
) -> io::Result<()> {
    let copying = move || {
        let end = copy(source, lanes, &read);
        let _ = events.send(Event::CopyEnded(end));
    };
    std::thread::Builder::new()
        .name("copy".into())
        .spawn(copying)?;
    Ok(())
}
