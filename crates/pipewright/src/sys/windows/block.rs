//! The heap block of one overlapped write: everything that the kernel may touch,
//! from the call to the completion.
//!
//! # Invariants
//!
//! * **I1 place**: a block lies at one address from [`Block::new`] until it is
//!   freed, and everything points to it there.
//! * **I2 owner**: a block has exactly one owner: a [`Block`] value, or, from
//!   [`Block::lend`] until the completion, the kernel together with the thread-pool
//!   wait. While the kernel has it there is no `Block` value, so nothing can free
//!   it; the callback makes one again. Should the callback never come, the memory
//!   is never freed.
//! * **I3 load**: the data, the handle and whoever is to be told are in the block
//!   while the kernel has it.
//! * **I4 once**: the wait is armed by `lend` alone, fires once for each time that it
//!   is armed, and its callback ends the loan before anything else.

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

struct Memory {
    /// The kernel writes to it while it has the block.
    overlapped: UnsafeCell<OVERLAPPED>,
    /// Set by the completion. Nobody else has the handle.
    event: OwnedHandle,
    /// 0 until it is made.
    wait: PTP_WAIT,
    load: Option<Load>,
}

// SAFETY: by I2 a `Block` is the only owner of its memory, as a `Box` is, and what is
// in there may go to other threads: handles, the wait's handle, and `Load`, which is
// `Send` (asserted below).
unsafe impl Send for Block {}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Load>();
    is_send::<OwnedHandle>();
};

impl Block {
    /// # Errors
    ///
    /// The system's, for want of memory or handles.
    pub(super) fn new() -> io::Result<Block> {
        let memory = Box::new(Memory {
            overlapped: UnsafeCell::default(),
            event: event()?,
            wait: 0,
            load: None,
        });
        let mut block = Block(NonNull::from(Box::leak(memory)));
        let context = block.0.as_ptr().cast::<c_void>();
        // SAFETY: the context stays valid until the wait is closed, which `drop`
        // does before it frees the memory (I1); no environment is the default pool.
        let wait = unsafe { CreateThreadpoolWait(Some(completed), context, ptr::null()) };
        if wait == 0 {
            return Err(io::Error::last_os_error());
        }
        block.memory_mut().wait = wait;
        Ok(block)
    }

    /// Starts to write the first `len` bytes of the load's data.
    ///
    /// After [`Wrote::Pending`] the kernel has the block, and the caller must
    /// [`lend`](Self::lend) it.
    pub(super) fn write(&mut self, len: u32) -> Wrote {
        let event = self.memory().event.as_raw_handle();
        let overlapped = self.memory_mut().overlapped.get_mut();
        *overlapped = OVERLAPPED {
            hEvent: without_packet(event),
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

    /// Gives the block to the kernel's completion: the callback tells the writer.
    pub(super) fn lend(self) {
        let (wait, event) = (self.memory().wait, self.memory().event.as_raw_handle());
        // From here on the callback is the owner (I2).
        let _lent = ManuallyDrop::new(self);
        // SAFETY: wait and event are the block's own, and both are open until it is
        // freed, which only the callback can do, after this call armed it (I4).
        unsafe { SetThreadpoolWait(wait, event, ptr::null()) };
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
        let wait = self.memory().wait;
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

/// Names a pending write. It may outlive the write: it is only compared.
pub(super) struct Ticket(*mut OVERLAPPED);

// SAFETY: the pointer is never followed, only handed to `CancelIoEx`, which compares
// it with those of the pending operations.
unsafe impl Send for Ticket {}

impl Ticket {
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
    if is_incomplete(&block) {
        // The event was set and the kernel is not done: it should not happen. Wait on,
        // for an event that is set after this moment; look again, in case it was just
        // before.
        reset(block.memory().event.as_handle());
        if is_incomplete(&block) {
            return block.lend();
        }
    }
    Overlapped::completed(block);
}

fn is_incomplete(block: &Block) -> bool {
    matches!(block.result(), Err((_, ERROR_IO_INCOMPLETE)))
}
