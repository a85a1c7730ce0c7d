//! The data of one write on its way through the driver.

use alloc::vec::Vec;

use bytes::{Buf, Bytes};

use crate::queue::Chunk;

/// How much a driver takes in one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one operation; at least 1 is used. Whole messages of
    /// message mode are not cut to it.
    pub max_bytes: usize,
    /// The most chunks of one operation (1 where the system has no gathering
    /// write); at least 1 is used.
    pub max_chunks: usize,
}

impl Default for Limits {
    /// 64 KiB in up to 64 chunks.
    fn default() -> Self {
        Limits {
            max_bytes: 64 * 1024,
            max_chunks: 64,
        }
    }
}

/// Tells the operations of one writer apart. Never used twice by one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub(crate) u64);

/// One write: the driver owns it, and with it the memory that the kernel reads,
/// until it gives it back with one of the `handle_*` methods.
///
/// Dropping an operation instead leaves its writer waiting for ever: it cannot
/// know what became of the bytes.
#[derive(Debug)]
#[must_use = "an operation must come back through one of the handle_* methods"]
pub struct Operation {
    pub(crate) id: OpId,
    /// # Invariant
    ///
    /// Never empty, and together at least `len` bytes: the last one may be
    /// longer than what this operation writes of it.
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) len: usize,
}

impl Operation {
    /// Which operation this is.
    #[must_use]
    pub fn id(&self) -> OpId {
        self.id
    }

    /// How many bytes it writes. 0 only for an empty message in message mode.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it writes an empty message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The data to write, in order; together [`len`](Self::len) bytes.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.len;
        self.chunks.iter().map(move |chunk| {
            let slice = &chunk.bytes[..chunk.bytes.len().min(left)];
            left -= slice.len();
            slice
        })
    }

    /// The first slice: all of the data, where [`Limits::max_chunks`] is 1.
    #[must_use]
    pub fn first(&self) -> &[u8] {
        self.slices().next().unwrap_or_default()
    }
}

/// What a failed operation leaves of its data beyond the bytes reported written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// The system took none of it: it is unsent.
    Unsent,
    /// The system does not say what it took: it is in doubt.
    InDoubt,
}

/// Data that has served its purpose.
///
/// Dropping it may run destructors of the user (`Bytes` can have an owner), so
/// drop it after every lock is released.
#[derive(Debug, Default)]
#[must_use = "drop it after unlocking: it may run user code"]
pub struct Spent(pub(crate) Vec<Chunk>);

impl Spent {
    /// Whether there is nothing to drop.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what `other` holds.
    pub fn append(&mut self, other: Spent) {
        if self.0.is_empty() {
            *self = other;
        } else {
            self.0.extend(other.0);
        }
    }
}

/// Splits `chunks` after `written` bytes, and keeps in `chunks` what comes after.
pub(crate) fn split_written(chunks: &mut Vec<Chunk>, mut written: usize) -> Vec<Chunk> {
    let whole = chunks
        .iter()
        .take_while(|chunk| {
            let fits = chunk.bytes.len() <= written;
            if fits {
                written -= chunk.bytes.len();
            }
            fits
        })
        .count();
    let rest = chunks.split_off(whole);
    let spent = core::mem::replace(chunks, rest);
    if let Some(first) = chunks.first_mut() {
        first.bytes.advance(written);
    }
    spent
}

/// Cuts the first `len` bytes off `chunks`, without copying any. An empty message
/// at the cut comes off with them.
pub(crate) fn split_front(chunks: &mut Vec<Chunk>, len: usize) -> Vec<Bytes> {
    let mut front = Vec::new();
    let mut left = len;
    while let Some(chunk) = chunks.first_mut() {
        if chunk.bytes.len() > left {
            if left > 0 {
                front.push(chunk.bytes.split_to(left));
            }
            break;
        }
        left -= chunk.bytes.len();
        front.push(chunks.remove(0).bytes);
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to cut up to three chunks of up to three bytes.
    #[test]
    fn every_cut_keeps_every_byte_in_its_place() {
        let shapes = (0..64_usize).map(|shape| [shape % 4, shape / 4 % 4, shape / 16]);
        for lens in shapes {
            let total: usize = lens.iter().sum();
            let stream: Vec<u8> = (0..9).take(total).collect();
            for cut in 0..=total {
                let mut rest = chunks(&lens, &stream);
                let mut front = chunks(&lens, &stream);
                let spent = split_written(&mut rest, cut);
                let split = split_front(&mut front, cut);
                assert!(bytes(&spent).concat().len() <= cut);
                assert_eq!(bytes(&rest).concat(), stream[cut..]);
                assert_eq!(split.concat(), stream[..cut]);
                assert_eq!(bytes(&front).concat(), stream[cut..]);
            }
        }
    }

    #[test]
    fn a_chunk_is_spent_when_its_last_byte_is_written() {
        let stream = [0, 1, 2, 3];
        for (cut, spent) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)] {
            let mut rest = chunks(&[2, 2], &stream);
            assert_eq!(split_written(&mut rest, cut).len(), spent);
            assert_eq!(rest.len(), 2 - spent);
        }
    }

    fn chunks(lens: &[usize], stream: &[u8]) -> Vec<Chunk> {
        let mut stream = Bytes::copy_from_slice(stream);
        let cut = |len: &usize| Chunk {
            bytes: stream.split_to(*len),
            joined: false,
        };
        lens.iter().map(cut).collect()
    }

    fn bytes(chunks: &[Chunk]) -> Vec<Bytes> {
        chunks.iter().map(|chunk| chunk.bytes.clone()).collect()
    }
}
