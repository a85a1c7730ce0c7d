//! The driver for handles that can only block: anonymous pipes, the console,
//! inherited standard output, files. A thread of their own for each.
//!
//! # How a blocked write is cancelled
//!
//! `CancelSynchronousIo` cancels what the thread waits for *now*; it does nothing to a
//! thread that has not come to wait yet. So it is repeated, from the moment of the
//! cancel until the thread says that the write is over. The thread says so under the
//! lock under which the call is made, so that the call cannot hit something else that
//! the thread does later.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use pipewright_core::{Limits, Operation};
use windows_sys::Win32::Foundation::{ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::IO::CancelSynchronousIo;
use windows_sys::Win32::System::Threading::GetCurrentThread;

use super::errors;
use super::kind::{Kind, last_error};
use super::overlapped::{Pause, limits, unknown_whether_read};
use super::worker::{Timer, Worker};
use crate::panics::contain;
use crate::sys::duty::{self, Duty, Server};
use crate::sys::{Driver, Pipe, Refused, Submitted, Writer};

pub(super) struct BlockingThread {
    me: Weak<BlockingThread>,
    /// Read-locked by the thread while it writes, write-locked only by `detach`,
    /// which never runs at the same time as `submit`.
    pipe: RwLock<Option<OwnedHandle>>,
    kind: Kind,
    /// Held for calls that do not wait, and never while the writer is called.
    writing: Mutex<Writing>,
    mail: Mutex<Mail>,
    posted: Condvar,
    duty: Duty,
    pause: Pause,
}

#[derive(Default)]
struct Writing {
    /// The thread that writes, from before it writes.
    thread: Option<OwnedHandle>,
    /// The thread is in `WriteFile`, or about to call it, or has just returned.
    active: bool,
    /// The writer is ending: no write begins any more.
    cancelled: bool,
    /// When to cancel again.
    again: Option<Timer>,
}

#[derive(Default)]
struct Mail {
    /// The writer that wants a turn.
    writer: Option<Arc<dyn Writer>>,
    /// The handle is gone: nothing is left to do.
    over: bool,
}

impl BlockingThread {
    pub(super) fn open(pipe: Pipe, kind: Kind) -> Result<Arc<Self>, Refused> {
        // For the timers, which must not be found wanting in the middle of a cancel.
        if let Err(error) = Worker::get() {
            return Err(Refused { pipe, error });
        }
        let driver = Arc::new_cyclic(|me| BlockingThread {
            me: Weak::clone(me),
            pipe: RwLock::new(Some(pipe)),
            kind,
            writing: Mutex::default(),
            mail: Mutex::default(),
            posted: Condvar::new(),
            duty: Duty::new("pipewright-blocking"),
            pause: Pause::default(),
        });
        match (duty::start(Arc::clone(&driver)), driver) {
            (Ok(()), driver) => Ok(driver),
            (Err(error), driver) => match driver.detach() {
                Some(pipe) => Err(Refused { pipe, error }),
                None => Ok(driver),
            },
        }
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writing(&self) -> MutexGuard<'_, Writing> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as much as the system takes; may wait. `None`: cancelled before.
    fn write(&self, pipe: &OwnedHandle, data: &[u8]) -> Option<Result<usize, (usize, u32)>> {
        let Ok(len) = u32::try_from(data.len()) else {
            return Some(Err((0, ERROR_INVALID_PARAMETER)));
        };
        {
            let mut writing = self.writing();
            if writing.cancelled {
                return None;
            }
            writing.active = true;
        }
        let mut written = 0;
        // SAFETY: the handle is open, and was not opened for overlapped I/O, which
        // `open` found out, so that the call returns when it is done; `data` holds
        // `len` bytes and, like `written`, lives for the call.
        let done = unsafe {
            WriteFile(
                pipe.as_raw_handle(),
                data.as_ptr(),
                len,
                &raw mut written,
                ptr::null_mut(),
            )
        };
        let error = last_error();
        let again = {
            let mut writing = self.writing();
            writing.active = false;
            writing.again.take()
        };
        drop(again);
        let written = written as usize;
        Some(if done == 0 {
            Err((written, error))
        } else {
            Ok(written)
        })
    }

    /// As [`write`](Self::write); a pipe in non-blocking mode, which takes nothing of
    /// what does not fit as a whole, is offered less and less.
    fn offer(&self, pipe: &OwnedHandle, data: &[u8]) -> Option<Result<usize, (usize, u32)>> {
        let mut offered = data.len();
        loop {
            match self.write(pipe, &data[..offered])? {
                Ok(0) if offered > 1 && self.kind.is_stream_pipe() => offered /= 2,
                wrote => return Some(wrote),
            }
        }
    }

    /// Cancels the write, now and again until it is over.
    fn interrupt(&self, pause: Duration) {
        const LONGEST: Duration = Duration::from_millis(20);
        let writing = self.writing();
        if !writing.active {
            return;
        }
        if let Some(thread) = &writing.thread {
            // SAFETY: the thread's handle is open, with all rights, for `self` owns it.
            // What the call answers changes nothing: the write's end tells.
            unsafe { CancelSynchronousIo(thread.as_raw_handle()) };
        }
        drop(writing);
        let waker = Waker::from(Arc::new(Again(Weak::clone(&self.me), pause)));
        let timer = Timer::start(Instant::now() + pause.min(LONGEST), waker).ok();
        let mut writing = self.writing();
        let unneeded = if writing.active {
            std::mem::replace(&mut writing.again, timer)
        } else {
            timer
        };
        drop(writing);
        drop(unneeded);
    }
}

/// Cancels again, and waits twice as long before the next time.
struct Again(Weak<BlockingThread>, Duration);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        if let Some(driver) = self.0.upgrade() {
            driver.interrupt(self.1.saturating_mul(2));
        }
    }
}

impl Server for Arc<BlockingThread> {
    fn duty(&self) -> &Duty {
        &self.duty
    }

    fn take_over(&self) {
        // SAFETY: the call takes nothing and cannot fail.
        let this = unsafe { GetCurrentThread() };
        // SAFETY: it stands for the current thread, which outlives the borrow.
        let this = unsafe { BorrowedHandle::borrow_raw(this) };
        // Without a handle, a write can still end by itself, though not by a cancel.
        self.writing().thread = this.try_clone_to_owned().ok();
    }

    fn step(&self) -> bool {
        let mut mail = self
            .posted
            .wait_while(self.mail(), |mail| mail.writer.is_none() && !mail.over)
            .unwrap_or_else(PoisonError::into_inner);
        let writer = mail.writer.take();
        drop(mail);
        let Some(writer) = writer else {
            return false;
        };
        contain(|| writer.turn(1));
        true
    }
}

impl Driver for BlockingThread {
    fn limits(&self) -> Limits {
        limits(self.kind)
    }

    fn inline(&self) -> bool {
        false
    }

    fn schedule(&self, writer: Arc<dyn Writer>) {
        self.mail().writer = Some(writer);
        self.posted.notify_one();
    }

    fn submit(&self, _: Arc<dyn Writer>, operation: Operation) -> Submitted {
        let pipe = self.pipe.read().unwrap_or_else(PoisonError::into_inner);
        let Some(pipe) = &*pipe else {
            return errors::refused(operation, ERROR_INVALID_HANDLE);
        };
        match self.offer(pipe, operation.first()) {
            None => errors::cancelled_before(operation),
            Some(Err((written, code))) => errors::blocked(operation, written, code),
            Some(Ok(0)) if self.kind.may_take_later(&operation) => Submitted::NotReady(operation),
            Some(Ok(written)) => {
                self.pause.reset();
                Submitted::Completed(operation, written)
            }
        }
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        self.pause.arm(writer)
    }

    fn cancel(&self) {
        self.writing().cancelled = true;
        self.interrupt(Duration::from_millis(1));
    }

    fn detach(&self) -> Option<Pipe> {
        let pipe = self
            .pipe
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.pause.end();
        self.mail().over = true;
        self.posted.notify_one();
        pipe
    }

    fn is_read(&self) -> io::Result<bool> {
        unknown_whether_read()
    }
}
