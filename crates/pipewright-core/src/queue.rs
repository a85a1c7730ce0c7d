//! The data that waits for its turn.
//!
//! Small messages are appended to one contiguous block, because a million
//! system calls (or a gathering write of a thousand tiny pieces) cost more than
//! copying them together. Larger ones stay the caller's own memory. In message
//! mode nothing is joined: every message is a chunk of its own.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::chunk::{Block, Chunk};
use crate::lists::Lists;
use crate::operation::Limits;

/// Messages up to this many bytes are copied together in byte mode; larger ones
/// are kept as they are.
pub const JOIN_MAX: usize = 2 * 1024;

/// The size to which small messages are copied together.
const BLOCK: usize = 64 * 1024;

/// How much of a block is touched before it is filled, in bytes.
const AHEAD: usize = 1024;

/// # Invariants
///
/// * `len` is the sum of all chunks in `lists` and of `tail`.
/// * `tail` comes after every chunk in the stream; in message mode it is empty.
/// * No chunk is empty, except for the empty messages of message mode.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    lists: Lists,
    tail: Vec<u8>,
    /// The memory of a block that was written, for the next one.
    spare_block: Vec<u8>,
    len: u64,
}

impl Queue {
    #[inline]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.tail.is_empty()
    }

    /// Appends a chunk as it is.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.seal_tail();
        self.len += bytes.len() as u64;
        self.lists.push(Chunk::Message(bytes));
    }

    /// Appends a copy of `slice` to the block of small messages.
    #[inline]
    pub(crate) fn join(&mut self, slice: &[u8]) {
        self.len += slice.len() as u64;
        let room = self.tail.capacity().min(BLOCK);
        if slice.len() <= room.saturating_sub(self.tail.len()) {
            self.touch_ahead(slice.len(), room);
            self.tail.extend_from_slice(slice);
        } else {
            self.join_blocks(slice);
        }
    }

    /// Now and then, writes to the memory of the next messages. A block that is used
    /// again was last read by another processor, and has to be fetched back line by line.
    /// The sender's lock waits for each line that was written before; so it fetches many
    /// at once.
    #[inline]
    fn touch_ahead(&mut self, next: usize, room: usize) {
        let len = self.tail.len();
        if next < AHEAD && len % AHEAD < next {
            self.tail.resize((len + AHEAD).min(room), 0);
            self.tail.truncate(len);
        }
    }

    /// Appends a copy of `slice` to as many blocks as it takes.
    #[cold]
    fn join_blocks(&mut self, mut slice: &[u8]) {
        while !slice.is_empty() {
            if self.tail.len() == BLOCK {
                self.seal_tail();
                // A stream, which will fill the next one as well.
                self.spare_block.reserve_exact(BLOCK);
            }
            if self.tail.capacity() == 0 {
                self.tail = core::mem::take(&mut self.spare_block);
            }
            let (now, later) = slice.split_at(slice.len().min(BLOCK - self.tail.len()));
            self.tail.extend_from_slice(now);
            slice = later;
        }
    }

    /// Takes the next operation's chunks, and says how many bytes it writes.
    pub(crate) fn take(&mut self, limits: Limits) -> (Vec<Chunk>, usize) {
        let limits = Limits {
            max_bytes: limits.max_bytes.max(1),
            max_chunks: limits.max_chunks.max(1),
        };
        let (mut list, mut total) = self.lists.take(limits);
        if list.len() < limits.max_chunks && total < limits.max_bytes {
            if let Some(tail) = self.take_tail() {
                if list.is_empty() {
                    list = self.lists.new_list();
                }
                total = total.saturating_add(tail.len());
                list.push(tail);
            }
        }
        self.len -= total as u64;
        (list, total.min(limits.max_bytes))
    }

    /// Takes the next message, whole.
    pub(crate) fn take_message(&mut self) -> (Vec<Chunk>, usize) {
        let (list, len) = self.lists.take(Limits {
            max_bytes: usize::MAX,
            max_chunks: 1,
        });
        self.len -= len as u64;
        (list, len)
    }

    /// Puts what is left of an operation back before everything else.
    pub(crate) fn put_back(&mut self, chunks: Vec<Chunk>) {
        self.len += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        self.lists.put_back(chunks);
    }

    /// Keeps memory of ours among what was written, for the next operation.
    pub(crate) fn recycle(&mut self, mut spent: Vec<Chunk>) -> Vec<Chunk> {
        let block = spent
            .iter()
            .position(|chunk| matches!(chunk, Chunk::Block(_)));
        if let Some(at) = block.filter(|_| self.spare_block.capacity() == 0) {
            if let Chunk::Block(block) = spent.swap_remove(at) {
                self.spare_block = block.into_memory();
                self.spare_block.clear();
            }
        }
        if spent.is_empty() {
            self.lists.recycle(core::mem::take(&mut spent));
        }
        spent
    }

    /// Everything that is left, in order; the queue is empty afterwards.
    pub(crate) fn drain(&mut self) -> Vec<Bytes> {
        self.seal_tail();
        self.len = 0;
        self.spare_block = Vec::new();
        self.lists.drain().map(Chunk::into_bytes).collect()
    }

    fn seal_tail(&mut self) {
        if let Some(tail) = self.take_tail() {
            self.lists.push(tail);
        }
    }

    fn take_tail(&mut self) -> Option<Chunk> {
        let is_empty = self.tail.is_empty();
        (!is_empty).then(|| Chunk::Block(Block::new(core::mem::take(&mut self.tail))))
    }
}
