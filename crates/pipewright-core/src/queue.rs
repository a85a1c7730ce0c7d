//! The data that waits for its turn.
//!
//! Small messages are appended to one contiguous block, because a million
//! system calls (or a gathering write of a thousand tiny pieces) cost more than
//! copying them together. Larger ones stay the caller's own memory. In message
//! mode nothing is joined: every message is a chunk of its own.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::chunk::Chunk;
use crate::operation::Limits;

/// Messages up to this many bytes are copied together in byte mode; larger ones
/// are kept as they are.
pub const JOIN_MAX: usize = 2 * 1024;

/// The size to which small messages are copied together.
const BLOCK: usize = 64 * 1024;

/// # Invariants
///
/// * `len` is the sum of all chunks and of `tail`.
/// * `tail` comes after every chunk in the stream; in message mode it is empty.
/// * No chunk is empty, except for the empty messages of message mode.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    chunks: VecDeque<Chunk>,
    tail: BytesMut,
    /// The memory of a block that was written, for the next one.
    spare: Option<BytesMut>,
    len: u64,
}

impl Queue {
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.tail.is_empty()
    }

    /// Appends a chunk as it is.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.seal_tail();
        self.len += bytes.len() as u64;
        self.chunks.push_back(Chunk {
            bytes,
            joined: false,
        });
    }

    /// Appends a copy of `slice` to the block of small messages.
    pub(crate) fn join(&mut self, mut slice: &[u8]) {
        self.len += slice.len() as u64;
        while !slice.is_empty() {
            if self.tail.len() == BLOCK {
                self.seal_tail();
            }
            if self.tail.capacity() == 0 {
                self.tail = self.spare.take().unwrap_or_default();
            }
            let (now, later) = slice.split_at(slice.len().min(BLOCK - self.tail.len()));
            self.tail.extend_from_slice(now);
            slice = later;
        }
    }

    /// Takes the next operation's chunks, and says how many bytes it writes.
    pub(crate) fn take(&mut self, limits: Limits) -> (Vec<Chunk>, usize) {
        let max_bytes = limits.max_bytes.max(1);
        let max_chunks = limits.max_chunks.max(1);
        let (mut count, mut total) = (0, 0_usize);
        while count < max_chunks && total < max_bytes {
            if count == self.chunks.len() {
                self.seal_tail();
            }
            let Some(chunk) = self.chunks.get(count) else {
                break;
            };
            count += 1;
            total = total.saturating_add(chunk.bytes.len());
        }
        self.taken(count, total.min(max_bytes))
    }

    /// Takes the next message, whole.
    pub(crate) fn take_message(&mut self) -> (Vec<Chunk>, usize) {
        let len = self.chunks.front().map_or(0, |chunk| chunk.bytes.len());
        self.taken(1, len)
    }

    /// Puts what is left of an operation back before everything else.
    pub(crate) fn put_back(&mut self, chunks: Vec<Chunk>) {
        for chunk in chunks.into_iter().rev() {
            self.len += chunk.bytes.len() as u64;
            self.chunks.push_front(chunk);
        }
    }

    /// Keeps the memory of the first of our own blocks among `spent`.
    pub(crate) fn recycle(&mut self, spent: &mut Vec<Chunk>) {
        if self.spare.is_some() {
            return;
        }
        if let Some(at) = spent.iter().position(|chunk| chunk.joined) {
            let block = spent.swap_remove(at).bytes;
            if let Ok(mut block) = block.try_into_mut() {
                block.clear();
                self.spare = Some(block);
            }
        }
    }

    /// Everything that is left, in order; the queue is empty afterwards.
    pub(crate) fn drain(&mut self) -> Vec<Bytes> {
        self.seal_tail();
        self.len = 0;
        self.spare = None;
        self.chunks.drain(..).map(|chunk| chunk.bytes).collect()
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let bytes = core::mem::take(&mut self.tail).freeze();
            self.chunks.push_back(Chunk {
                bytes,
                joined: true,
            });
        }
    }

    fn taken(&mut self, count: usize, len: usize) -> (Vec<Chunk>, usize) {
        let chunks: Vec<Chunk> = self.chunks.drain(..count).collect();
        let bytes: u64 = chunks.iter().map(|chunk| chunk.bytes.len() as u64).sum();
        self.len -= bytes;
        (chunks, len)
    }
}
