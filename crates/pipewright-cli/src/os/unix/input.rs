//! What is copied, and how a read of it is ended.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

pub(crate) struct Input {
    file: File,
    woken: PipeReader,
}

/// Ends the current and every later read.
pub(crate) struct Waker(PipeWriter);

impl Input {
    /// What `path` leads to, or standard input.
    pub(crate) fn open(path: Option<&Path>) -> io::Result<(Input, Waker)> {
        let file = match path {
            Some(path) => File::open(path)?,
            None => io::stdin().as_fd().try_clone_to_owned()?.into(),
        };
        Input::of(file)
    }

    /// Something that is open.
    pub(super) fn of(file: File) -> io::Result<(Input, Waker)> {
        let (woken, waker) = io::pipe()?;
        Ok((Input { file, woken }, Waker(waker)))
    }

    /// How many bytes there are to read, where that can be known: in a file.
    pub(crate) fn size(&mut self) -> Option<u64> {
        let metadata = self.file.metadata().ok().filter(|found| found.is_file())?;
        let position = self.file.stream_position().ok()?;
        Some(metadata.len().saturating_sub(position))
    }

    /// Reads what there is, once there is something: 0 bytes at the end, `None`
    /// when woken.
    ///
    /// It waits in `poll`, not in `read`, so that nothing is taken from the input
    /// that is not wanted any more.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        while self.wait(PollFd::new(&self.file, PollFlags::IN), None)? {
            match self.file.read(buffer) {
                // Somebody else reads the same input, and was faster.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read.map(Some),
            }
        }
        Ok(None)
    }

    /// Waits for something, no longer than `limit`. False if it did not come in time, or
    /// when woken.
    pub(super) fn wait(&self, wanted: PollFd<'_>, limit: Option<Duration>) -> io::Result<bool> {
        let limit = limit.map(Timespec::try_from).transpose();
        let limit = limit.map_err(|_| Errno::INVAL)?;
        let mut fds = [wanted, PollFd::new(&self.woken, PollFlags::IN)];
        loop {
            match poll(&mut fds, limit.as_ref()) {
                Err(Errno::INTR) => continue,
                polled => polled?,
            };
            let [wanted, woken] = fds.each_ref().map(PollFd::revents);
            return Ok(woken.is_empty() && !wanted.is_empty());
        }
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Waker {
    pub(crate) fn wake(&mut self) {
        // It fails only if nobody reads any more, and then nobody need be woken.
        let _ = self.0.write(&[0]);
    }
}
