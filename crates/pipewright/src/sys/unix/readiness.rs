//! The readiness driver: write without waiting, and hear from the reactor when
//! the pipe takes more.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use pipewright_core::{Limits, Operation};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;

use super::asked::Asked;
use super::kind::{self, Way};
use super::reactor::Reactor;
use super::source::Source;
use super::system;
use super::write::{self, Mechanism};
use crate::sys::{Attempt, Driver, Inline, Pipe, Refused, Submitted, Writer};

pub(super) struct Readiness {
    reactor: &'static Reactor,
    /// Held only for calls that do not wait, and never while the writer is
    /// called.
    target: Mutex<Target>,
}

/// What is written, and how.
struct Target {
    source: Source,
    /// The user's descriptor, if `source` is another description of its file.
    original: Option<OwnedFd>,
    mechanism: Mechanism,
    /// The user's description was made non-blocking here.
    made_nonblocking: bool,
    packets: bool,
}

impl Readiness {
    pub(super) fn open(pipe: Pipe, way: Way) -> Result<Arc<Self>, Refused> {
        let reactor = match Reactor::get() {
            Ok(reactor) => reactor,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let (fd, original) = match way.own {
            Some(own) => (own, Some(pipe)),
            None => (pipe, None),
        };
        Ok(Arc::new(Readiness {
            reactor,
            target: Mutex::new(Target {
                source: reactor.source(fd),
                original,
                mechanism: way.mechanism,
                made_nonblocking: way.made_nonblocking,
                packets: way.packets,
            }),
        }))
    }

    /// Writes data of so many bytes.
    fn attempt(&self, len: usize, data: &[IoSlice<'_>]) -> Attempt {
        self.with_target(|target| {
            if target.packets {
                fits_a_packet(len)?;
            }
            target.write(data, self.reactor)
        })
        .into()
    }

    fn with_target<T>(&self, act: impl FnOnce(&mut Target) -> T) -> T {
        act(&mut self.target.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Of a longer packet the system makes several, and of an empty one none, and does not
/// say so (Linux man page pipe(2), "O_DIRECT").
fn fits_a_packet(len: usize) -> Result<(), Errno> {
    match len {
        0 => Err(Errno::INVAL),
        1..=PIPE_BUF => Ok(()),
        _ => Err(Errno::MSGSIZE),
    }
}

impl Target {
    fn write(&mut self, data: &[IoSlice<'_>], reactor: &'static Reactor) -> Result<usize, Errno> {
        let Some(fd) = self.source.fd() else {
            return Err(Errno::AGAIN);
        };
        match self.mechanism.write(fd, data) {
            Err(Errno::OPNOTSUPP) if self.mechanism == Mechanism::NoWait => {
                self.do_without_nowait(reactor)?;
                self.write(data, reactor)
            }
            written => written,
        }
    }

    /// A pipe can be written without waiting only through the description with
    /// which it was made: one that was opened by its path in `/proc` or `/dev/fd`
    /// refuses. Nothing tells them apart before the first write.
    fn do_without_nowait(&mut self, reactor: &'static Reactor) -> Result<(), Errno> {
        let fd = self.source.take().ok_or(Errno::BADF)?;
        let own = system::reopen(&fd);
        let works = own.is_some() || kind::is_nonblocking(&fd);
        match own {
            Some(own) => {
                self.source = reactor.source(own);
                self.original = Some(fd);
            }
            None => self.source = reactor.source(fd),
        }
        self.mechanism = Mechanism::Plain;
        if works { Ok(()) } else { Err(Errno::OPNOTSUPP) }
    }

    /// Whether the other end is gone in a way that is no error of a write: the
    /// poller would report it for ever, and every write would say "not now".
    fn is_hung_up(&self) -> bool {
        let Some(fd) = self.source.fd() else {
            return false;
        };
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
        let now = Timespec::default();
        self.mechanism == Mechanism::Plain
            && poll(&mut fds, Some(&now)).is_ok()
            && fds[0].revents() & (PollFlags::OUT | PollFlags::HUP) == PollFlags::HUP
    }
}

impl Inline for Readiness {
    fn write(&self, data: &[u8]) -> Attempt {
        self.attempt(data.len(), &[IoSlice::new(data)])
    }

    fn is_behind(&self) -> bool {
        self.reactor.is_behind()
    }
}

impl Driver for Readiness {
    fn limits(&self) -> Limits {
        write::LIMITS
    }

    fn inline(&self) -> Option<&dyn Inline> {
        Some(self)
    }

    fn closes_at_once(&self) -> bool {
        true
    }

    fn schedule(&self, writer: Arc<dyn Writer>) {
        self.reactor.schedule(writer);
    }

    fn submit(&self, _: Arc<dyn Writer>, operation: Operation) -> Submitted {
        let len = operation.len();
        let attempt = write::with_slices(&operation, |data| self.attempt(len, data));
        attempt.of(operation)
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        self.with_target(|target| {
            if target.is_hung_up() {
                return Err(Errno::IO.into());
            }
            if target.source.fd().is_some() {
                self.reactor.expect(target.source.key(), writer);
            }
            target.source.arm()
        })
    }

    fn cancel(&self) {
        // Nothing stays in flight here: a write that does not wait is over soon.
    }

    fn detach(&self, _: Arc<dyn Writer>) -> Poll<Option<Pipe>> {
        let (pipe, forgotten) = self.with_target(|target| {
            let forgotten = self.reactor.forget(target.source.key());
            let fd = target.source.take();
            let pipe = target.original.take().or(fd);
            if let Some(pipe) = pipe.as_ref().filter(|_| target.made_nonblocking) {
                kind::make_blocking(pipe);
            }
            (pipe, forgotten)
        });
        drop(forgotten);
        Poll::Ready(pipe)
    }

    fn poll_read(&self, asked: &mut Asked, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let read = self.with_target(|target| target.source.fd().map(system::is_read));
        read.map_or(Poll::Pending, |read| asked.answer(read, cx))
    }
}
