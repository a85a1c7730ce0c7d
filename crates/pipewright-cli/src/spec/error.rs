//! What is wrong with a sink, and where.

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::ops::Range;

use crate::text::printable;

/// A sink that makes no sense, and where it stops making sense.
#[derive(Debug)]
pub(crate) struct SpecError {
    before: String,
    pub(super) at: String,
    after: String,
    problem: String,
    hint: String,
}

impl SpecError {
    pub(super) fn new(typed: &OsStr, at: Range<usize>, problem: String, hint: String) -> Self {
        let bytes = typed.as_encoded_bytes();
        let shown = |bytes: &[u8]| printable(OsStr::new(&*String::from_utf8_lossy(bytes)));
        SpecError {
            before: shown(&bytes[..at.start]),
            at: shown(&bytes[at.clone()]),
            after: shown(&bytes[at.end..]),
            problem,
            hint,
        }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SpecError {
            before,
            at,
            after,
            problem,
            hint,
        } = self;
        let width = |text: &str| text.chars().count();
        writeln!(f, "sink '{before}{at}{after}': {problem}\n")?;
        writeln!(f, "    {before}{at}{after}")?;
        write!(
            f,
            "    {:indent$}{:^<marks$}",
            "",
            "",
            indent = width(before),
            marks = width(at).max(1)
        )?;
        if !hint.is_empty() {
            write!(f, "\n\n  {hint}")?;
        }
        Ok(())
    }
}

impl Error for SpecError {}
