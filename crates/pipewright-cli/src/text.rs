//! Text from the command line, made fit to be shown.

use std::ffi::OsStr;

/// The text on one line, with nothing in it that moves a cursor, changes a colour
/// or turns the direction of writing: names come from who knows where, and end up
/// on terminals and in logs.
pub(crate) fn printable(text: &OsStr) -> String {
    let mut shown = String::new();
    for c in text.to_string_lossy().chars() {
        if c.is_control() || turns_direction(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_a_terminal() {
        let shown = printable(OsStr::new("a\x1b[31m\n\u{202E}é"));
        assert_eq!(shown, "a\\u{1b}[31m\\n\\u{202e}é");
    }
}
