//! The model's part that is about telling: what the user must hear, what may be
//! told as well, and in which order.

use pipewright_core::{Event, TicketId};

/// What the user has still to be told.
#[derive(Debug, Default)]
pub(crate) struct News {
    pub(crate) grants: Vec<TicketId>,
    pub(crate) written: bool,
    pub(crate) refusing: bool,
    pub(crate) ended: bool,
    ended_told: bool,
    /// There was a refusal for want of room since `Space` was last told…
    refused: bool,
    /// … and more room since: `Space` must be told.
    space_due: bool,
    /// There was room for somebody who was refused: `Space` may be told.
    space_allowed: bool,
    refusals: u32,
    spaces: u32,
    /// What was used, and how many waited, when that was last looked at.
    seen: (u64, usize),
}

impl News {
    pub(crate) fn must_tell(&self) -> bool {
        !self.grants.is_empty() || self.written || self.refusing || self.ended || self.space_due
    }

    /// Whether somebody who was refused has not heard of any room since.
    pub(crate) fn is_anybody_left_refused(&self) -> bool {
        self.refused
    }

    /// Somebody was refused for want of room.
    pub(crate) fn refuse(&mut self, used: u64, waiting: usize) {
        self.refused = true;
        self.refusals += 1;
        self.seen = (used, waiting);
    }

    /// `Space` is due once there is more room than at a refusal; it is allowed
    /// once for each refusal, as soon as there is any room.
    pub(crate) fn look_for_room(&mut self, has_room: bool, used: u64, waiting: usize) {
        let grown = used < self.seen.0 || waiting < self.seen.1;
        if has_room && waiting == 0 {
            self.space_due |= self.refused && grown;
            self.space_allowed |= self.spaces < self.refusals;
        }
        self.seen = (used, waiting);
    }

    /// What the core told; `None` if it had nothing to tell.
    pub(crate) fn told(&mut self, event: Option<Event>) {
        let Some(event) = event else {
            assert!(!self.must_tell(), "kept from the user: {self:?}");
            return;
        };
        assert!(!self.ended_told, "{event:?} comes after the end");
        match event {
            Event::Granted(id) => assert_eq!(self.grants.remove(0), id, "in order"),
            Event::Written => assert!(std::mem::take(&mut self.written)),
            Event::Refusing => assert!(std::mem::take(&mut self.refusing)),
            Event::Space => {
                assert!(self.space_allowed && self.spaces < self.refusals);
                self.spaces += 1;
                (self.refused, self.space_due, self.space_allowed) = (false, false, false);
            }
            Event::Ended => {
                assert!(std::mem::take(&mut self.ended));
                assert!(!self.must_tell(), "the end is told last");
                self.ended_told = true;
            }
        }
    }
}
