//! Names of pipes, checked before the system sees them.
//!
//! The system's own reading of a path is generous: slashes become backslashes,
//! `..` climbs out of `\\.\pipe\` to any device or file, and `\\HOST\pipe\NAME`
//! signs in to another computer. A name that comes from elsewhere must do none of
//! these, so everything but the documented form is refused here.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::windows::ffi::OsStrExt;

/// The longest name, prefix included, in UTF-16 units ("Pipe Names").
const LONGEST: usize = 256;

/// What apps in a container must put before their names ("CreateNamedPipe").
const CONTAINED: &str = r"LOCAL\";

/// The name of a pipe, as the system takes it.
///
/// # Invariant
///
/// It ends with a NUL and has no other.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Name(Box<[u16]>);

impl Name {
    /// A name on this computer, or also on another one.
    pub(super) fn parse(name: &OsStr, allow_remote: bool) -> io::Result<Name> {
        let mut wide: Vec<u16> = name.encode_wide().collect();
        if let Err(why) = check(&wide, allow_remote) {
            let message = format!("{name:?} is not the name of a pipe: {why}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        wide.push(0);
        Ok(Name(wide.into()))
    }

    pub(super) fn as_ptr(&self) -> *const u16 {
        self.0.as_ptr()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) = self.0.split_last().unwrap_or((&0, &[]));
        String::from_utf16_lossy(name).fmt(f)
    }
}

fn check(name: &[u16], allow_remote: bool) -> Result<(), &'static str> {
    const PREFIX: &str = r"it must begin with \\.\pipe\";
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.contains(&0) {
        return Err("it holds a NUL");
    }
    if name.len() > LONGEST {
        return Err("it is longer than 256 characters");
    }
    if name.contains(&unit(b'/')) {
        return Err("it holds a slash, which the system takes for a backslash");
    }
    let rest = strip(name, r"\\").ok_or(PREFIX)?;
    let end = rest.iter().position(|&c| c == unit(b'\\')).ok_or(PREFIX)?;
    let (host, rest) = rest.split_at(end);
    let own = strip(rest, r"\pipe\").ok_or(PREFIX)?;
    // `?` is no computer, but another door to the system's own names.
    if host.is_empty() || host == [unit(b'?')] {
        return Err(PREFIX);
    }
    if host != [unit(b'.')] && !allow_remote {
        return Err("it is on another computer, which is not allowed unless asked for");
    }
    let own = strip(own, CONTAINED).unwrap_or(own);
    if own.is_empty() {
        return Err("nothing follows the prefix");
    }
    if own.contains(&unit(b'\\')) {
        return Err("it holds a backslash after the prefix");
    }
    if own.iter().all(|&c| c == unit(b'.') || c == unit(b' ')) {
        return Err("it is all dots and spaces, which the system takes for a folder");
    }
    Ok(())
}

/// What follows the prefix. Names are not case-sensitive ("Pipe Names").
fn strip<'a>(name: &'a [u16], prefix: &str) -> Option<&'a [u16]> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    let same = start
        .iter()
        .zip(prefix.bytes())
        .all(|(&c, p)| u8::try_from(c).is_ok_and(|c| c.eq_ignore_ascii_case(&p)));
    same.then_some(rest)
}

/// A character of the ASCII set.
const fn unit(c: u8) -> u16 {
    c as u16
}
