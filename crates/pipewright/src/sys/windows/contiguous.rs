//! The data of one write in one piece of memory.
//!
//! Windows has no gathering write for pipes (Microsoft, "WriteFileGather function": it
//! takes files without buffering, and whole pages). A write and its completion cost
//! more than copying what fits into one, so small chunks are copied together. A chunk
//! that fills an operation is written from where it lies.

use pipewright_core::Operation;

pub(super) struct Contiguous {
    operation: Operation,
    /// Copies of all chunks, one after the other, if there are several.
    copies: Vec<u8>,
}

impl Contiguous {
    pub(super) fn new(operation: Operation) -> Contiguous {
        let mut copies = Vec::new();
        if operation.chunks() > 1 {
            copies.reserve_exact(operation.len());
            for slice in operation.slices() {
                copies.extend_from_slice(slice);
            }
        }
        Contiguous { operation, copies }
    }

    /// What to write. It lies at the same place until the operation is taken out.
    pub(super) fn data(&self) -> &[u8] {
        if self.copies.is_empty() {
            self.operation.first()
        } else {
            &self.copies
        }
    }

    pub(super) fn into_operation(self) -> Operation {
        self.operation
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use bytes::Bytes;
    use pipewright_core::{Config, Core, Limits, Mode};

    use super::*;

    const CHUNK: usize = 5_000;

    fn message(of: u8) -> Bytes {
        Bytes::from(vec![of; CHUNK])
    }

    fn operation(mode: Mode, messages: &[Bytes], max_bytes: usize) -> Operation {
        let mut core = Core::new(Config {
            mode,
            ..Config::default()
        });
        for message in messages {
            core.send(&mut message.clone()).unwrap();
        }
        core.attach(Limits {
            max_bytes,
            max_chunks: usize::MAX,
        })
        .unwrap();
        core.poll_submit().unwrap()
    }

    #[test]
    fn one_chunk_is_written_from_where_it_lies() {
        let message = message(1);
        let operation = operation(Mode::Byte, std::slice::from_ref(&message), usize::MAX);
        let data = Contiguous::new(operation);
        assert_eq!(data.data().as_ptr(), message.as_ptr());
        assert_eq!(data.data().len(), message.len());
    }

    #[test]
    fn several_chunks_are_one_write_of_all_their_bytes_in_order() {
        let messages = [1, 2, 3].map(message);
        let data = Contiguous::new(operation(Mode::Byte, &messages, usize::MAX));
        assert_eq!(data.data(), messages.concat());
        let operation = data.into_operation();
        assert_eq!(operation.len(), 3 * CHUNK);
        assert!(
            operation
                .slices()
                .eq(messages.iter().map(|chunk| &chunk[..]))
        );
    }

    #[test]
    fn what_does_not_fit_into_the_operation_is_not_copied() {
        let messages = [1, 2].map(message);
        let data = Contiguous::new(operation(Mode::Byte, &messages, CHUNK + 1));
        assert_eq!(data.data(), &messages.concat()[..=CHUNK]);
    }

    #[test]
    fn an_empty_message_is_a_write_of_nothing() {
        let data = Contiguous::new(operation(Mode::Message, &[Bytes::new()], usize::MAX));
        assert!(data.data().is_empty());
        assert!(data.into_operation().is_empty());
    }
}
