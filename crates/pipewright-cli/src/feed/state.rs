//! What a feed keeps under its lock. Nothing here waits, or calls the library.

use std::sync::Arc;

use bytes::Bytes;
use pipewright::{Outcome, PipeWriter, Progress};

use super::Waits;
use crate::backlog::Backlog;
use crate::os::Remains;
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
    /// How the last writer ended.
    pub(super) outcome: Option<Outcome>,
    pub(super) written: u64,
    pub(super) in_doubt: u64,
    pub(super) unread: u64,
    pub(super) stall: Stall,
}

/// A writer that is attached.
pub(super) struct Link {
    pub(super) writer: Arc<PipeWriter>,
    /// What it said that it had written.
    pub(super) written: u64,
    pub(super) finished: bool,
    pub(super) ended: Option<Progress>,
    pub(super) remains: Option<Remains>,
    pub(super) sent: Sent,
}

/// What is to be done next, without the lock.
pub(super) enum Step {
    Send(Arc<PipeWriter>, Bytes),
    Finish(Arc<PipeWriter>),
    Reclaim(Box<Link>, Progress),
    Nothing,
}

impl State {
    pub(super) fn step(&mut self, handed_on: usize) -> Step {
        let Some(link) = &mut self.link else {
            return Step::Nothing;
        };
        if let Some(end) = link.ended.take() {
            return match self.link.take() {
                Some(link) => Step::Reclaim(Box::new(link), end),
                None => Step::Nothing,
            };
        }
        if self.over || link.finished {
            return Step::Nothing;
        }
        if let Some(piece) = self.backlog.next(handed_on) {
            link.sent.push(&piece);
            return Step::Send(Arc::clone(&link.writer), piece);
        }
        if self.finishing.is_some() && self.backlog.len() == 0 {
            link.finished = true;
            return Step::Finish(Arc::clone(&link.writer));
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

    /// Takes back what the writer did not write, in front of everything else.
    pub(super) fn reclaim(
        &mut self,
        link: Link,
        end: Progress,
        unsent: pipewright::Unsent,
        in_doubt: InDoubt,
    ) {
        self.backlog.gone(self.backlog.outside());
        let failed = matches!(end.outcome, Some(Outcome::Failed(_)));
        let doubtful = unsent.in_doubt().to_vec();
        self.backlog.put_back(unsent.into_iter());
        if failed && in_doubt == InDoubt::Resend {
            self.backlog.put_back(doubtful.into_iter());
        } else {
            self.in_doubt += end.in_doubt;
        }
        if let (true, Some(remains)) = (failed, link.remains) {
            let unread = remains.unread().min(link.written);
            if in_doubt == InDoubt::Resend {
                let pieces = link.sent.before(end.accepted - link.written, unread);
                let found: u64 = pieces.iter().map(|piece| piece.len() as u64).sum();
                self.backlog.put_back(pieces.into_iter());
                self.written -= found;
                self.unread += unread - found;
            } else {
                self.unread += unread;
            }
            self.kept = Some(remains);
        }
        if !failed {
            self.over = true;
        }
        self.outcome = end.outcome;
    }
}
