//! The locks, atomics and threads of the shared piece: std's, or loom's under
//! `cfg(pipewright_loom)`, which tries the orders in which threads can meet.
//!
//! `Arc` is std's in both: loom's has no `Weak`, does not become an `Arc<dyn …>`, and
//! cannot be a waker. So loom does not see the reference counts; whatever is shared
//! behind them is behind a lock or an atomic that it does see.

#[cfg(not(pipewright_loom))]
mod found {
    #[cfg(any(test, pipewright_scripted))]
    pub(crate) use std::sync::Condvar;
    pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
    pub(crate) use std::thread;

    /// A lock that the whole process shares.
    macro_rules! global {
        ($name:ident: $type:ty = $value:expr) => {
            static $name: $type = $value;
        };
    }
    pub(crate) use global;
}

#[cfg(pipewright_loom)]
mod found {
    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic};

    pub(crate) mod thread {
        use std::time::Duration;

        pub(crate) use loom::thread::{Thread, current, park};

        /// Time does not pass in loom.
        pub(crate) fn park_timeout(_: Duration) {
            park();
        }
    }

    /// A lock that all threads of one execution share.
    macro_rules! global {
        ($name:ident: $type:ty = $value:expr) => {
            loom::lazy_static! {
                static ref $name: $type = $value;
            }
        };
    }
    pub(crate) use global;
}

pub(crate) use found::*;
