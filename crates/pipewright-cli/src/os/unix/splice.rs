//! From one pipe to another without a copy: the system moves the pages.
//!
//! They go by way of a socket. `splice` from pipe to pipe keeps the mark by which a pipe
//! in packet mode forgets what a read leaves of a packet (man page pipe(2), `O_DIRECT`),
//! so that a reader behind us who reads less at a time would lose data; and the reading
//! end of our input does not tell whether its writer marks. What comes out of a socket
//! has no marks. Seen on Linux 6.18.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::pipe::{SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, splice};

use super::{Handle, Input, is_pipe};

/// The most that is taken at once: less than what a socket holds, by default.
const TAKEN: usize = 128 * 1024;
/// What the pipes are made to hold. With less, those at their other ends and we wait for
/// each other so often that nothing is gained.
const PIPE: usize = 1 << 20;

/// What the pages pass through.
pub(crate) struct Splice {
    inlet: UnixStream,
    outlet: UnixStream,
    /// Bytes that were taken and not given.
    held: usize,
}

impl Splice {
    /// From this input, if it is a pipe.
    pub(crate) fn from(input: &Input) -> Option<Splice> {
        if !is_pipe(input) {
            return None;
        }
        let (inlet, outlet) = UnixStream::pair().ok()?;
        inlet.set_nonblocking(true).ok()?;
        outlet.set_nonblocking(true).ok()?;
        enlarge(input);
        Some(Splice {
            inlet,
            outlet,
            held: 0,
        })
    }

    /// The same pipe once more, to be given to; if it is one.
    pub(crate) fn way_to(handle: &Handle) -> Option<Handle> {
        if !is_pipe(handle) {
            return None;
        }
        enlarge(handle);
        handle.try_clone().ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes what there is, once there is something, and returns how many bytes that
    /// were: 0 at the end, `None` when woken. To be called when all was given.
    ///
    /// An error is that this is not the way for this input; nothing was taken.
    pub(crate) fn take(&mut self, input: &Input, most: usize) -> io::Result<Option<usize>> {
        if !input.wait(PollFd::new(input, PollFlags::IN), None)? {
            return Ok(None);
        }
        self.held = move_pages(input, &self.inlet, most.min(TAKEN))?;
        Ok(Some(self.held))
    }

    /// Gives to a pipe what it has room for, and returns how many bytes that were.
    pub(crate) fn give(&mut self, pipe: &Handle) -> io::Result<usize> {
        match move_pages(&self.outlet, pipe, self.held) {
            Ok(given) => {
                self.held -= given;
                Ok(given)
            }
            Err(Errno::AGAIN) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until the pipe has room, for up to `limit`. False if it has none then, or
    /// nothing more is to be read.
    pub(crate) fn wait_for_room(pipe: &Handle, input: &Input, limit: Duration) -> bool {
        let room = PollFd::new(pipe, PollFlags::OUT);
        input.wait(room, Some(limit)).unwrap_or(false)
    }

    /// Gives back what was taken and not given.
    pub(crate) fn take_back(&mut self) -> io::Result<Bytes> {
        let mut held = vec![0; self.held];
        self.outlet.read_exact(&mut held)?;
        self.held = 0;
        Ok(held.into())
    }
}

/// As far as the system lets it: a user has only so much memory for pipes.
fn enlarge(pipe: &impl AsFd) {
    if fcntl_getpipe_size(pipe).is_ok_and(|size| size < PIPE) {
        let _ = fcntl_setpipe_size(pipe, PIPE);
    }
}

/// Never waits.
fn move_pages(from: &impl AsFd, to: &impl AsFd, len: usize) -> Result<usize, Errno> {
    loop {
        match splice(from, None, to, None, len, SpliceFlags::NONBLOCK) {
            Err(Errno::INTR) => {}
            moved => return moved,
        }
    }
}
