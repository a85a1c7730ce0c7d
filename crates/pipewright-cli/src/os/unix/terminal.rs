//! A terminal, shared with a shell that can suspend this process.

use std::env;
use std::io::{self, IsTerminal, Write};

use rustix::process::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::os::Suspension;

/// Standard error, which is a terminal that can do more than write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen(());

impl Screen {
    pub(crate) fn of_stderr() -> Option<Screen> {
        let is_dumb = env::var_os("TERM").is_none_or(|term| term == "dumb");
        (io::stderr().is_terminal() && !is_dumb).then_some(Screen(()))
    }

    /// Rows and columns.
    pub(crate) fn size(&self) -> (usize, usize) {
        match tcgetwinsize(io::stderr()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                (size.ws_row.into(), size.ws_col.into())
            }
            // What terminals have that do not say: a serial line's.
            _ => (24, 80),
        }
    }

    /// Writes from the beginning of the line on that is so many rows above the cursor.
    pub(crate) fn write_above(&self, rows: usize, text: &str) -> io::Result<()> {
        let start = match rows {
            // As a number in the sequence it would mean 1.
            0 => "\r".into(),
            rows => format!("\r\x1b[{rows}A"),
        };
        io::stderr().write_all((start + text).as_bytes())
    }

    /// What clears the line that the cursor is in, and leaves it at the beginning.
    pub(crate) fn clearing(&self) -> String {
        "\r\x1b[2K".into()
    }
}

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
