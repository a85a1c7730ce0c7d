//! What the Windows tests share: a watchdog, pipes of every kind, and data that tells
//! where in the stream it belongs.

#![allow(dead_code, reason = "each test file uses its part of it")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking, like the tests"
)]

#[path = "../common/data.rs"]
pub(crate) mod data;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use pipewright::{PipeWriter, Summary, Unsent};
use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE, INVALID_HANDLE_VALUE};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_FLAG_OVERLAPPED, FILE_WRITE_ATTRIBUTES, PIPE_ACCESS_DUPLEX,
};
use windows_sys::Win32::System::Pipes::{
    CreateNamedPipeW, PIPE_NOWAIT, PIPE_READMODE_MESSAGE, PIPE_TYPE_MESSAGE,
    SetNamedPipeHandleState,
};
use windows_sys::Win32::System::Threading::CreateEventW;

/// A time that no test waits for to its end: the watchdog comes first.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// Runs a test under a watchdog: if it hangs, the process ends with its name.
pub(crate) fn watched<T>(body: impl FnOnce() -> T) -> T {
    let name = std::any::type_name_of_val(&body);
    let limit = std::env::var("PIPEWRIGHT_WATCHDOG_SECONDS")
        .map_or(120, |seconds| seconds.parse().unwrap());
    let (alive, watch) = mpsc::channel::<()>();
    thread::spawn(move || {
        if watch.recv_timeout(Duration::from_secs(limit)) == Err(RecvTimeoutError::Timeout) {
            let _ = writeln!(
                std::io::stderr(),
                "\n{name} hangs: not over after {limit} seconds"
            );
            std::process::abort();
        }
    });
    let value = body();
    drop(alive);
    value
}

/// Waits until it is so. The watchdog sets the limit.
pub(crate) fn until(mut it_is_so: impl FnMut() -> bool) {
    while !it_is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// Marsaglia's xorshift64*: the same choices from the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random((seed ^ 0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From `first` to `last`.
    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        let range = (last - first + 1) as u64;
        first + usize::try_from((self.next() >> 16) % range).unwrap()
    }
}

/// How a named pipe is made.
#[derive(Clone, Copy)]
pub(crate) struct Named {
    pub(crate) buffer: u32,
    pub(crate) overlapped: bool,
    pub(crate) messages: bool,
    pub(crate) nowait: bool,
}

impl Default for Named {
    fn default() -> Self {
        Named {
            buffer: 4096,
            overlapped: true,
            messages: false,
            nowait: false,
        }
    }
}

impl Named {
    /// The server's end, and its name. No client has come yet.
    pub(crate) fn server(self) -> (String, OwnedHandle) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            r"\\.\pipe\pipewright-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
        let access = if self.overlapped {
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED
        } else {
            PIPE_ACCESS_DUPLEX
        };
        let mut mode = 0;
        if self.messages {
            mode |= PIPE_TYPE_MESSAGE;
        }
        if self.nowait {
            mode |= PIPE_NOWAIT;
        }
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

    /// A client, connected, that waits in its calls.
    pub(crate) fn client(self, name: &str) -> File {
        let access = GENERIC_READ | GENERIC_WRITE | FILE_WRITE_ATTRIBUTES;
        let client = OpenOptions::new().access_mode(access).open(name).unwrap();
        if self.messages {
            let mode = PIPE_READMODE_MESSAGE;
            // SAFETY: the handle is open; the other pointers may be null.
            let done = unsafe {
                let none = ptr::null();
                SetNamedPipeHandleState(client.as_raw_handle(), &raw const mode, none, none)
            };
            assert_ne!(done, 0);
        }
        client
    }
}

/// An overlapped pipe: the reader, and the end that is written to.
pub(crate) fn overlapped() -> (File, OwnedHandle) {
    Named::default().pair()
}

/// An anonymous pipe, which can only block.
#[allow(
    clippy::incompatible_msrv,
    reason = "tests are built with the newest Rust"
)]
pub(crate) fn anonymous() -> (File, OwnedHandle) {
    let (reader, writer) = std::io::pipe().unwrap();
    (File::from(OwnedHandle::from(reader)), writer.into())
}

/// The value of a freshly made event: handle values are given out lowest first, so it
/// rises when handles leak.
pub(crate) fn fresh_handle_value() -> usize {
    // SAFETY: no descriptor and no name are needed.
    let event = unsafe { CreateEventW(ptr::null(), 1, 0, ptr::null()) };
    // SAFETY: it was just made, and nobody else has it.
    let event = unsafe { OwnedHandle::from_raw_handle(event) };
    event.as_raw_handle().addr()
}

/// A writer with data in flight that the reader does not take: the first operation is
/// pending, the others wait in the queue.
pub(crate) fn stalled(writer: &PipeWriter) {
    until(|| {
        let progress = writer.progress();
        progress.in_flight > 0 && progress.queued > 0
    });
}

/// Checks the accounts of a writer that has ended, and that what the reader got is the
/// stream from its beginning and as long as they say.
#[track_caller]
pub(crate) fn assert_accounts(summary: &Summary, unsent: &Unsent, heard: &[u8]) {
    data::assert_stream(0, heard);
    let heard = heard.len() as u64;
    let Summary {
        accepted,
        written,
        in_doubt,
        ..
    } = *summary;
    assert_eq!(accepted, written + in_doubt + summary.unsent, "{summary:?}");
    assert!(written <= heard, "{heard} were heard: {summary:?}");
    assert!(
        heard <= written + in_doubt,
        "{heard} were heard: {summary:?}"
    );
    assert_eq!(unsent.len(), summary.unsent);
    assert_eq!(unsent.written(), written);
    let doubtful = unsent.in_doubt().concat();
    assert_eq!(doubtful.len() as u64, in_doubt);
    data::assert_stream(written, &doubtful);
    data::assert_stream(written + in_doubt, &unsent.pieces().concat());
}
