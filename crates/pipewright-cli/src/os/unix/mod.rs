//! Unix.

mod carrier;
mod child;
mod connect;
mod help;
mod input;
mod listen;
mod open;
mod relay;
mod remains;
mod signals;
#[cfg(target_os = "linux")]
mod splice;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{FileType, Mode, OFlags, fstat};

pub(crate) use carrier::Carrier;
pub(crate) use child::{Child, exit_in_words};
pub(crate) use help::{ENDS, EXAMPLES, RELAY_EXAMPLES, RELAY_SIGNALS, SIGNALS, SINKS, TARGETS};
pub(crate) use input::{Input, Waker};
pub(crate) use open::{Created, Opener};
pub(crate) use relay::{Connection, join, own_stdout};
pub(crate) use remains::Remains;
pub(crate) use signals::watch_signals;
#[cfg(target_os = "linux")]
pub(crate) use splice::Splice;
pub(crate) use terminal::{Screen, may_draw, suspend, watch_suspensions};

pub(crate) type Handle = OwnedFd;

/// What follows the first `start` bytes.
pub(crate) fn tail(text: &OsStr, start: usize) -> OsString {
    OsStr::from_bytes(&text.as_bytes()[start..]).into()
}

/// With a name in the file system or without.
fn is_pipe(handle: &impl AsFd) -> bool {
    fstat(handle).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// Puts `/dev/null` in the place of standard output, so that its reader sees the
/// end when the sink is done with it, and not when the process is.
pub(crate) fn release_stdout() -> io::Result<()> {
    let null = rustix::fs::open("/dev/null", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(rustix::stdio::dup2_stdout(&null)?)
}
