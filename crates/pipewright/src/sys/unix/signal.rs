//! The waitable object: readable while it is set.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An `eventfd` on Linux, a pipe elsewhere.
#[derive(Debug)]
pub(crate) struct Signal {
    reader: OwnedFd,
    /// The writing end; an `eventfd` has but one.
    writer: Option<OwnedFd>,
}

impl Signal {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        let reader = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Signal {
            reader,
            writer: None,
        })
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn new() -> io::Result<Self> {
        use rustix::fs::{OFlags, fcntl_setfl};
        use rustix::io::{FdFlags, fcntl_setfd};
        let (reader, writer) = rustix::pipe::pipe()?;
        for end in [&reader, &writer] {
            fcntl_setfd(end, FdFlags::CLOEXEC)?;
            fcntl_setfl(end, OFlags::NONBLOCK)?;
        }
        Ok(Signal {
            reader,
            writer: Some(writer),
        })
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
