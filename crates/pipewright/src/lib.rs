#![doc = include_str!("../README.md")]

#[cfg(test)]
extern crate self as pipewright;

mod builder;
mod callback;
mod effects;
mod error;
mod front;
mod linger;
mod outcome;
mod pace;
mod panics;
mod progress;
mod retry;
mod shared;
mod state;
mod sync;
#[cfg_attr(
    not(unix),
    allow(dead_code, reason = "systems without a driver refuse every handle")
)]
mod sys;
mod wait;
mod waiters;
#[cfg(test)]
mod words;
mod writer;

pub use pipewright_core::{JOIN_MAX, Mode, Position};

pub use crate::builder::Builder;
pub use crate::error::{
    AttachError, CloseError, Ended, SendError, SendTimeoutError, TrySendError, WaitError,
};
pub use crate::front::async_write::AsyncPipeWriter;
pub use crate::front::sending::Permit;
pub use crate::front::waitable::Waitable;
pub use crate::linger::{StillLingering, wait_lingering};
pub use crate::outcome::{Outcome, PipeError};
pub use crate::progress::{Progress, Summary, Unsent};
pub use crate::writer::{PipeWriter, WeakPipeWriter};

#[cfg(all(unix, not(pipewright_scripted)))]
pub use crate::sys::fifo;
#[cfg(all(windows, not(pipewright_scripted)))]
pub use crate::sys::named_pipe;
#[cfg(any(test, pipewright_scripted))]
#[doc(hidden)]
pub use crate::sys::scripted;
