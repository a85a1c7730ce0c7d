//! Sharing a terminal with a shell that can suspend this process.

use std::io;

use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::os::Suspension;

/// Calls `told` when the user asks for a suspension (Ctrl-Z), and after every one,
/// on a thread of its own. From now on this process is suspended by [`suspend`]
/// only, or by a SIGSTOP.
pub(crate) fn watch_suspensions(
    mut told: impl FnMut(Suspension) + Send + 'static,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGTSTP, SIGCONT])?;
    std::thread::Builder::new()
        .name("suspensions".into())
        .spawn(move || {
            for number in signals.forever() {
                told(match number {
                    SIGTSTP => Suspension::Asked,
                    _ => Suspension::Over,
                });
            }
        })?;
    Ok(())
}

/// Suspends this process, as SIGTSTP does when nobody catches it. Returns when it
/// goes on.
pub(crate) fn suspend() {
    // It fails only for signals that do not exist.
    let _ = emulate_default_handler(SIGTSTP);
}

/// Whether standard error's terminal is this process's to draw on, and not a
/// shell's that has put it into the background.
pub(crate) fn may_draw() -> bool {
    tcgetpgrp(io::stderr()).map_or(true, |group| group == getpgrp())
}
