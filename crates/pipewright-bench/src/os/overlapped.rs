//! The raw loop of Windows: an overlapped `WriteFile`, and a wait for its result.
//!
//! # Invariants
//!
//! 1. `handle` and `event` are owned, and open while `self` lives.
//! 2. When `write` returns, no operation is in flight: it waits for each that it
//!    starts. So the OVERLAPPED and the data, both borrowed by `write`, outlive it.

use std::io::{self, Write};
use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_IO_PENDING, TRUE};
use windows_sys::Win32::Storage::FileSystem::WriteFile;
use windows_sys::Win32::System::IO::{GetOverlappedResult, OVERLAPPED};
use windows_sys::Win32::System::Threading::CreateEventW;

/// The writing end of a pipe, as an `io::Write` that waits.
#[derive(Debug)]
pub(crate) struct Blocking {
    handle: OwnedHandle,
    event: OwnedHandle,
}

impl Blocking {
    pub(crate) fn new(handle: OwnedHandle) -> io::Result<Self> {
        // SAFETY: no pointer is passed but null, which asks for the defaults.
        let event = unsafe { CreateEventW(ptr::null(), TRUE, 0, ptr::null()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the event was just made, and nobody else knows it.
        let event = unsafe { OwnedHandle::from_raw_handle(event) };
        Ok(Blocking { handle, event })
    }
}

impl Write for Blocking {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let handle = self.handle.as_raw_handle();
        let mut overlapped = OVERLAPPED {
            hEvent: self.event.as_raw_handle(),
            ..OVERLAPPED::default()
        };
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        // SAFETY: the handle is open (invariant 1); the data and the OVERLAPPED are
        // borrowed until the operation has ended (invariant 2).
        let started = unsafe {
            WriteFile(
                handle,
                data.as_ptr(),
                len,
                ptr::null_mut(),
                &raw mut overlapped,
            )
        };
        if started == 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error().map(i32::cast_unsigned) != Some(ERROR_IO_PENDING) {
                return Err(error);
            }
        }
        let mut written = 0;
        // SAFETY: the same OVERLAPPED as above, of an operation on this handle that was
        // started; TRUE waits for its end, which upholds invariant 2.
        let ended =
            unsafe { GetOverlappedResult(handle, &raw const overlapped, &raw mut written, TRUE) };
        if ended == 0 {
            return Err(io::Error::last_os_error());
        }
        usize::try_from(written).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
