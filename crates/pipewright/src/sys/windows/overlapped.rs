//! The driver for handles that were opened for overlapped I/O.
//!
//! A write has one of three outcomes, and each has one way on:
//!
//! * done at once: the answer of `submit`, no completion follows;
//! * pending: the kernel has the operation's [`Block`], and exactly one completion
//!   follows, which hands the block to the worker;
//! * refused at once: the answer of `submit`, no completion follows.
//!
//! A cancel changes nothing of this: it asks the kernel to hurry, and the completion
//! follows, with whatever came of the race. Nothing is freed before.
//!
//! A completion comes through a thread-pool wait on the block's event: that works on
//! handles that belong to somebody else's completion port too. Writes to such handles
//! are started on the [`Worker`] alone, which says why. A pipe that nobody else uses is
//! bound to a [`Port`] of ours instead, if it can be: then any thread starts writes, and
//! the worker of that port hears of the completions.

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::{Context, Poll};

use pipewright_core::{Limits, Operation};
use windows_sys::Win32::Foundation::{ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};
use windows_sys::Win32::System::IO::OVERLAPPED;

use super::block::{Block, Lent, Load, Ticket, Wrote};
use super::contiguous::Contiguous;
use super::errors;
use super::flush::{Asked, Flushes};
use super::kind::{Kind, Object, code_of};
use super::pause::Pause;
use super::port::{Bound, Port};
use super::worker::Worker;
use crate::sys::{Driver, Handling, Pipe, Refused, Senders, Submitted, Writer};

/// The most bytes of one operation: what may be in doubt after a cancel.
const MAX_BYTES: usize = 64 * 1024;

/// The least: with less, a tiny pipe would cost a system call for every few bytes.
const MIN_BYTES: usize = 4096;

pub(super) struct Overlapped {
    me: Weak<Overlapped>,
    worker: &'static Worker,
    /// The worker's port, if the handle is bound to it.
    bound: Option<(&'static Port, Bound)>,
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
    pending: Option<Pending>,
}

/// In the kernel, or on its way there or back. While it says so, the block is not freed,
/// so no other operation can have its address.
struct Pending {
    ticket: Ticket,
    pipe: Arc<OwnedHandle>,
    /// What a packet brings home.
    lent: Option<Lent>,
    /// A packet came before the thread that started the write could lend the block.
    /// Nobody waits for that thread: it may not be running.
    is_over: bool,
}

impl Pending {
    /// What is loaded, before it is given to the kernel.
    fn of(block: &Block) -> Option<Pending> {
        let load = block.loaded()?;
        Some(Pending {
            ticket: block.ticket(),
            pipe: Arc::clone(&load.pipe),
            lent: None,
            is_over: false,
        })
    }
}

impl Overlapped {
    pub(super) fn open(pipe: Pipe, kind: Kind, handling: Handling) -> Result<Arc<Self>, Refused> {
        let (worker, bound) = match way_home(&pipe, kind, handling) {
            Ok(way) => way,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let pipe = Arc::new(pipe);
        Ok(Arc::new_cyclic(|me| {
            if let Some((port, bound)) = &bound {
                port.serve(bound, Weak::clone(me));
            }
            Overlapped {
                me: Weak::clone(me),
                worker,
                bound,
                flushes: Flushes::new(&pipe),
                pipe: RwLock::new(Some(pipe)),
                kind,
                flight: Mutex::default(),
                spare: Mutex::default(),
                pause: Pause::default(),
            }
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
        // Noted before: the packet may be there before the call has returned.
        self.flight().pending = Pending::of(&block);
        let wrote = self.write(&mut block, len);
        match wrote {
            Wrote::Pending => self.lend(block),
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
    fn lend(&self, block: Block) -> Submitted {
        let mut flight = self.flight();
        let cancelled = flight.cancelled;
        let noted = flight.pending.as_mut();
        // The cancel may have come before there was anything to cancel.
        if let Some(pending) = noted.as_ref().filter(|_| cancelled) {
            pending.ticket.cancel(&pending.pipe);
        }
        let is_over = noted.as_ref().is_some_and(|pending| pending.is_over);
        if is_over && !block.is_incomplete() {
            drop(flight);
            self.worker.land(block);
            return Submitted::Pending;
        }
        let lent = block.lend();
        if let (Some(_), Some((port, _))) = (&lent, &self.bound) {
            port.expect();
        }
        if let Some(pending) = noted {
            pending.lent = lent;
        }
        Submitted::Pending
    }

    /// A packet has come, with the address of this OVERLAPPED: the block, if the kernel
    /// had it and is done with it.
    pub(super) fn arrived(&self, packet: *const OVERLAPPED) -> Option<Block> {
        let mut flight = self.flight();
        let pending = flight.pending.as_mut()?;
        if !pending.ticket.is(packet) {
            return None;
        }
        let Some(lent) = pending.lent.take() else {
            pending.is_over = true;
            return None;
        };
        lent.end().map_err(|lent| pending.lent = Some(lent)).ok()
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
        match (spare, &self.bound) {
            (Some(block), _) => Ok(block),
            (None, Some(_)) => Ok(Block::of_port()),
            (None, None) => Block::of_pool(),
        }
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
        let pending = self.flight().pending.take();
        let replaced = self.spare().replace(block);
        drop((pending, replaced));
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

    fn senders(&self) -> Senders<'_> {
        match self.bound {
            Some(_) => Senders::TakeTurns,
            None => Senders::Queue,
        }
    }

    fn closes_at_once(&self) -> bool {
        true
    }

    fn schedule(&self, writer: Arc<dyn Writer>) {
        self.worker.schedule(writer);
    }

    fn submit(&self, writer: Arc<dyn Writer>, operation: Operation) -> Submitted {
        debug_assert!(
            self.bound.is_some() || Worker::is_here(),
            "started on a thread that may end"
        );
        self.start(writer, operation)
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        self.pause.arm(writer)
    }

    fn cancel(&self) {
        let mut flight = self.flight();
        flight.cancelled = true;
        if let Some(pending) = &flight.pending {
            // Under the lock: so the ticket names this operation, not a later one.
            pending.ticket.cancel(&pending.pipe);
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

impl Drop for Overlapped {
    fn drop(&mut self) {
        if let Some((port, bound)) = &self.bound {
            port.forget(bound);
        }
    }
}

/// Who hears of the completions, and whether as packets.
fn way_home(
    pipe: &Pipe,
    kind: Kind,
    handling: Handling,
) -> io::Result<(&'static Worker, Option<(&'static Port, Bound)>)> {
    // In both ways: it also keeps the time.
    let worker = Worker::get()?;
    if handling.sole_owner && kind.object == Object::Pipe {
        if let Ok((worker, port)) = Worker::of_port() {
            // If not, it mostly belongs to a port already, which hears nothing of the
            // other way.
            if let Ok(bound) = port.bind(pipe.as_handle()) {
                return Ok((worker, Some((port, bound))));
            }
        }
    }
    Ok((worker, None))
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
