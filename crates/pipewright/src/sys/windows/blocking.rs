//! The driver for handles that can only block: anonymous pipes, the console,
//! inherited standard output, files. A thread of their own for each.
//!
//! A write that waits is called back as [`Call`] says. A flush ([`Flushes`]) that waits
//! for the reader would keep a write waiting, so none is under way while the thread
//! has something to write.

use std::io;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, OwnedHandle};
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};

use pipewright_core::{Limits, Operation};
use windows_sys::Win32::Foundation::{ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::Threading::GetCurrentThread;

use super::call::Call;
use super::contiguous::Contiguous;
use super::errors;
use super::flush::{Asked, Flushes};
use super::kind::{Kind, last_error};
use super::overlapped::{Pause, limits};
use super::worker::Worker;
use crate::panics::contain;
use crate::sys::duty::{self, Duty, Server};
use crate::sys::{Driver, Inline, Pipe, Refused, Submitted, Writer};

/// What its threads are called.
const THREAD: &str = "pipewright-blocking";

pub(super) struct BlockingThread {
    /// Read-locked by the thread while it writes, write-locked only by `detach`,
    /// which never runs at the same time as `submit`. Beside this one, only the flushes
    /// have references.
    pipe: RwLock<Option<Arc<OwnedHandle>>>,
    flushes: Arc<Flushes>,
    kind: Kind,
    /// The thread's `WriteFile`.
    writing: Arc<Call>,
    mail: Mutex<Mail>,
    posted: Condvar,
    duty: Duty,
    pause: Pause,
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
        let thread = match duty::recruit(THREAD) {
            Ok(thread) => thread,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let pipe = Arc::new(pipe);
        let driver = Arc::new(BlockingThread {
            flushes: Flushes::new(&pipe),
            pipe: RwLock::new(Some(pipe)),
            kind,
            writing: Call::new(),
            mail: Mutex::default(),
            posted: Condvar::new(),
            duty: Duty::new(THREAD),
            pause: Pause::default(),
        });
        thread.serve(Arc::clone(&driver));
        Ok(driver)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes as much as the system takes; may wait. `None`: cancelled before.
    fn write(&self, pipe: &OwnedHandle, data: &[u8]) -> Option<Result<usize, (usize, u32)>> {
        let Ok(len) = u32::try_from(data.len()) else {
            return Some(Err((0, ERROR_INVALID_PARAMETER)));
        };
        self.writing.make(|| {
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
            if done == 0 {
                return Err((written as usize, last_error()));
            }
            Ok(written as usize)
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
        // Without a handle, a write can still end by itself, though not by a cancel. One
        // of the thread before would be wrong: its calls are not ours to cancel.
        self.writing.is_on(this.try_clone_to_owned().ok());
    }

    fn step(&self) -> bool {
        if self.mail().writer.is_none() {
            self.flushes.resume();
        }
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

    fn inline(&self) -> Option<&dyn Inline> {
        None
    }

    fn closes_at_once(&self) -> bool {
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
        self.flushes.halt();
        let data = Contiguous::new(operation);
        let wrote = self.offer(pipe, data.data());
        let operation = data.into_operation();
        match wrote {
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
        self.writing.cancel();
    }

    fn detach(&self, writer: Arc<dyn Writer>) -> Poll<Option<Pipe>> {
        let pipe = self
            .pipe
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.pause.end();
        self.mail().over = true;
        self.posted.notify_one();
        pipe.map_or(Poll::Ready(None), |pipe| self.flushes.end(pipe, writer))
    }

    fn poll_read(&self, asked: &mut Asked, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushes.poll(self.kind, asked, cx)
    }
}
