//! A system on which nobody has written the relay's openings yet: every target is
//! refused.

#![expect(clippy::unused_self, reason = "elsewhere it is asked")]

use std::io;
use std::time::Duration;

use crate::os::{Handle, Input, Trouble, Waker};
use crate::relay::Target;

/// The other side of a relay, of which there is none here.
pub(crate) struct Ends {
    pub(crate) input: Input,
    pub(crate) waker: Waker,
    pub(crate) handle: Handle,
    pub(crate) connection: Connection,
}

#[derive(Clone)]
pub(crate) struct Connection;

impl Connection {
    pub(crate) fn end_writing(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn wait_until_gone(&self) -> bool {
        true
    }
}

pub(crate) fn join(_: &Target, _: Duration) -> Result<Ends, Trouble> {
    Err(Trouble::own(
        "the relay is not supported on this system yet",
    ))
}

pub(crate) fn own_stdout() -> io::Result<Handle> {
    Err(io::ErrorKind::Unsupported.into())
}
