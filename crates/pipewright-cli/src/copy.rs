//! The fan-out: one thread reads the input, and hands every sink the same blocks,
//! by reference and never as copies.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::time::Duration;

use bytes::{Buf, Bytes};
use pipewright::{PipeWriter, SendTimeoutError, TrySendError};

use crate::block::Blocks;
use crate::event::Event;
use crate::os::Input;
use crate::spec::OnFull;

/// Why no more is read.
pub(crate) enum CopyEnd {
    EndOfInput,
    /// Nobody is left to take anything.
    NoSinks,
    Woken,
    Failed(io::Error),
}

/// Reads until there is a reason not to. `read` is kept up to date meanwhile.
pub(crate) fn copy(mut input: Input, mut lanes: Vec<Lane>, read: &AtomicU64) -> CopyEnd {
    let mut blocks = Blocks::for_buffers(lanes.iter().map(|lane| lane.buffer));
    while !lanes.is_empty() {
        let len = match input.read(blocks.space()) {
            Ok(Some(0)) => return CopyEnd::EndOfInput,
            Ok(Some(len)) => len,
            Ok(None) => return CopyEnd::Woken,
            Err(error) => return CopyEnd::Failed(error),
        };
        read.fetch_add(len as u64, Ordering::Relaxed);
        hand_out(&blocks.take(len), &mut lanes);
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
    writer: PipeWriter,
    on_full: OnFull,
    buffer: usize,
    events: Sender<Event>,
    /// What of the current block the sink has not got yet.
    rest: Bytes,
    /// The sink takes no more.
    over: bool,
}

impl Lane {
    pub(crate) fn new(
        sink: usize,
        writer: PipeWriter,
        on_full: OnFull,
        buffer: u64,
        events: Sender<Event>,
    ) -> Self {
        Lane {
            sink,
            writer,
            on_full,
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
            match self.writer.try_send(piece) {
                Ok(_) => self.rest.advance(len),
                Err(TrySendError::Closed(..)) => self.end(),
                Err(TrySendError::Full(_)) => match self.on_full {
                    OnFull::Wait => return,
                    OnFull::DropNewest => self.rest.advance(len),
                    OnFull::Detach => {
                        // Told before it is done, so that the end has its reason
                        // when it comes.
                        let _ = self.events.send(Event::Detached(self.sink));
                        self.writer.cancel();
                        self.end();
                    }
                },
            }
        }
    }

    /// Sends the rest, however long that takes. It ends early if the writer does,
    /// which is how a wait without hope is broken off.
    fn wait_for_room(&mut self) {
        while let Some(piece) = self.piece() {
            let len = piece.len();
            match self.writer.send_timeout(piece, Duration::MAX) {
                Ok(_) => self.rest.advance(len),
                Err(SendTimeoutError::Timeout(_)) => {}
                Err(SendTimeoutError::Closed(..)) => self.end(),
            }
        }
    }

    /// The next of what is left, no larger than the buffer: a writer would take a
    /// larger one too, once it is empty.
    fn piece(&self) -> Option<Bytes> {
        let len = self.rest.len().min(self.buffer);
        (len > 0).then(|| self.rest.slice(..len))
    }

    fn end(&mut self) {
        self.rest.clear();
        self.over = true;
    }
}

/// Starts [`copy`] on a thread of its own.
pub(crate) fn start(
    input: Input,
    lanes: Vec<Lane>,
    read: Arc<AtomicU64>,
    events: Sender<Event>,
) -> io::Result<()> {
    let copying = move || {
        let end = copy(input, lanes, &read);
        let _ = events.send(Event::CopyEnded(end));
    };
    std::thread::Builder::new()
        .name("copy".into())
        .spawn(copying)?;
    Ok(())
}
