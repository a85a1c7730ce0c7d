//! Messages that their senders write.

use bytes::Bytes;
use pipewright_core::{Direct, Position};

use super::Trial;
use crate::model::payload;
use crate::model::script::{Amount, Step};

/// A message that its sender writes now.
#[derive(Debug)]
pub(super) struct Sending {
    direct: Direct,
    message: Bytes,
}

impl Sending {
    /// How many bytes are being written.
    pub(super) fn len(&self) -> usize {
        self.direct.part_of(&self.message).len()
    }
}

impl Trial {
    pub(super) fn send_direct(&mut self, len: usize) {
        let message = payload(self.model.stream.len(), len);
        let finds_way = self.model.takes_direct(len);
        assert!(self.core.is_idle() || !finds_way, "is_idle");
        let sent = self.core.send_direct(len);
        assert_eq!(sent.is_some(), finds_way, "sent directly");
        let Some((position, direct)) = sent else {
            return;
        };
        let (end, part) = self.model.send_direct(&message);
        assert_eq!(position, Position::new(end));
        assert_eq!(direct.part_of(&message), &message[..part]);
        assert_eq!(direct.is_whole(), part == len);
        self.sending = Some(Sending { direct, message });
    }

    /// What becomes of a message that its sender writes: what was written whole is done;
    /// for every other answer it is an operation first.
    pub(super) fn handle_direct(&mut self, answer: Step) {
        let Some(Sending {
            direct,
            mut message,
        }) = self.sending.take()
        else {
            return;
        };
        if answer == Step::Completed(Amount::All) && direct.is_whole() {
            self.pipe.extend_from_slice(&message);
            self.core.handle_direct(direct);
            self.model.completed(message.len());
        } else {
            self.operation = Some(direct.into_operation(&mut message));
        }
    }
}
