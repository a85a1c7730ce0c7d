//! A console: no shell suspends who draws on it, or takes it away from them.

use std::env;
use std::io::{self, Write};

use winapi_util::console::screen_buffer_info;

use super::sys;
use crate::os::Suspension;

/// Standard error, which is a console. A terminal that is made of pipes, as some ports
/// of Unix shells have, is none: nobody can say how large it is.
///
/// The console's own calls move the cursor, and no sequences of characters: these would
/// have to be switched on, for all who share the console.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen(());

impl Screen {
    /// Consoles have no name, but one may be given to them to say that nothing is to be
    /// drawn.
    pub(crate) fn of_stderr() -> Option<Screen> {
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_console = screen_buffer_info(io::stderr()).is_ok();
        (is_console && !is_dumb).then_some(Screen(()))
    }

    /// Rows and columns of the window.
    pub(crate) fn size(&self) -> (usize, usize) {
        let Ok(info) = screen_buffer_info(io::stderr()) else {
            // It is gone, and so is whatever would be written.
            return (0, 0);
        };
        let window = info.window_rect();
        let length = |first: i16, last: i16| (first..=last).count();
        (
            length(window.top, window.bottom),
            length(window.left, window.right),
        )
    }

    /// Writes from the beginning of the line on that is so many rows above the cursor.
    pub(crate) fn write_above(&self, rows: usize, text: &str) -> io::Result<()> {
        let (_, row) = screen_buffer_info(io::stderr())?.cursor_position();
        let rows = i16::try_from(rows).unwrap_or(i16::MAX);
        sys::move_cursor_to(row.saturating_sub(rows).max(0))?;
        io::stderr().write_all(text.as_bytes())
    }

    /// What clears the line that the cursor is in, and leaves it at the beginning: all
    /// but the last column, after which the cursor would be in the next line.
    pub(crate) fn clearing(&self) -> String {
        let (_, columns) = self.size();
        format!("\r{}\r", " ".repeat(columns.saturating_sub(1)))
    }
}

/// There is nothing to be told of.
pub(crate) fn watch_suspensions(_: impl FnMut(Suspension) + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Nobody asks for it.
pub(crate) fn suspend() {}

pub(crate) fn may_draw() -> bool {
    true
}
