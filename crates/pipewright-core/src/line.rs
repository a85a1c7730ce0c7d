//! The senders that wait for capacity, first come, first served.

use alloc::collections::VecDeque;

/// Names one waiting sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TicketId(u64);

/// A place in the line. It must come back: [`claim`](crate::Core::claim) it when
/// it is granted, or [`leave`](crate::Core::leave) the line.
#[derive(Debug)]
#[must_use = "a ticket that is dropped keeps its place, or its capacity, for ever"]
pub struct Ticket {
    id: TicketId,
    need: u64,
}

impl Ticket {
    /// Which ticket this is; [`Event::Granted`](crate::Event::Granted) names it.
    #[must_use]
    pub fn id(&self) -> TicketId {
        self.id
    }
}

/// Capacity that is set aside. It must come back: use it for a send, or
/// [`release`](crate::Core::release) it.
#[derive(Debug)]
#[must_use = "a reservation that is dropped keeps its capacity for ever"]
pub struct Reservation {
    pub(crate) amount: u64,
}

/// # Invariants
///
/// * `reserved` is the sum of all reservations and of all granted tickets.
/// * `waiting` is sorted by id, because ids are given out in order.
/// * `granted` names the granted tickets whose senders were not told yet.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: VecDeque<Ticket>,
    granted: VecDeque<TicketId>,
    next: u64,
    reserved: u64,
}

impl Line {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    #[inline]
    pub(crate) fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(crate) fn reserve(&mut self, amount: u64) -> Reservation {
        self.reserved += amount;
        Reservation { amount }
    }

    pub(crate) fn release(&mut self, reservation: Reservation) {
        self.reserved -= reservation.amount;
    }

    pub(crate) fn join(&mut self, need: u64) -> Ticket {
        let id = TicketId(self.next);
        self.next += 1;
        self.waiting.push_back(Ticket { id, need });
        Ticket { id, need }
    }

    /// What the first in line waits for.
    pub(crate) fn first_need(&self) -> Option<u64> {
        self.waiting.front().map(|ticket| ticket.need)
    }

    /// Gives the first in line what it waits for.
    pub(crate) fn grant_first(&mut self) {
        if let Some(ticket) = self.waiting.pop_front() {
            self.reserved += ticket.need;
            self.granted.push_back(ticket.id);
        }
    }

    /// The next grant that its sender has not been told of.
    pub(crate) fn poll_granted(&mut self) -> Option<TicketId> {
        self.granted.pop_front()
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.granted.is_empty()
    }

    /// Turns a granted ticket into its reservation.
    pub(crate) fn claim(&mut self, ticket: Ticket) -> Result<Reservation, Ticket> {
        if self.place(&ticket).is_some() {
            return Err(ticket);
        }
        self.granted.retain(|id| *id != ticket.id);
        Ok(Reservation {
            amount: ticket.need,
        })
    }

    /// Takes a ticket out of the line, or gives back what it was granted.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        match self.place(&ticket) {
            Some(place) => drop(self.waiting.remove(place)),
            None => {
                self.granted.retain(|id| *id != ticket.id);
                self.reserved -= ticket.need;
            }
        }
    }

    /// Ids grow along the line, so a place is found by bisection.
    fn place(&self, ticket: &Ticket) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&ticket.id, Ticket::id)
            .ok()
    }
}
