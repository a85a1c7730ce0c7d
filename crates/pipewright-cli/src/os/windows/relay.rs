//! The other side of a relay: a named pipe.

use std::io;
use std::os::windows::io::{AsHandle, OwnedHandle};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pipewright::named_pipe::ClientOptions;

use super::open::{native_name, open_in_time};
use super::sys::{self, PipeReader};
use super::{Handle, Input};
use crate::os::{Ends, Trouble};
use crate::relay::Target;

/// How much of what comes after the end is read at once, to be forgotten.
const LATE: usize = 4096;

/// The pipe, which both directions have in common.
#[derive(Clone)]
pub(crate) struct Connection(Arc<OwnedHandle>);

impl Connection {
    /// The other side is told by an empty message, if at all: a pipe has one handle for
    /// both directions, and to close it ends both.
    #[expect(clippy::unused_self, reason = "elsewhere it is asked")]
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        Ok(())
    }

    /// Whether an empty message is one that the other side gets.
    pub(crate) fn keeps_messages(&self) -> io::Result<bool> {
        sys::keeps_messages(self.0.as_handle())
    }

    /// Waits until the other side has closed its end. Only a read tells, so it is for
    /// the time after the last one that counts: what still comes is forgotten.
    pub(crate) fn wait_until_gone(&self) -> bool {
        let Ok(mut reader) = self.0.try_clone().and_then(PipeReader::new) else {
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

/// Opens the pipe; while it is not there, again and again, for up to `limit`.
pub(crate) fn join(target: &Target, limit: Option<Duration>) -> Result<Ends, Trouble> {
    match target {
        Target::Pipe(name) => pipe(name, limit),
        Target::Unix(_) | Target::Tcp { .. } => Err(Trouble::own(
            r"the relay knows no sockets on Windows; it joins named pipes, \\.\pipe\NAME",
        )),
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
    let connection = Connection(Arc::new(pipe.try_clone()?));
    let (input, waker) = Input::of_pipe(pipe)?;
    Ok(Ends {
        input,
        waker,
        handle,
        connection,
    })
}
