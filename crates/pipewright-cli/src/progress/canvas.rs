//! The terminal as `indicatif` sees it: one column narrower than it is.
//!
//! `indicatif` fills lines to their end, and counts on the cursor waiting there for the
//! next character. Most terminals do that in the last column; a console of Windows goes
//! to the next line at once, unless told otherwise (Microsoft, "SetConsoleMode function",
//! `DISABLE_NEWLINE_AUTO_RETURN`). So the last column stays empty, and here it is decided
//! what happens at the end of a line: the cursor goes to the next line, on every system.
//! It also waits there, below what is drawn, for whatever somebody else writes.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indicatif::TermLike;
use unicode_width::UnicodeWidthChar;

use crate::os::Screen;

/// A terminal whose lines can be written over.
pub(super) trait Surface: Debug + Send + Sync {
    /// Rows and columns, as they are now.
    fn size(&self) -> (usize, usize);

    /// Writes from the beginning of the line on that is so many rows above the cursor.
    fn write_above(&self, rows: usize, text: &str) -> io::Result<()>;

    /// What clears the line that the cursor is in, and leaves it at the beginning.
    fn clearing(&self) -> String;
}

impl Surface for Screen {
    fn size(&self) -> (usize, usize) {
        Screen::size(self)
    }

    fn write_above(&self, rows: usize, text: &str) -> io::Result<()> {
        Screen::write_above(self, rows, text)
    }

    fn clearing(&self) -> String {
        Screen::clearing(self)
    }
}

#[derive(Debug)]
pub(super) struct Canvas {
    surface: Arc<dyn Surface>,
    width: u16,
    draft: Mutex<Draft>,
}

impl Canvas {
    /// It begins where the cursor is, and remains so wide, also if the surface does not.
    pub(super) fn new(surface: Arc<dyn Surface>, width: u16) -> Self {
        Canvas {
            surface,
            width,
            draft: Mutex::default(),
        }
    }

    fn draft(&self) -> MutexGuard<'_, Draft> {
        self.draft.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be drawn on of so many columns. At least one, without which no line is ever full.
pub(super) fn width_of(columns: usize) -> u16 {
    u16::try_from(columns.saturating_sub(1).max(1)).unwrap_or(u16::MAX)
}

/// Control characters take none.
pub(super) fn columns_of(c: char) -> usize {
    c.width().unwrap_or_default()
}

impl TermLike for Canvas {
    fn width(&self) -> u16 {
        self.width
    }

    /// What is given to be drawn fits.
    fn height(&self) -> u16 {
        u16::MAX
    }

    fn move_cursor_up(&self, rows: usize) -> io::Result<()> {
        self.flush()?;
        self.draft().go_up(rows);
        Ok(())
    }

    fn move_cursor_down(&self, rows: usize) -> io::Result<()> {
        self.draft().go_down(rows);
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.move_cursor_down(1)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draft().write(text, self.width.into());
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        // As wide as it is now: what is longer would take two lines.
        self.draft().clear_line(&self.surface.clearing());
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let (rows_up, text) = self.draft().take();
        if rows_up > 0 || !text.is_empty() {
            // If the terminal is gone, nobody misses it.
            let _ = self.surface.write_above(rows_up, &text);
        }
        Ok(())
    }
}

/// What is written next, in one go, so that nobody sees half of it.
#[derive(Debug, Default)]
struct Draft {
    /// It begins so many rows above the cursor, at the beginning of the line.
    rows_up: usize,
    text: String,
    /// So many columns of its last line are filled.
    filled: usize,
    /// That line is full: the cursor is below it, where `indicatif` does not expect it.
    is_below: bool,
}

impl Draft {
    fn take(&mut self) -> (usize, String) {
        (
            std::mem::take(&mut self.rows_up),
            std::mem::take(&mut self.text),
        )
    }

    fn go_up(&mut self, rows: usize) {
        self.rows_up += rows + usize::from(self.is_below);
        self.is_below = false;
    }

    fn go_down(&mut self, rows: usize) {
        let left = rows.saturating_sub(self.is_below.into());
        self.text += &"\r\n".repeat(left);
        self.filled = 0;
        self.is_below = false;
    }

    fn write(&mut self, text: &str, width: usize) {
        if text.is_empty() {
            return;
        }
        self.text += text;
        self.filled += text.chars().map(columns_of).sum::<usize>();
        self.is_below = false;
        if self.filled >= width {
            self.go_down(1);
            self.is_below = true;
        }
    }

    fn clear_line(&mut self, clearing: &str) {
        self.text += clearing;
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_line_is_followed_by_the_next() {
        let mut draft = Draft::default();
        for text in ["\r", "abc", "  ", "", "日本", " ", "ab"] {
            draft.write(text, 5);
        }
        assert_eq!(draft.take(), (0, "\rabc  \r\n日本 \r\nab".into()));
    }

    #[test]
    fn the_way_up_begins_below_a_full_line() {
        let mut draft = Draft::default();
        draft.write("abc", 3);
        draft.write("abc", 3);
        draft.take();
        // From the second line to the first, for one who takes the cursor to be there.
        draft.go_up(1);
        assert_eq!(draft.take(), (2, String::new()));
        draft.clear_line("(clear)");
        draft.go_down(1);
        draft.clear_line("(clear)");
        assert_eq!(draft.take(), (0, "(clear)\r\n(clear)".into()));
        // Now it is there.
        draft.go_up(1);
        assert_eq!(draft.take(), (1, String::new()));
    }

    #[test]
    fn the_last_column_is_not_drawn_on() {
        for (columns, width) in [(100, 99), (2, 1), (1, 1), (0, 1), (1 << 20, u16::MAX)] {
            assert_eq!(width_of(columns), width);
        }
    }
}
