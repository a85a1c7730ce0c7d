//! Waiting for the waitable object, as a foreign event loop does.

use std::time::Duration;

use pipewright::Waitable;

/// Waits until there is news.
pub(crate) fn wait(waitable: &Waitable) {
    assert!(wait_for(waitable, None), "a wait without a limit ended");
}

/// Whether there is news, now or within the time.
#[cfg(unix)]
pub(crate) fn wait_for(waitable: &Waitable, limit: Option<Duration>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = limit.map(|limit| Timespec::try_from(limit).unwrap());
    let mut news = [PollFd::new(waitable, PollFlags::IN)];
    poll(&mut news, limit.as_ref()).unwrap() == 1
}

/// Whether there is news, now or within the time.
#[cfg(windows)]
pub(crate) fn wait_for(waitable: &Waitable, limit: Option<Duration>) -> bool {
    use std::os::windows::io::AsRawHandle;
    use windows_sys::Win32::Foundation::{WAIT_OBJECT_0, WAIT_TIMEOUT};
    use windows_sys::Win32::System::Threading::{INFINITE, WaitForSingleObject};
    let limit = limit.map_or(INFINITE, |limit| u32::try_from(limit.as_millis()).unwrap());
    // SAFETY: the handle is open: the waitable object owns it.
    match unsafe { WaitForSingleObject(waitable.as_raw_handle(), limit) } {
        WAIT_OBJECT_0 => true,
        WAIT_TIMEOUT => false,
        error => panic!("{error:#x}"),
    }
}
