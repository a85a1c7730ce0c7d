//! What kind of file a descriptor refers to, and how it can be written without
//! waiting and without touching what others share.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use pipewright_core::Mode;
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;

use super::system;
use super::write::Mechanism;
use crate::sys::Description;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A pipe or FIFO; packet pipes keep message boundaries.
    Pipe {
        packets: bool,
    },
    /// A socket; the others than streams keep message boundaries.
    Socket {
        stream: bool,
    },
    Terminal,
    /// A device of memory, which can never make a writer wait.
    Memory,
    Regular,
    Other,
}

impl Kind {
    /// # Errors
    ///
    /// `EBADF` for a descriptor that is not open, or not for writing; `EISDIR`
    /// for a directory.
    pub(super) fn of(fd: &OwnedFd) -> io::Result<Kind> {
        let stat = fstat(fd)?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        let flags = fcntl_getfl(fd)?;
        let access = flags & OFlags::RWMODE;
        if access == OFlags::RDONLY || flags.contains(OFlags::PATH) {
            return Err(Errno::BADF.into());
        }
        Ok(match file_type {
            FileType::Fifo => Kind::Pipe {
                packets: flags.contains(system::PACKETS),
            },
            FileType::Socket => Kind::Socket {
                stream: socket_type(fd)? == SocketType::STREAM,
            },
            FileType::CharacterDevice if rustix::termios::isatty(fd) => Kind::Terminal,
            FileType::CharacterDevice if system::is_memory_device(&stat) => Kind::Memory,
            FileType::RegularFile => Kind::Regular,
            _ => Kind::Other,
        })
    }

    pub(super) fn describe(self, fd: &OwnedFd) -> Description {
        Description {
            mode: self.mode(),
            label: self.label(fd),
        }
    }

    fn mode(self) -> Mode {
        match self {
            Kind::Pipe { packets: true } | Kind::Socket { stream: false } => Mode::Message,
            _ => Mode::Byte,
        }
    }

    fn label(self, fd: &OwnedFd) -> String {
        let what = match self {
            Kind::Pipe { .. } => "pipe",
            Kind::Socket { .. } => "socket",
            Kind::Terminal => "terminal",
            Kind::Memory => "device",
            Kind::Regular => "file",
            Kind::Other => "other",
        };
        format!("fd {} ({what})", fd.as_raw_fd())
    }

    /// Whether `poll` can tell when a write would not wait.
    pub(super) fn is_pollable(self) -> bool {
        !matches!(self, Kind::Regular)
    }

    /// How to write without waiting, if there is a way; with a description of
    /// our own if that is what it takes.
    pub(super) fn mechanism(
        self,
        fd: &OwnedFd,
        sole_owner: bool,
    ) -> Option<(Mechanism, Option<OwnedFd>)> {
        match self {
            Kind::Socket { .. } => Some((Mechanism::Socket, None)),
            Kind::Memory => Some((Mechanism::Plain, None)),
            Kind::Pipe { .. } if system::takes_nowait(fd) => Some((Mechanism::NoWait, None)),
            Kind::Pipe { packets: false } | Kind::Terminal => {
                if sole_owner && set_nonblocking(fd).is_ok() {
                    return Some((Mechanism::Plain, None));
                }
                match system::reopen(fd) {
                    Some(own) => Some((Mechanism::Plain, Some(own))),
                    None => is_nonblocking(fd).then_some((Mechanism::Plain, None)),
                }
            }
            Kind::Pipe { packets: true } => (is_nonblocking(fd)
                || (sole_owner && set_nonblocking(fd).is_ok()))
            .then_some((Mechanism::Plain, None)),
            Kind::Regular | Kind::Other => None,
        }
    }
}

fn is_nonblocking(fd: &OwnedFd) -> bool {
    fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
}

fn set_nonblocking(fd: &OwnedFd) -> rustix::io::Result<()> {
    fcntl_setfl(fd, fcntl_getfl(fd)? | OFlags::NONBLOCK)
}
