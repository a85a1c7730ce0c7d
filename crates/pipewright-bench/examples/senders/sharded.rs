//! A tail in parts: each thread copies to a block of its own part, and whoever takes out
//! merges the parts by position.

use std::cell::Cell;
use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::accounts::{Accounts, Padded, Refused, Tail};

const BLOCK: usize = 64 * 1024;

/// With one shard, what is left of the library's queue: a lock, a block and a position.
pub(crate) struct Sharded<const SHARDS: usize> {
    accounts: Accounts,
    shards: [Padded<Mutex<Shard>>; SHARDS],
}

/// # Invariant
///
/// The positions of `full` and then `tail` grow, because a message gets its position
/// under the lock of its shard.
#[derive(Default)]
struct Shard {
    full: Vec<Block>,
    tail: Block,
}

/// # Invariant
///
/// `bytes` are those of all `runs`, one after the other.
#[derive(Default)]
struct Block {
    bytes: Vec<u8>,
    runs: VecDeque<Run>,
}

/// Messages that follow each other in the stream. One where there is one sender, so
/// that its blocks need no merging.
struct Run {
    position: u64,
    len: usize,
}

impl<const SHARDS: usize> Tail for Sharded<SHARDS> {
    type Drain = Drain<SHARDS>;

    fn new(capacity: u64) -> Self {
        Sharded {
            accounts: Accounts::new(capacity),
            shards: std::array::from_fn(|_| Padded::default()),
        }
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn try_send(&self, message: &[u8]) -> Result<u64, Refused> {
        let shard = &self.shards[number() % SHARDS];
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let position = self.accounts.accept(message.len())?;
        shard.push(position, message);
        Ok(position)
    }

    fn take(&self, drain: &mut Drain<SHARDS>, write: &mut dyn FnMut(&[u8])) {
        for (shard, part) in self.shards.iter().zip(&mut drain.parts) {
            let next = drain.emptied.pop().unwrap_or_default();
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            part.blocks.extend(shard.full.drain(..));
            part.blocks.push_back(mem::replace(&mut shard.tail, next));
        }
        drain.merge(write);
        self.accounts.taken(drain.position);
    }
}

/// Numbers the threads.
fn number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    NUMBER.with(|number| {
        if number.get() == usize::MAX {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

impl Shard {
    #[inline]
    fn push(&mut self, position: u64, message: &[u8]) {
        if message.len() > self.tail.bytes.capacity() - self.tail.bytes.len() {
            self.begin_block(message.len());
        }
        let Block { bytes, runs } = &mut self.tail;
        bytes.extend_from_slice(message);
        match runs.back_mut() {
            Some(run) if run.position + run.len as u64 == position => run.len += message.len(),
            _ => runs.push_back(Run {
                position,
                len: message.len(),
            }),
        }
    }

    #[cold]
    fn begin_block(&mut self, len: usize) {
        if !self.tail.bytes.is_empty() {
            self.full.push(mem::take(&mut self.tail));
        }
        self.tail.bytes.reserve_exact(len.max(BLOCK));
        // More than most blocks need; memory that is not touched costs nothing.
        self.tail.runs.reserve(BLOCK / 64);
    }
}

/// What was taken from the shards and waits for what comes before it.
pub(crate) struct Drain<const SHARDS: usize> {
    parts: [Part; SHARDS],
    position: u64,
    merged: Vec<u8>,
    /// Blocks for the shards to fill again.
    emptied: Vec<Block>,
}

#[derive(Default)]
struct Part {
    blocks: VecDeque<Block>,
    /// How much of the first block is merged.
    merged: usize,
}

impl<const SHARDS: usize> Default for Drain<SHARDS> {
    fn default() -> Self {
        Drain {
            parts: std::array::from_fn(|_| Part::default()),
            position: 0,
            merged: Vec::new(),
            emptied: Vec::new(),
        }
    }
}

impl<const SHARDS: usize> Drain<SHARDS> {
    fn merge(&mut self, write: &mut dyn FnMut(&[u8])) {
        self.merged.reserve_exact(BLOCK);
        let mut part = 0;
        let mut missed = 0;
        // A position that no part has is the gap, or the end.
        while missed < SHARDS {
            if self.merge_run(part, write) {
                missed = 0;
            } else {
                missed += 1;
                part = (part + 1) % SHARDS;
            }
        }
        if !self.merged.is_empty() {
            write(&self.merged);
            self.merged.clear();
        }
    }

    /// Merges the next run, if this part has it.
    fn merge_run(&mut self, part: usize, write: &mut dyn FnMut(&[u8])) -> bool {
        let Part { blocks, merged } = &mut self.parts[part];
        let Some(block) = blocks.front_mut() else {
            return false;
        };
        let Some(run) = block
            .runs
            .front()
            .filter(|run| run.position == self.position)
        else {
            if block.runs.is_empty() {
                self.emptied.extend(blocks.pop_front());
            }
            return false;
        };
        let end = *merged + run.len;
        let mut bytes = &block.bytes[*merged..end];
        self.position += run.len as u64;
        if self.merged.is_empty() && bytes.len() >= BLOCK {
            write(mem::take(&mut bytes));
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.merged.len()));
            self.merged.extend_from_slice(now);
            bytes = later;
            if self.merged.len() == BLOCK {
                write(&self.merged);
                self.merged.clear();
            }
        }
        block.runs.pop_front();
        *merged = end;
        if block.runs.is_empty() {
            *merged = 0;
            block.bytes.clear();
            self.emptied.extend(blocks.pop_front());
        }
        true
    }
}
