//! How a writer gets its handle, once.

use std::io;

use pipewright_core::Mode;

use super::State;
use crate::error::Ended;
use crate::outcome::Outcome;
use crate::sys::Opened;

/// Why a handle was not attached.
pub(crate) enum Unattachable {
    Attached,
    Ended(Outcome),
    /// The handle carries messages, and the writer joins them.
    Messages,
    /// The writer keeps messages apart, and the handle does not.
    Bytes,
}

impl From<Unattachable> for io::Error {
    fn from(why: Unattachable) -> Self {
        let (kind, text) = match why {
            Unattachable::Ended(outcome) => return Ended(outcome).into(),
            Unattachable::Attached => (
                io::ErrorKind::AlreadyExists,
                "the writer has a pipe already",
            ),
            Unattachable::Messages => (
                io::ErrorKind::InvalidInput,
                "it keeps message boundaries, and the writer would join messages: use Mode::Message",
            ),
            Unattachable::Bytes => (
                io::ErrorKind::InvalidInput,
                "it does not keep message boundaries, as Mode::Message demands",
            ),
        };
        io::Error::new(kind, text)
    }
}

impl State {
    pub(crate) fn attach(&mut self, opened: Opened) -> Result<(), (Opened, Unattachable)> {
        if let Some(why) = self.refuses(&opened) {
            return Err((opened, why));
        }
        self.attached = true;
        self.driver = Some(opened.driver);
        if !self.named {
            self.label = opened.description.label.into();
        }
        Ok(())
    }

    fn refuses(&mut self, opened: &Opened) -> Option<Unattachable> {
        if self.attached {
            return Some(Unattachable::Attached);
        }
        match (self.core.mode(), opened.description.mode) {
            (Mode::Byte, Some(Mode::Message)) => return Some(Unattachable::Messages),
            (Mode::Message, Some(Mode::Byte)) => return Some(Unattachable::Bytes),
            _ => {}
        }
        let attached = self.core.attach(opened.driver.limits());
        attached
            .err()
            .map(|outcome| Unattachable::Ended(self.explain(outcome)))
    }
}
