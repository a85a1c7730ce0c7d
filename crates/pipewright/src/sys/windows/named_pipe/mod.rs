//! Named pipes: serving one, and opening one, with strict defaults.
//!
//! What the system does by itself is generous: everybody may read what a server
//! sends, other computers may connect, whoever is first has the name, and a server
//! may act as its client. Here each of these has to be asked for, by an option of
//! its own; see [`ServerOptions`] and [`ClientOptions`].
//!
//! A server waits for its client, and a client for a free instance, up to a limit
//! or as a future. What comes of it is an overlapped handle, for a
//! [`PipeWriter`](crate::PipeWriter).
//!
//! # Examples
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use pipewright::named_pipe::ServerOptions;
//! use pipewright::PipeWriter;
//!
//! # let name = format!(r"\\.\pipe\pipewright-doc-{}", std::process::id());
//! let mut server = ServerOptions::new(&name).create()?;
//! # let reader = std::thread::spawn(move || std::fs::read(name));
//! let pipe = server.accept(Duration::from_secs(10))?; // until there is a reader
//! let writer = PipeWriter::new(pipe)?;
//! writer.try_send("ready\n")?;
//! writer.close_timeout(Duration::from_secs(10))?;
//! # assert_eq!(reader.join().unwrap()?, b"ready\n");
//! # Ok(())
//! # }
//! ```
//!
//! One client after the other, or many at once:
//!
//! ```no_run
//! use std::time::Duration;
//! use pipewright::named_pipe::ServerOptions;
//! use pipewright::PipeWriter;
//!
//! let mut server = ServerOptions::new(r"\\.\pipe\events").create()?;
//! let mut writers = Vec::new();
//! loop {
//!     let pipe = server.accept(Duration::MAX)?;
//!     writers.push(PipeWriter::new(pipe)?);
//! }
//! # #[allow(unreachable_code)]
//! # Ok::<(), std::io::Error>(())
//! ```

mod accept;
mod backoff;
mod client;
mod connect;
mod name;
mod security;
mod server;
mod sid;
#[cfg(test)]
mod tests;

use std::ffi::OsStr;
use std::io;
use std::os::windows::io::OwnedHandle;
use std::time::Duration;

pub use accept::Server;
pub use client::{ClientOptions, Impersonation, ServerOwner};
pub use server::ServerOptions;
pub use sid::Sid;

/// Opens a pipe for writing, as soon as it has a free instance; blocks the thread
/// for at most `timeout`. The same as [`ClientOptions`] without any option.
///
/// # Errors
///
/// * [`InvalidInput`](io::ErrorKind::InvalidInput), before the system is asked, if
///   `name` is not `\\.\pipe\NAME` with at most 256 characters and no backslash in
///   NAME ("Pipe Names");
/// * [`TimedOut`](io::ErrorKind::TimedOut) if all instances were busy;
/// * [`PermissionDenied`](io::ErrorKind::PermissionDenied) without a raw code if
///   the pipe belongs to somebody who is not [trusted](ServerOwner), with
///   `ERROR_ACCESS_DENIED` (5) if its server lets the user not in, or does not
///   read;
/// * otherwise the system's: [`NotFound`](io::ErrorKind::NotFound)
///   (`ERROR_FILE_NOT_FOUND`, 2) if there is no such pipe.
pub fn open(name: impl AsRef<OsStr>, timeout: Duration) -> io::Result<OwnedHandle> {
    ClientOptions::new().open(name, timeout)
}

/// The error of a system call that returns its code.
fn system_error(code: u32) -> io::Error {
    io::Error::from_raw_os_error(i32::from_ne_bytes(code.to_ne_bytes()))
}

fn is_code(error: &io::Error, code: u32) -> bool {
    error.raw_os_error() == system_error(code).raw_os_error()
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

/// The size of a structure, as the system is told it.
#[expect(clippy::cast_possible_truncation, reason = "a structure of some bytes")]
const fn size_of_u32<T>() -> u32 {
    size_of::<T>() as u32
}
