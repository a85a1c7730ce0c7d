//! Pipes and their kin: the end that is written to, and what reads the other end.
//! The names that both systems have mean the same on both:
//!
//! * `Pipe`, the handle that writers are made from;
//! * `pipe()`, what most tests write to; `pipe_of(size)`; `full_pipe()`, which takes
//!   nothing until somebody reads; `fill(pipe)`, which makes it so;
//! * `on_a_thread(build)`, a writer that has a thread of its own, and `ON_A_THREAD`,
//!   how much its pipe takes before the thread has to wait;
//! * `stallables()`, one of each kind that a slow reader can stall; `tight()`, more of
//!   them, of which a reader may have a part of an operation that is cancelled;
//! * `duplicate`, `write_raw`, `raw` and `label` of a handle; `NULL`, the device that
//!   takes everything;
//! * `read_what_is_there`, for readers that must not wait.

use std::io::Read;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::*;

/// One kind of handle that a slow reader can stall.
pub(crate) struct Stallable {
    pub(crate) kind: &'static str,
    pub(crate) reader: Box<dyn Read + Send>,
    pub(crate) pipe: Pipe,
}

fn stallable(kind: &'static str, reader: impl Read + Send + 'static, pipe: Pipe) -> Stallable {
    let reader = Box::new(reader);
    Stallable { kind, reader, pipe }
}

/// A pipe that takes nothing until somebody reads, and how much is in it.
pub(crate) fn full_pipe() -> (std::fs::File, Pipe, usize) {
    let (reader, writer) = pipe();
    let filling = fill(&writer);
    (reader, writer, filling)
}
