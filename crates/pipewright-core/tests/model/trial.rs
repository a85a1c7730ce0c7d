//! A core and a model that take the same steps, and every comparison.

mod direct;

use bytes::Bytes;
use pipewright_core::{
    Config, Core, Failure, Limits, Mode, Operation, Outcome, Position, Refused, Reservation,
    Ticket, Unsent,
};

use super::naive::{Life, Model};
use super::payload;
use super::script::{Amount, Step};
use direct::Sending;

const BROKEN: Failure = Failure::Os(32);
const NO_RESOURCES: Failure = Failure::Os(1450);
const CANCELLED: Failure = Failure::Os(995);

#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) core: Core,
    pub(crate) model: Model,
    operation: Option<Operation>,
    sending: Option<Sending>,
    reservations: Vec<Reservation>,
    tickets: Vec<Ticket>,
    /// What the reader got.
    pipe: Vec<u8>,
}

impl Trial {
    pub(crate) fn new(config: Config) -> Self {
        Trial {
            core: Core::new(config),
            model: Model::new(config),
            operation: None,
            sending: None,
            reservations: Vec::new(),
            tickets: Vec::new(),
            pipe: Vec::new(),
        }
    }

    /// Takes a step and compares everything.
    pub(crate) fn take(&mut self, step: Step) {
        self.take_unseen(step);
        self.compare();
    }

    /// Takes a step and compares its own result only.
    pub(crate) fn take_unseen(&mut self, step: Step) {
        self.act(step);
        self.model.conclude();
    }

    /// Whether the step does anything that is worth a look now.
    pub(crate) fn is_worthwhile(&self, step: Step) -> bool {
        let model = &self.model;
        let undecided = matches!(model.life, Life::Open | Life::Finishing | Life::Ending(_));
        let sending = self.sending.as_ref().map(Sending::len);
        let flying = sending.or(self.operation.as_ref().map(Operation::len));
        match step {
            Step::Send(_) | Step::SendSlice(_) | Step::Reserve(_) | Step::WaitInLine(_) => {
                model.life == Life::Open
            }
            Step::SendDirect(len) => model.takes_direct(len),
            Step::SendReserved { which, .. } | Step::Release(which) => {
                which < self.reservations.len()
            }
            Step::Claim(which) | Step::Leave(which) => which < self.tickets.len(),
            Step::Attach(_) => model.limits.is_none(),
            Step::Finish | Step::Stop | Step::Broken => undecided,
            Step::TakeUnsent => model.is_settled() && !model.taken,
            Step::PollSubmit => model.can_submit(),
            Step::Write => model.can_submit() || flying.is_some(),
            Step::PollCancel => model.cancel_due,
            Step::PollClose => model.is_to_close(),
            Step::PollEvent | Step::PollEvents => self.core.has_events(),
            Step::Completed(amount) | Step::Failed(amount, _) => {
                flying.is_some_and(|len| match amount {
                    Amount::Part(_) => len >= 2,
                    Amount::Nothing => len >= 1,
                    Amount::All | Amount::TooMuch => true,
                })
            }
            Step::NotReady | Step::Exhausted => flying.is_some(),
            Step::Ready => model.blocked,
            Step::HandleClosed => matches!(model.life, Life::Closing(_)),
        }
    }

    pub(crate) fn read_so_far(&self) -> &[u8] {
        &self.pipe
    }

    pub(crate) fn tickets(&self) -> usize {
        self.tickets.len()
    }

    pub(crate) fn reservations(&self) -> usize {
        self.reservations.len()
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.operation.is_some() || self.sending.is_some()
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Send(len) => {
                let (data, mut message) = self.message(len);
                let sent = self.core.send(&mut message);
                self.sent(sent, data, &message, Model::send);
            }
            Step::SendSlice(len) => {
                let (data, _) = self.message(len);
                let sent = self.core.send_slice(&data);
                self.sent(sent, data.clone(), &data, Model::send);
            }
            Step::SendDirect(len) => self.send_direct(len),
            Step::SendReserved { which, len } if which < self.reservations.len() => {
                let (data, mut message) = self.message(len);
                let reservation = self.reservations.remove(which);
                let sent = self.core.send_reserved(reservation, &mut message);
                self.sent(sent, data, &message, |model, data| {
                    model.send_reserved(which, data)
                });
            }
            Step::Reserve(len) => {
                let reserved = self.core.reserve(len);
                let expected = self.model.reserve(len);
                assert_eq!(reserved.as_ref().map(drop), expected.as_ref().copied());
                self.reservations.extend(reserved);
            }
            Step::Release(which) if which < self.reservations.len() => {
                self.core.release(self.reservations.remove(which));
                self.model.reservations.remove(which);
            }
            Step::WaitInLine(len) => match self.core.wait_in_line(len) {
                Ok(ticket) => {
                    assert_eq!(self.model.refusal(), None);
                    self.model.wait_in_line(ticket.id(), len);
                    self.tickets.push(ticket);
                }
                Err(outcome) => assert_eq!(self.model.refusal(), Some(outcome)),
            },
            Step::Claim(which) if which < self.tickets.len() => {
                let granted = self.model.tickets[which].granted;
                match self.core.claim(self.tickets.remove(which)) {
                    Ok(reservation) => {
                        assert!(granted, "claimed before its turn");
                        self.model.claim(which);
                        self.reservations.push(reservation);
                    }
                    Err(ticket) => {
                        assert!(!granted, "granted, but could not be claimed");
                        self.tickets.insert(which, ticket);
                    }
                }
            }
            Step::Leave(which) if which < self.tickets.len() => {
                self.core.leave(self.tickets.remove(which));
                self.model.leave(which);
            }
            Step::Attach(limits) => match (self.core.attach(limits), self.model.life) {
                (Ok(()), Life::Open | Life::Finishing) => self.model.limits = Some(limits),
                (attached, _) => assert_eq!(attached.err(), self.model.refusal()),
            },
            Step::Finish => {
                self.core.finish();
                self.model.finish();
            }
            Step::Stop => {
                self.core.stop();
                self.model.end(Outcome::Stopped);
            }
            Step::TakeUnsent => self.take_unsent(),
            Step::PollSubmit => self.poll_submit(),
            Step::PollCancel => {
                self.handle_direct(Step::PollCancel);
                let cancel = self.core.poll_cancel();
                let due = std::mem::take(&mut self.model.cancel_due);
                let operation = self.operation.as_ref().filter(|_| due);
                assert_eq!(cancel, operation.map(Operation::id));
            }
            Step::PollClose => {
                assert_eq!(self.core.poll_close(), self.model.is_to_close());
                if let Life::ToClose(outcome) = self.model.life {
                    self.model.life = Life::Closing(outcome);
                }
            }
            Step::PollEvent => {
                self.poll_event();
            }
            Step::PollEvents => while self.poll_event() {},
            Step::Write => {
                if !self.is_in_flight() {
                    self.poll_submit();
                    self.model.conclude();
                }
                self.handle(Step::Completed(Amount::All));
            }
            Step::Ready => {
                self.core.handle_ready();
                self.model.blocked = false;
            }
            Step::Broken => {
                self.core.handle_broken(BROKEN);
                self.model.end(Outcome::Failed(BROKEN));
            }
            Step::HandleClosed => {
                self.core.handle_closed();
                if let Life::Closing(outcome) = self.model.life {
                    self.model.over(outcome);
                }
            }
            answer => self.handle(answer),
        }
    }

    /// What becomes of the operation in flight, if there is one.
    fn handle(&mut self, answer: Step) {
        self.handle_direct(answer);
        let Some(operation) = self.operation.take() else {
            return;
        };
        let len = operation.len();
        match answer {
            Step::Completed(amount) => {
                let written = amount.of(len);
                self.read(&operation, written);
                drop(self.core.handle_completed(operation, written));
                self.model.completed(written);
            }
            Step::Failed(amount, rest) => {
                let written = amount.of(len);
                self.read(&operation, written);
                let failed = self.core.handle_failed(operation, written, CANCELLED, rest);
                drop(failed);
                self.model.failed(written, CANCELLED, rest);
            }
            Step::NotReady => {
                self.core.handle_not_ready(operation);
                self.model.not_ready();
            }
            Step::Exhausted => {
                let retry = self.core.handle_exhausted(operation, NO_RESOURCES);
                assert_eq!(retry, self.model.exhausted(NO_RESOURCES));
            }
            _ => self.operation = Some(operation),
        }
    }

    fn poll_submit(&mut self) {
        let submits = self.model.can_submit();
        let operation = self.core.poll_submit();
        assert_eq!(operation.is_some(), submits, "submitted");
        if let Some(operation) = operation {
            let slices: Vec<&[u8]> = operation.slices().collect();
            self.model.submit(&slices);
            assert_eq!(Some(operation.len()), self.model.in_flight);
            assert_eq!(operation.is_empty(), slices.concat().is_empty());
            assert_eq!(operation.first(), slices[0]);
            self.operation = Some(operation);
        }
    }

    fn poll_event(&mut self) -> bool {
        let announced = self.core.has_events();
        let event = self.core.poll_event();
        assert_eq!(announced, event.is_some(), "has_events");
        self.model.news.told(event);
        event.is_some()
    }

    fn take_unsent(&mut self) {
        let unsent = self.core.take_unsent();
        assert_eq!(unsent.is_some(), self.model.is_settled());
        let Some(Unsent { in_doubt, unsent }) = unsent else {
            return;
        };
        if self.model.mode == Mode::Message && !self.model.taken {
            let lens = |messages: &[Bytes]| messages.iter().map(Bytes::len).collect::<Vec<_>>();
            assert_eq!(lens(&in_doubt), self.model.messages_in_doubt);
            assert_eq!(lens(&unsent), self.model.messages);
        }
        let expected = self.model.take_unsent();
        assert_eq!(
            (&*in_doubt.concat(), &*unsent.concat()),
            expected,
            "unsent data"
        );
    }

    fn message(&self, len: usize) -> (Bytes, Bytes) {
        let data = payload(self.model.stream.len(), len);
        (data.clone(), data)
    }

    fn sent(
        &mut self,
        sent: Result<Position, Refused>,
        data: Bytes,
        left: &Bytes,
        model: impl FnOnce(&mut Model, &[u8]) -> Result<u64, Refused>,
    ) {
        assert_eq!(sent.map(Position::get), model(&mut self.model, &data));
        if sent.is_err() {
            assert_eq!(*left, data, "refused data stays with the caller");
        }
    }

    /// The reader gets the first `written` bytes of the operation.
    fn read(&mut self, operation: &Operation, written: usize) {
        let data = operation.slices().collect::<Vec<_>>().concat();
        let from = self.pipe.len();
        self.pipe
            .extend_from_slice(&data[..written.min(data.len())]);
        assert_eq!(self.pipe[from..], self.model.stream[from..self.pipe.len()]);
    }

    /// Compares all that can be observed without a change.
    pub(crate) fn compare(&mut self) {
        let (core, model) = (&mut self.core, &self.model);
        let (progress, accepted) = (core.progress(), model.stream.len() as u64);
        assert_eq!(progress, model.progress());
        assert_eq!(core.refusal(), model.refusal());
        assert_eq!(core.position(), Position::new(accepted));
        assert_eq!(core.is_settled(), model.is_settled());
        assert_eq!(
            core.wants_turn(),
            model.can_submit() || model.is_to_close(),
            "wants_turn"
        );
        assert_eq!(core.wants_close(), model.is_to_close());
        let kind = (core.mode(), core.capacity());
        assert_eq!(kind, (model.mode, model.capacity));
        let written = model.written as u64;
        assert!(core.is_written(Position::new(written)));
        assert!(!core.is_written(Position::new(written + 1)));
        assert!(core.has_events() || !model.news.must_tell(), "kept quiet");
        assert_eq!(self.pipe.len(), model.written);

        // What has nothing to say, says nothing, and changes nothing.
        if !model.can_submit() {
            assert!(core.poll_submit().is_none());
        }
        if !model.is_to_close() {
            assert!(!core.poll_close());
        }
        if !model.cancel_due {
            assert_eq!(core.poll_cancel(), None);
        }
        if !model.is_settled() {
            assert!(core.take_unsent().is_none());
        }
        if let Some(outcome) = model.refusal() {
            let (closed, probe) = (Err(Refused::Closed(outcome)), Bytes::from_static(b"probe"));
            assert_eq!(core.send(&mut probe.clone()), closed);
            assert_eq!(core.send_slice(&probe), closed);
            assert_eq!(core.send_slice(&[]), closed);
            assert_eq!(core.reserve(1).map(drop), closed.map(drop));
            assert_eq!(core.wait_in_line(0).map(drop), Err(outcome));
            assert!(core.send_direct(1).is_none());
        }
        if !matches!(model.life, Life::Open | Life::Finishing) {
            assert_eq!(core.attach(Limits::default()).err(), model.refusal());
        }
        assert_eq!(core.progress(), progress);
    }
}
