//! Torture: real pipes, everything at random and over and over. The bytes that the
//! reader has are a prefix of what was sent, the books balance to the byte, nothing is
//! left open, and nobody waits for anybody else.
//!
//! `PIPEWRIGHT_TORTURE=5` does five times as much of it, and so on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

#[path = "../common/mod.rs"]
mod common;

#[cfg(any(target_os = "linux", windows))]
mod cycles;
mod dying;
mod monkey;
mod resumed;
mod senders;
#[cfg(any(target_os = "linux", windows))]
mod stalled;
mod zoo;

use common::ends::{Stallable, stallables, tight};

/// One of each kind of pipe that a slow reader can stall.
fn kinds() -> Vec<Stallable> {
    stallables().into_iter().chain(tight()).collect()
}

/// How often something is done: as often as this, or so many times as often.
fn times(often: u64) -> u64 {
    let factor = std::env::var("PIPEWRIGHT_TORTURE").map_or(1, |factor| factor.parse().unwrap());
    often * factor
}
