//! Waiting for clients.

use std::fmt;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use windows_sys::Win32::Foundation::ERROR_PIPE_BUSY;

use super::backoff::Backoff;
use super::connect::{Connected, Connecting, Started, disconnect};
use super::server::Listener;
use super::{is_code, timed_out};
use crate::wait::Wait;

/// The server's end of a pipe: an instance that clients can connect to, and all
/// that further instances are made from.
///
/// Made by [`ServerOptions::create`](super::ServerOptions::create). Dropping it
/// takes the instance away at once, and never touches those that were accepted.
pub struct Server {
    /// The wait for a client of `instance`. Before it, so that it ends before it.
    connecting: Option<Connecting>,
    /// `None` if one was given away and there may be no other yet.
    instance: Option<Arc<OwnedHandle>>,
    listener: Arc<Listener>,
}

impl Server {
    pub(super) fn new(listener: Arc<Listener>, instance: OwnedHandle) -> Self {
        Server {
            connecting: None,
            instance: Some(Arc::new(instance)),
            listener,
        }
    }

    /// Waits for a client, at most `timeout`, blocking the thread, and gives the
    /// connected pipe away: to [`PipeWriter::new`](crate::PipeWriter::new).
    ///
    /// Before that, another instance is made, so that the name is never free for
    /// somebody else to take, and the next client, which may connect at once, has
    /// one to connect to. If there are as many as
    /// [may be](super::ServerOptions::max_instances), the next call makes it, once
    /// one of the others is closed. For a single client, allow one instance.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](io::ErrorKind::TimedOut) if nobody came; nothing is lost by
    /// that, and a client that comes in the last moment is this call's or the
    /// next one's. [`PermissionDenied`](io::ErrorKind::PermissionDenied) if the pipe
    /// belongs to somebody else by now. Otherwise the system's.
    ///
    /// # Platform notes
    ///
    /// A client that leaves before it is accepted is passed over, if it cannot have
    /// written anything. One that leaves later is seen when the pipe is used.
    pub fn accept(&mut self, timeout: Duration) -> io::Result<OwnedHandle> {
        match self.accepting().wait_timeout(timeout) {
            Some(accepted) => accepted,
            None => {
                let last = self.settle()?;
                last.ok_or_else(|| timed_out("no client has connected"))
            }
        }
    }

    /// Takes the client that has connected by now: `None` if there is none. Never
    /// waits for one.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), never `TimedOut`.
    pub fn try_accept(&mut self) -> io::Result<Option<OwnedHandle>> {
        // What a future left behind, so that the wait below is a look at the pipe.
        if let Some(accepted) = self.settle()? {
            return Ok(Some(accepted));
        }
        match self.accepting().wait_timeout(Duration::ZERO) {
            Some(accepted) => accepted.map(Some),
            None => self.settle(),
        }
    }

    /// As [`accept`](Self::accept), as a task, and for as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept), never `TimedOut`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no client is lost: one that connects in that
    /// moment or later is there for the next accept.
    pub async fn accept_async(&mut self) -> io::Result<OwnedHandle> {
        self.accepting().wait().await
    }

    /// Another instance of the same pipe, to wait for several clients at once. Which
    /// of them a client gets is for the system to say, so all are to be accepted.
    ///
    /// # Errors
    ///
    /// The system's; `ERROR_PIPE_BUSY` (231) if there are as many as may be;
    /// [`PermissionDenied`](io::ErrorKind::PermissionDenied) if the pipe belongs to
    /// somebody else by now.
    pub fn next_instance(&self) -> io::Result<Server> {
        let instance = self.listener.instance()?;
        Ok(Server::new(Arc::clone(&self.listener), instance))
    }

    #[cfg(test)]
    pub(super) fn raw_instance(&self) -> std::os::windows::io::RawHandle {
        use std::os::windows::io::AsRawHandle;
        self.instance.as_ref().unwrap().as_raw_handle()
    }

    fn accepting(&mut self) -> Accepting<'_> {
        Accepting {
            server: self,
            backoff: Backoff::new(),
        }
    }

    /// After a wait that was given up: what it came to nevertheless.
    fn settle(&mut self) -> io::Result<Option<OwnedHandle>> {
        let Some(connecting) = self.connecting.take() else {
            return Ok(None);
        };
        let connected = connecting.end().inspect_err(|_| {
            // It may be in use for ever; the next accept makes another.
            self.instance = None;
        })?;
        match connected {
            Connected::Yes => self.give().map(Some),
            Connected::Gone if self.listener.parameters.duplex() => self.give().map(Some),
            // The next accept finds that it is gone, and passes it over.
            Connected::Gone | Connected::Cancelled => Ok(None),
        }
    }

    /// The instance that is there, or a new one.
    fn instance(&mut self) -> io::Result<&Arc<OwnedHandle>> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => Arc::new(self.listener.instance()?),
        };
        Ok(self.instance.insert(instance))
    }

    /// Gives the connected instance away.
    fn give(&mut self) -> io::Result<OwnedHandle> {
        // Its wait has ended, so nobody else holds it.
        self.connecting = None;
        let instance = self.instance.take().and_then(Arc::into_inner);
        // While the old one is still here. If there can be none, the next accept
        // tries again, and says why.
        self.instance = self.listener.instance().ok().map(Arc::new);
        instance.ok_or_else(|| io::Error::other("the instance is still in use"))
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("pipe", &self.listener)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// Until there is a client. Dropped before, it cancels the wait and leaves the
/// completion to the server.
struct Accepting<'a> {
    server: &'a mut Server,
    backoff: Backoff,
}

impl Accepting<'_> {
    /// What came of a wait: `Some` if that is the end of it.
    fn connected(&mut self, connected: Connected) -> Option<io::Result<OwnedHandle>> {
        match connected {
            Connected::Yes => Some(self.server.give()),
            // What it has written is still to be read.
            Connected::Gone if self.server.listener.parameters.duplex() => Some(self.server.give()),
            Connected::Gone => {
                let instance = self.server.instance.as_ref()?;
                disconnect(instance).err().map(Err)
            }
            // By an accept before this one, by somebody else, or because the thread
            // that began it has ended.
            Connected::Cancelled => None,
        }
    }
}

impl Wait for Accepting<'_> {
    type Output = io::Result<OwnedHandle>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let connected = if let Some(connecting) = &mut self.server.connecting {
                let connected = connecting.poll().or_else(|| {
                    // Another look after the waker: no completion falls between.
                    connecting.register(cx.waker().clone());
                    connecting.poll()
                });
                let Some(connected) = connected else {
                    return Poll::Pending;
                };
                self.server.connecting = None;
                connected?
            } else {
                let instance = match self.server.instance() {
                    Ok(instance) => Arc::clone(instance),
                    // As many as may be, until one of them is closed.
                    Err(error) if is_code(&error, ERROR_PIPE_BUSY) => {
                        return self.backoff.poll(cx).map(Err);
                    }
                    Err(error) => return Poll::Ready(Err(error)),
                };
                match Connecting::start(instance)? {
                    Started::Pending(connecting) => {
                        self.server.connecting = Some(connecting);
                        continue;
                    }
                    Started::Done(connected) => connected,
                }
            };
            if let Some(accepted) = self.connected(connected) {
                return Poll::Ready(accepted);
            }
        }
    }
}

impl Drop for Accepting<'_> {
    fn drop(&mut self) {
        if let Some(connecting) = &self.server.connecting {
            // If that fails, the next accept, or the server's drop, tries again.
            let _ = connecting.cancel();
        }
    }
}
