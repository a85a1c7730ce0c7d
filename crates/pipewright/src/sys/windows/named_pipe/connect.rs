//! One overlapped ConnectNamedPipe: from the call to its completion.
//!
//! The thread pool waits for the event of the operation and wakes who is
//! registered. There are as many operations as accepts under way, and each has a
//! block, an event and a wait of its own, so that no completion can be taken for
//! another's. Cancelling is asking: the operation ends with its completion, which
//! may say that a client was faster.
//!
//! An operation ends as cancelled also when the thread that began it ends
//! ("ConnectNamedPipe" is overlapped I/O without a completion port; "Canceling
//! Pending I/O Operations"), or when somebody else cancels it. Who sees that and
//! did not ask for it begins anew.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::fmt;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use windows_sys::Win32::Foundation::{
    ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_NO_DATA, ERROR_NOT_FOUND, ERROR_OPERATION_ABORTED,
    ERROR_PIPE_CONNECTED, ERROR_PIPE_NOT_CONNECTED, GetLastError, WAIT_OBJECT_0,
};
use windows_sys::Win32::System::IO::{CancelIoEx, GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Pipes::{ConnectNamedPipe, DisconnectNamedPipe};
use windows_sys::Win32::System::Threading::{
    CloseThreadpoolWait, CreateEventW, CreateThreadpoolWait, INFINITE, PTP_CALLBACK_INSTANCE,
    PTP_WAIT, SetThreadpoolWait, WaitForSingleObject,
};

use super::{is_code, system_error};
use crate::panics::contain;

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connected {
    /// There is a client.
    Yes,
    /// There was one, and it has left already.
    Gone,
    /// It was cancelled, by whomever; there is no client.
    Cancelled,
}

/// What became of the call.
#[derive(Debug)]
pub(super) enum Started {
    Done(Connected),
    Pending(Connecting),
}

/// An operation that the kernel has. Dropping it cancels it and waits for its
/// completion, which the kernel brings about by itself, without a client.
///
/// # Invariants
///
/// * **Handle**: `pipe` is let go of only after the completion was seen.
/// * **Accepted**: ConnectNamedPipe returned ERROR_IO_PENDING for `block`, so the
///   event will be set, once.
pub(super) struct Connecting {
    block: Arc<Block>,
    pipe: Arc<OwnedHandle>,
    /// Its completion was seen.
    landed: bool,
}

/// What the kernel and the thread pool use.
///
/// # Invariants
///
/// * **Kernel**: from the call to the moment in which `event` is set, the kernel
///   may write to `overlapped`, and nobody else touches what is in it.
/// * **Pool**: after ERROR_IO_PENDING one reference belongs to the callback of the
///   pool's wait, which runs once, after `event` was set. So the block is there for
///   as long as the kernel may write to it, whatever becomes of [`Connecting`].
struct Block {
    overlapped: UnsafeCell<OVERLAPPED>,
    event: OwnedHandle,
    waker: Mutex<Option<Waker>>,
}

// SAFETY: `overlapped` is accessed as **Kernel** says; the rest is Send anyway.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Connecting {
    /// Begins to wait for a client.
    pub(super) fn start(pipe: Arc<OwnedHandle>) -> io::Result<Started> {
        let event = new_event()?;
        let overlapped = OVERLAPPED {
            hEvent: event.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let block = Arc::new(Block {
            overlapped: UnsafeCell::new(overlapped),
            event,
            waker: Mutex::default(),
        });
        // Made before the call: after it, nothing may fail.
        let wait = PoolWait::new(&block)?;
        // SAFETY: the handle is open, and an instance of ours; the OVERLAPPED is in
        // the block, and stays there until the completion (**Pool**).
        let done = unsafe { ConnectNamedPipe(pipe.as_raw_handle(), block.overlapped.get()) };
        let code = match done {
            // SAFETY: no precondition; nothing was called since.
            0 => unsafe { GetLastError() },
            _ => ERROR_PIPE_CONNECTED,
        };
        if code == ERROR_IO_PENDING {
            wait.arm();
            return Ok(Started::Pending(Connecting {
                block,
                pipe,
                landed: false,
            }));
        }
        // The kernel has nothing of it: the block and the wait end here.
        match code {
            // Not begun; to begin anew at once could go on for ever.
            ERROR_OPERATION_ABORTED => Err(system_error(code)),
            _ => meaning(code).map(Started::Done),
        }
    }

    /// Has the waker woken at the completion, instead of the one before.
    pub(super) fn register(&self, waker: Waker) {
        drop(self.block.swap_waker(Some(waker)));
    }

    /// What came of it, if it is complete.
    pub(super) fn poll(&mut self) -> Option<io::Result<Connected>> {
        if !self.is_set(0) {
            return None;
        }
        self.landed = true;
        // If the pool comes later, there is nobody to wake any more.
        drop(self.block.swap_waker(None));
        let mut count = 0;
        let overlapped = self.block.overlapped.get();
        // SAFETY: the event is set, so the kernel is done with it (**Kernel**); the
        // handle is still open (**Handle**).
        let ok = unsafe {
            GetOverlappedResult(self.pipe.as_raw_handle(), overlapped, &raw mut count, 0)
        };
        let code = match ok {
            // SAFETY: no precondition; nothing was called since.
            0 => unsafe { GetLastError() },
            _ => ERROR_PIPE_CONNECTED,
        };
        Some(meaning(code))
    }

    /// Asks for its end, and wakes nobody any more. Returns at once.
    ///
    /// # Errors
    ///
    /// It may never end.
    pub(super) fn cancel(&self) -> io::Result<()> {
        drop(self.block.swap_waker(None));
        let overlapped = self.block.overlapped.get();
        // SAFETY: the handle is still open (**Handle**); of the OVERLAPPED only the
        // address is used.
        let ok = unsafe { CancelIoEx(self.pipe.as_raw_handle(), overlapped) };
        if ok != 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // It is complete already, or just about to be.
        if is_code(&error, ERROR_NOT_FOUND) {
            return Ok(());
        }
        Err(error)
    }

    /// Cancels it, waits for the completion, and tells what came of it.
    pub(super) fn end(mut self) -> io::Result<Connected> {
        self.cancel()?;
        self.is_set(INFINITE);
        self.poll().unwrap_or(Ok(Connected::Cancelled))
    }

    /// Waits until the event is set, for so many milliseconds.
    fn is_set(&self, milliseconds: u32) -> bool {
        // SAFETY: the event is open for as long as the block is there.
        let waited = unsafe { WaitForSingleObject(self.block.event.as_raw_handle(), milliseconds) };
        waited == WAIT_OBJECT_0
    }
}

impl Drop for Connecting {
    #[expect(clippy::mem_forget, reason = "rather a lost handle than a wild write")]
    fn drop(&mut self) {
        if self.landed || (self.cancel().is_ok() && self.is_set(INFINITE)) {
            return;
        }
        // Nobody can tell when it ends: the handle stays open for ever (**Handle**).
        std::mem::forget(Arc::clone(&self.pipe));
    }
}

impl fmt::Debug for Connecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}

/// Lets go of a client that has left, so that the next one can come.
pub(super) fn disconnect(pipe: &OwnedHandle) -> io::Result<()> {
    // SAFETY: the handle is open, and an instance of ours.
    let ok = unsafe { DisconnectNamedPipe(pipe.as_raw_handle()) };
    if ok == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// What an error code of ConnectNamedPipe means, at the call or at the completion.
fn meaning(code: u32) -> io::Result<Connected> {
    match code {
        // "there is a good connection between client and server"
        ERROR_PIPE_CONNECTED => Ok(Connected::Yes),
        // "the previous client has closed its handle"
        ERROR_NO_DATA | ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED => Ok(Connected::Gone),
        ERROR_OPERATION_ABORTED => Ok(Connected::Cancelled),
        _ => Err(system_error(code)),
    }
}

impl Block {
    /// Whoever calls drops what it returns: user code, so not under the lock.
    fn swap_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        let mut slot = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slot, waker)
    }
}

/// An event that stays set, not inheritable, without a name.
fn new_event() -> io::Result<OwnedHandle> {
    // SAFETY: no precondition; null stands for the defaults.
    let event = unsafe { CreateEventW(null(), 1, 0, null()) };
    if event.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and is ours.
    Ok(unsafe { OwnedHandle::from_raw_handle(event) })
}

/// A wait of the thread pool that is not armed.
///
/// # Invariant
///
/// It was never armed, and nobody else closes it. Its context is the block.
struct PoolWait<'a> {
    wait: PTP_WAIT,
    block: &'a Arc<Block>,
}

impl<'a> PoolWait<'a> {
    fn new(block: &'a Arc<Block>) -> io::Result<Self> {
        let context = Arc::as_ptr(block).cast_mut().cast();
        // SAFETY: the context is what `landed` expects, once there is a reference
        // for it; until then it does not run.
        let wait = unsafe { CreateThreadpoolWait(Some(landed), context, null_mut()) };
        if wait == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(PoolWait { wait, block })
    }

    /// Waits for the event: `landed` runs once, and closes the wait.
    #[expect(clippy::mem_forget, reason = "`landed` does what its drop would do")]
    fn arm(self) {
        // The reference of **Pool**.
        let _ = Arc::into_raw(Arc::clone(self.block));
        let event = self.block.event.as_raw_handle();
        // SAFETY: the wait is open, and the event is as long as the block.
        unsafe { SetThreadpoolWait(self.wait, event, null()) };
        std::mem::forget(self);
    }
}

impl Drop for PoolWait<'_> {
    fn drop(&mut self) {
        // SAFETY: never armed, so no callback runs or will; ours to close.
        unsafe { CloseThreadpoolWait(self.wait) };
    }
}

/// The event was set.
unsafe extern "system" fn landed(
    _: PTP_CALLBACK_INSTANCE,
    context: *mut c_void,
    wait: PTP_WAIT,
    _: u32,
) {
    // SAFETY: the reference that `arm` made for this one call (**Pool**).
    let block = unsafe { Arc::from_raw(context.cast_const().cast::<Block>()) };
    // SAFETY: armed once, so this is its only callback, in which it may be closed:
    // it is freed when the callback has returned ("CloseThreadpoolWait").
    unsafe { CloseThreadpoolWait(wait) };
    contain(move || {
        if let Some(waker) = block.swap_waker(None) {
            waker.wake();
        }
    });
}
