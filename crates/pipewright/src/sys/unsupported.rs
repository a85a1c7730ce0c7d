//! A system that has no driver yet: everything compiles, and every handle is
//! refused. It keeps the contract of [`sys`](super) honest.

use std::io;
use std::task::Waker;
use std::time::Instant;

use pipewright_core::Mode;

use crate::sys::{Description, Handling, Opened, Refused};

pub(crate) use super::park::parker;

pub(crate) type Pipe = std::convert::Infallible;

pub(crate) fn describe(_: &Pipe) -> Description {
    Description {
        mode: Mode::Byte,
        label: "handle".into(),
    }
}

pub(crate) fn open(pipe: Pipe, _: Handling) -> Result<Opened, Refused> {
    let error = io::ErrorKind::Unsupported.into();
    Err(Refused { pipe, error })
}

#[derive(Debug)]
pub(crate) struct Signal(());

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn set(&self) {}

    pub(crate) fn clear(&self) {}
}

pub(crate) struct Timer(());

impl Timer {
    pub(crate) fn start(_: Instant, _: Waker) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {}
}
