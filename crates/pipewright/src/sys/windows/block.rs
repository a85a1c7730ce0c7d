//! The heap block of one overlapped write: everything that the kernel may touch,
//! from the call to the completion.
//!
//! # Invariants
//!
//! * **I1 place**: a block lies at one address from [`Block::new`] until it is
//!   freed, and everything points to it there.
//! * **I2 owner**: a block has exactly one owner: a [`Block`] value, or, from
//!   [`Block::lend`] until the completion, the kernel together with the thread-pool
//!   wait or with a [`Lent`], which frees nothing. While the kernel has it there is no
//!   `Block` value that is dropped, so nothing can free it; the callback, or
//!   [`Lent::end`], makes one again. Should that never be, the memory is never freed.
//! * **I3 load**: the data, the handle and whoever is to be told are in the block
//!   while the kernel has it.
//! * **I4 once**: the wait is armed by `lend` alone, fires once for each time that it
//!   is armed, and its callback ends the loan before anything else. A block that has no
//!   wait comes home by its `Lent` alone, of which there is one for each loan.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::io;
use std::mem::ManuallyDrop;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use windows_sys::Win32::Foundation::{ERROR_IO_INCOMPLETE, HANDLE};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::{
    CloseThreadpoolWait, CreateThreadpoolWait, PTP_CALLBACK_INSTANCE, PTP_WAIT, SetThreadpoolWait,
};

use super::contiguous::Contiguous;
use super::errors::{self, Class};
use super::kind::last_error;
use super::overlapped::Overlapped;
use super::signal::{event, reset};
use crate::sys::Writer;

/// What an operation needs on its way, beside the memory of the block itself.
pub(super) struct Load {
    pub(super) data: Contiguous,
    /// Keeps the handle open until the completion.
    pub(super) pipe: Arc<OwnedHandle>,
    pub(super) writer: Arc<dyn Writer>,
    pub(super) driver: Arc<Overlapped>,
}

/// What `WriteFile` answered.
pub(super) enum Wrote {
    /// Done at once; no completion follows. This many bytes.
    Done(usize),
    /// The kernel has it: exactly one completion follows, whatever happens.
    Pending,
    /// Refused at once; no completion follows.
    Refused(u32),
}

/// A block that the kernel does not have.
pub(super) struct Block(NonNull<Memory>);

/// A block that the kernel has, and that comes home by a packet of the [`Port`], which is
/// looked up here. Dropped, it leaks.
///
/// [`Port`]: super::port::Port
pub(super) struct Lent(NonNull<Memory>);

struct Memory {
    /// The kernel writes to it while it has the block.
    overlapped: UnsafeCell<OVERLAPPED>,
    /// How a thread of the pool hears of the completion; not if a packet tells it.
    pool: Option<Pool>,
    load: Option<Load>,
}

struct Pool {
    /// Set by the completion. Nobody else has the handle.
    event: OwnedHandle,
    /// 0 until it is made.
    wait: PTP_WAIT,
}

// SAFETY: by I2 a `Block` is the only owner of its memory, as a `Box` is, and what is
// in there may go to other threads: handles, the wait's handle, and `Load`, which is
// `Send` (asserted below).
unsafe impl Send for Block {}

// SAFETY: it gives access to the memory only by becoming the `Block` again.
unsafe impl Send for Lent {}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Load>();
    is_send::<OwnedHandle>();
};

impl Block {
    /// A block for handles that are bound to no port of ours.
    ///
    /// # Errors
    ///
    /// The system's, for want of memory or handles.
    pub(super) fn of_pool() -> io::Result<Block> {
        let event = event()?;
        let mut block = Block::new(Some(Pool { event, wait: 0 }));
        let context = block.0.as_ptr().cast::<c_void>();
        // SAFETY: the context stays valid until the wait is closed, which `drop`
        // does before it frees the memory (I1); no environment is the default pool.
        let made = unsafe { CreateThreadpoolWait(Some(completed), context, ptr::null()) };
        if made == 0 {
            return Err(io::Error::last_os_error());
        }
        if let Some(Pool { wait, .. }) = &mut block.memory_mut().pool {
            *wait = made;
        }
        Ok(block)
    }

    /// A block for handles that are bound to the port.
    pub(super) fn of_port() -> Block {
        Block::new(None)
    }

    fn new(pool: Option<Pool>) -> Block {
        let memory = Box::new(Memory {
            overlapped: UnsafeCell::default(),
            pool,
            load: None,
        });
        Block(NonNull::from(Box::leak(memory)))
    }

    /// Starts to write the first `len` bytes of the load's data.
    ///
    /// After [`Wrote::Pending`] the kernel has the block, and the caller must
    /// [`lend`](Self::lend) it.
    pub(super) fn write(&mut self, len: u32) -> Wrote {
        let event = match &self.memory().pool {
            Some(pool) => without_packet(pool.event.as_raw_handle()),
            None => ptr::null_mut(),
        };
        let overlapped = self.memory_mut().overlapped.get_mut();
        *overlapped = OVERLAPPED {
            hEvent: event,
            ..OVERLAPPED::default()
        };
        let Some(load) = &self.memory().load else {
            return Wrote::Done(0);
        };
        let data = load.data.data();
        if data.len() < len as usize {
            return Wrote::Refused(windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER);
        }
        let (handle, data) = (load.pipe.as_raw_handle(), data.as_ptr());
        let overlapped = self.overlapped();
        // SAFETY: the handle is open, and was opened for overlapped I/O, which `open`
        // found out; `data` holds at least `len` bytes (looked at above). They and
        // the OVERLAPPED stay as they are until the completion: the load is in the
        // block (I3), which is not freed before (I2). The count must not be asked for
        // here (Microsoft, "WriteFile function", on lpNumberOfBytesWritten).
        let done = unsafe { WriteFile(handle, data, len, ptr::null_mut(), overlapped) };
        if done != 0 {
            return match self.result() {
                Ok(written) => Wrote::Done(written),
                Err((_, error)) => Wrote::Refused(error),
            };
        }
        let error = last_error();
        match errors::class(error) {
            Class::Pending => Wrote::Pending,
            _ => Wrote::Refused(error),
        }
    }

    /// What became of the write: how many bytes, and the error if there is one.
    pub(super) fn result(&self) -> Result<usize, (usize, u32)> {
        let handle = match &self.memory().load {
            Some(load) => load.pipe.as_raw_handle(),
            None => ptr::null_mut(),
        };
        let mut written = 0;
        // SAFETY: the OVERLAPPED is the one of the last `write` (I1), and `written`
        // lives for the call, which does not wait.
        let done = unsafe { GetOverlappedResult(handle, self.overlapped(), &raw mut written, 0) };
        let error = if done == 0 { last_error() } else { 0 };
        let written = written as usize;
        if done == 0 {
            return Err((written, error));
        }
        Ok(written)
    }

    /// Gives the block to the kernel's completion: the callback tells the writer, or,
    /// if there is one, whoever has the `Lent`.
    pub(super) fn lend(self) -> Option<Lent> {
        // From here on the callback or the `Lent` is the owner (I2).
        let lent = ManuallyDrop::new(self);
        let Some(pool) = &lent.memory().pool else {
            return Some(Lent(lent.0));
        };
        let (wait, event) = (pool.wait, pool.event.as_raw_handle());
        // SAFETY: wait and event are the block's own, and both are open until it is
        // freed, which only the callback can do, after this call armed it (I4).
        unsafe { SetThreadpoolWait(wait, event, ptr::null()) };
        None
    }

    /// Whether the kernel still has it.
    pub(super) fn is_incomplete(&self) -> bool {
        matches!(self.result(), Err((_, ERROR_IO_INCOMPLETE)))
    }

    pub(super) fn load(&mut self, load: Load) {
        self.memory_mut().load = Some(load);
    }

    pub(super) fn loaded(&self) -> Option<&Load> {
        self.memory().load.as_ref()
    }

    pub(super) fn unload(&mut self) -> Option<Load> {
        self.memory_mut().load.take()
    }

    /// What the write is known by, to cancel it.
    pub(super) fn ticket(&self) -> Ticket {
        Ticket(self.overlapped())
    }

    fn overlapped(&self) -> *mut OVERLAPPED {
        self.memory().overlapped.get()
    }

    fn memory(&self) -> &Memory {
        // SAFETY: it points to live memory that `self` owns (I2), of which the kernel
        // writes at most to `overlapped`, which is an `UnsafeCell`.
        unsafe { self.0.as_ref() }
    }

    fn memory_mut(&mut self) -> &mut Memory {
        // SAFETY: it points to live memory that `self` alone owns (I2). The kernel does
        // not have it: the methods that use this run before `WriteFile` or after the
        // completion.
        unsafe { self.0.as_mut() }
    }
}

impl Drop for Block {
    /// By I4 no callback can be on its way here but the one that ended the last loan,
    /// and that one does not touch the memory any more; a wait may be closed while its
    /// callback runs (Microsoft, "CloseThreadpoolWait function": it is then freed after
    /// the callback).
    fn drop(&mut self) {
        let wait = self.memory().pool.as_ref().map_or(0, |pool| pool.wait);
        if wait != 0 {
            // SAFETY: the wait is open; without an event it waits for nothing.
            unsafe { SetThreadpoolWait(wait, ptr::null_mut(), ptr::null()) };
            // SAFETY: the wait is open, and nobody uses it after this.
            unsafe { CloseThreadpoolWait(wait) };
        }
        // SAFETY: it was a `Box` (see `new`), and `self` is its only owner (I2).
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

impl Lent {
    /// The block again, if the kernel is done with it.
    pub(super) fn end(self) -> Result<Block, Lent> {
        // Not an owner yet: it is to free nothing.
        let block = ManuallyDrop::new(Block(self.0));
        if block.is_incomplete() {
            return Err(self);
        }
        Ok(ManuallyDrop::into_inner(block))
    }
}

/// Names a pending write. It may outlive the write: it is only compared.
pub(super) struct Ticket(*mut OVERLAPPED);

// SAFETY: the pointer is never followed, only handed to `CancelIoEx`, which compares
// it with those of the pending operations.
unsafe impl Send for Ticket {}

impl Ticket {
    /// Whether it is the write with its OVERLAPPED there.
    pub(super) fn is(&self, overlapped: *const OVERLAPPED) -> bool {
        ptr::eq(self.0, overlapped)
    }

    /// Asks the system to cancel the write. Its completion follows as always, as
    /// cancelled or not; that there is nothing to cancel is no error.
    pub(super) fn cancel(&self, pipe: &OwnedHandle) {
        // SAFETY: the handle is open while it is borrowed; the pointer is not followed.
        // What the call answers changes nothing: the completion tells.
        unsafe { CancelIoEx(pipe.as_raw_handle(), self.0) };
    }
}

/// The event handle with its low bit set: then no packet is queued to a completion
/// port that somebody else has bound the handle to (Microsoft,
/// "GetQueuedCompletionStatus function", on lpOverlapped).
fn without_packet(event: HANDLE) -> HANDLE {
    event.map_addr(|address| address | 1)
}

/// The thread pool's callback: the event of a block that was lent is set.
unsafe extern "system" fn completed(
    _: PTP_CALLBACK_INSTANCE,
    context: *mut c_void,
    _: PTP_WAIT,
    _: u32,
) {
    let Some(memory) = NonNull::new(context.cast::<Memory>()) else {
        return;
    };
    // The context is the memory's address (see `new`), it was lent, and the loan ends
    // here, once (I4).
    let block = Block(memory);
    if block.is_incomplete() {
        // The event was set and the kernel is not done: it should not happen. Wait on,
        // for an event that is set after this moment; look again, in case it was just
        // before.
        if let Some(pool) = &block.memory().pool {
            reset(pool.event.as_handle());
        }
        if block.is_incomplete() {
            let _comes_back_here = block.lend();
            return;
        }
    }
    Overlapped::completed(block);
}
