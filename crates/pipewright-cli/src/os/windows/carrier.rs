//! From a pipe to a socket. The library owns handles and closes them as such, and a
//! socket wants to be closed otherwise (Microsoft, "closesocket function") and not to be
//! duplicated as a handle ("DuplicateHandle function"). So the library writes to a pipe
//! of this process, and a thread carries what comes out of it to the socket.
//!
//! The thread never waits in a write to the socket: what a write has taken that is
//! broken off, the system does not say. It counts what the socket takes, to the byte.

use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use socket2::Socket;

use super::Handle;
use super::sys::Room;
use crate::os::{Carried, WayOut};

/// How much is read from the pipe at once.
const BLOCK: usize = 64 * 1024;
/// What the pipe holds at most. It is made as small as the system likes (4 KiB, seen on
/// Wine 10), which may round up.
const PIPE: usize = 64 * 1024;

/// Carries from one pipe to one socket.
pub(crate) struct Carrier {
    common: Arc<Common>,
    /// Until it starts.
    ends: Option<(PipeReader, Arc<Socket>)>,
}

/// What the thread and its owner have in common.
struct Common {
    room: Room,
    /// Bytes that the socket took.
    taken: AtomicU64,
    end: OnceLock<Carried>,
}

impl Carrier {
    /// A way to the socket, which others may read from.
    pub(crate) fn to(socket: Arc<Socket>) -> io::Result<WayOut> {
        let (pipe, handle) = io::pipe()?;
        let common = Common {
            room: Room::of(&socket)?,
            taken: AtomicU64::new(0),
            end: OnceLock::new(),
        };
        Ok(WayOut {
            handle: Handle::from(handle),
            carrier: Some(Carrier {
                common: Arc::new(common),
                ends: Some((pipe, socket)),
            }),
        })
    }

    /// Begins, on a thread of its own, which calls `told` when it has ended.
    pub(crate) fn start(&mut self, told: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let Some((mut pipe, socket)) = self.ends.take() else {
            return Ok(());
        };
        let common = Arc::clone(&self.common);
        let carrying = move || {
            let end = common.carry(&mut pipe, &socket);
            // The peer sees the end, also while somebody still reads from the socket. If
            // it has gone, it need not be told.
            let _ = socket.shutdown(Shutdown::Write);
            drop(socket);
            // Said before the pipe breaks, so that the reason is there when it does.
            let _ = common.end.set(end);
            drop(pipe);
            told();
        };
        thread::Builder::new()
            .name("carry".into())
            .spawn(carrying)?;
        Ok(())
    }

    /// Waits for the socket no longer. What comes out of the pipe without a wait is still
    /// carried, until the pipe is closed.
    pub(crate) fn stop(&self) {
        self.common.room.give_up();
    }

    /// How many bytes the socket took so far.
    pub(crate) fn taken(&self) -> u64 {
        self.common.taken.load(Ordering::Acquire)
    }

    /// How much there may be that was written to the pipe, and that the socket did not
    /// take.
    #[expect(clippy::unused_self, reason = "elsewhere there is none to ask")]
    pub(crate) fn holds(&self) -> usize {
        PIPE + BLOCK
    }

    /// How it ended, once it has.
    pub(crate) fn end(&self) -> Option<&Carried> {
        self.common.end.get()
    }
}

impl Common {
    fn carry(&self, pipe: &mut PipeReader, socket: &Socket) -> Carried {
        let mut block = vec![0; BLOCK];
        loop {
            let (handed_over, is_last) = match pipe.read(&mut block) {
                Ok(len) => (self.hand_over(&block[..len], socket), len == 0),
                Err(error) => (Err(error), true),
            };
            match handed_over {
                Ok(true) if is_last => return Carried::All,
                Ok(true) => {}
                Ok(false) => return Carried::Stopped,
                Err(error) => return Carried::Failed(error.into()),
            }
        }
    }

    /// Until the socket has taken all, or is waited for no longer: false.
    ///
    /// Nothing is handed over as well. Wine calls a write done of which it does a part
    /// later, in this process, and then an empty one waits for that (seen on Wine 10).
    fn hand_over(&self, mut bytes: &[u8], mut socket: &Socket) -> io::Result<bool> {
        loop {
            match socket.write(bytes) {
                Ok(len) => {
                    self.taken.fetch_add(len as u64, Ordering::Release);
                    bytes = &bytes[len..];
                    if bytes.is_empty() {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.room.wait(socket)? {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}
