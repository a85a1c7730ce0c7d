//! What a process can see of itself, on Windows.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    FILETIME, GetHandleInformation, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, LocalFree,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{
    GetCurrentProcess, GetProcessTimes, GetThreadDescription, GetThreadTimes, OpenThread,
    THREAD_QUERY_LIMITED_INFORMATION,
};

/// A thread: its number.
pub(crate) type Thread = u32;

/// How many threads there are.
pub(crate) fn threads() -> usize {
    thread_ids().len()
}

/// The most threads that the system's pool is taken to need for so many waits. Wine
/// makes one for each 63 of them, and some more for the callbacks.
pub(crate) fn pool_for(waits: usize) -> usize {
    waits / 50 + 50
}

/// How many handles are open.
pub(crate) fn handles() -> usize {
    open_handles().count()
}

/// Those that a child would find open.
pub(crate) fn inherited() -> Vec<usize> {
    open_handles()
        .filter(|(_, flags)| flags & HANDLE_FLAG_INHERIT != 0)
        .map(|(value, _)| value)
        .collect()
}

/// Values and flags. They are found one by one, since not every system keeps count (seen
/// on Wine 10: `GetProcessHandleCount` says 0).
fn open_handles() -> impl Iterator<Item = (usize, u32)> {
    // Values are multiples of 4, and low ones are given out before high ones.
    const HIGHEST: usize = 4 << 14;
    (4..HIGHEST).step_by(4).filter_map(|value| {
        let (handle, mut flags) = (ptr::without_provenance_mut(value), 0);
        // SAFETY: any value may be given, one that is not open is refused; `flags` lives
        // for the call.
        let known = unsafe { GetHandleInformation(handle, &raw mut flags) };
        (known != 0).then_some((value, flags))
    })
}

/// The threads with this name.
pub(crate) fn threads_named(name: &str) -> Vec<Thread> {
    let mut ids = thread_ids();
    ids.retain(|id| open(*id).is_some_and(|thread| description(&thread) == name));
    ids
}

/// How many threads of ours there are.
pub(crate) fn our_threads() -> usize {
    threads_named("pipewright").len() + threads_named("pipewright-blocking").len()
}

/// How long a thread has been running on a processor.
pub(crate) fn cpu_time(id: &u32) -> Duration {
    let thread = open(*id).unwrap();
    let [mut created, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
    let (created, exited) = (&raw mut created, &raw mut exited);
    // SAFETY: the handle is open and may be asked; the places live for the call.
    let known = unsafe {
        let (kernel, user) = (&raw mut kernel, &raw mut user);
        GetThreadTimes(thread.as_raw_handle(), created, exited, kernel, user)
    };
    assert_ne!(known, 0);
    length(kernel) + length(user)
}

/// How long all threads of the process have been.
pub(crate) fn cpu_time_of_all() -> Duration {
    let [mut created, mut exited, mut kernel, mut user] = [FILETIME::default(); 4];
    let (created, exited) = (&raw mut created, &raw mut exited);
    // SAFETY: a process may ask about itself; the places live for the call.
    let known = unsafe {
        let (kernel, user) = (&raw mut kernel, &raw mut user);
        GetProcessTimes(this_process(), created, exited, kernel, user)
    };
    assert_ne!(known, 0);
    length(kernel) + length(user)
}

fn length(time: FILETIME) -> Duration {
    let hundreds = u64::from(time.dwHighDateTime) << 32 | u64::from(time.dwLowDateTime);
    Duration::from_nanos(100 * hundreds)
}

/// How much memory the process has asked the system for, in bytes.
pub(crate) fn memory() -> usize {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).unwrap();
    // SAFETY: a process may ask about itself; the record lives for the call, and has
    // the size that is said.
    let known = unsafe { K32GetProcessMemoryInfo(this_process(), &raw mut counters, size) };
    assert_ne!(known, 0);
    counters.PagefileUsage
}

/// A value that stands for this process, and is never closed.
fn this_process() -> HANDLE {
    // SAFETY: it has no conditions.
    unsafe { GetCurrentProcess() }
}

/// How often a thread has gone to sleep by itself is not told; how long it ran is.
pub(crate) fn naps(_: &u32) -> u64 {
    0
}

/// There is no limit on handles that a test could come near.
pub(crate) fn raise_handle_limit(_wanted: u64) -> u64 {
    1 << 24
}

fn thread_ids() -> Vec<u32> {
    // SAFETY: it has no conditions.
    let snapshot = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    assert_ne!(snapshot, INVALID_HANDLE_VALUE);
    // SAFETY: it was just made, and nobody else has it.
    let snapshot = unsafe { OwnedHandle::from_raw_handle(snapshot) };
    let mut entry = THREADENTRY32 {
        dwSize: u32::try_from(size_of::<THREADENTRY32>()).unwrap(),
        ..THREADENTRY32::default()
    };
    let mut ids = Vec::new();
    // SAFETY: the snapshot is open, and the entry lives for the call and says its size.
    let mut found = unsafe { Thread32First(snapshot.as_raw_handle(), &raw mut entry) };
    while found != 0 {
        // The snapshot is of all processes.
        if entry.th32OwnerProcessID == std::process::id() {
            ids.push(entry.th32ThreadID);
        }
        // SAFETY: as above.
        found = unsafe { Thread32Next(snapshot.as_raw_handle(), &raw mut entry) };
    }
    ids
}

/// A thread that has not ended meanwhile.
fn open(id: u32) -> Option<OwnedHandle> {
    // SAFETY: any number may be given; the handle is not inherited.
    let thread = unsafe { OpenThread(THREAD_QUERY_LIMITED_INFORMATION, 0, id) };
    if thread.is_null() {
        return None;
    }
    // SAFETY: it was just made, and nobody else has it.
    Some(unsafe { OwnedHandle::from_raw_handle(thread) })
}

fn description(thread: &OwnedHandle) -> String {
    let mut text = ptr::null_mut();
    // SAFETY: the handle is open and may be asked; `text` lives for the call.
    let result = unsafe { GetThreadDescription(thread.as_raw_handle(), &raw mut text) };
    assert!(result >= 0, "{result:#x}");
    let mut units = Vec::new();
    let mut next = text;
    // SAFETY: the system gave a text that ends with 0; nothing past that is read.
    while let unit @ 1.. = unsafe { *next } {
        units.push(unit);
        next = next.wrapping_add(1);
    }
    // SAFETY: the text is the caller's to free, once (Microsoft,
    // "GetThreadDescription"), and is not used after this.
    unsafe { LocalFree(text.cast()) };
    String::from_utf16(&units).unwrap()
}
