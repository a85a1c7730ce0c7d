//! Tests that count what the process holds: one at a time.

#![allow(dead_code, reason = "each test file uses its part of it")]

use std::sync::{Mutex, PoisonError};

use super::common::watched;

/// Runs a test that counts under the watchdog, and none beside it: all tests of the
/// file must be run by this, or [`by_itself`].
pub(crate) fn counted<T>(body: impl FnOnce() -> T) -> T {
    by_itself(|| watched(body))
}

/// As [`counted`], for a long test that calls the watchdog for each of its parts.
pub(crate) fn by_itself<T>(body: impl FnOnce() -> T) -> T {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    body()
}
