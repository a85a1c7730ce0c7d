//! The memory that the input is read into.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Reads are at most this large: what a pipe holds on most systems, and enough for
/// a system call not to matter.
const LARGEST: usize = 64 * 1024;
/// Buffers smaller than this do not make reads any smaller.
const SMALLEST: usize = 4 * 1024;

/// How many blocks are on their way besides those that wait in a buffer.
const ON_THE_WAY: usize = 16;
/// So many blocks are kept to be used again at most: what waits in a buffer of the
/// size that one has by default, of 16 MiB. A search for one that is free looks at
/// all of them.
const MOST_KEPT: usize = 256 + ON_THE_WAY;

/// Turns what was read into blocks that sinks share.
///
/// A block keeps all of its memory while any sink has any of it queued. So a read
/// that fills only a part of the memory is copied into a block of its own size:
/// memory stays within what the sinks' buffers add up to, however small the pieces
/// are in which the input comes. Memory that no sink needs any more is read into
/// again, because new memory has to be cleared first. As many blocks are kept for that
/// as the buffers can hold: with fewer, while a buffer is full, the oldest would be
/// forgotten before it comes back, and each block would be a new one.
pub(crate) struct Blocks {
    size: usize,
    kept: usize,
    memory: BytesMut,
    /// Memory that was handed out, the oldest first; no more than `kept`.
    lent: VecDeque<Bytes>,
}

impl Blocks {
    /// Blocks of which a good number fit the smallest of the buffers.
    pub(crate) fn for_buffers(buffers: impl Iterator<Item = usize>) -> Self {
        let (smallest, largest) = buffers.fold((usize::MAX, 0), |(least, most), buffer| {
            (least.min(buffer), most.max(buffer))
        });
        let size = (smallest / 8).clamp(SMALLEST, LARGEST);
        Blocks {
            size,
            kept: MOST_KEPT.min(ON_THE_WAY + largest / size),
            memory: BytesMut::new(),
            lent: VecDeque::new(),
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
        if self.lent.len() == self.kept {
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
    fn once_the_largest_buffer_was_full_no_memory_is_new() {
        /// New memory has none.
        const MARK: u8 = 1;
        for (smallest, largest) in [(1, 1 << 20), (1 << 20, 1 << 20), (1 << 20, 16 << 20)] {
            let mut blocks = Blocks::for_buffers([smallest, largest].into_iter());
            let mut read = || {
                let space = blocks.space();
                let (len, was_read) = (space.len(), space[0] == MARK);
                space[0] = MARK;
                (blocks.take(len), was_read)
            };
            let mut waiting = VecDeque::from([read().0]);
            while waiting.len() * waiting[0].len() < largest {
                waiting.push_back(read().0);
            }
            // It has been read before there is room for it.
            waiting.push_back(read().0);
            for _ in 0..3 * waiting.len() {
                waiting.pop_front();
                let (block, was_read) = read();
                assert!(was_read);
                waiting.push_back(block);
            }
        }
    }

    #[test]
    fn little_memory_is_kept_however_much_was_lent() {
        for (buffer, kept) in [
            (64 << 10, 8),
            (1 << 20, 16),
            (16 << 20, 256),
            (1 << 40, 256),
        ] {
            let mut blocks = Blocks::for_buffers([buffer].into_iter());
            let lent: Vec<Bytes> = (0..1000)
                .map(|_| {
                    let size = blocks.space().len();
                    blocks.take(size)
                })
                .collect();
            let forgotten = lent.iter().filter(|block| block.is_unique()).count();
            assert_eq!(lent.len() - forgotten, kept + ON_THE_WAY);
        }
    }
}
