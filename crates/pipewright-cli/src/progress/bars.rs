//! Lines on a terminal that are drawn over themselves.

use std::sync::Arc;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::canvas::{Canvas, Surface, columns_of, width_of};

pub(super) struct Bars {
    surface: Arc<dyn Surface>,
    all: MultiProgress,
    /// All lines are the message of one bar, so that they are drawn in one go.
    bar: ProgressBar,
    /// What was to be shown last.
    lines: Vec<String>,
    /// Width and number of the lines that are ours on the screen, if any are.
    drawn: Option<(u16, usize)>,
}

impl Bars {
    pub(super) fn new(surface: impl Surface + 'static) -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        // A template without a mistake in it.
        let style = ProgressStyle::with_template("{msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = all.add(ProgressBar::hidden().with_style(style));
        // Its end draws once more. That must not happen when the terminal is somebody
        // else's, so it is had now, when nothing can be seen.
        bar.abandon();
        Bars {
            surface: Arc::new(surface),
            all,
            bar,
            lines: Vec::new(),
            drawn: None,
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
        if self.drawn.is_some() {
            // The canvas knows no errors.
            let _ = self.all.clear();
        }
        self.forget();
    }

    /// What was drawn is left as it is, and nothing is drawn over it any more.
    pub(super) fn forget(&mut self) {
        self.all.set_draw_target(ProgressDrawTarget::hidden());
        self.drawn = None;
    }

    /// Lets something else be written, above what is drawn.
    pub(super) fn suspend(&mut self, write: impl FnOnce()) {
        let was_drawn = self.drawn.is_some();
        self.clear();
        write();
        if was_drawn {
            // Not what `indicatif` has drawn: the size may be another by now.
            self.redraw();
        }
    }

    fn redraw(&mut self) {
        let (rows, columns) = self.surface.size();
        let width = width_of(columns);
        let shown = fitting(&self.lines, rows).map(|line| cut(line, width.into()));
        let shown: Vec<&str> = shown.collect();
        let (drawn, message) = (Some((width, shown.len())), shown.join("\n"));
        if self.drawn != drawn {
            self.clear();
            self.begin(width);
            self.drawn = drawn;
        }
        self.bar.set_message(message);
    }

    /// From now on it is drawn where the cursor is.
    fn begin(&self, width: u16) {
        let canvas = Canvas::new(Arc::clone(&self.surface), width);
        let target = ProgressDrawTarget::term_like(Box::new(canvas));
        self.all.set_draw_target(target);
        // Lines are written over, and not cleared first, which would be seen.
        self.all.set_move_cursor(true);
    }
}

/// As many as there is room for above the cursor: the first, and the last, which is the
/// total.
fn fitting(lines: &[String], rows: usize) -> impl Iterator<Item = &str> {
    let fit = rows.saturating_sub(1).max(1);
    let (first, last) = lines.split_at(lines.len().saturating_sub(1));
    let shown = first.iter().take(fit - 1).chain(last);
    shown.map(String::as_str)
}

/// What there is room for in so many columns. `indicatif` would cut a message as a whole,
/// and let a line that is too long go on in the next.
fn cut(line: &str, columns: usize) -> &str {
    let mut room = columns;
    let mut end = line.char_indices();
    let first_without = end.find(|(_, c)| match room.checked_sub(columns_of(*c)) {
        Some(left) => {
            room = left;
            false
        }
        None => true,
    });
    first_without.map_or(line, |(end, _)| &line[..end])
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// What a terminal of Unix would show.
    #[derive(Clone)]
    struct Emulated(Arc<Mutex<vt100::Parser>>);

    impl Emulated {
        fn of_size(rows: u16, columns: u16) -> Self {
            Emulated(Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0))))
        }

        fn resize(&self, rows: u16, columns: u16) {
            let mut parser = self.0.lock().unwrap();
            parser.screen_mut().set_size(rows, columns);
        }

        fn write(&self, text: &str) {
            self.0.lock().unwrap().process(text.as_bytes());
        }

        /// Without the empty lines at its end.
        fn lines(&self) -> Vec<String> {
            let parser = self.0.lock().unwrap();
            let (_, columns) = parser.screen().size();
            let lines = parser.screen().rows(0, columns);
            let mut lines: Vec<_> = lines.map(|line| line.trim_end().to_owned()).collect();
            lines.truncate(
                lines
                    .iter()
                    .rposition(|line| !line.is_empty())
                    .map_or(0, |last| last + 1),
            );
            lines
        }
    }

    impl std::fmt::Debug for Emulated {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "{:#?}", self.lines())
        }
    }

    impl Surface for Emulated {
        fn size(&self) -> (usize, usize) {
            let (rows, columns) = self.0.lock().unwrap().screen().size();
            (rows.into(), columns.into())
        }

        fn write_above(&self, rows: usize, text: &str) -> io::Result<()> {
            if rows > 0 {
                self.write(&format!("\x1b[{rows}A"));
            }
            self.write(&format!("\r{text}"));
            Ok(())
        }

        fn clearing(&self) -> String {
            "\r\x1b[2K".into()
        }
    }

    fn long_lines(text: &str) -> Vec<String> {
        let lines = ["a", "b", "total"].iter();
        lines
            .map(|name| format!("{name:7}{}", text.repeat(9)))
            .collect()
    }

    /// Lines that all fit on the screen, and then do not, or have more room than before.
    fn after_a_resize(columns: [u16; 2]) -> (Vec<String>, Vec<String>) {
        let terminal = Emulated::of_size(8, columns[0]);
        terminal.write("$ pipewright\r\n");
        let mut bars = Bars::new(terminal.clone());
        bars.draw(long_lines("one  "));
        terminal.resize(8, columns[1]);
        bars.draw(long_lines("two  "));
        let drawn_at_once = terminal.lines();
        bars.draw(long_lines("three"));
        (drawn_at_once, terminal.lines())
    }

    #[test]
    fn in_a_terminal_that_becomes_narrower_no_line_goes_on_in_the_next_and_nothing_is_left() {
        let (at_once, later) = after_a_resize([80, 23]);
        let expected = [
            "$ pipewright",
            "a      two  two  two",
            "b      two  two  two",
            "total  two  two  two",
        ];
        assert_eq!(at_once, expected);
        let expected = [
            "$ pipewright",
            "a      threethreethree",
            "b      threethreethree",
            "total  threethreethree",
        ];
        assert_eq!(later, expected);
    }

    #[test]
    fn in_a_terminal_that_becomes_wider_the_room_is_used() {
        let (at_once, later) = after_a_resize([23, 80]);
        for (lines, text) in [(at_once, "two  "), (later, "three")] {
            let mut expected = vec!["$ pipewright".to_owned()];
            expected.extend(
                long_lines(text)
                    .iter()
                    .map(|line| line.trim_end().to_owned()),
            );
            assert_eq!(lines, expected);
        }
    }

    #[test]
    fn a_line_is_cut_by_columns() {
        for (line, expected) in [
            ("", ""),
            ("abc", "abc"),
            ("abcdefgh", "abcde"),
            // A character of two columns is not cut in half.
            ("a日本語", "a日本"),
            ("日本語", "日本"),
            // What belongs to the last character stays with it.
            ("abcde\u{301}f", "abcde\u{301}"),
        ] {
            assert_eq!(cut(line, 5), expected);
        }
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
            assert_eq!(fitting(&lines, rows).collect::<Vec<_>>(), expected);
        }
        assert_eq!(fitting(&[], 5).count(), 0);
    }
}
