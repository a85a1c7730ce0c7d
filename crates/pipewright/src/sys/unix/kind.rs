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
    /// A file, or a device of blocks.
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
        if access == OFlags::RDONLY || flags.intersects(system::NAME_ONLY) {
            return Err(Errno::BADF.into());
        }
        Ok(match file_type {
            FileType::Fifo => Kind::Pipe {
                packets: flags.intersects(system::PACKETS),
            },
            FileType::Socket => Kind::Socket {
                stream: socket_type(fd)? == SocketType::STREAM,
            },
            FileType::CharacterDevice if rustix::termios::isatty(fd) => Kind::Terminal,
            FileType::CharacterDevice if system::is_memory_device(&stat) => Kind::Memory,
            FileType::RegularFile | FileType::BlockDevice => Kind::Regular,
            _ => Kind::Other,
        })
    }

    pub(super) fn describe(self, fd: &OwnedFd) -> Description {
        Description {
            mode: Some(self.mode()),
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

    /// How to write without waiting, if there is a way.
    pub(super) fn way(self, fd: &OwnedFd, sole_owner: bool) -> Option<Way> {
        match self {
            Kind::Socket { .. } => Some(Way::by(Mechanism::Socket)),
            Kind::Memory => Some(Way::by(Mechanism::Plain)),
            Kind::Pipe { packets } => {
                let way = if system::takes_nowait(fd) {
                    Some(Way::by(Mechanism::NoWait))
                } else {
                    Way::nonblocking(fd, sole_owner)
                };
                way.map(|way| Way { packets, ..way })
            }
            Kind::Terminal => Way::nonblocking(fd, sole_owner),
            Kind::Regular | Kind::Other => None,
        }
    }
}

/// A way to write a descriptor without waiting.
pub(super) struct Way {
    pub(super) mechanism: Mechanism,
    /// A description of our own, to be written instead.
    pub(super) own: Option<OwnedFd>,
    /// The description was made non-blocking, which is to be undone.
    pub(super) made_nonblocking: bool,
    /// It is a packet pipe.
    pub(super) packets: bool,
}

impl Way {
    fn by(mechanism: Mechanism) -> Way {
        Way {
            mechanism,
            own: None,
            made_nonblocking: false,
            packets: false,
        }
    }

    /// Through a description that does not block: this one, if nobody is hurt by
    /// that, else one of our own.
    fn nonblocking(fd: &OwnedFd, sole_owner: bool) -> Option<Way> {
        let plain = Way::by(Mechanism::Plain);
        if sole_owner && is_nonblocking(fd) {
            return Some(plain);
        }
        if sole_owner && make_nonblocking(fd) {
            return Some(Way {
                made_nonblocking: true,
                ..plain
            });
        }
        match system::reopen(fd) {
            Some(own) => Some(Way {
                own: Some(own),
                ..plain
            }),
            None => is_nonblocking(fd).then_some(plain),
        }
    }
}

pub(super) fn is_nonblocking(fd: &OwnedFd) -> bool {
    fcntl_getfl(fd).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
}

fn make_nonblocking(fd: &OwnedFd) -> bool {
    let flags = fcntl_getfl(fd);
    flags.is_ok_and(|flags| fcntl_setfl(fd, flags | OFlags::NONBLOCK).is_ok())
}

pub(super) fn make_blocking(fd: &OwnedFd) {
    if let Ok(flags) = fcntl_getfl(fd) {
        // What could be set a moment ago can be cleared.
        let _ = fcntl_setfl(fd, flags - OFlags::NONBLOCK);
    }
}
