//! Requests to end: Ctrl-C, Ctrl-Break, and the end of the console or the session.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use windows_sys::Win32::System::Console::{
    CTRL_BREAK_EVENT, CTRL_C_EVENT, CTRL_CLOSE_EVENT, CTRL_LOGOFF_EVENT, CTRL_SHUTDOWN_EVENT,
};

use super::sys;
use crate::os::Signal;

/// Calls `told` for every one that arrives, on a thread of its own. From now on
/// they do not end the process by themselves.
pub(crate) fn watch_signals(told: impl FnMut(Signal) + Send + 'static) -> io::Result<()> {
    let told = Mutex::new(told);
    sys::on_console_event(move |event| {
        let Some(signal) = signal(event) else {
            return false;
        };
        (told.lock().unwrap_or_else(PoisonError::into_inner))(signal);
        while ends_when_answered(event) {
            thread::park();
        }
        true
    })
}

/// The numbers are those of the signals that mean the same elsewhere, SIGINT and
/// SIGTERM: they show in the exit status.
fn signal(event: u32) -> Option<Signal> {
    let (number, name) = match event {
        CTRL_C_EVENT => (2, "Ctrl-C"),
        CTRL_BREAK_EVENT => (2, "Ctrl-Break"),
        CTRL_CLOSE_EVENT => (15, "close"),
        CTRL_LOGOFF_EVENT => (15, "logoff"),
        CTRL_SHUTDOWN_EVENT => (15, "shutdown"),
        _ => return None,
    };
    Some(Signal { number, name })
}

/// Of these the system wants no answer but the end of the process, which it brings
/// about when it gets one, or after some seconds ("HandlerRoutine callback function").
/// The time in between is for the sinks.
fn ends_when_answered(event: u32) -> bool {
    matches!(
        event,
        CTRL_CLOSE_EVENT | CTRL_LOGOFF_EVENT | CTRL_SHUTDOWN_EVENT
    )
}
