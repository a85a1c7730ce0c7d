//! Writes to many pipes through one io_uring (Linux man page io_uring(7)): a queue of
//! chunks for each pipe, one write of each in flight, and one system call for all that
//! is to be started.
//!
//! A write that finds its pipe full stays with the kernel, which tries again when the
//! pipe takes more, and has no thread wait for that. `O_NONBLOCK` changes nothing of it
//! (seen on Linux 6.18), so the flags of the pipes are left alone.
//!
//! # Invariants
//!
//! 1. While a write of a lane is in flight (`Lane::in_flight`, from its entry's push
//!    until its completion is taken from the ring), its `iovecs` are not touched.
//! 2. They point to the memory of the first chunks of its `queue`, which stay in there
//!    as long. It is neither moved nor changed while there is a `Bytes` of it.
//! 3. A lane is freed only when no write of it is in flight: a ring that is dropped
//!    cancels what is in flight and waits for its end. If the kernel refuses even that,
//!    the lanes are leaked.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};

use bytes::{Buf, Bytes};
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, opcode};
use libc::iovec;
use rustix::pipe::fcntl_getpipe_size;

/// How many chunks one write takes at most.
const GATHERED: usize = 64;

/// How many writes one system call starts.
const BATCH: u32 = 256;

/// The writing ends of some pipes, and what is to be written to each.
pub(crate) struct Ring {
    ring: IoUring,
    lanes: Vec<Lane>,
    in_flight: usize,
}

struct Lane {
    pipe: OwnedFd,
    /// The size of the pipe.
    room: usize,
    queue: VecDeque<Bytes>,
    /// The bytes in `queue`.
    left: usize,
    iovecs: Vec<iovec>,
    in_flight: bool,
}

impl Ring {
    /// For the thread that makes it: the kernel takes entries from no other.
    pub(crate) fn new(pipes: Vec<OwnedFd>) -> io::Result<Ring> {
        // One write for each pipe: so many completions there can be at once.
        let completions = u32::try_from(pipes.len()).map_err(io::Error::other)?;
        // The kernel goes on with a write when this thread is in it anyway, and says by a
        // flag when it wants that.
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_cqsize(completions.max(BATCH))
            .setup_clamp()
            .build(BATCH)?;
        let lanes: io::Result<_> = pipes.into_iter().map(Lane::new).collect();
        Ok(Ring {
            ring,
            lanes: lanes?,
            in_flight: 0,
        })
    }

    /// Queues chunks for a pipe, by number. If nothing of it is in flight, they are
    /// written at the next [`submit`](Ring::submit) or [`wait`](Ring::wait).
    pub(crate) fn queue(
        &mut self,
        n: usize,
        chunks: impl IntoIterator<Item = Bytes>,
    ) -> io::Result<()> {
        self.lanes[n].extend(chunks);
        self.start(n)
    }

    /// How many bytes of a pipe are not written yet.
    pub(crate) fn left(&self, n: usize) -> usize {
        self.lanes[n].left
    }

    /// Starts what can be started, and takes what has ended. Does not wait.
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        loop {
            self.reap()?;
            let entries = self.ring.submission();
            // The second: the kernel wants to be entered to go on with a write.
            let has_work = !entries.is_empty() || entries.taskrun();
            drop(entries);
            if !has_work {
                return Ok(());
            }
            self.enter(0)?;
        }
    }

    /// Starts what can be started, and waits until something has ended.
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        self.enter(self.in_flight.min(1))?;
        self.reap()
    }

    /// Waits until everything is written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        while self.in_flight > 0 {
            self.wait()?;
        }
        Ok(())
    }

    /// Makes an entry for the next write of a pipe, if none is in flight.
    fn start(&mut self, n: usize) -> io::Result<()> {
        if self.lanes[n].in_flight || self.lanes[n].queue.is_empty() {
            return Ok(());
        }
        if self.ring.submission().is_full() {
            self.enter(0)?;
        }
        let lane = &mut self.lanes[n];
        let count = lane.gather();
        let entry = opcode::Writev::new(Fd(lane.pipe.as_raw_fd()), lane.iovecs.as_ptr(), count)
            .build()
            .user_data(n as u64);
        // SAFETY: the entry points to `count` iovecs, and they to chunks. No write of the
        // lane was in flight; this one is from here on, so both stay as they are until it
        // has ended (invariants 1, 2 and 3).
        let pushed = unsafe { self.ring.submission().push(&entry) };
        pushed.map_err(io::Error::other)?;
        lane.in_flight = true;
        self.in_flight += 1;
        Ok(())
    }

    /// Takes what has ended, and goes on with what is left of it.
    fn reap(&mut self) -> io::Result<()> {
        while let Some((n, written)) = self.ended() {
            let written = written.map_err(|error| {
                io::Error::new(error.kind(), format!("cannot write to pipe {n}: {error}"))
            })?;
            self.lanes[n].advance(written);
            self.start(n)?;
        }
        Ok(())
    }

    /// A write that has ended, and how much it wrote.
    fn ended(&mut self) -> Option<(usize, io::Result<usize>)> {
        let completion = self.ring.completion().next()?;
        // It was a usize.
        let n = usize::try_from(completion.user_data()).unwrap_or(usize::MAX);
        self.lanes[n].in_flight = false;
        self.in_flight -= 1;
        let written = match usize::try_from(completion.result()) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => Ok(written),
            Err(_) => Err(io::Error::from_raw_os_error(-completion.result())),
        };
        Some((n, written))
    }

    /// Gives the kernel all entries, and waits until so many writes have ended.
    fn enter(&self, ended: usize) -> io::Result<()> {
        loop {
            match self.ring.submit_and_wait(ended) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                entered => return entered.map(drop),
            }
        }
    }

    /// Ends what is in flight.
    fn cancel(&mut self) -> io::Result<()> {
        self.enter(0)?;
        let all = CancelBuilder::any();
        match self.ring.submitter().register_sync_cancel(None, all) {
            // All have ended already.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            cancelled => cancelled?,
        }
        while self.in_flight > 0 {
            self.enter(1)?;
            while self.ended().is_some() {}
        }
        Ok(())
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.in_flight > 0 && self.cancel().is_err() {
            mem::take(&mut self.lanes).leak();
        }
    }
}

impl Lane {
    fn new(pipe: OwnedFd) -> io::Result<Lane> {
        Ok(Lane {
            room: fcntl_getpipe_size(&pipe)?,
            pipe,
            queue: VecDeque::new(),
            left: 0,
            iovecs: Vec::new(),
            in_flight: false,
        })
    }

    fn extend(&mut self, chunks: impl IntoIterator<Item = Bytes>) {
        // An empty write would look like one that gets nowhere.
        for chunk in chunks.into_iter().filter(|chunk| !chunk.is_empty()) {
            self.left += chunk.len();
            self.queue.push_back(chunk);
        }
    }

    /// Points the iovecs to the next chunks, and says to how many: no more than fill the
    /// pipe, because the kernel looks at all that it is given each time that it tries.
    fn gather(&mut self) -> u32 {
        self.iovecs.clear();
        let (mut count, mut room) = (0, self.room);
        for chunk in self.queue.iter().take(GATHERED) {
            self.iovecs.push(iovec {
                iov_base: chunk.as_ptr().cast_mut().cast(),
                iov_len: chunk.len(),
            });
            count += 1;
            room = room.saturating_sub(chunk.len());
            if room == 0 {
                break;
            }
        }
        count
    }

    /// So much from the front of the queue is written.
    fn advance(&mut self, mut written: usize) {
        self.left -= written;
        while let Some(first) = self.queue.front_mut() {
            if written < first.len() {
                first.advance(written);
                return;
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }
}
