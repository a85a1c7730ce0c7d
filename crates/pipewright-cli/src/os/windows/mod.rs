//! Windows.

mod carrier;
mod child;
mod connect;
mod help;
mod input;
mod open;
mod relay;
mod remains;
mod signals;
mod sys;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::ERROR_INVALID_HANDLE;

pub(crate) use carrier::Carrier;
pub(crate) use child::{Child, exit_in_words};
pub(crate) use help::{ENDS, EXAMPLES, RELAY_EXAMPLES, RELAY_SIGNALS, SIGNALS, SINKS, TARGETS};
pub(crate) use input::{Input, Waker};
pub(crate) use open::{Created, Opener, is_pipe_name};
pub(crate) use relay::{Connection, join, own_stdout};
pub(crate) use remains::Remains;
pub(crate) use signals::watch_signals;
pub(crate) use terminal::{Screen, may_draw, suspend, watch_suspensions};

pub(crate) type Handle = OwnedHandle;

/// What follows the first `start` bytes, which are valid UTF-8.
pub(crate) fn tail(text: &OsStr, start: usize) -> OsString {
    let before = String::from_utf8_lossy(&text.as_encoded_bytes()[..start]);
    let units = before.encode_utf16().count();
    OsString::from_wide(&text.encode_wide().skip(units).collect::<Vec<_>>())
}

/// Standard output, once more.
///
/// # Errors
///
/// `ERROR_INVALID_HANDLE` if there is none.
fn clone_stdout() -> io::Result<Handle> {
    let stdout = io::stdout();
    if stdout.as_handle().as_raw_handle().is_null() {
        return Err(io::Error::from_raw_os_error(
            ERROR_INVALID_HANDLE.cast_signed(),
        ));
    }
    stdout.as_handle().try_clone_to_owned()
}

/// Puts `NUL` in the place of standard output, so that its reader sees the end when
/// the sink is done with it, and not when the process is.
pub(crate) fn release_stdout() -> io::Result<()> {
    sys::replace_stdout(File::options().write(true).open("NUL")?)
}
