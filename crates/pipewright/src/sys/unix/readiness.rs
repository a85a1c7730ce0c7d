//! The readiness driver: write without waiting, and hear from the reactor when
//! the pipe takes more.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use pipewright_core::{Limits, Operation};

use super::reactor::Reactor;
use super::source::Source;
use super::system;
use super::write::{self, Mechanism};
use crate::sys::{Driver, Pipe, Refused, Submitted, Writer};

pub(super) struct Readiness {
    reactor: &'static Reactor,
    mechanism: Mechanism,
    /// Held only for calls that do not wait, and never while the writer is
    /// called.
    source: Mutex<Source>,
    /// The user's descriptor, if `source` is another description of its file.
    original: Mutex<Option<OwnedFd>>,
}

impl Readiness {
    pub(super) fn open(
        pipe: Pipe,
        reopened: Option<OwnedFd>,
        mechanism: Mechanism,
    ) -> Result<Arc<Self>, Refused> {
        let reactor = match Reactor::get() {
            Ok(reactor) => reactor,
            Err(error) => return Err(Refused { pipe, error }),
        };
        let (fd, original) = match reopened {
            Some(own) => (own, Some(pipe)),
            None => (pipe, None),
        };
        Ok(Arc::new(Readiness {
            reactor,
            mechanism,
            source: Mutex::new(reactor.source(fd)),
            original: Mutex::new(original),
        }))
    }

    fn with_source<T>(&self, act: impl FnOnce(&mut Source) -> T) -> T {
        act(&mut self.source.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Driver for Readiness {
    fn limits(&self) -> Limits {
        write::LIMITS
    }

    fn inline(&self) -> bool {
        true
    }

    fn schedule(&self, writer: Arc<dyn Writer>) {
        self.reactor.schedule(writer);
    }

    fn submit(&self, _: Arc<dyn Writer>, operation: Operation) -> Submitted {
        self.with_source(|source| match source.fd() {
            Some(fd) => self.mechanism.submit(fd, operation),
            None => Submitted::NotReady(operation),
        })
    }

    fn arm(&self, writer: Arc<dyn Writer>) -> io::Result<()> {
        self.with_source(|source| {
            if source.fd().is_some() {
                self.reactor.expect(source.key(), writer);
            }
            source.arm()
        })
    }

    fn cancel(&self) {
        // Nothing stays in flight here: a write that does not wait is over soon.
    }

    fn detach(&self) -> Option<Pipe> {
        let (fd, forgotten) = self.with_source(|source| {
            let forgotten = self.reactor.forget(source.key());
            (source.take(), forgotten)
        });
        drop(forgotten);
        let original = self
            .original
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        original.or(fd)
    }

    fn is_read(&self) -> io::Result<bool> {
        self.with_source(|source| source.fd().map_or(Ok(true), system::is_read))
    }
}
