//! The driver for handles that were opened for overlapped I/O.
//!
//! A write has one of three outcomes, and each has one way on:
//!
//! * done at once: the answer of `submit`, no completion follows;
//! * pending: the kernel has the operation's [`Block`], and exactly one completion
//!   follows, through a thread-pool wait on the block's event, which hands the block to
//!   the worker. That works on handles that belong to somebody else's completion port
//!   too;
//! * refused at once: the answer of `submit`, no completion follows.
//!
//! A cancel changes nothing of this: it asks the kernel to hurry, and the completion
//! follows, with whatever came of the race. Nothing is freed before.
//!
//! Writes are started on the [`Worker`] alone, which says why.

use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use pipewright_core::{Limits, Operation};
use windows_sys::Win32::Foundation::{ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};

use super::block::{Block, Load, Ticket, Wrote};
use super::contiguous::Contiguous;
use super::errors;
use super::flush::{Asked, Flushes};
use super::kind::{Kind, code_of};
use super::worker::{Timer, Worker};
use crate::sys::{Driver, Inline, Pipe, Refused, Submitted, Writer};

/// The most bytes of one operation: what may be in doubt after a cancel.
const MAX_BYTES: usize = 64 * 1024;

/// The least: with less, a tiny pipe would cost a system call for every few bytes.
const MIN_BYTES: usize = 4096;

pub(super) struct Overlapped {
    me: Weak<Overlapped>,
    worker: &'static Worker,
    /// Read-locked for calls that do not wait. Beside this one, only the operation in
    /// flight and the flushes have references.
    pipe: RwLock<Option<Arc<OwnedHandle>>>,
    flushes: Arc<Flushes>,
    kind: Kind,
    /// Held for calls that do not wait, and never while the writer is called.
    flight: Mutex<Flight>,
    /// A block that waits for the next operation.
    spare: Mutex<Option<Block>>,
    pause: Pause,
}

/// Where the operation is.
#[derive(Default)]
struct Flight {
    /// The writer is ending: no operation gets to the kernel any more.
    cancelled: bool,
    /// In the kernel. While it says so, the block is not freed, so no other operation
    /// can have its address.
    pending: Option<(Ticket, Arc<OwnedHandle>)>,
}

impl Overlapped {
    pub(super) fn open(pipe: Pipe, kind: Kind) -> Result<Arc<Self>, Refused> {
        let worker = match Worker::get() {
            Ok(worker) => worker,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let pipe = Arc::new(pipe);
        Ok(Arc::new_cyclic(|me| Overlapped {
            me: Weak::clone(me),
            worker,
            flushes: Flushes::new(&pipe),
            pipe: RwLock::new(Some(pipe)),
            kind,
            flight: Mutex::default(),
            spare: Mutex::default(),
            pause: Pause::default(),
        }))
    }

    fn flight(&self) -> MutexGuard<'_, Flight> {
        self.flight.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pipe(&self) -> Option<Arc<OwnedHandle>> {
        let pipe = self.pipe.read().unwrap_or_else(PoisonError::into_inner);
        pipe.clone()
    }

    fn start(&self, writer: Arc<dyn Writer>, operation: Operation) -> Submitted {
        if self.flight().cancelled {
            return errors::cancelled_before(operation);
        }
        let (Some(driver), Some(pipe)) = (self.me.upgrade(), self.pipe()) else {
            return errors::refused(operation, ERROR_INVALID_HANDLE);
        };
        let mut block = match self.block() {
            Ok(block) => block,
            Err(error) => return errors::refused(operation, code_of(&error)),
        };
        // Never cut to 32 bits: what is longer is refused.
        let Ok(len) = u32::try_from(operation.len()) else {
            return errors::refused(operation, ERROR_INVALID_PARAMETER);
        };
        block.load(Load {
            data: Contiguous::new(operation),
            pipe,
            writer,
            driver,
        });
        let wrote = self.write(&mut block, len);
        match wrote {
            Wrote::Pending => {
                self.pending(block);
                Submitted::Pending
            }
            Wrote::Done(written) => self.unload(block, |operation| self.wrote(operation, written)),
            Wrote::Refused(code) => {
                self.unload(block, |operation| errors::refused(operation, code))
            }
        }
    }

    /// Starts the write. A pipe in non-blocking mode says that it took nothing of what
    /// does not fit as a whole, so it is offered less and less.
    fn write(&self, block: &mut Block, len: u32) -> Wrote {
        let mut offered = len;
        loop {
            let wrote = block.write(offered);
            match wrote {
                Wrote::Done(0) if offered > 1 && self.kind.is_stream_pipe() => offered /= 2,
                wrote => return wrote,
            }
        }
    }

    /// The kernel has the operation.
    fn pending(&self, block: Block) {
        let ticket = block.ticket();
        let mut flight = self.flight();
        if let Some(pipe) = self.pipe() {
            // The cancel may have come before there was anything to cancel.
            if flight.cancelled {
                ticket.cancel(&pipe);
            }
            flight.pending = Some((ticket, pipe));
        }
        drop(flight);
        block.lend();
    }

    /// On a thread of the system's pool: the kernel is done with the operation. What
    /// follows may run user code, which must not keep a thread that is not ours.
    pub(super) fn completed(block: Block) {
        if let Some(worker) = block.loaded().map(|load| load.driver.worker) {
            worker.land(block);
        }
    }

    /// On the worker: the kernel is done with the operation.
    pub(super) fn land(mut block: Block) {
        let result = block.result();
        let Some(load) = block.unload() else {
            return;
        };
        let Load {
            data,
            pipe,
            writer,
            driver,
        } = load;
        let pending = driver.flight().pending.take();
        let replaced = driver.spare().replace(block);
        // Before the writer hears of it: then the handle may be given up, and is to
        // have no other owner.
        drop((pending, pipe, replaced));
        let operation = data.into_operation();
        let submitted = match result {
            Ok(written) => driver.wrote(operation, written),
            Err((written, code)) => errors::came_back(operation, written, code),
        };
        writer.landed(&*driver, submitted);
    }

    /// So many bytes, without an error.
    fn wrote(&self, operation: Operation, written: usize) -> Submitted {
        if written == 0 && self.kind.may_take_later(&operation) {
            return Submitted::NotReady(operation);
        }
        self.pause.reset();
        Submitted::Completed(operation, written)
    }

    fn block(&self) -> io::Result<Block> {
        let spare = self.spare().take();
        spare.map_or_else(Block::new, Ok)
    }

    /// Takes the operation out of a block that the kernel never had, or had only
    /// during the call, and keeps the block for the next one.
    fn unload(
        &self,
        mut block: Block,
        submitted: impl FnOnce(Operation) -> Submitted,
    ) -> Submitted {
        let Some(load) = block.unload() else {
            // `start` has put it there.
            return Submitted::Pending;
        };
        let replaced = self.spare().replace(block);
        drop(replaced);
        submitted(load.data.into_operation())
    }

    fn spare(&self) -> MutexGuard<'_, Option<Block>> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Overlapped {
    fn limits(&self) -> Limits {
        limits(self.kind)
    }

    fn inline(&self) -> Option<&dyn Inline> {
        None
    }

    fn closes_at_once(&self) -> bool {
        true
    }

    fn schedule(&self, writer: Arc<dyn Writer>) {
        self.worker.schedule(writer);
    }

    fn submit(&self, writer: Arc<dyn Writer>, operation: Operation) -> Submitted {
        debug_assert!(Worker::is_here(), "started on a thread that may end");
        self.start(writer, operation)
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        self.pause.arm(writer)
    }

    fn cancel(&self) {
        let mut flight = self.flight();
        flight.cancelled = true;
        if let Some((ticket, pipe)) = &flight.pending {
            // Under the lock: so the ticket names this operation, not a later one.
            ticket.cancel(pipe);
        }
    }

    fn detach(&self, writer: Arc<dyn Writer>) -> Poll<Option<Pipe>> {
        let pipe = self
            .pipe
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let spare = self.spare().take();
        drop(spare);
        self.pause.end();
        // Nothing is in flight, so beside the flushes nobody has a reference.
        pipe.map_or(Poll::Ready(None), |pipe| self.flushes.end(pipe, writer))
    }

    fn poll_read(&self, asked: &mut Asked, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes.poll(self.kind, asked, cx)
    }
}

/// Of a pipe, not more than it holds: more would only wait in the kernel, where a
/// cancel leaves it in doubt.
pub(super) fn limits(kind: Kind) -> Limits {
    Limits {
        max_bytes: kind
            .quota
            .map_or(MAX_BYTES, |quota| quota.clamp(MIN_BYTES, MAX_BYTES)),
        max_chunks: usize::MAX,
    }
}

/// Waits longer and longer between attempts, while no event tells when the pipe takes
/// something: it is full and in non-blocking mode, or has no client yet.
#[derive(Default)]
pub(super) struct Pause {
    misses: AtomicU32,
    timer: Mutex<Option<Timer>>,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(50);

    pub(super) fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        struct Ready(Arc<dyn Writer>);
        impl Wake for Ready {
            fn wake(self: Arc<Self>) {
                Arc::clone(&self.0).ready();
            }
        }
        let misses = self.misses.fetch_add(1, Ordering::Relaxed);
        let pause = (Self::FIRST * 2_u32.pow(misses.min(10))).min(Self::LONGEST);
        let waker = Waker::from(Arc::new(Ready(writer)));
        // Under the lock: were it noted only after it is over, it would take the place
        // of the next one, and end that.
        let mut slot = self.timer();
        let replaced = slot.replace(Timer::start(Instant::now() + pause, waker)?);
        drop(slot);
        drop(replaced);
        Ok(())
    }

    pub(super) fn reset(&self) {
        self.misses.store(0, Ordering::Relaxed);
    }

    pub(super) fn end(&self) {
        let ended = self.timer().take();
        drop(ended);
    }

    fn timer(&self) -> MutexGuard<'_, Option<Timer>> {
        self.timer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
