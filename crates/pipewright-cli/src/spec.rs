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

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::PathBuf;

use clap::ValueEnum;

use crate::os;
use crate::quantity;
use crate::text::printable;

/// What happens when a sink's buffer is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnFull {
    /// The whole copy waits; nothing is lost
    Wait,
    /// What does not fit is dropped for this sink, and counted
    DropNewest,
    /// The sink is given up; the others go on
    Detach,
}

/// A sink, as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) target: Target,
    /// What it is called in messages: its `name=`, or the target as typed.
    pub(crate) name: String,
    pub(crate) buffer: Option<NonZeroU64>,
    pub(crate) on_full: Option<OnFull>,
}

/// Where the data goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    /// A file, device or existing FIFO; which, shows when it is opened.
    Path(PathBuf),
    /// The standard input of a shell command.
    Exec(OsString),
    /// A Unix socket that somebody listens on.
    Unix(PathBuf),
    /// A FIFO to be created.
    Listen(PathBuf),
}

/// The kinds that can be asked for by word.
const KINDS: &str = "-, PATH, file:PATH, exec:COMMAND, unix:PATH, listen:PATH";
const OPTIONS: &str = "buffer=SIZE, name=TEXT, on-full=POLICY";

impl Spec {
    pub(crate) fn parse(typed: &OsStr) -> Result<Spec, SpecError> {
        let wrong = |at, problem, hint| SpecError::new(typed, at, problem, hint);
        let mut spec = Spec {
            target: Target::Stdout,
            name: String::new(),
            buffer: None,
            on_full: None,
        };
        let start = match options_of(typed.as_encoded_bytes()) {
            Some(options) => {
                spec.set_options(typed, options.clone())?;
                (options.end + 1).min(typed.len())
            }
            None => 0,
        };
        let target = os::tail(typed, start);
        if target.is_empty() {
            let at = start..start;
            return Err(wrong(
                at,
                "there is no target".into(),
                format!("targets: {KINDS}"),
            ));
        }
        spec.target = Target::parse(&target).map_err(|NotATarget { at, problem, hint }| {
            wrong(start + at.start..start + at.end, problem, hint)
        })?;
        if spec.name.is_empty() {
            spec.name = printable(&target);
        }
        Ok(spec)
    }

    fn set_options(&mut self, typed: &OsStr, options: Range<usize>) -> Result<(), SpecError> {
        let bytes = typed.as_encoded_bytes();
        let Ok(text) = std::str::from_utf8(&bytes[options.clone()]) else {
            let problem = "the options are not valid UTF-8".into();
            return Err(SpecError::new(typed, options, problem, String::new()));
        };
        let mut start = options.start;
        for option in text.split(',') {
            let end = start + option.len();
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value_at = end - value.len()..end;
            self.set(name, value).map_err(|problem| match problem {
                NotAnOption::Name => SpecError::new(
                    typed,
                    start..start + name.len(),
                    format!("there is no option '{name}'"),
                    format!(
                        "options: {OPTIONS}; a path of this name is written ./{}",
                        printable(typed)
                    ),
                ),
                NotAnOption::Value(problem) => {
                    SpecError::new(typed, value_at, problem, String::new())
                }
            })?;
            start = end + 1;
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), NotAnOption> {
        match name {
            "buffer" => self.buffer = Some(quantity::size(value).map_err(NotAnOption::Value)?),
            "name" if value.is_empty() => {
                return Err(NotAnOption::Value("the name is empty".into()));
            }
            "name" => self.name = printable(OsStr::new(value)),
            "on-full" => {
                let policy = OnFull::from_str(value, false).map_err(|_| {
                    NotAnOption::Value(format!(
                        "there is no policy '{value}': wait, drop-newest, detach"
                    ))
                })?;
                self.on_full = Some(policy);
            }
            _ => return Err(NotAnOption::Name),
        }
        Ok(())
    }
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
            matches!(&bytes[..name], b"buffer" | b"name" | b"on-full").then_some(0..bytes.len())
        }
    }
}

/// The length of the word at the beginning: a letter, then letters, digits and
/// `others`.
fn word(bytes: &[u8], others: &[u8]) -> usize {
    if !bytes.first().is_some_and(u8::is_ascii_alphabetic) {
        return 0;
    }
    bytes
        .iter()
        .position(|byte| !byte.is_ascii_alphanumeric() && !others.contains(byte))
        .unwrap_or(bytes.len())
}

struct NotATarget {
    at: Range<usize>,
    problem: String,
    hint: String,
}

impl Target {
    fn parse(typed: &OsStr) -> Result<Target, NotATarget> {
        let bytes = typed.as_encoded_bytes();
        if bytes == b"-" {
            return Ok(Target::Stdout);
        }
        let kind = word(bytes, b"+.-");
        if kind >= 2 && bytes.get(kind) == Some(&b':') {
            return Target::of_kind(typed, kind);
        }
        if !cfg!(windows)
            && [&br"\\.\pipe\"[..], br"\\?\pipe\"]
                .iter()
                .any(|p| bytes.starts_with(p))
        {
            return Err(NotATarget {
                at: 0..9,
                problem: "named pipes of this form exist on Windows only".into(),
                hint: format!("targets: {KINDS}"),
            });
        }
        Ok(Target::Path(typed.into()))
    }

    fn of_kind(typed: &OsStr, kind: usize) -> Result<Target, NotATarget> {
        let word = String::from_utf8_lossy(&typed.as_encoded_bytes()[..kind]).into_owned();
        let rest = os::tail(typed, kind + 1);
        let wrong = |problem| {
            let hint = format!(
                "targets: {KINDS}; a path of this name is written ./{}",
                printable(typed)
            );
            Err(NotATarget {
                at: 0..kind + 1,
                problem,
                hint,
            })
        };
        let make: fn(OsString) -> Target = match word.as_str() {
            "file" => |rest| Target::Path(rest.into()),
            "exec" => Target::Exec,
            "unix" => |rest| Target::Unix(rest.into()),
            "listen" => |rest| Target::Listen(rest.into()),
            "tcp" => return wrong("'tcp:' is kept for TCP, which is not supported yet".into()),
            _ => return wrong(format!("there is no kind of sink '{word}:'")),
        };
        if rest.is_empty() {
            return wrong(format!("nothing follows '{word}:'"));
        }
        Ok(make(rest))
    }
}

/// A sink that makes no sense, and where it stops making sense.
#[derive(Debug)]
pub(crate) struct SpecError {
    before: String,
    at: String,
    after: String,
    problem: String,
    hint: String,
}

impl SpecError {
    fn new(typed: &OsStr, at: Range<usize>, problem: String, hint: String) -> Self {
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

#[cfg(test)]
mod tests;
