//! The system calls that have no safe form elsewhere, each made into one. All unsafe
//! code of the command is here.

#![allow(unsafe_code, reason = "the one place for it")]

mod socket;

use std::fs::File;
use std::io::{self, Read};
use std::os::windows::io::{
    AsRawHandle, BorrowedHandle, FromRawHandle, IntoRawHandle, OwnedHandle,
};
use std::process::Child;
use std::ptr::{null, null_mut};
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{
    CloseHandle, ERROR_BROKEN_PIPE, ERROR_IO_PENDING, ERROR_MORE_DATA, ERROR_PIPE_NOT_CONNECTED,
    GetLastError, HANDLE, HANDLE_FLAG_INHERIT, INVALID_HANDLE_VALUE, STATUS_PENDING,
    SetHandleInformation,
};
use windows_sys::Win32::Storage::FileSystem::ReadFile;
use windows_sys::Win32::System::Console::{
    COORD, GetStdHandle, STD_ERROR_HANDLE, STD_INPUT_HANDLE, STD_OUTPUT_HANDLE,
    SetConsoleCtrlHandler, SetConsoleCursorPosition, SetStdHandle,
};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, TerminateJobObject,
};
use windows_sys::Win32::System::Pipes::{GetNamedPipeInfo, PIPE_TYPE_MESSAGE};
use windows_sys::Win32::System::Threading::{
    CreateEventW, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME,
};
use windows_sys::core::BOOL;

pub(super) use socket::{Room, wait_readable};

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

/// Puts the cursor at the beginning of a row of the console that standard error is.
pub(super) fn move_cursor_to(row: i16) -> io::Result<()> {
    let place = COORD { X: 0, Y: row };
    // SAFETY: any handle may be given, and one that is no console's is refused.
    check(unsafe { SetConsoleCursorPosition(standard(STD_ERROR_HANDLE), place) })
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

/// The reading of a pipe that was opened for overlapped I/O: with an event of its own,
/// so that it does not take the end of a write to the same pipe for its own.
pub(super) struct PipeReader {
    pipe: OwnedHandle,
    event: OwnedHandle,
}

impl PipeReader {
    pub(super) fn new(pipe: OwnedHandle) -> io::Result<PipeReader> {
        let event = event()?;
        Ok(PipeReader { pipe, event })
    }

    /// Reads what there is, or one message, or the next part of one; waits until there
    /// is something. `None`: the other side has gone.
    ///
    /// An empty message is 0 bytes ("ReadFile function").
    pub(super) fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let pipe = self.pipe.as_raw_handle();
        let most = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let mut overlapped = OVERLAPPED {
            hEvent: self.event.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let block = &raw mut overlapped;
        // SAFETY: the handles are open, for `self` owns them. The buffer and the block
        // are there until the read is over: this function does not return before.
        let done = unsafe { ReadFile(pipe, buffer.as_mut_ptr(), most, null_mut(), block) };
        // In these cases, and if it is done, there is a read, and an account of it.
        match code(done) {
            0 | ERROR_IO_PENDING | ERROR_MORE_DATA => {}
            code => return gone_or(code),
        }
        let mut len = 0;
        // SAFETY: the read of above, whose block and handles are still there.
        let done = unsafe { GetOverlappedResult(pipe, block, &raw mut len, 1) };
        let answer = code(done);
        // SAFETY: the block is still there. The system writes to it, so it is read as it
        // is now.
        if unsafe { (&raw const overlapped.Internal).read_volatile() } == PENDING {
            // It could not be waited for, and writes to memory that is about to be
            // somebody else's.
            std::process::abort();
        }
        match answer {
            // The rest of a message comes with the next read.
            0 | ERROR_MORE_DATA => Ok(Some(len as usize)),
            code => gone_or(code),
        }
    }
}

impl Read for PipeReader {
    /// Nothing is read where the other side says that this was all: by an empty message,
    /// or by going.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(buffer)?.unwrap_or(0))
    }
}

/// An event that stays set until it is taken back. It is not set.
fn event() -> io::Result<OwnedHandle> {
    // SAFETY: null stands for the defaults: not inheritable, and without a name.
    let event = unsafe { CreateEventW(null(), 1, 0, null()) };
    if event.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was just made, and is ours.
    Ok(unsafe { OwnedHandle::from_raw_handle(event) })
}

/// What `Internal` holds while the I/O is under way ("OVERLAPPED structure").
const PENDING: usize = STATUS_PENDING as usize;

/// The codes of a read from a pipe that was closed or disconnected.
fn gone_or(code: u32) -> io::Result<Option<usize>> {
    match code {
        ERROR_BROKEN_PIPE | ERROR_PIPE_NOT_CONNECTED => Ok(None),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

/// Whether what is written to a pipe keeps its boundaries.
pub(super) fn keeps_messages(pipe: BorrowedHandle<'_>) -> io::Result<bool> {
    let mut flags = 0;
    // SAFETY: the handle is open while it is borrowed; `flags` lives for the call, and
    // the other pointers may be null ("GetNamedPipeInfo").
    check(unsafe {
        GetNamedPipeInfo(
            pipe.as_raw_handle(),
            &raw mut flags,
            null_mut(),
            null_mut(),
            null_mut(),
        )
    })?;
    Ok(flags & PIPE_TYPE_MESSAGE != 0)
}

/// The system's code for what a call of this thread just answered; 0 if it went well.
fn code(done: BOOL) -> u32 {
    if done != 0 {
        return 0;
    }
    // SAFETY: it has no conditions.
    unsafe { GetLastError() }
}

fn check(done: BOOL) -> io::Result<()> {
    if done == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
