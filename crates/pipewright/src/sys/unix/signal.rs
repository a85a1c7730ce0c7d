//! The waitable object: readable while it is set.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::system;
use crate::front::waitable::Waitable;

/// An `eventfd` on Linux, a pipe elsewhere.
#[derive(Debug)]
pub(crate) struct Signal {
    reader: OwnedFd,
    /// The writing end; an `eventfd` has but one.
    writer: Option<OwnedFd>,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = system::flag()?;
        Ok(Signal { reader, writer })
    }

    /// Makes it readable. That it is full already is as good.
    pub(crate) fn set(&self) {
        let writer = self.writer.as_ref().unwrap_or(&self.reader);
        let _ = rustix::io::write(writer, &1_u64.to_ne_bytes());
    }

    /// Makes it not readable.
    pub(crate) fn clear(&self) {
        let mut buffer = [0; 64];
        while matches!(rustix::io::read(&self.reader, &mut buffer), Ok(n) if n == buffer.len()) {}
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

impl AsFd for Waitable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Waitable {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}
