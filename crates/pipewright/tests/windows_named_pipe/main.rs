//! Named pipes on Windows: serving one, opening one, and what becomes of waits that
//! are given up.
//!
//! On Wine two things are seen to be passed but not to be done: that a second first
//! instance is refused, and that a server cannot impersonate beyond the level.

#![cfg(windows)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod accept;
#[path = "../common/mod.rs"]
mod common;
mod names;
mod open;
mod race;

use std::fs::{File, OpenOptions};
use std::os::windows::io::AsRawHandle;
use std::sync::atomic::{AtomicU32, Ordering};

use common::{LONG, alone, until, watched};
use pipewright::named_pipe::ServerOptions;

/// A name that nobody else has.
fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(r"\\.\pipe\pipewright-test-{}-{n}", std::process::id())
}

/// A pipe that clients read, and its name.
fn pipe() -> (ServerOptions, String) {
    let name = name();
    (ServerOptions::new(&name), name)
}

/// A reader, if there is an instance for it.
fn read(name: &str) -> std::io::Result<File> {
    OpenOptions::new().read(true).open(name)
}

/// The value of a handle that is made now. The lowest that is free is given out, so
/// it grows if handles are left behind.
fn next_handle() -> usize {
    File::open("NUL").unwrap().as_raw_handle().addr()
}
