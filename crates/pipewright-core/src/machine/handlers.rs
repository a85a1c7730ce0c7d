//! What the system did.

use super::{Core, Mode, Retry};
use crate::chunk::{split_front, split_written};
use crate::lifecycle::{Failure, Step};
use crate::operation::{OpId, Operation, Rest, Spent};

/// How many times in a row an operation is tried again, each time with half the
/// data, after the system said that it lacks resources.
const EXHAUSTED_MAX: u32 = 16;

/// What the system did.
impl Core {
    /// The first `written` bytes of the operation were written. What remains of
    /// it is the next operation. Drop the result after unlocking.
    ///
    /// 0 bytes of a non-empty operation, and a part of a message, are failures.
    pub fn handle_completed(&mut self, mut operation: Operation, written: usize) -> Spent {
        if !self.land(operation.id) {
            return Spent(operation.chunks);
        }
        let (written, len) = (written.min(operation.len), operation.len);
        let spent = self.account_written(&mut operation, written);
        if written == 0 && len > 0 {
            self.step(Step::Fail(Failure::NoProgress));
        } else if written < len && self.mode == Mode::Message {
            self.step(Step::Fail(Failure::PartialMessage));
        } else {
            self.succeeded();
        }
        self.queue.put_back(operation.chunks);
        self.settle();
        spent
    }

    /// The driver can take nothing now: the operation goes back to the head of
    /// the queue, and nothing is submitted before
    /// [`handle_ready`](Self::handle_ready).
    pub fn handle_not_ready(&mut self, operation: Operation) {
        if self.land(operation.id) {
            self.blocked = true;
            self.queue.put_back(operation.chunks);
            self.settle();
        }
    }

    /// The driver may take something again.
    pub fn handle_ready(&mut self) {
        self.blocked = false;
    }

    /// The system lacks resources for the operation, of which it took nothing.
    /// It is tried again with half the data, up to a limit, after which the
    /// writer has failed with `failure`.
    pub fn handle_exhausted(&mut self, operation: Operation, failure: Failure) -> Retry {
        if !self.land(operation.id) {
            return Retry::GivenUp;
        }
        self.bearable = operation.len / 2;
        self.queue.put_back(operation.chunks);
        self.exhausted += 1;
        let retry = if self.exhausted > EXHAUSTED_MAX {
            self.step(Step::Fail(failure));
            Retry::GivenUp
        } else if !self.phase.writes() {
            Retry::GivenUp
        } else {
            self.blocked = true;
            Retry::Later {
                attempt: self.exhausted,
            }
        };
        self.settle();
        retry
    }

    /// The operation failed, or was cancelled, after `written` bytes; `rest` says
    /// what is known of the others. Drop the result after unlocking.
    ///
    /// If the user asked for a stop, that is the outcome; otherwise `failure` is.
    pub fn handle_failed(
        &mut self,
        mut operation: Operation,
        written: usize,
        failure: Failure,
        rest: Rest,
    ) -> Spent {
        if !self.land(operation.id) {
            return Spent(operation.chunks);
        }
        let written = written.min(operation.len);
        let doubtful = operation.len - written;
        let spent = if operation.is_empty() {
            // An empty message has no byte by which to tell that it was written.
            Spent::default()
        } else {
            self.account_written(&mut operation, written)
        };
        if rest == Rest::InDoubt {
            self.ledger.in_doubt += doubtful as u64;
            let (front, rest) = split_front(operation.chunks, doubtful);
            self.in_doubt.extend(front);
            operation.chunks = rest;
        }
        self.queue.put_back(operation.chunks);
        self.step(Step::Fail(failure));
        self.settle();
        spent
    }

    /// The pipe failed while nothing was in flight.
    pub fn handle_broken(&mut self, failure: Failure) {
        self.step(Step::Fail(failure));
        self.settle();
    }

    /// The driver has closed the handle, after [`poll_close`](Self::poll_close).
    pub fn handle_closed(&mut self) {
        self.step(Step::HandleClosed);
        self.settle();
    }

    /// Takes the operation out of flight. An operation that is not in flight is
    /// not ours: it must not touch the accounts.
    pub(super) fn land(&mut self, id: OpId) -> bool {
        let ours = self.in_flight.take_if(|op| op.id == id).is_some();
        debug_assert!(ours, "{id:?} is not in flight");
        ours
    }

    /// The system has the resources again that it may have lacked.
    pub(super) fn succeeded(&mut self) {
        self.exhausted = 0;
        self.bearable = usize::MAX;
    }

    fn account_written(&mut self, operation: &mut Operation, written: usize) -> Spent {
        let spent = split_written(&mut operation.chunks, written);
        let empty = spent.iter().filter(|chunk| chunk.is_empty());
        self.empty_messages -= empty.count() as u64;
        let spent = self.queue.recycle(spent);
        self.ledger.written += written as u64;
        self.news.written |= written > 0;
        Spent(spent)
    }
}
