//! What a process holds, for tests that count it.

#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};

use super::common_windows::watched;

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

/// How many threads this process has.
pub(crate) fn threads() -> usize {
    // SAFETY: it takes no memory.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    assert_ne!(snapshot, INVALID_HANDLE_VALUE);
    // SAFETY: it was just made, and nobody else has it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = THREADENTRY32 {
        dwSize: u32::try_from(size_of::<THREADENTRY32>()).unwrap(),
        ..THREADENTRY32::default()
    };
    let (me, mut count) = (std::process::id(), 0);
    // SAFETY: the snapshot is open, and the entry says how large it is.
    let mut more = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while more != 0 {
        count += usize::from(entry.th32OwnerProcessID == me);
        // SAFETY: as above.
        more = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    assert!(count > 0, "this thread is one");
    count
}
