//! The data of one write on its way through the driver.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::chunk::Chunk;

/// How much a driver takes in one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one operation; at least 1 is used. Whole messages of
    /// message mode are not cut to it.
    pub max_bytes: usize,
    /// The most chunks of one operation; at least 1 is used.
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

    /// How many slices its data is in.
    #[must_use]
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// The data to write, in order; together [`len`](Self::len) bytes.
    pub fn slices(&self) -> impl Iterator<Item = &[u8]> {
        let mut left = self.len;
        self.chunks.iter().map(move |chunk| {
            let slice = chunk.as_slice();
            let slice = &slice[..slice.len().min(left)];
            left -= slice.len();
            slice
        })
    }

    /// The first slice: all of the data, where there is but one.
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
/// drop it after every lock is released. It can be dropped piece by piece, by whoever
/// must survive what any of them does.
#[derive(Debug, Default)]
#[must_use = "drop it after unlocking: it may run user code"]
pub struct Spent(pub(crate) Vec<Chunk>);

/// Piece by piece, in no particular order.
impl Iterator for Spent {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        self.0.pop().map(Chunk::into_bytes)
    }
}

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
