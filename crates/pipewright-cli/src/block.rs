//! The memory that the input is read into.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Reads are at most this large: what a pipe holds on most systems, and enough for
/// a system call not to matter.
const LARGEST: usize = 64 * 1024;
/// Buffers smaller than this do not make reads any smaller.
const SMALLEST: usize = 4 * 1024;

/// How many blocks are kept to be used again.
const KEPT: usize = 16;

/// Turns what was read into blocks that sinks share.
///
/// A block keeps all of its memory while any sink has any of it queued. So a read
/// that fills only a part of the memory is copied into a block of its own size:
/// memory stays within what the sinks' buffers add up to, however small the pieces
/// are in which the input comes. Memory that no sink needs any more is read into
/// again while the processor still has it at hand.
pub(crate) struct Blocks {
    size: usize,
    memory: BytesMut,
    /// Memory that was handed out, the oldest first.
    lent: VecDeque<Bytes>,
}

impl Blocks {
    /// Blocks of which a good number fit the smallest of the buffers.
    pub(crate) fn for_buffers(buffers: impl Iterator<Item = usize>) -> Self {
        let fit = buffers.min().map_or(LARGEST, |smallest| smallest / 8);
        Blocks {
            size: fit.clamp(SMALLEST, LARGEST),
            memory: BytesMut::new(),
            lent: VecDeque::with_capacity(KEPT),
        }
    }

    /// Where to read to.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.memory.is_empty() {
            self.memory = self.returned();
        }
        &mut self.memory
    }

    /// What was read: the first `len` bytes of the space.
    pub(crate) fn take(&mut self, len: usize) -> Bytes {
        if len < self.size / 4 * 3 {
            return Bytes::copy_from_slice(&self.memory[..len]);
        }
        let memory = std::mem::take(&mut self.memory).freeze();
        let block = memory.slice(..len);
        if self.lent.len() == KEPT {
            self.lent.pop_front();
        }
        self.lent.push_back(memory);
        block
    }

    /// Memory that everybody has given back, or new memory.
    fn returned(&mut self) -> BytesMut {
        let free = self.lent.iter().position(Bytes::is_unique);
        free.and_then(|at| self.lent.remove(at)?.try_into_mut().ok())
            .unwrap_or_else(|| BytesMut::zeroed(self.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_what_was_read() {
        let mut blocks = Blocks::for_buffers([1 << 20].into_iter());
        for len in [1, 5, LARGEST, 3, LARGEST - 1, LARGEST / 2, LARGEST] {
            let space = blocks.space();
            assert_eq!(space.len(), LARGEST);
            let mark = len.to_le_bytes()[0];
            space[..len].fill(mark);
            let block = blocks.take(len);
            assert_eq!(block, vec![mark; len]);
        }
    }

    #[test]
    fn small_buffers_make_small_reads() {
        for (buffer, size) in [(1, 4096), (64 << 10, 8192), (1 << 30, LARGEST)] {
            let mut blocks = Blocks::for_buffers([1 << 40, buffer].into_iter());
            assert_eq!(blocks.space().len(), size);
        }
    }

    #[test]
    fn memory_that_was_given_back_is_read_into_again() {
        let mut blocks = Blocks::for_buffers([1 << 20].into_iter());
        blocks.space();
        let (first, kept) = (blocks.take(LARGEST), blocks.space().as_ptr());
        let second = blocks.take(LARGEST - 1);
        assert_eq!(second.as_ptr(), kept);
        let free = first.as_ptr();
        drop(first);
        assert_eq!(blocks.space().as_ptr(), free);
        assert_eq!(blocks.space().len(), LARGEST, "all of it");
    }

    #[test]
    fn little_memory_is_kept_however_much_was_lent() {
        let mut blocks = Blocks::for_buffers([1 << 20].into_iter());
        let lent: Vec<Bytes> = (0..100)
            .map(|_| {
                blocks.space();
                blocks.take(LARGEST)
            })
            .collect();
        let first: Vec<bool> = lent.iter().map(Bytes::is_unique).collect();
        assert_eq!(first.iter().filter(|unique| !**unique).count(), KEPT);
    }
}
