//! The other side of a relay: a socket, or a pair of FIFOs.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pipewright::fifo;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, Mode, OFlags, fstat};
use rustix::io::Errno;
use rustix::net::Shutdown;

use super::{Handle, Input, connect};
use crate::os::connect::{patiently, tcp};
use crate::os::{Ends, Trouble};
use crate::relay::Target;
use crate::report::named;

/// What the two directions have in common.
#[derive(Clone)]
pub(crate) enum Connection {
    Socket(Arc<OwnedFd>),
    /// Nothing: there are two pipes, and each ends by itself.
    Fifos,
}

impl Connection {
    /// The other side sees the end of what it hears. Pipes are closed for that, and
    /// were.
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        match self {
            Connection::Socket(socket) => {
                match rustix::net::shutdown(socket, Shutdown::Write) {
                    // It has gone, and needs not be told.
                    Err(Errno::NOTCONN) => Ok(()),
                    ended => Ok(ended?),
                }
            }
            Connection::Fifos => Ok(()),
        }
    }

    /// Whether an empty message is one that the other side gets.
    #[expect(clippy::unused_self, reason = "elsewhere it is asked")]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(crate) fn keeps_messages(&self) -> io::Result<bool> {
        Ok(false)
    }

    /// Waits until the other side neither speaks nor hears any more. False if that
    /// cannot be known: only a write into a FIFO tells.
    pub(crate) fn wait_until_gone(&self) -> bool {
        let Connection::Socket(socket) = self else {
            return false;
        };
        loop {
            // Hang-ups and errors are always reported: POSIX, poll.
            let mut fds = [PollFd::new(socket, PollFlags::empty())];
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                polled => return polled.is_ok(),
            }
        }
    }
}

/// Opens both directions; while they are not there, again and again, for up to `limit`.
/// Without a limit, once.
pub(crate) fn join(target: &Target, limit: Option<Duration>) -> Result<Ends, Trouble> {
    let limit = limit.unwrap_or_default();
    match target {
        Target::Unix(path) => socket(connect::unix(path, limit)?),
        Target::Tcp { host, port } => socket(tcp(host, *port, limit)?.into()),
        Target::Fifos { to, from } => fifos(to, from, limit),
    }
}

/// Standard output, for a writer. From now on this process has it open nowhere else,
/// so that its reader sees the end when the writer is closed.
pub(crate) fn own_stdout() -> io::Result<Handle> {
    let handle = io::stdout().as_fd().try_clone_to_owned()?;
    super::release_stdout()?;
    Ok(handle)
}

fn socket(socket: OwnedFd) -> Result<Ends, Trouble> {
    let handle = socket.try_clone()?;
    let connection = Connection::Socket(Arc::new(socket.try_clone()?));
    let (input, waker) = Input::of(File::from(socket))?;
    Ok(Ends {
        input,
        waker,
        way_out: handle.into(),
        connection,
    })
}

/// The one to read first: that needs no writer, so the other side may open its ends in
/// any order.
fn fifos(to: &Path, from: &Path, limit: Duration) -> Result<Ends, Trouble> {
    let started = Instant::now();
    let is_missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
    let from = patiently(limit, is_missing, |_| {
        open_to_read(from).map_err(|error| named(from, &error))
    })?;
    let left = limit.saturating_sub(started.elapsed());
    let options = fifo::OpenOptions::new().follow_links(true);
    let to = patiently(left, is_missing, |left| {
        options.open(to, left).map_err(|error| named(to, &error))
    })?;
    let (input, waker) = Input::of(File::from(from))?;
    Ok(Ends {
        input,
        waker,
        way_out: to.into(),
        connection: Connection::Fifos,
    })
}

/// At once, whether somebody writes or not: POSIX, open, `O_NONBLOCK`.
fn open_to_read(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fifo = rustix::fs::open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&fifo)?.st_mode) != FileType::Fifo {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a FIFO",
        ));
    }
    Ok(fifo)
}
