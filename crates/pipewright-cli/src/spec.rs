//! What a sink looks like on the command line.
//!
//! ```text
//! SINK    = [OPTIONS "@"] TARGET
//! OPTIONS = NAME "=" VALUE { "," NAME "=" VALUE }
//! TARGET  = "-" | KIND ":" REST | PATH
//! ```
//!
//! Three rules, in this order, say which is which:
//!
//! 1. What begins with `NAME=` and holds an `@` has options, up to the first `@`.
//!    `NAME` is a letter, then letters, digits and hyphens. What follows the `@`
//!    is the target, whatever it looks like.
//! 2. A target that begins with a word of two or more characters (a letter, then
//!    letters, digits, `+`, `.` and `-`) and a colon has a kind, and the rest is
//!    taken as it is. An unknown kind is an error, never a path.
//! 3. Everything else is a path. So is everything that begins with `.`, `/` or `\`;
//!    `file:` takes any name at all.
//!
//! One letter and a colon is a drive on Windows, and begins a path everywhere.

use std::ffi::OsStr;
use std::num::NonZeroU64;
use std::ops::Range;
use std::time::Duration;

use clap::ValueEnum;

use crate::os;
use crate::quantity;
use crate::text::printable;

mod error;
mod target;

pub(crate) use error::SpecError;
pub(crate) use target::Target;
use target::{KINDS, NotATarget, word};

/// What happens when a sink's buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFull {
    /// The whole copy waits; nothing is lost
    Wait,
    /// What does not fit is dropped for this sink, and counted
    DropNewest,
    /// What has waited longest is dropped for this sink, and counted
    DropOldest,
    /// The sink is given up; the others go on
    Detach,
}

/// What a sink that is opened again does with bytes that its last reader may not
/// have got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InDoubt {
    /// They are counted, and none is sent twice
    Skip,
    /// They are sent again, and some may arrive twice
    Resend,
}

/// A sink, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    /// What it is called in messages: its `name=`, or the target as typed.
    pub(crate) name: String,
    pub(crate) own: Own,
}

/// The sink's own options, where it has them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own {
    pub(crate) buffer: Option<NonZeroU64>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) in_doubt: Option<InDoubt>,
    pub(crate) on_full: Option<OnFull>,
    pub(crate) required: Option<bool>,
    /// How often it is opened again.
    pub(crate) retry: Option<u64>,
    name: Option<String>,
}

/// The names of the options, and what they take.
const OPTIONS: [(&str, &str); 7] = [
    ("buffer", "SIZE"),
    ("connect-timeout", "TIME"),
    ("in-doubt", "skip|resend"),
    ("name", "TEXT"),
    ("on-full", "POLICY"),
    ("required", "yes|no"),
    ("retry", "N|always"),
];

impl Spec {
    pub(crate) fn parse(typed: &OsStr) -> Result<Spec, SpecError> {
        let wrong = |at, problem, hint| SpecError::new(typed, at, problem, hint);
        let (own, start) = match options_of(typed.as_encoded_bytes()) {
            Some(options) => {
                let start = (options.end + 1).min(typed.len());
                (Own::parse(typed, options)?, start)
            }
            None => (Own::default(), 0),
        };
        let rest = os::tail(typed, start);
        if rest.is_empty() {
            let at = start..start;
            return Err(wrong(
                at,
                "there is no target".into(),
                format!("targets: {KINDS}"),
            ));
        }
        let target = Target::parse(&rest).map_err(|NotATarget { at, problem, hint }| {
            wrong(start + at.start..start + at.end, problem, hint)
        })?;
        if target == Target::Stdout && own.retry.is_some() {
            let problem = "standard output cannot be opened again".into();
            let hint = "retry= is for exec:, unix:, tcp:, listen:, FIFOs and named pipes".into();
            return Err(wrong(start..typed.len(), problem, hint));
        }
        let name = own.name.clone().unwrap_or_else(|| printable(&rest));
        Ok(Spec { target, name, own })
    }
}

impl Own {
    fn parse(typed: &OsStr, options: Range<usize>) -> Result<Own, SpecError> {
        let bytes = typed.as_encoded_bytes();
        let Ok(text) = std::str::from_utf8(&bytes[options.clone()]) else {
            let problem = "the options are not valid UTF-8".into();
            return Err(SpecError::new(typed, options, problem, String::new()));
        };
        let mut own = Own::default();
        let mut start = options.start;
        for option in text.split(',') {
            let end = start + option.len();
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            own.set(name, value).map_err(|problem| match problem {
                NotAnOption::Name => {
                    let at = start..start + name.len();
                    let problem = format!("there is no option '{name}'");
                    let known = OPTIONS.map(|(name, value)| format!("{name}={value}"));
                    let hint = format!(
                        "options: {}\n  a path of this name is written ./{}",
                        known.join(", "),
                        printable(typed)
                    );
                    SpecError::new(typed, at, problem, hint)
                }
                NotAnOption::Value(problem) => {
                    SpecError::new(typed, end - value.len()..end, problem, String::new())
                }
            })?;
            start = end + 1;
        }
        Ok(own)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), NotAnOption> {
        let wrong = NotAnOption::Value;
        match name {
            "buffer" => self.buffer = Some(quantity::size(value).map_err(wrong)?),
            "connect-timeout" => {
                self.connect_timeout = Some(quantity::duration(value).map_err(wrong)?);
            }
            "in-doubt" => self.in_doubt = Some(one_of(value)?),
            "name" if value.is_empty() => return Err(wrong("the name is empty".into())),
            "name" => self.name = Some(printable(OsStr::new(value))),
            "on-full" => self.on_full = Some(one_of(value)?),
            "required" => {
                self.required = Some(match value {
                    "yes" => true,
                    "no" => false,
                    _ => return Err(wrong(format!("'{value}' is not one of: yes, no"))),
                });
            }
            "retry" => self.retry = Some(quantity::times(value).map_err(wrong)?),
            _ => return Err(NotAnOption::Name),
        }
        Ok(())
    }
}

fn one_of<T: ValueEnum>(value: &str) -> Result<T, NotAnOption> {
    T::from_str(value, false).map_err(|_| {
        let values = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<_> = values.map(|value| value.get_name().to_owned()).collect();
        NotAnOption::Value(format!("'{value}' is not one of: {}", names.join(", ")))
    })
}

enum NotAnOption {
    Name,
    Value(String),
}

/// The options' place, if there are any: they begin with `NAME=`, and end before
/// the first `@`. Known options without an `@` count, so that the missing target
/// is noticed, and no file of that name is made.
fn options_of(bytes: &[u8]) -> Option<Range<usize>> {
    let name = word(bytes, b"-");
    if name == 0 || bytes.get(name) != Some(&b'=') {
        return None;
    }
    match bytes.iter().position(|&byte| byte == b'@') {
        Some(at) => Some(0..at),
        None => {
            let known = OPTIONS
                .iter()
                .any(|(known, _)| known.as_bytes() == &bytes[..name]);
            known.then_some(0..bytes.len())
        }
    }
}

#[cfg(test)]
mod tests;
