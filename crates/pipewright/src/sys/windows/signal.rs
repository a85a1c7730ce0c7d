//! The waitable object: an event that is set while there is news.

use std::io;
use std::os::windows::io::{
    AsHandle, AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle, RawHandle,
};
use std::ptr;

use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

use crate::front::waitable::Waitable;

/// A manual-reset event that no child inherits.
#[derive(Debug)]
pub(crate) struct Signal(OwnedHandle);

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        event().map(Signal)
    }

    /// Sets it. That it is set already is as good.
    pub(crate) fn set(&self) {
        // SAFETY: the handle is an event's, with all rights, and open: `self` owns it.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Makes it not set.
    pub(crate) fn clear(&self) {
        reset(self.0.as_handle());
    }
}

/// An event that stays set until it is reset, not set at first, not inheritable.
pub(super) fn event() -> io::Result<OwnedHandle> {
    const MANUAL_RESET: i32 = 1;
    const NOT_SET: i32 = 0;
    // SAFETY: both pointers may be null: no security descriptor, which also means
    // that the handle is not inherited, and no name (Microsoft, "CreateEventW").
    let event = unsafe { CreateEventW(ptr::null(), MANUAL_RESET, NOT_SET, ptr::null()) };
    if event.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was made by the call above and nobody else knows it.
    Ok(unsafe { OwnedHandle::from_raw_handle(event) })
}

/// Makes an event not set.
pub(super) fn reset(event: BorrowedHandle<'_>) {
    // SAFETY: the handle is open while it is borrowed, and any handle may be given:
    // one that is no event's is refused.
    unsafe { ResetEvent(event.as_raw_handle()) };
}

impl AsHandle for Signal {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl AsHandle for Waitable {
    fn as_handle(&self) -> BorrowedHandle<'_> {
        self.0.as_handle()
    }
}

impl AsRawHandle for Waitable {
    fn as_raw_handle(&self) -> RawHandle {
        self.0.as_handle().as_raw_handle()
    }
}
