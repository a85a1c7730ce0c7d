//! A system that nobody has written the openings for yet: everything is refused.
//! It keeps the rest free of system-specific code.

use std::ffi::{OsStr, OsString};
use std::io;
use std::time::Duration;

use crate::os::{Exit, Opened, Signal, Trouble};
use crate::spec::Target;

pub(crate) use std::fs::File as Handle;

pub(crate) struct Opener;
pub(crate) struct CreatedFifo;
pub(crate) struct Child;
pub(crate) struct Input;
pub(crate) struct Waker;

impl Opener {
    pub(crate) fn new(_: Option<Duration>) -> Self {
        Opener
    }

    pub(crate) fn open(&mut self, _: &Target, _: &str) -> Result<Opened, Trouble> {
        Err(io::Error::from(io::ErrorKind::Unsupported).into())
    }
}

impl CreatedFifo {
    pub(crate) fn remove(&self) {}
}

impl Child {
    pub(crate) fn watch(&mut self, _: impl FnOnce(io::Result<Exit>)) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn terminate(&self) {}
}

impl Input {
    pub(crate) fn new() -> io::Result<(Input, Waker)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn read(&mut self, _: &mut [u8]) -> io::Result<Option<usize>> {
        Ok(Some(0))
    }
}

impl Waker {
    pub(crate) fn wake(&mut self) {}
}

pub(crate) fn watch_signals(_: impl FnMut(Signal)) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn release_stdout() -> io::Result<()> {
    Ok(())
}

/// Exact for valid Unicode, which is all that this stub needs.
pub(crate) fn tail(text: &OsStr, start: usize) -> OsString {
    String::from_utf8_lossy(&text.as_encoded_bytes()[start..])
        .into_owned()
        .into()
}
