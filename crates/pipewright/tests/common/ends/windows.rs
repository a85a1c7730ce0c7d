//! The ends on Windows: named pipes of every make, and anonymous ones.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsHandle, AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use pipewright::PipeWriter;
use windows_sys::Win32::Foundation::{GENERIC_READ, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_WRITE_ATTRIBUTES, PIPE_ACCESS_DUPLEX, PIPE_ACCESS_OUTBOUND,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, GetNamedPipeInfo, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE, PeekNamedPipe,
    SetNamedPipeHandleState,
};

use super::{Stallable, stallable};

/// What writers are made from.
pub(crate) type Pipe = OwnedHandle;

/// The device that takes everything.
pub(crate) const NULL: &str = "NUL";

/// The size of Linux's pipes, so that tests may count on it on both.
const SIZE: u32 = 65_536;

/// A pipe: the reader, and the end that is written to. It is a named one, and opened
/// for overlapped I/O: what Windows is written for.
pub(crate) fn pipe() -> (File, OwnedHandle) {
    pipe_of(SIZE as usize)
}

/// A pipe of this many bytes.
pub(crate) fn pipe_of(size: usize) -> (File, OwnedHandle) {
    let buffer = u32::try_from(size).unwrap();
    Named {
        buffer,
        ..Named::DEFAULT
    }
    .pair()
}

/// A pipe that is full of a single page.
pub(crate) fn small_pipe() -> (File, OwnedHandle) {
    Named::DEFAULT.pair()
}

/// Fills it until it takes nothing more; tells how many bytes that took.
pub(crate) fn fill(pipe: &OwnedHandle) -> usize {
    let mut size = 0;
    // SAFETY: the handle is open; `size` lives for the call, and the other pointers may
    // be null (Microsoft, "GetNamedPipeInfo").
    let known = unsafe {
        let none = ptr::null_mut();
        GetNamedPipeInfo(pipe.as_raw_handle(), none, &raw mut size, none, none)
    };
    assert_ne!(known, 0);
    let filling = vec![b'.'; size as usize];
    write_raw(duplicate(pipe), &filling);
    filling.len()
}

/// A writer that is served by a thread of its own, and its reader.
pub(crate) fn on_a_thread(build: impl FnOnce(OwnedHandle) -> PipeWriter) -> (File, PipeWriter) {
    let (reader, pipe) = anonymous();
    (reader, build(pipe))
}

/// How much such a pipe takes at least before its thread waits for the reader.
pub(crate) const ON_A_THREAD: u64 = 4096;

/// An anonymous pipe, which can only block.
#[allow(
    clippy::incompatible_msrv,
    reason = "the tests are built with the newest Rust, the library need not be"
)]
pub(crate) fn anonymous() -> (File, OwnedHandle) {
    let (reader, writer) = std::io::pipe().unwrap();
    (File::from(OwnedHandle::from(reader)), writer.into())
}

/// The client's end of a named pipe, opened for overlapped I/O, to write to; the
/// server reads.
pub(crate) fn client_end() -> (File, OwnedHandle) {
    let (name, server) = Named {
        overlapped: false,
        ..Named::DEFAULT
    }
    .server();
    let client = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(FILE_FLAG_OVERLAPPED)
        .open(name)
        .unwrap();
    (server.into(), client.into())
}

/// One of each kind that a slow reader can stall.
pub(crate) fn stallables() -> Vec<Stallable> {
    // As the standard library makes it for a child's standard input.
    let outbound = Named {
        buffer: SIZE,
        access: PIPE_ACCESS_OUTBOUND,
        ..Named::DEFAULT
    };
    let synchronous = Named {
        overlapped: false,
        ..Named::DEFAULT
    };
    [
        ("named pipe", pipe()),
        ("outbound named pipe", outbound.pair()),
        ("client of a named pipe", client_end()),
        ("synchronous named pipe", synchronous.pair()),
        ("anonymous pipe", anonymous()),
    ]
    .map(|(kind, (reader, pipe))| stallable(kind, reader, pipe))
    .into()
}

/// Pipes whose buffer is smaller than an operation: the reader may take a part of one
/// that is pending, which is in doubt if it is cancelled then. One that fits into the
/// buffer is over before the reader comes to it (seen on Wine 10).
pub(crate) fn tight() -> Vec<Stallable> {
    let tight = Named {
        buffer: 100,
        ..Named::DEFAULT
    };
    let synchronous = Named {
        overlapped: false,
        ..tight
    };
    [
        ("tight named pipe", tight.pair()),
        ("tight synchronous named pipe", synchronous.pair()),
    ]
    .map(|(kind, (reader, pipe))| stallable(kind, reader, pipe))
    .into()
}

/// How a named pipe is made.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) buffer: u32,
    /// What the server may do: one of `PIPE_ACCESS_`….
    pub(crate) access: u32,
    pub(crate) overlapped: bool,
    pub(crate) messages: bool,
}

impl Named {
    /// Served in both directions, opened for overlapped I/O, with a small buffer.
    pub(crate) const DEFAULT: Named = Named {
        buffer: 4096,
        access: PIPE_ACCESS_DUPLEX,
        overlapped: true,
        messages: false,
    };

    /// The server's end, and its name. No client has come yet.
    pub(crate) fn server(self) -> (String, OwnedHandle) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            r"\\.\pipe\pipewright-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let overlapped = if self.overlapped {
            FILE_FLAG_OVERLAPPED
        } else {
            0
        };
        let access = self.access | overlapped;
        let mode = if self.messages { PIPE_TYPE_MESSAGE } else { 0 };
        // SAFETY: the name ends with 0 and lives for the call; no security descriptor.
        let handle = unsafe {
            let (name, none) = (wide.as_ptr(), ptr::null());
            CreateNamedPipeW(name, access, mode, 1, self.buffer, self.buffer, 0, none)
        };
        assert_ne!(handle, INVALID_HANDLE_VALUE);
        // SAFETY: it was just made, and nobody else has it.
        (name, unsafe { OwnedHandle::from_raw_handle(handle) })
    }

    /// A client that reads (waiting), and the server's end to write to.
    pub(crate) fn pair(self) -> (File, OwnedHandle) {
        let (name, server) = self.server();
        (self.client(&name), server)
    }

    /// A client, connected, that only reads, and waits in its calls.
    pub(crate) fn client(self, name: &str) -> File {
        let access = GENERIC_READ | FILE_WRITE_ATTRIBUTES;
        let client = OpenOptions::new().access_mode(access).open(name).unwrap();
        if self.messages {
            set_mode(&client, PIPE_READMODE_MESSAGE);
        }
        client
    }
}

/// Sets the mode of an end of a named pipe: `PIPE_NOWAIT`, `PIPE_READMODE_`….
pub(crate) fn set_mode(pipe: &impl AsHandle, mode: u32) {
    let handle = pipe.as_handle().as_raw_handle();
    // SAFETY: the handle is open; the other pointers may be null.
    let done =
        unsafe { SetNamedPipeHandleState(handle, &raw const mode, ptr::null(), ptr::null()) };
    assert_ne!(done, 0);
}

/// Another handle to the same file object.
pub(crate) fn duplicate(handle: &impl AsHandle) -> OwnedHandle {
    handle.as_handle().try_clone_to_owned().unwrap()
}

/// Writes raw bytes, past any writer.
pub(crate) fn write_raw(handle: OwnedHandle, bytes: &[u8]) {
    File::from(handle).write_all(bytes).unwrap();
}

/// The value of a handle.
pub(crate) fn raw(handle: &impl AsHandle) -> usize {
    handle.as_handle().as_raw_handle().addr()
}

/// What errors call a handle that nothing else is known of.
pub(crate) fn label(handle: &impl AsHandle) -> String {
    format!("handle {:#x}", raw(handle))
}

/// What errors call a pipe of [`pipe`].
pub(crate) fn pipe_label(pipe: &OwnedHandle) -> String {
    format!("{} (named pipe)", label(pipe))
}

/// Reads to the end of the stream, without waiting for anything.
pub(crate) fn read_what_is_there(reader: &mut File) -> Vec<u8> {
    let mut heard = Vec::new();
    loop {
        let mut available = 0;
        let handle = reader.as_raw_handle();
        // SAFETY: the handle is open; `available` lives for the call, and the other
        // pointers may be null (Microsoft, "PeekNamedPipe").
        let open = unsafe {
            let (nowhere, none) = (ptr::null_mut(), ptr::null_mut());
            PeekNamedPipe(handle, nowhere, 0, none, &raw mut available, none)
        };
        if open == 0 {
            return heard;
        }
        assert_ne!(available, 0, "a read would wait: the other end is open");
        heard.extend(super::super::data::read_exact(reader, available as usize));
    }
}
