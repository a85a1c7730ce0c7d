//! The system calls that have no safe form elsewhere, each made into one. All unsafe
//! code of the command is here.

#![allow(unsafe_code, reason = "the one place for it")]

use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle, FromRawHandle, IntoRawHandle, OwnedHandle};
use std::process::Child;
use std::ptr::null;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{
    CloseHandle, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, SetHandleInformation,
};
use windows_sys::Win32::System::Console::{
    GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, SetConsoleCtrlHandler,
    SetStdHandle,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject,
};
use windows_sys::Win32::System::Threading::{OpenThread, ResumeThread, THREAD_SUSPEND_RESUME};
use windows_sys::core::BOOL;

/// What is told of console events; says whether the event is dealt with.
type Told = Box<dyn Fn(u32) -> bool + Send + Sync>;

static TOLD: OnceLock<Told> = OnceLock::new();

/// Calls `told` for every console event ("HandlerRoutine callback function"), each on
/// a thread that the system makes for it.
pub(super) fn on_console_event(
    told: impl Fn(u32) -> bool + Send + Sync + 'static,
) -> io::Result<()> {
    if TOLD.set(Box::new(told)).is_err() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    // SAFETY: the routine has the signature that is asked for, and is there for as
    // long as the process.
    check(unsafe { SetConsoleCtrlHandler(Some(console_event), 1) })
}

/// A panic ends the process here, and does not reach the system.
extern "system" fn console_event(event: u32) -> BOOL {
    TOLD.get().is_some_and(|told| told(event)).into()
}

/// Keeps the standard handles, which this process was given to pass on, from commands:
/// a pipe has its end only when nobody at all has it open for writing. What a command
/// is to have as its own, the standard library passes on as a duplicate.
pub(super) fn keep_standard_handles() {
    for which in [STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE] {
        // SAFETY: any handle may be given, and one that is none is refused. The flag
        // is this process's own, whoever else has the object open.
        unsafe { SetHandleInformation(standard(which), HANDLE_FLAG_INHERIT, 0) };
    }
}

/// Puts `file` in the place of standard output, and closes what was there.
pub(super) fn replace_stdout(file: File) -> io::Result<()> {
    let old = standard(STD_OUTPUT_HANDLE);
    // SAFETY: the handle is open, and is nobody else's from now on.
    check(unsafe { SetStdHandle(STD_OUTPUT_HANDLE, file.into_raw_handle()) })?;
    // Whoever started this process may have given it one handle for both.
    let shared = [STD_INPUT_HANDLE, STD_ERROR_HANDLE]
        .into_iter()
        .any(|which| standard(which) == old);
    if shared || old.is_null() || old == INVALID_HANDLE_VALUE {
        return Ok(());
    }
    // SAFETY: the system gave it to this process as standard output, and it no longer
    // is that, nor any other standard handle, so nobody has it but as a duplicate: the
    // standard library asks for the handle anew whenever it uses it.
    check(unsafe { CloseHandle(old) })
}

fn standard(which: u32) -> HANDLE {
    // SAFETY: it has no conditions.
    unsafe { GetStdHandle(which) }
}

/// Processes that can be ended together: those that were put in, and all that they
/// start.
pub(super) struct Job(OwnedHandle);

impl Job {
    pub(super) fn new() -> io::Result<Job> {
        // SAFETY: null stands for the defaults: not inheritable, and without a name.
        let job = unsafe { CreateJobObjectW(null(), null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just made, and is ours.
        Ok(Job(unsafe { OwnedHandle::from_raw_handle(job) }))
    }

    /// Puts in a process, and lets it run, that was started suspended: so nothing that
    /// it starts is left out.
    pub(super) fn run(&self, process: &Child) -> io::Result<()> {
        // SAFETY: both handles are open, and were made with all rights.
        check(unsafe {
            AssignProcessToJobObject(self.0.as_raw_handle(), process.as_raw_handle())
        })?;
        resume(process)
    }

    /// Ends all processes in it, with this exit code. May find none.
    pub(super) fn terminate(&self, code: u32) -> io::Result<()> {
        // SAFETY: the handle is open, and was made with all rights.
        check(unsafe { TerminateJobObject(self.0.as_raw_handle(), code) })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a structure of some bytes")]
const THREAD_ENTRY_SIZE: u32 = size_of::<THREADENTRY32>() as u32;

/// Lets a process run whose only thread is suspended. The standard library keeps the
/// thread's handle to itself, so the thread is looked for.
fn resume(process: &Child) -> io::Result<()> {
    // SAFETY: it has no conditions.
    let threads = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if threads == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and is ours.
    let threads = unsafe { OwnedHandle::from_raw_handle(threads) };
    let mut thread = THREADENTRY32 {
        dwSize: THREAD_ENTRY_SIZE,
        ..THREADENTRY32::default()
    };
    // SAFETY: a snapshot of threads; the entry lives for the call, and says its size.
    let mut found = unsafe { Thread32First(threads.as_raw_handle(), &raw mut thread) };
    while found != 0 && thread.th32OwnerProcessID != process.id() {
        // SAFETY: as above.
        found = unsafe { Thread32Next(threads.as_raw_handle(), &raw mut thread) };
    }
    check(found)?;
    // SAFETY: it has no conditions. The number cannot mean another thread by now: the
    // process is there for as long as its handle, and its thread is suspended.
    let thread = unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, thread.th32ThreadID) };
    if thread.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just opened, and is ours.
    let thread = unsafe { OwnedHandle::from_raw_handle(thread) };
    // SAFETY: the handle is open, with the right that is needed.
    if unsafe { ResumeThread(thread.as_raw_handle()) } == u32::MAX {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn check(done: BOOL) -> io::Result<()> {
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
