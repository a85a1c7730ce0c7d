//! What kind of object a handle refers to, and what may be done with it.
//!
//! All of it is asked once, before the first write. A synchronous handle answers
//! some questions only after the I/O that another thread or process has under way
//! on the same file object (Microsoft, "NtQueryInformationFile": such requests are
//! serialized), so nothing is asked again later without need.

use std::io;
use std::mem::size_of;
use std::os::windows::io::{AsRawHandle, BorrowedHandle};
use std::ptr;

use pipewright_core::{Mode, Operation};
use windows_sys::Wdk::Foundation::{NtQueryObject, ObjectBasicInformation};
use windows_sys::Wdk::Storage::FileSystem::{
    FILE_MODE_INFORMATION, FILE_PIPE_CLOSING_STATE, FILE_PIPE_DISCONNECTED_STATE,
    FILE_PIPE_LOCAL_INFORMATION, FILE_PIPE_SERVER_END, FILE_SYNCHRONOUS_IO_ALERT,
    FILE_SYNCHRONOUS_IO_NONALERT, FileModeInformation, FilePipeLocalInformation,
    NtQueryInformationFile,
};
use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_NOT_ENOUGH_MEMORY, ERROR_NOT_SUPPORTED, GetLastError, NTSTATUS,
    RtlNtStatusToDosError, SetLastError,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_APPEND_DATA, FILE_TYPE_CHAR, FILE_TYPE_DISK, FILE_TYPE_PIPE, FILE_TYPE_UNKNOWN,
    FILE_WRITE_DATA, GetFileType,
};
use windows_sys::Win32::System::Console::GetConsoleMode;
use windows_sys::Win32::System::IO::IO_STATUS_BLOCK;
use windows_sys::Win32::System::Pipes::{GetNamedPipeInfo, PIPE_TYPE_MESSAGE};
use windows_sys::Win32::System::WindowsProgramming::PUBLIC_OBJECT_BASIC_INFORMATION;

use crate::sys::Description;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) object: Object,
    /// It was opened for overlapped I/O: a write need not wait.
    pub(super) overlapped: bool,
    /// As the pipe was made, where that can be known.
    pub(super) mode: Option<Mode>,
    /// How many unread bytes the pipe holds, where that can be known.
    pub(super) quota: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    Pipe,
    File,
    Console,
    /// A character device other than the console: `NUL`, a serial port.
    Device,
}

impl Kind {
    /// # Errors
    ///
    /// `ERROR_INVALID_HANDLE` for a handle that is closed or is no file's,
    /// `ERROR_ACCESS_DENIED` for one that may not write, `ERROR_NOT_SUPPORTED` for a
    /// disk file opened for overlapped I/O, which has no position to write at.
    pub(super) fn of(handle: BorrowedHandle<'_>) -> io::Result<Kind> {
        let object = object(handle)?;
        let basic = basic(handle)?;
        // On a pipe the right to append is the right to make instances.
        let needed = match object {
            Object::Pipe => FILE_WRITE_DATA,
            _ => FILE_WRITE_DATA | FILE_APPEND_DATA,
        };
        if basic.GrantedAccess & needed == 0 {
            return Err(code(ERROR_ACCESS_DENIED));
        }
        // A console's is never (Microsoft, "CreateFileW function", "Consoles": the flags
        // are ignored), and Wine 10 refuses the question.
        let overlapped = object != Object::Console && is_overlapped(handle)?;
        if object == Object::File && overlapped {
            return Err(code(ERROR_NOT_SUPPORTED));
        }
        let (mode, quota) = match object {
            Object::Pipe => (pipe_mode(handle), pipe_quota(handle)),
            _ => (Some(Mode::Byte), None),
        };
        Ok(Kind {
            object,
            overlapped,
            mode,
            quota,
        })
    }

    /// It carries a stream, of which any part may be written by itself, or nothing else
    /// is known.
    pub(super) fn is_stream_pipe(self) -> bool {
        self.object == Object::Pipe && self.mode != Some(Mode::Message)
    }

    /// Whether a write of nothing, without an error, means that the pipe is full and in
    /// non-blocking mode. A message that it can never hold would wait for ever.
    pub(super) fn may_take_later(self, operation: &Operation) -> bool {
        let holds = |quota| self.is_stream_pipe() || operation.len() <= quota;
        self.object == Object::Pipe && !operation.is_empty() && self.quota.is_none_or(holds)
    }

    pub(super) fn describe(self, handle: BorrowedHandle<'_>) -> Description {
        let what = match self.object {
            // Anonymous pipes cannot be overlapped (Microsoft, "Anonymous Pipe
            // Operations").
            Object::Pipe if self.overlapped => "named pipe",
            Object::Pipe => "pipe",
            Object::File => "file",
            Object::Console => "console",
            Object::Device => "device",
        };
        Description {
            mode: self.mode,
            label: format!("{} ({what})", label(handle)),
        }
    }
}

/// What a handle is called when nothing is known of it.
pub(super) fn label(handle: BorrowedHandle<'_>) -> String {
    format!("handle {:#x}", handle.as_raw_handle().addr())
}

fn object(handle: BorrowedHandle<'_>) -> io::Result<Object> {
    // `FILE_TYPE_UNKNOWN` may be the answer or an error: only this tells.
    // SAFETY: it has no conditions.
    unsafe { SetLastError(0) };
    // SAFETY: any value may be given: a handle that is not open is refused.
    let file_type = unsafe { GetFileType(handle.as_raw_handle()) };
    match file_type {
        FILE_TYPE_PIPE => Ok(Object::Pipe),
        FILE_TYPE_DISK => Ok(Object::File),
        FILE_TYPE_CHAR if is_console(handle) => Ok(Object::Console),
        FILE_TYPE_CHAR => Ok(Object::Device),
        FILE_TYPE_UNKNOWN => match last_error() {
            0 => Ok(Object::Device),
            error => Err(code(error)),
        },
        _ => Ok(Object::Device),
    }
}

fn is_console(handle: BorrowedHandle<'_>) -> bool {
    let mut mode = 0;
    // SAFETY: any handle may be given, and `mode` lives for the call.
    let known = unsafe { GetConsoleMode(handle.as_raw_handle(), &raw mut mode) };
    known != 0
}

/// The rights of the handle. Asks the object, not the file: never waits.
fn basic(handle: BorrowedHandle<'_>) -> io::Result<PUBLIC_OBJECT_BASIC_INFORMATION> {
    let mut basic = PUBLIC_OBJECT_BASIC_INFORMATION::default();
    // SAFETY: any handle may be given; the buffer lives for the call and has the
    // size that is said.
    let status = unsafe {
        NtQueryObject(
            handle.as_raw_handle(),
            ObjectBasicInformation,
            (&raw mut basic).cast(),
            len_of(&basic),
            ptr::null_mut(),
        )
    };
    check(status)?;
    Ok(basic)
}

fn is_overlapped(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    const SYNCHRONOUS: u32 = FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT;
    let mut mode = FILE_MODE_INFORMATION::default();
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: any handle may be given; both records live for the call, which does
    // not return before it is done, and have the sizes that are said.
    let result = unsafe {
        NtQueryInformationFile(
            handle.as_raw_handle(),
            &raw mut status,
            (&raw mut mode).cast(),
            len_of(&mode),
            FileModeInformation,
        )
    };
    check(result)?;
    Ok(mode.Mode & SYNCHRONOUS == 0)
}

/// How the pipe was made, unless the handle may not ask: it needs
/// `FILE_READ_ATTRIBUTES`, which `CreateFile` always gives, and `CreateNamedPipe` does
/// not give to a server that only writes.
pub(super) fn pipe_mode(handle: BorrowedHandle<'_>) -> Option<Mode> {
    let mut flags = 0;
    // SAFETY: any handle may be given; `flags` lives for the call, and the other
    // pointers may be null (Microsoft, "GetNamedPipeInfo").
    let known = unsafe {
        GetNamedPipeInfo(
            handle.as_raw_handle(),
            &raw mut flags,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    match flags & PIPE_TYPE_MESSAGE {
        _ if known == 0 => None,
        0 => Some(Mode::Byte),
        _ => Some(Mode::Message),
    }
}

fn pipe_quota(handle: BorrowedHandle<'_>) -> Option<usize> {
    let local = pipe_local(handle).ok()?;
    let quota = usize::try_from(quota(&local)).ok()?;
    (quota > 0).then_some(quota)
}

/// The quota of the direction in which this end writes: "outbound" and "inbound"
/// are as the server sees them.
fn quota(local: &FILE_PIPE_LOCAL_INFORMATION) -> u32 {
    if local.NamedPipeEnd == FILE_PIPE_SERVER_END {
        local.OutboundQuota
    } else {
        local.InboundQuota
    }
}

fn pipe_local(handle: BorrowedHandle<'_>) -> io::Result<FILE_PIPE_LOCAL_INFORMATION> {
    let mut local = FILE_PIPE_LOCAL_INFORMATION::default();
    let mut status = IO_STATUS_BLOCK::default();
    // SAFETY: any handle may be given; both records live for the call, which does
    // not return before it is done, and have the sizes that are said.
    let result = unsafe {
        NtQueryInformationFile(
            handle.as_raw_handle(),
            &raw mut status,
            (&raw mut local).cast(),
            len_of(&local),
            FilePipeLocalInformation,
        )
    };
    check(result)?;
    Ok(local)
}

/// The size of a record, for calls that take it in 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "records of a few words")]
fn len_of<T>(_: &T) -> u32 {
    const { assert!(size_of::<T>() <= 4096) };
    size_of::<T>() as u32
}

fn check(status: NTSTATUS) -> io::Result<()> {
    if status >= 0 {
        return Ok(());
    }
    // SAFETY: it has no conditions: an unknown status gives an error of its own.
    let error = unsafe { RtlNtStatusToDosError(status) };
    Err(code(error))
}

pub(super) fn last_error() -> u32 {
    // SAFETY: it has no conditions.
    unsafe { GetLastError() }
}

/// Whether a pipe's other end was there and is not any more.
pub(super) fn reader_is_gone(handle: BorrowedHandle<'_>) -> io::Result<bool> {
    let state = pipe_local(handle)?.NamedPipeState;
    Ok([FILE_PIPE_CLOSING_STATE, FILE_PIPE_DISCONNECTED_STATE].contains(&state))
}

pub(super) fn code_of(error: &io::Error) -> u32 {
    error
        .raw_os_error()
        .map_or(ERROR_NOT_ENOUGH_MEMORY, |code| {
            u32::from_ne_bytes(code.to_ne_bytes())
        })
}

pub(super) fn code(error: u32) -> io::Error {
    io::Error::from_raw_os_error(i32::from_ne_bytes(error.to_ne_bytes()))
}
