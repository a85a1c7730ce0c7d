//! A console: no shell suspends who draws on it, or takes it away from them.

use std::io;

use crate::os::Suspension;

/// There is nothing to be told of.
pub(crate) fn watch_suspensions(_: impl FnMut(Suspension) + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Nobody asks for it.
pub(crate) fn suspend() {}

pub(crate) fn may_draw() -> bool {
    true
}
