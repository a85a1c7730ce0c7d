//! The model: what a writer promises, in the most obvious words.

use pipewright_core::{
    Config, Failure, Limits, Mode, Outcome, Progress, Refused, Rest, Retry, TicketId,
};

use super::news::News;

/// How often the core tries again before it gives up for want of resources.
const ATTEMPTS: u32 = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Open,
    /// No more sends; what is queued is still written.
    Finishing,
    /// The outcome is known, an operation is still out.
    Ending(Outcome),
    /// Nothing is out; the handle is to be closed.
    ToClose(Outcome),
    Closing(Outcome),
    Over(Outcome),
}

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) id: TicketId,
    pub(crate) need: u64,
    pub(crate) granted: bool,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) mode: Mode,
    pub(crate) capacity: u64,
    pub(crate) life: Life,
    /// All bytes ever accepted.
    pub(crate) stream: Vec<u8>,
    /// Message mode: the lengths of the messages that are not written, the one
    /// in flight included.
    pub(crate) messages: Vec<usize>,
    pub(crate) written: usize,
    pub(crate) doubt: usize,
    pub(crate) messages_in_doubt: Vec<usize>,
    pub(crate) in_flight: Option<usize>,
    pub(crate) taken: bool,
    /// Everybody who holds a ticket, in the order of coming.
    pub(crate) tickets: Vec<Place>,
    pub(crate) reservations: Vec<u64>,
    pub(crate) limits: Option<Limits>,
    pub(crate) blocked: bool,
    pub(crate) attempts: u32,
    /// The size that the next attempt must not exceed.
    pub(crate) shrunk: usize,
    pub(crate) cancel_due: bool,
    pub(crate) news: News,
    /// The most that may be used now: the capacity, or one larger message.
    ceiling: u64,
}

impl Model {
    pub(crate) fn new(config: Config) -> Self {
        Model {
            mode: config.mode,
            capacity: config.capacity.get(),
            life: Life::Open,
            stream: Vec::new(),
            messages: Vec::new(),
            written: 0,
            doubt: 0,
            messages_in_doubt: Vec::new(),
            in_flight: None,
            taken: false,
            tickets: Vec::new(),
            reservations: Vec::new(),
            limits: None,
            blocked: false,
            attempts: 0,
            shrunk: usize::MAX,
            cancel_due: false,
            news: News::default(),
            ceiling: config.capacity.get(),
        }
    }

    // What can be observed.

    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        progress.accepted = self.stream.len() as u64;
        progress.written = self.written as u64;
        progress.in_flight = self.in_flight.unwrap_or(0) as u64;
        progress.queued = self.queued() as u64;
        progress.in_doubt = self.doubt as u64;
        if let Life::Over(outcome) = self.life {
            progress.outcome = Some(outcome);
        }
        progress
    }

    pub(crate) fn queued(&self) -> usize {
        self.stream.len() - self.written - self.doubt - self.in_flight.unwrap_or(0)
    }

    pub(crate) fn refusal(&self) -> Option<Outcome> {
        match self.life {
            Life::Open => None,
            Life::Finishing => Some(Outcome::Closed),
            Life::Ending(outcome)
            | Life::ToClose(outcome)
            | Life::Closing(outcome)
            | Life::Over(outcome) => Some(outcome),
        }
    }

    pub(crate) fn can_submit(&self) -> bool {
        matches!(self.life, Life::Open | Life::Finishing)
            && self.limits.is_some()
            && self.in_flight.is_none()
            && !self.blocked
            && self.is_anything_queued()
    }

    pub(crate) fn is_to_close(&self) -> bool {
        matches!(self.life, Life::ToClose(_))
    }

    pub(crate) fn is_settled(&self) -> bool {
        matches!(
            self.life,
            Life::ToClose(_) | Life::Closing(_) | Life::Over(_)
        )
    }

    pub(crate) fn is_anything_queued(&self) -> bool {
        match self.mode {
            Mode::Byte => self.queued() > 0,
            Mode::Message => self.messages.len() > usize::from(self.in_flight.is_some()),
        }
    }

    // The user.

    pub(crate) fn send(&mut self, data: &[u8]) -> Result<u64, Refused> {
        self.admit(data.len())?;
        Ok(self.append(data))
    }

    /// Whether nothing is before a message of `len` bytes, and it fits.
    pub(crate) fn takes_direct(&self, len: usize) -> bool {
        self.life == Life::Open
            && self.limits.is_some()
            && self.in_flight.is_none()
            && !self.blocked
            && !self.is_anything_queued()
            && self.waiting() == 0
            && len > 0
            && self.fits(self.cost(len))
    }

    /// Accepts a message and submits as much of it as goes.
    pub(crate) fn send_direct(&mut self, data: &[u8]) -> (u64, usize) {
        let end = self.send(data).unwrap();
        let most = match self.mode {
            Mode::Byte => self.limits.unwrap().max_bytes.max(1).min(self.shrunk),
            Mode::Message => usize::MAX,
        };
        let part = data.len().min(most);
        self.submit(&[&data[..part]]);
        (end, part)
    }

    pub(crate) fn reserve(&mut self, len: usize) -> Result<(), Refused> {
        self.admit(len)?;
        self.reservations.push(self.cost(len));
        Ok(())
    }

    pub(crate) fn send_reserved(&mut self, which: usize, data: &[u8]) -> Result<u64, Refused> {
        let amount = self.reservations.remove(which);
        if let Some(outcome) = self.refusal() {
            return Err(Refused::Closed(outcome));
        }
        if self.cost(data.len()) > amount {
            self.admit(data.len())?;
        }
        Ok(self.append(data))
    }

    pub(crate) fn wait_in_line(&mut self, id: TicketId, len: usize) {
        assert!(self.tickets.iter().all(|place| place.id < id), "a new id");
        let need = self.cost(len);
        self.tickets.push(Place {
            id,
            need,
            granted: false,
        });
    }

    pub(crate) fn claim(&mut self, which: usize) {
        let place = self.tickets.remove(which);
        self.news.grants.retain(|id| *id != place.id);
        self.reservations.push(place.need);
    }

    pub(crate) fn leave(&mut self, which: usize) {
        let place = self.tickets.remove(which);
        self.news.grants.retain(|id| *id != place.id);
    }

    pub(crate) fn finish(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Finishing;
            self.news.refusing = true;
        }
    }

    /// The bytes in doubt and the unsent ones.
    pub(crate) fn take_unsent(&mut self) -> (&[u8], &[u8]) {
        let taken = std::mem::replace(&mut self.taken, true);
        let from = if taken {
            self.stream.len()
        } else {
            self.written
        };
        let rest = &self.stream[from..];
        rest.split_at(if taken { 0 } else { self.doubt })
    }

    // The driver and the system.

    /// Checks an operation: it holds what comes next, as much of it as is allowed
    /// and there is.
    pub(crate) fn submit(&mut self, slices: &[&[u8]]) {
        let limits = self.limits.unwrap();
        let data = slices.concat();
        let queued = self.stream.len() - self.written;
        assert_eq!(self.stream[self.written..][..data.len()], data);
        if self.mode == Mode::Message {
            assert_eq!(
                (slices.len(), data.len()),
                (1, self.messages[0]),
                "one message"
            );
        } else {
            let (max_bytes, max_chunks) = (limits.max_bytes.max(1), limits.max_chunks.max(1));
            let max_bytes = max_bytes.min(self.shrunk);
            assert!(slices.iter().all(|slice| !slice.is_empty()));
            assert!(slices.len() <= max_chunks && data.len() <= max_bytes);
            assert!(slices.len() == max_chunks || data.len() == max_bytes.min(queued));
        }
        self.in_flight = Some(data.len());
    }

    pub(crate) fn completed(&mut self, written: usize) {
        let len = self.land();
        let written = written.min(len);
        self.advance(written, len);
        if written == 0 && len > 0 {
            self.end(Outcome::Failed(Failure::NoProgress));
        } else if written < len && self.mode == Mode::Message {
            self.end(Outcome::Failed(Failure::PartialMessage));
        } else {
            (self.attempts, self.shrunk) = (0, usize::MAX);
        }
    }

    pub(crate) fn not_ready(&mut self) {
        self.land();
        self.blocked = true;
    }

    pub(crate) fn exhausted(&mut self, failure: Failure) -> Retry {
        let over = !matches!(self.life, Life::Open | Life::Finishing);
        let len = self.land();
        self.attempts += 1;
        self.shrunk = (len / 2).max(1);
        if self.attempts > ATTEMPTS {
            self.end(Outcome::Failed(failure));
            return Retry::GivenUp;
        }
        if over {
            return Retry::GivenUp;
        }
        self.blocked = true;
        Retry::Later {
            attempt: self.attempts,
        }
    }

    pub(crate) fn failed(&mut self, written: usize, failure: Failure, rest: Rest) {
        let len = self.land();
        let written = written.min(len);
        if len > 0 {
            self.advance(written, len);
        }
        if rest == Rest::InDoubt {
            self.doubt += len - written;
            if self.mode == Mode::Message && (written < len || len == 0) {
                self.messages_in_doubt.push(self.messages.remove(0));
            }
        }
        self.end(Outcome::Failed(failure));
    }

    /// What follows from a step.
    pub(crate) fn conclude(&mut self) {
        if self.in_flight.is_none() {
            if self.life == Life::Finishing && !self.is_anything_queued() {
                self.end(Outcome::Closed);
            }
            if let Life::Ending(outcome) = self.life {
                if self.limits.is_some() {
                    self.life = Life::ToClose(outcome);
                } else {
                    self.over(outcome);
                }
            }
        }
        while let Some(first) = self.first_in_line().filter(|_| self.life == Life::Open) {
            if !self.fits(self.tickets[first].need) {
                break;
            }
            self.note_oversize(self.tickets[first].need);
            self.tickets[first].granted = true;
            self.news.grants.push(self.tickets[first].id);
        }
        let has_room = self.life == Life::Open && self.used() < self.capacity;
        self.news
            .look_for_room(has_room, self.used(), self.waiting());
        assert!(self.used() <= self.ceiling, "the capacity is a bound");
        if self.used() <= self.capacity {
            self.ceiling = self.capacity;
        }
    }

    pub(crate) fn over(&mut self, outcome: Outcome) {
        self.life = Life::Over(outcome);
        self.news.ended = true;
    }

    // The rules.

    fn cost(&self, len: usize) -> u64 {
        match self.mode {
            Mode::Byte => len as u64,
            Mode::Message if len == 0 => 1,
            Mode::Message => len as u64,
        }
    }

    pub(crate) fn used(&self) -> u64 {
        let empty = self.messages.iter().filter(|len| **len == 0).count();
        let granted = self.tickets.iter().filter(|place| place.granted);
        (self.stream.len() - self.written - self.doubt + empty) as u64
            + self.reservations.iter().sum::<u64>()
            + granted.map(|place| place.need).sum::<u64>()
    }

    fn fits(&self, need: u64) -> bool {
        let used = self.used();
        used == 0 || need == 0 || u128::from(used) + u128::from(need) <= u128::from(self.capacity)
    }

    fn first_in_line(&self) -> Option<usize> {
        self.tickets.iter().position(|place| !place.granted)
    }

    fn waiting(&self) -> usize {
        self.tickets.iter().filter(|place| !place.granted).count()
    }

    fn admit(&mut self, len: usize) -> Result<(), Refused> {
        if let Some(outcome) = self.refusal() {
            return Err(Refused::Closed(outcome));
        }
        let cost = self.cost(len);
        if cost == 0 {
            return Ok(());
        }
        if self.waiting() > 0 || !self.fits(cost) {
            self.news.refuse(self.used(), self.waiting());
            return Err(Refused::Full);
        }
        self.note_oversize(cost);
        Ok(())
    }

    fn note_oversize(&mut self, cost: u64) {
        if self.used() == 0 {
            self.ceiling = self.capacity.max(cost);
        }
    }

    fn append(&mut self, data: &[u8]) -> u64 {
        self.stream.extend_from_slice(data);
        if self.mode == Mode::Message {
            self.messages.push(data.len());
        }
        self.stream.len() as u64
    }

    fn land(&mut self) -> usize {
        self.cancel_due = false;
        self.in_flight.take().unwrap()
    }

    fn advance(&mut self, written: usize, len: usize) {
        self.written += written;
        self.news.written |= written > 0;
        if self.mode == Mode::Message {
            if written == len {
                self.messages.remove(0);
            } else {
                self.messages[0] -= written;
            }
        }
    }

    /// The first end is the end.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if matches!(self.life, Life::Open | Life::Finishing) {
            self.news.refusing |= self.life == Life::Open;
            self.cancel_due = self.in_flight.is_some();
            self.life = Life::Ending(outcome);
        }
    }
}
