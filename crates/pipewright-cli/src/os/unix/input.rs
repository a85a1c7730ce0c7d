//! Standard input, and how a read of it is ended.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

pub(crate) struct Input {
    file: File,
    woken: PipeReader,
}

/// Ends the current and every later read.
pub(crate) struct Waker(PipeWriter);

impl Input {
    pub(crate) fn new() -> io::Result<(Input, Waker)> {
        let file = io::stdin().as_fd().try_clone_to_owned()?.into();
        let (woken, waker) = io::pipe()?;
        Ok((Input { file, woken }, Waker(waker)))
    }

    /// Reads what there is, once there is something: 0 bytes at the end, `None`
    /// when woken.
    ///
    /// It waits in `poll`, not in `read`, so that nothing is taken from the input
    /// that is not wanted any more.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            let mut fds = [
                PollFd::new(&self.file, PollFlags::IN),
                PollFd::new(&self.woken, PollFlags::IN),
            ];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            if !fds[1].revents().is_empty() {
                return Ok(None);
            }
            match self.file.read(buffer) {
                // Somebody else reads the same input, and was faster.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map(Some),
            }
        }
    }
}

impl Waker {
    pub(crate) fn wake(&mut self) {
        // It fails only if nobody reads any more, and then nobody need be woken.
        let _ = self.0.write(&[0]);
    }
}
