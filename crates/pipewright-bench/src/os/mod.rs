//! What differs between systems: how pipes come to be and reach the reader, clocks,
//! cores, and what a process uses.
//!
//! Each system provides:
//!
//! * `Pipe`, a writing end as contenders take it; `Blocking`, the same as an
//!   `io::Write` that waits;
//! * `spawn`, which starts a reader with the other ends, and `inputs`, which takes
//!   them there;
//! * `now`, a clock that all processes share, in nanoseconds;
//! * on Linux and Windows `Completions`, which has the system write to many pipes and
//!   hears when it has, and `COMPLETIONS`, what it is called;
//! * `cpu_time`, `memory`, `threads_of_parent`, each `None` where the system (or the
//!   standard library there) cannot say; `cores` and `pin`.

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(target_os = "linux")]
mod uring;
#[cfg(target_os = "linux")]
pub(crate) use uring::Ring as Completions;
/// What it is called.
#[cfg(target_os = "linux")]
pub(crate) const COMPLETIONS: &str = "io_uring";
#[cfg(target_os = "linux")]
mod uv;
#[cfg(target_os = "linux")]
pub(crate) use uv::{Library as Uv, Loop as UvLoop};

#[cfg(windows)]
mod overlapped;
#[cfg(windows)]
mod port;
#[cfg(windows)]
mod qt;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use port::Port as Completions;
/// What it is called.
#[cfg(windows)]
pub(crate) const COMPLETIONS: &str = "port";
#[cfg(windows)]
pub(crate) use windows::*;

#[cfg(test)]
mod completions_tests;

/// What a process holds in memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

/// What the machine is doing besides, for the heading of a table.
#[must_use]
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut text = format!(
        "{} {}, {cores} cores",
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    if let Some(minute) = load.split_whitespace().next() {
        text += &format!(", load of the last minute {minute}");
    }
    text
}
