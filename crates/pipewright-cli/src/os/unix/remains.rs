//! What a pipe still holds when its reader has gone.

use std::os::fd::{AsFd, OwnedFd};

use super::is_pipe;
use crate::os::Kind;

/// The writing end of a pipe, kept for as long as the question may come up. While
/// it is open the reader does not see the end of its input.
#[derive(Debug)]
pub(crate) struct Remains {
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only kept open"))]
    pipe: OwnedFd,
    kind: Kind,
}

impl Remains {
    /// `None` where the system does not say: everything but pipes, and everything
    /// but Linux.
    pub(crate) fn of(kind: Kind, pipe: &impl AsFd) -> Option<Remains> {
        let known = cfg!(target_os = "linux")
            && matches!(kind, Kind::Exec | Kind::Fifo | Kind::Listen)
            && is_pipe(pipe);
        let pipe = known.then(|| pipe.as_fd().try_clone_to_owned().ok())??;
        Some(Remains { pipe, kind })
    }

    /// How many bytes nobody will ever read. What is in a FIFO waits for its next
    /// reader for as long as anybody has the FIFO open, and this has.
    ///
    /// Seen on Linux 6.18: `FIONREAD` answers on the writing end, also after the
    /// last reader has gone, and a FIFO keeps its bytes.
    pub(crate) fn unread(&self) -> u64 {
        match self.kind {
            #[cfg(target_os = "linux")]
            Kind::Exec => rustix::io::ioctl_fionread(&self.pipe).unwrap_or_default(),
            _ => 0,
        }
    }

    /// How many bytes there can be at most.
    pub(crate) fn capacity(&self) -> usize {
        #[cfg(target_os = "linux")]
        let capacity = rustix::pipe::fcntl_getpipe_size(&self.pipe).unwrap_or_default();
        #[cfg(not(target_os = "linux"))]
        let capacity = 0;
        capacity
    }
}
