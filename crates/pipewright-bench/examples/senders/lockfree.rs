//! A tail without a lock: one stream of blocks, in which every sender copies to the
//! place that its position names, all at the same time.
//!
//! The blocks are made of atomic words, because that is memory to which several threads
//! may write without unsafe code. It costs who takes out a copy that unsafe code would
//! not need.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::accounts::{Accounts, Padded, Refused, Tail};

const BLOCK: usize = 64 * 1024;
const WORD: usize = 8;
const LINE: usize = 64;

/// # Invariants
///
/// * `blocks` are a power of two, and hold at least a block more than the capacity. So
///   a block is begun again only after all of it was taken.
pub(crate) struct LockFree {
    accounts: Accounts,
    blocks: Box<[Padded<Block>]>,
}

/// # Invariants
///
/// * The words that no message has reached are 0.
/// * `filled` counts the bytes that are copied.
#[derive(Default)]
struct Block {
    filled: AtomicUsize,
    lines: OnceLock<Box<[Line]>>,
}

/// A cache line, so that messages of that size share none.
#[derive(Default)]
#[repr(align(64))]
struct Line([AtomicU64; LINE / WORD]);

#[derive(Default)]
pub(crate) struct Drain {
    position: u64,
    taken: Vec<u8>,
}

impl Tail for LockFree {
    type Drain = Drain;

    fn new(capacity: u64) -> Self {
        let blocks = (capacity.div_ceil(BLOCK as u64) + 1).next_power_of_two();
        LockFree {
            accounts: Accounts::new(capacity),
            blocks: (0..blocks).map(|_| Padded::default()).collect(),
        }
    }

    fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    fn try_send(&self, message: &[u8]) -> Result<u64, Refused> {
        let position = self.accounts.accept(message.len())?;
        let mut at = position;
        let mut rest = message;
        while !rest.is_empty() {
            let (block, start) = self.place(at);
            let (now, later) = rest.split_at(rest.len().min(BLOCK - start));
            block.write(start, now);
            at += now.len() as u64;
            rest = later;
        }
        Ok(position)
    }

    fn take(&self, drain: &mut Drain, write: &mut dyn FnMut(&[u8])) {
        loop {
            let (block, start) = self.place(drain.position);
            let filled = block.filled.load(Ordering::Acquire);
            // Looked at afterwards: if it names no byte that is not copied, none is missing.
            let reserved = self.accounts.accepted() - (drain.position - start as u64);
            let is_whole = filled == BLOCK || filled as u64 == reserved;
            if !is_whole || filled == start {
                return;
            }
            block.read(start, filled, &mut drain.taken);
            write(&drain.taken);
            if filled == BLOCK {
                block.clear();
            }
            drain.position += (filled - start) as u64;
            self.accounts.taken(drain.position);
        }
    }
}

impl LockFree {
    /// The block that has this position, and where in it.
    #[expect(clippy::cast_possible_truncation, reason = "both are remainders")]
    fn place(&self, position: u64) -> (&Block, usize) {
        let block = (position / BLOCK as u64) as usize & (self.blocks.len() - 1);
        (&self.blocks[block], position as usize % BLOCK)
    }
}

impl Block {
    fn write(&self, start: usize, bytes: &[u8]) {
        let lines = self.lines();
        let word = |at: usize| &lines[at / LINE].0[at % LINE / WORD];
        let head = (WORD - start % WORD) % WORD;
        let (head, rest) = bytes.split_at(head.min(bytes.len()));
        let (words, tail) = rest.as_chunks();
        // The words at both ends are shared with the messages before and after.
        if !head.is_empty() {
            word(start).fetch_or(part_of_word(start % WORD, head), Ordering::Relaxed);
        }
        let mut at = start + head.len();
        for bytes in words {
            word(at).store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
            at += WORD;
        }
        if !tail.is_empty() {
            word(at).fetch_or(part_of_word(0, tail), Ordering::Relaxed);
        }
        self.filled.fetch_add(bytes.len(), Ordering::Release);
    }

    fn read(&self, start: usize, end: usize, into: &mut Vec<u8>) {
        let first = start / LINE * LINE;
        into.clear();
        into.reserve_exact(BLOCK);
        for line in &self.lines()[start / LINE..end.div_ceil(LINE)] {
            for word in &line.0 {
                into.extend_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes());
            }
        }
        into.truncate(end - first);
        into.drain(..start - first);
    }

    fn clear(&self) {
        let words = self.lines().iter().flat_map(|line| &line.0);
        words.for_each(|word| word.store(0, Ordering::Relaxed));
        self.filled.store(0, Ordering::Relaxed);
    }

    /// The memory, made when a message reaches it, as it is for the other tails.
    fn lines(&self) -> &[Line] {
        let lines = || (0..BLOCK / LINE).map(|_| Line::default()).collect();
        self.lines.get_or_init(lines)
    }
}

fn part_of_word(at: usize, bytes: &[u8]) -> u64 {
    let mut word = [0; WORD];
    word[at..at + bytes.len()].copy_from_slice(bytes);
    u64::from_ne_bytes(word)
}
