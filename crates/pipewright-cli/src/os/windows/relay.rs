//! The other side of a relay: a named pipe, or a socket.

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipewright::named_pipe::ClientOptions;
use socket2::Socket;

use super::open::{native_name, open_in_time};
use super::sys::{self, PipeReader};
use super::{Carrier, Handle, Input, connect};
use crate::os::connect::tcp;
use crate::os::{Ends, Trouble};
use crate::relay::Target;

/// How much of what comes after the end is read at once, to be forgotten.
const LATE: usize = 4096;

/// What both directions have in common.
#[derive(Clone)]
pub(crate) enum Connection {
    Pipe(Arc<OwnedHandle>),
    /// Nothing that is needed: the [`Carrier`] tells the other side of the end.
    Socket,
}

impl Connection {
    /// The other side of a pipe is told by an empty message, if at all: a pipe has one
    /// handle for both directions, and to close it ends both.
    #[expect(clippy::unused_self, reason = "elsewhere it is asked")]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether an empty message is one that the other side gets.
    pub(crate) fn keeps_messages(&self) -> io::Result<bool> {
        match self {
            Connection::Pipe(pipe) => sys::keeps_messages(pipe.as_handle()),
            Connection::Socket => Ok(false),
        }
    }

    /// Waits until the other side has closed its end. Only a read tells, so it is for
    /// the time after the last one that counts: what still comes is forgotten. False if it
    /// cannot be known: of a socket that has said its last only a write tells.
    pub(crate) fn wait_until_gone(&self) -> bool {
        let Connection::Pipe(pipe) = self else {
            return false;
        };
        let Ok(mut reader) = pipe.try_clone().and_then(PipeReader::new) else {
            return false;
        };
        let mut late = [0; LATE];
        loop {
            match reader.read_some(&mut late) {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}

/// Opens the target; while it is not there, again and again, for up to `limit`.
pub(crate) fn join(target: &Target, limit: Option<Duration>) -> Result<Ends, Trouble> {
    match target {
        Target::Pipe(name) => pipe(name, limit),
        Target::Unix(path) => socket(connect::unix(path, limit.unwrap_or_default())?),
        Target::Tcp { host, port } => socket(tcp(host, *port, limit.unwrap_or_default())?.into()),
        Target::Fifos { .. } => Err(Trouble::own(
            r"Windows has no FIFOs; the relay joins named pipes, \\.\pipe\NAME",
        )),
    }
}

/// Standard output, for a writer. From now on this process has it open nowhere else,
/// so that its reader sees the end when the writer is closed.
pub(crate) fn own_stdout() -> io::Result<Handle> {
    let handle = super::clone_stdout()?;
    super::release_stdout()?;
    Ok(handle)
}

fn pipe(name: &Path, limit: Option<Duration>) -> Result<Ends, Trouble> {
    // Messages are read as such because an empty one is an end.
    let options = ClientOptions::new().duplex(true).read_messages(true);
    let name = native_name(name.as_os_str());
    let pipe = open_in_time(&options, &name, limit)?;
    let handle = pipe.try_clone()?;
    let connection = Connection::Pipe(Arc::new(pipe.try_clone()?));
    let (input, waker) = Input::of_pipe(pipe)?;
    Ok(Ends {
        input,
        waker,
        way_out: handle.into(),
        connection,
    })
}

fn socket(socket: Socket) -> Result<Ends, Trouble> {
    let socket = Arc::new(socket);
    let (input, waker) = Input::of_socket(Arc::clone(&socket))?;
    Ok(Ends {
        input,
        waker,
        way_out: Carrier::to(socket)?,
        connection: Connection::Socket,
    })
}
