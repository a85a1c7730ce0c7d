//! A descriptor that the poller may know.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{fmt, io};

use polling::{Event, Poller};

/// A descriptor, the key under which its readiness is reported, and whether the
/// poller has it.
///
/// # Invariant
///
/// The poller has the descriptor only while `fd` is `Some` and `added` is true:
/// it is taken out before the descriptor is closed or given away.
pub(super) struct Source {
    poller: &'static Poller,
    fd: Option<OwnedFd>,
    key: usize,
    added: bool,
}

impl Source {
    pub(super) fn new(poller: &'static Poller, fd: OwnedFd, key: usize) -> Self {
        Source {
            poller,
            fd: Some(fd),
            key,
            added: false,
        }
    }

    pub(super) fn key(&self) -> usize {
        self.key
    }

    /// The descriptor, unless it was given away.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Asks for one report of readiness.
    pub(super) fn arm(&mut self) -> io::Result<()> {
        let Some(fd) = &self.fd else {
            return Ok(());
        };
        let interest = Event::writable(self.key);
        if self.added {
            return self.poller.modify(fd, interest);
        }
        // SAFETY: the descriptor is owned here, and by the invariant of `Source`
        // it is taken out of the poller before it is closed.
        unsafe { self.poller.add(fd, interest) }?;
        self.added = true;
        Ok(())
    }

    /// Takes the descriptor out, of the poller first.
    pub(super) fn take(&mut self) -> Option<OwnedFd> {
        let fd = self.fd.take()?;
        if std::mem::take(&mut self.added) {
            // It fails only for a descriptor that is not registered.
            let _ = self.poller.delete(&fd);
        }
        Some(fd)
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("fd", &self.fd)
            .field("key", &self.key)
            .field("added", &self.added)
            .finish_non_exhaustive()
    }
}
