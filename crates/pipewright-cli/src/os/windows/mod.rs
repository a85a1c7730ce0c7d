//! Windows.

mod child;
mod help;
mod input;
mod open;
mod remains;
mod signals;
mod sys;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::OwnedHandle;

pub(crate) use child::{Child, exit_in_words};
pub(crate) use help::{EXAMPLES, SIGNALS, SINKS};
pub(crate) use input::{Input, Waker};
pub(crate) use open::{CreatedFifo, Opener};
pub(crate) use remains::Remains;
pub(crate) use signals::watch_signals;
pub(crate) use terminal::{may_draw, suspend, watch_suspensions};

pub(crate) type Handle = OwnedHandle;

/// What follows the first `start` bytes, which are valid UTF-8.
pub(crate) fn tail(text: &OsStr, start: usize) -> OsString {
    let before = String::from_utf8_lossy(&text.as_encoded_bytes()[..start]);
    let units = before.encode_utf16().count();
    OsString::from_wide(&text.encode_wide().skip(units).collect::<Vec<_>>())
}

/// Puts `NUL` in the place of standard output, so that its reader sees the end when
/// the sink is done with it, and not when the process is.
pub(crate) fn release_stdout() -> io::Result<()> {
    sys::replace_stdout(File::options().write(true).open("NUL")?)
}
