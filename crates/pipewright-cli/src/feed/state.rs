//! What a feed keeps under its lock. Nothing here waits, or calls the library.

use std::sync::Arc;

use bytes::Bytes;
use pipewright::Progress;

use super::Waits;
use crate::backlog::Backlog;
use crate::os::Remains;
use crate::outlet::{End, Outlet};
use crate::sent::Sent;
use crate::spec::InDoubt;
use crate::stall::Stall;

pub(super) struct State {
    pub(super) backlog: Backlog,
    pub(super) link: Option<Link>,
    /// What the last pipe has left for the reader that the next pipe will have.
    pub(super) kept: Option<Remains>,
    /// A thread hands on: it looks again when `again` is set, so no other needs to.
    pub(super) pumping: bool,
    pub(super) again: bool,
    /// A thread waits for room. A notification costs a system call, so there is none for
    /// nobody.
    pub(super) awaited: bool,
    /// Nothing more is offered; whether a reader that is not there yet is waited
    /// for although there is nothing to read.
    pub(super) finishing: Option<Waits>,
    /// Nothing more is taken, and nothing more happens.
    pub(super) over: bool,
    /// How the last outlet ended.
    pub(super) end: Option<End>,
    pub(super) written: u64,
    pub(super) in_doubt: u64,
    pub(super) unread: u64,
    /// Of what was written, what did not go through a writer.
    pub(super) spliced: u64,
    pub(super) stall: Stall,
}

/// An outlet that is attached.
pub(super) struct Link {
    pub(super) outlet: Arc<Outlet>,
    /// What its writer said that it had written.
    pub(super) written: u64,
    /// What its pipe got past the writer.
    pub(super) spliced: u64,
    pub(super) finished: bool,
    /// How its writer ended.
    pub(super) ended: Option<Progress>,
    pub(super) remains: Option<Remains>,
    pub(super) sent: Sent,
}

/// What is to be done next, without the lock.
pub(super) enum Step {
    Send(Arc<Outlet>, Bytes),
    Finish(Arc<Outlet>),
    Reclaim(Box<Link>, End),
    Nothing,
}

impl State {
    pub(super) fn step(&mut self, handed_on: usize) -> Step {
        let Some(link) = &mut self.link else {
            return Step::Nothing;
        };
        if let Some(progress) = &link.ended {
            let outcome = progress.outcome.as_ref();
            let end = outcome.and_then(|outcome| link.outlet.end(outcome));
            return match end.and_then(|end| Some((self.link.take()?, end))) {
                Some((link, end)) => Step::Reclaim(Box::new(link), end),
                None => Step::Nothing,
            };
        }
        if self.over || link.finished {
            return Step::Nothing;
        }
        if let Some(piece) = self.backlog.next(handed_on) {
            link.sent.push(&piece);
            return Step::Send(Arc::clone(&link.outlet), piece);
        }
        if self.finishing.is_some() && self.backlog.len() == 0 {
            link.finished = true;
            return Step::Finish(Arc::clone(&link.outlet));
        }
        Step::Nothing
    }

    /// The writer has ended, which it will say by its callback, or has no room,
    /// after which it calls back as well.
    pub(super) fn not_sent(&mut self, piece: Bytes) {
        self.backlog.gone(piece.len() as u64);
        if let Some(link) = &mut self.link {
            link.sent.pop(piece.len());
        }
        self.backlog.put_back([piece].into_iter());
    }

    /// Takes back what was not taken, in front of everything else.
    pub(super) fn reclaim(
        &mut self,
        link: Link,
        end: End,
        unsent: pipewright::Unsent,
        in_doubt: InDoubt,
    ) {
        let outside = self.backlog.outside();
        self.backlog.gone(outside);
        match link.outlet.carried() {
            // Exact, whatever became of the writer and its pipe.
            Some(carried) => {
                self.written += outside;
                self.take_back(link.sent, 0, link.written + outside - carried);
            }
            None => self.take_back_unwritten(link, outside, unsent, &end, in_doubt),
        }
        if !matches!(end, End::Failed(_)) {
            self.over = true;
        }
        self.end = Some(end);
    }

    /// What the writer did not write, and what its pipe lost.
    fn take_back_unwritten(
        &mut self,
        link: Link,
        outside: u64,
        unsent: pipewright::Unsent,
        end: &End,
        in_doubt: InDoubt,
    ) {
        let failed = matches!(end, End::Failed(_));
        let doubtful = unsent.in_doubt().to_vec();
        self.backlog.put_back(unsent.into_iter());
        if failed && in_doubt == InDoubt::Resend {
            self.backlog.put_back(doubtful.into_iter());
        } else {
            self.in_doubt += link.ended.map_or(0, |progress| progress.in_doubt);
        }
        if let (true, Some(remains)) = (failed, link.remains) {
            let unread = remains.unread().min(link.written + link.spliced);
            if in_doubt == InDoubt::Resend {
                self.take_back(link.sent, outside, unread);
            } else {
                self.unread += unread;
            }
            self.kept = Some(remains);
        }
    }

    /// Of what counts as written: the `len` bytes before the last `skip` of what was
    /// sent. What is not kept of them is lost.
    fn take_back(&mut self, sent: Sent, skip: u64, len: u64) {
        let pieces = sent.before(skip, len);
        let found: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
        self.backlog.put_back(pieces.into_iter());
        self.written -= found;
        self.unread += len - found;
    }

    /// How many bytes were written, and how many were not (yet). Behind a carrier only
    /// what it has carried counts as written.
    pub(super) fn written_and_unsent(&self) -> (u64, u64) {
        let unsent = self.backlog.len() + self.backlog.outside();
        let link = self.link.as_ref();
        match link.and_then(|link| Some((link.written, link.outlet.carried()?))) {
            Some((piped, carried)) => (self.written - piped + carried, unsent + piped - carried),
            None => (self.written, unsent),
        }
    }
}
