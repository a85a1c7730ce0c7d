//! One writer: the queue, the accounts, the line and the lifecycle put together.
//!
//! The getters are here, and the conclusions that follow every change; what the
//! user asks for is in `commands`, what the driver asks in `polls`, and what the
//! system reports in `handlers`.

mod commands;
mod direct;
mod handlers;
mod polls;

pub use self::direct::Direct;

use alloc::vec::Vec;
use core::num::NonZeroU64;

use bytes::Bytes;

use crate::ledger::{Ledger, Position, Progress};
use crate::lifecycle::{Outcome, Phase, Step};
use crate::line::{Line, TicketId};
use crate::operation::{Limits, OpId};
use crate::queue::Queue;

/// What a writer is made with.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many bytes may be accepted and not yet written. A larger message is
    /// accepted when nothing else is waiting.
    pub capacity: NonZeroU64,
    /// Whether sends keep their boundaries.
    pub mode: Mode,
}

impl Default for Config {
    /// 1 MiB, byte mode.
    fn default() -> Self {
        Config {
            capacity: const { NonZeroU64::new(1 << 20).unwrap() },
            mode: Mode::Byte,
        }
    }
}

/// Whether the pipe carries bytes or messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A stream: sends may be joined or cut on their way. An empty send is a
    /// no-op.
    #[default]
    Byte,
    /// One send is one write and one message. An empty send is an empty message,
    /// and counts as one byte against the capacity.
    Message,
}

/// Why a send was not accepted. The data stays with the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room now, or others wait for it already.
    Full,
    /// The writer takes no more data, and this is why.
    Closed(Outcome),
}

/// What the user should hear of. Coalesced: one event stands for all that came
/// before it was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// This waiting sender has its capacity: let it claim its ticket.
    Granted(TicketId),
    /// More was written.
    Written,
    /// A send was refused for lack of room, and there is more of it now; it may be
    /// less than what was refused.
    Space,
    /// No more sends are accepted: let everybody in the line give up.
    Refusing,
    /// The outcome is there, and the handle is closed.
    Ended,
}

/// What becomes of an operation for which the system lacked resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Call [`Core::handle_ready`] after a pause that grows with `attempt`
    /// (counted from 1).
    Later {
        /// How many attempts have failed in a row.
        attempt: u32,
    },
    /// Too many attempts, or the end was decided meanwhile.
    GivenUp,
}

/// What was not written.
#[derive(Debug, Default)]
pub struct Unsent {
    /// The bytes of which the system does not say whether it took them, in order.
    /// They come right after the written ones.
    pub in_doubt: Vec<Bytes>,
    /// The bytes that were certainly not written, in order.
    pub unsent: Vec<Bytes>,
}

/// The state machine of one writer. See the [crate's documentation](crate) for
/// the order in which its methods are meant to be called.
#[derive(Debug)]
pub struct Core {
    mode: Mode,
    capacity: u64,
    phase: Phase,
    queue: Queue,
    line: Line,
    ledger: Ledger,
    in_flight: Option<InFlight>,
    in_doubt: Vec<Bytes>,
    /// Bytes that were handed out by `take_unsent`: still unsent.
    taken_back: u64,
    /// Empty messages that are queued or in flight; each counts as one byte.
    empty_messages: u64,
    limits: Option<Limits>,
    /// The driver said that it can take nothing now.
    blocked: bool,
    /// How many attempts in a row have failed for lack of resources.
    exhausted: u32,
    /// The most bytes to ask the system to take after such a failure; as with
    /// the limits, at least 1 is used.
    bearable: usize,
    next_op: u64,
    cancel_wanted: bool,
    space_wanted: bool,
    news: News,
}

#[derive(Debug)]
struct InFlight {
    id: OpId,
    len: usize,
    /// What the operation's last chunk holds beyond the operation's end.
    beyond: u64,
}

#[derive(Debug, Default)]
struct News {
    written: bool,
    space: bool,
    refusing: bool,
    ended: bool,
}

impl Core {
    /// A writer that is open and has no handle yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Core {
            mode: config.mode,
            capacity: config.capacity.get(),
            phase: Phase::Open,
            queue: Queue::default(),
            line: Line::default(),
            ledger: Ledger::default(),
            in_flight: None,
            in_doubt: Vec::new(),
            taken_back: 0,
            empty_messages: 0,
            limits: None,
            blocked: false,
            exhausted: 0,
            bearable: usize::MAX,
            next_op: 0,
            cancel_wanted: false,
            space_wanted: false,
            news: News::default(),
        }
    }
}

/// Getters.
impl Core {
    /// The accounts now.
    #[must_use]
    pub fn progress(&self) -> Progress {
        Progress {
            accepted: self.ledger.accepted,
            written: self.ledger.written,
            in_flight: self.in_flight_len(),
            queued: self.queued(),
            in_doubt: self.ledger.in_doubt,
            outcome: self.phase.outcome(),
        }
    }

    /// The end of what was accepted.
    #[must_use]
    pub fn position(&self) -> Position {
        self.ledger.position()
    }

    /// Whether everything before `position` was handed to the system.
    #[must_use]
    pub fn is_written(&self, position: Position) -> bool {
        self.ledger.written >= position.get()
    }

    /// Why sends are refused, if they are.
    #[must_use]
    pub fn refusal(&self) -> Option<Outcome> {
        self.phase.refusal()
    }

    /// Whether there is something for the driver to do: an operation to submit
    /// or a handle to close.
    #[inline]
    #[must_use]
    pub fn wants_turn(&self) -> bool {
        self.can_submit() || self.wants_close()
    }

    /// Whether there is an operation to submit that is as large as the driver takes.
    #[inline]
    #[must_use]
    pub fn has_whole_operation(&self) -> bool {
        let most = self
            .limits
            .map_or(u64::MAX, |limits| limits.max_bytes as u64);
        self.queue.len() >= most && self.can_submit()
    }

    /// Whether the handle waits to be closed.
    #[inline]
    #[must_use]
    pub fn wants_close(&self) -> bool {
        matches!(self.phase, Phase::Releasing(_))
    }

    /// Whether [`poll_event`](Self::poll_event) has something.
    #[must_use]
    pub fn has_events(&self) -> bool {
        let news = &self.news;
        self.line.has_news() || news.written || news.space || news.refusing || news.ended
    }

    /// The most bytes that a send may hold at once and still be accepted while
    /// the queue is not empty.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether sends keep their boundaries.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether [`take_unsent`](Self::take_unsent) would find the accounts final.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.phase.is_settled()
    }

    fn in_flight_len(&self) -> u64 {
        self.in_flight.as_ref().map_or(0, |op| op.len as u64)
    }

    fn queued(&self) -> u64 {
        let beyond = self.in_flight.as_ref().map_or(0, |op| op.beyond);
        self.queue.len() + beyond + self.taken_back
    }

    #[inline]
    fn can_submit(&self) -> bool {
        self.limits.is_some()
            && self.phase.writes()
            && self.in_flight.is_none()
            && !self.blocked
            && !self.queue.is_empty()
    }

    /// What the capacity is compared with.
    #[inline]
    fn used(&self) -> u64 {
        let waiting = self.ledger.accepted - self.ledger.written - self.ledger.in_doubt;
        waiting + self.empty_messages + self.line.reserved()
    }

    #[inline]
    fn cost(&self, len: usize) -> u64 {
        match self.mode {
            Mode::Byte => len as u64,
            Mode::Message => (len as u64).max(1),
        }
    }

    #[inline]
    fn fits(&self, need: u64) -> bool {
        let used = self.used();
        used == 0 || need <= self.capacity.saturating_sub(used)
    }
}

/// Conclusions.
impl Core {
    fn step(&mut self, step: Step) {
        let before = self.phase;
        self.phase = before.after(step);
        if before == Phase::Open && self.phase != Phase::Open {
            self.news.refusing = true;
        }
        if matches!(self.phase, Phase::Ending(_)) && self.phase != before {
            self.cancel_wanted = self.in_flight.is_some();
        }
        self.news.ended |= before.outcome().is_none() && self.phase.outcome().is_some();
    }

    /// Draws the conclusions of a change.
    fn settle(&mut self) {
        self.ledger.check(self.in_flight_len(), self.queued());
        if self.phase == Phase::Open {
            self.share_capacity();
        } else if self.in_flight.is_none() {
            if self.queue.is_empty() {
                self.step(Step::Drained);
            }
            let attached = self.limits.is_some();
            self.step(Step::Quiet { attached });
        }
    }

    fn share_capacity(&mut self) {
        while self.line.first_need().is_some_and(|need| self.fits(need)) {
            self.line.grant_first();
        }
        if self.space_wanted && self.line.is_empty() && self.used() < self.capacity {
            self.space_wanted = false;
            self.news.space = true;
        }
    }
}
