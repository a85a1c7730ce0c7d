//! What is copied, and how a read of it is ended.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
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
