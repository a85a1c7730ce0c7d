//! Lines on a terminal that are drawn over themselves.
//!
//! The cursor waits in the line below them. The last column stays empty, because what
//! the cursor does when something is written there differs: most terminals wait for the
//! next character, a console of Windows goes to the next line at once, unless told
//! otherwise (Microsoft, "SetConsoleMode function", `DISABLE_NEWLINE_AUTO_RETURN`).

use unicode_width::UnicodeWidthChar;

use crate::os::Screen;

pub(super) struct Bars {
    screen: Screen,
    /// What was to be shown last.
    lines: Vec<String>,
    /// So many lines right above the cursor are ours.
    drawn: usize,
}

impl Bars {
    pub(super) fn new(screen: Screen) -> Self {
        Bars {
            screen,
            lines: Vec::new(),
            drawn: 0,
        }
    }

    /// Whether there was nothing to show yet.
    pub(super) fn are_new(&self) -> bool {
        self.lines.is_empty()
    }

    pub(super) fn draw(&mut self, lines: Vec<String>) {
        self.lines = lines;
        self.redraw();
    }

    pub(super) fn clear(&mut self) {
        if self.drawn == 0 {
            return;
        }
        let (_, columns) = self.screen.size();
        let blank = row("", columns).repeat(self.drawn);
        self.write(&blank);
        self.write("");
        self.drawn = 0;
    }

    /// What was drawn is left as it is, and nothing is drawn over it any more.
    pub(super) fn forget(&mut self) {
        self.drawn = 0;
    }

    /// Lets something else be written, above what is drawn.
    pub(super) fn suspend(&mut self, write: impl FnOnce()) {
        let was_drawn = self.drawn > 0;
        self.clear();
        write();
        if was_drawn {
            self.redraw();
        }
    }

    fn redraw(&mut self) {
        let (rows, columns) = self.screen.size();
        let shown = fitting(&self.lines, rows);
        if self.drawn != shown.len() {
            self.clear();
        }
        let text: String = shown.iter().map(|line| row(line, columns)).collect();
        self.write(&text);
        self.drawn = shown.len();
    }

    fn write(&self, text: &str) {
        // If the terminal is gone, nobody misses it.
        let _ = self.screen.write_above(self.drawn, text);
    }
}

/// As many as there is room for above the cursor: the first, and the last, which is the
/// total.
fn fitting(lines: &[String], rows: usize) -> Vec<String> {
    let fit = rows.saturating_sub(1).max(1);
    match lines {
        [first @ .., last] if lines.len() > fit => {
            first[..fit - 1].iter().chain([last]).cloned().collect()
        }
        _ => lines.to_vec(),
    }
}

/// The line on a row of its own, of which it fills all columns but the last.
fn row(line: &str, columns: usize) -> String {
    let mut room = columns.saturating_sub(1);
    let mut row = String::new();
    for c in line.chars() {
        let width = c.width().unwrap_or_default();
        if width > room {
            break;
        }
        room -= width;
        row.push(c);
    }
    row + &" ".repeat(room) + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_leaves_the_last_column_empty() {
        for (line, expected) in [
            ("", "     \r\n"),
            ("abc", "abc  \r\n"),
            ("abcdefgh", "abcde\r\n"),
            // A character of two columns is not cut in half.
            ("a日本語", "a日本\r\n"),
            ("日本語", "日本 \r\n"),
        ] {
            assert_eq!(row(line, 6), expected);
        }
        assert_eq!(row("abc", 0), "\r\n");
    }

    #[test]
    fn the_total_is_shown_in_the_smallest_terminal() {
        let lines = ["a", "b", "c", "total"].map(String::from);
        for (rows, expected) in [
            (5, &["a", "b", "c", "total"][..]),
            (4, &["a", "b", "total"]),
            (2, &["total"]),
            (1, &["total"]),
            (0, &["total"]),
        ] {
            assert_eq!(fitting(&lines, rows), expected);
        }
        assert!(fitting(&[], 5).is_empty());
    }
}
