//! The memory that the input is read into.

use bytes::{Bytes, BytesMut};

/// Reads are at most this large: what a pipe holds on most systems, and enough for
/// a system call not to matter.
const LARGEST: usize = 64 * 1024;
/// Buffers smaller than this do not make reads any smaller.
const SMALLEST: usize = 4 * 1024;

/// Turns what was read into blocks that sinks share.
///
/// A block keeps all of its memory while any sink has any of it queued. So a read
/// that fills only a part of the memory is copied into a block of its own size:
/// memory stays within what the sinks' buffers add up to, however small the pieces
/// are in which the input comes.
pub(crate) struct Blocks {
    size: usize,
    memory: BytesMut,
}

impl Blocks {
    /// Blocks of which a good number fit the smallest of the buffers.
    pub(crate) fn for_buffers(buffers: impl Iterator<Item = usize>) -> Self {
        let fit = buffers.min().map_or(LARGEST, |smallest| smallest / 8);
        Blocks {
            size: fit.clamp(SMALLEST, LARGEST),
            memory: BytesMut::new(),
        }
    }

    /// Where to read to.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.memory.is_empty() {
            self.memory = BytesMut::zeroed(self.size);
        }
        &mut self.memory
    }

    /// What was read: the first `len` bytes of the space.
    pub(crate) fn take(&mut self, len: usize) -> Bytes {
        if len >= self.size / 4 * 3 {
            let mut block = std::mem::take(&mut self.memory);
            block.truncate(len);
            block.freeze()
        } else {
            Bytes::copy_from_slice(&self.memory[..len])
        }
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
}
