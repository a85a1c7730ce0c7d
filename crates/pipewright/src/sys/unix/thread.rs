//! The driver for descriptors that can only block: a thread of their own.
//!
//! Regular files and block devices are simply written: they do not keep a writer
//! waiting for a reader. Whatever else ends here (a terminal that cannot be
//! reopened, a pipe where the system has no way to write it without waiting) is
//! written in pieces that fit when `poll` says so, so that the thread waits in
//! `poll`, where a cancel reaches it, and not in `write`, where none would.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::Duration;

use pipewright_core::{Failure, Limits, Operation, Rest};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::asked::Asked;
use super::signal::Signal;
use super::{sigpipe, system, write};
use crate::panics::contain;
use crate::sys::duty::{self, Duty, Server};
use crate::sys::{Attempt, Driver, Inline, Pipe, Refused, Submitted, Writer};

/// POSIX guarantees a pipe that polls as writable room for this many bytes
/// (`_POSIX_PIPE_BUF`; limits.h).
const FITS: usize = 512;

/// What its threads are called.
const THREAD: &str = "pipewright-file";

pub(super) struct BlockingThread {
    /// Read-locked by the thread while it writes, write-locked only by `detach`,
    /// which never runs at the same time as `submit`.
    pipe: RwLock<Option<OwnedFd>>,
    /// Set when the operation in flight should end; only pollable descriptors
    /// can wait long enough for it to matter.
    cancelled: Option<Signal>,
    mail: Mutex<Mail>,
    posted: Condvar,
    duty: Duty,
}

#[derive(Default)]
struct Mail {
    /// The writer that wants a turn.
    writer: Option<Arc<dyn Writer>>,
    /// The handle is gone: nothing is left to do.
    over: bool,
}

impl BlockingThread {
    pub(super) fn open(pipe: Pipe, pollable: bool) -> Result<Arc<Self>, Refused> {
        let cancelled = match pollable.then(Signal::new).transpose() {
            Ok(signal) => signal,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let thread = match duty::recruit(THREAD) {
            Ok(thread) => thread,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let driver = Arc::new(BlockingThread {
            pipe: RwLock::new(Some(pipe)),
            cancelled,
            mail: Mutex::default(),
            posted: Condvar::new(),
            duty: Duty::new(THREAD),
        });
        thread.serve(Arc::clone(&driver));
        Ok(driver)
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the operation, or waits until a piece of it fits and writes that.
    fn write(&self, fd: &OwnedFd, operation: &Operation) -> Result<usize, Errno> {
        let Some(cancelled) = &self.cancelled else {
            return write::with_slices(operation, |slices| rustix::io::writev(fd, slices));
        };
        let first = operation.first();
        loop {
            let mut fds = [
                PollFd::new(fd, PollFlags::OUT),
                PollFd::new(cancelled, PollFlags::IN),
            ];
            poll(&mut fds, None)?;
            if !fds[1].revents().is_empty() {
                return Err(Errno::CANCELED);
            }
            if !fds[0].revents().intersects(PollFlags::OUT | PollFlags::ERR) {
                // Hung up: a write would wait for somebody who is gone.
                return Err(Errno::IO);
            }
            match rustix::io::write(fd, &first[..first.len().min(FITS)]) {
                // Somebody made the description non-blocking and was faster.
                Err(Errno::AGAIN) => {}
                written => return written,
            }
        }
    }
}

impl Server for Arc<BlockingThread> {
    fn duty(&self) -> &Duty {
        &self.duty
    }

    fn take_over(&self) {
        sigpipe::block_all();
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
        write::LIMITS
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
        let Some(fd) = &*pipe else {
            return Submitted::Failed(
                operation,
                0,
                Failure::Os(Errno::BADF.raw_os_error()),
                Rest::Unsent,
            );
        };
        let written = write::retry_interrupted(|| self.write(fd, &operation));
        Attempt::from(written).of(operation)
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        // A device that says "not now" although it cannot be polled.
        std::thread::sleep(Duration::from_millis(1));
        writer.ready();
        Ok(())
    }

    fn cancel(&self) {
        if let Some(cancelled) = &self.cancelled {
            cancelled.set();
        }
    }

    fn detach(&self, _: Arc<dyn Writer>) -> Poll<Option<Pipe>> {
        let pipe = self
            .pipe
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        self.mail().over = true;
        self.posted.notify_one();
        Poll::Ready(pipe)
    }

    fn poll_read(&self, asked: &mut Asked, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read = {
            let pipe = self.pipe.read().unwrap_or_else(PoisonError::into_inner);
            pipe.as_ref().map(|fd| system::is_read(fd.as_fd()))
        };
        read.map_or(Poll::Pending, |read| asked.answer(read, cx))
    }
}
