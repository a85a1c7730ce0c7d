//! Chunks that wait, in lists that become operations.
//!
//! An operation takes a list as it is where it can, and one that comes back is put
//! before the others as it is. A list is freed when it was written, so very many
//! chunks cost memory only while they wait, and nothing is moved when more come.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::chunk::Chunk;
use crate::operation::Limits;

/// The chunks of a list that is filled.
const LIST: usize = 16;

/// An empty list of lists is kept for the next ones up to this many.
const KEPT: usize = 64;

/// # Invariant
///
/// No list is empty, and `spare` is.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    lists: VecDeque<Vec<Chunk>>,
    /// The memory of a list, for the next one.
    spare: Vec<Chunk>,
}

impl Lists {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Appends a chunk.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        match self.lists.back_mut() {
            Some(list) if list.len() < LIST => list.push(chunk),
            last => {
                let is_first = last.is_none();
                let mut list = self.new_list();
                if !is_first {
                    // Many, which will fill this one as well.
                    list.reserve_exact(LIST);
                }
                list.push(chunk);
                self.lists.push_back(list);
            }
        }
    }

    /// Takes the first chunks, until the limits are reached, and says how many bytes
    /// they have.
    pub(crate) fn take(&mut self, limits: Limits) -> (Vec<Chunk>, usize) {
        let mut taken = Vec::new();
        let mut total = 0_usize;
        while taken.len() < limits.max_chunks && total < limits.max_bytes {
            let Some(mut list) = self.lists.pop_front() else {
                break;
            };
            let most = limits.max_chunks - taken.len();
            let mut count = 0;
            for chunk in list.iter().take(most) {
                if total >= limits.max_bytes {
                    break;
                }
                total = total.saturating_add(chunk.len());
                count += 1;
            }
            let is_whole = count == list.len();
            if is_whole && taken.is_empty() {
                taken = list;
                continue;
            }
            if taken.capacity() == 0 {
                taken = self.new_list();
            }
            taken.extend(list.drain(..count));
            if !is_whole {
                self.lists.push_front(list);
            }
        }
        if self.lists.is_empty() && self.lists.capacity() > KEPT {
            self.lists = VecDeque::new();
        }
        (taken, total)
    }

    /// Puts chunks before all others.
    pub(crate) fn put_back(&mut self, list: Vec<Chunk>) {
        if list.is_empty() {
            self.recycle(list);
        } else {
            self.lists.push_front(list);
        }
    }

    /// An empty list.
    pub(crate) fn new_list(&mut self) -> Vec<Chunk> {
        core::mem::take(&mut self.spare)
    }

    /// Keeps the memory of an empty list.
    pub(crate) fn recycle(&mut self, list: Vec<Chunk>) {
        debug_assert!(list.is_empty(), "{} chunks would be lost", list.len());
        if self.spare.capacity() < list.capacity() {
            self.spare = list;
        }
    }

    /// All chunks, in order; nothing is left, nor kept.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Chunk> + use<> {
        core::mem::take(self).lists.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bytes::Bytes;

    use super::*;

    fn chunk(n: usize) -> Chunk {
        Chunk::Message(Bytes::from(vec![u8::try_from(n).unwrap_or(u8::MAX); 2]))
    }

    fn numbers<'a>(chunks: impl IntoIterator<Item = &'a Chunk>) -> Vec<usize> {
        let number = |chunk: &Chunk| usize::from(chunk.as_slice()[0]);
        chunks.into_iter().map(number).collect()
    }

    /// Every size of operation, of which every part is put back, once, at every place
    /// around the ends of the lists.
    #[test]
    fn what_is_taken_comes_in_order_whatever_is_put_back() {
        let count = 2 * LIST + 3;
        for max_chunks in 1..=LIST + 2 {
            for put_back in 0..=max_chunks {
                let mut lists = Lists::default();
                (0..count).for_each(|n| lists.push(chunk(n)));
                let limits = Limits {
                    max_bytes: usize::MAX,
                    max_chunks,
                };
                let mut seen = Vec::new();
                while !lists.is_empty() {
                    let (mut list, total) = lists.take(limits);
                    let expected = max_chunks.min(count - seen.len());
                    assert_eq!((list.len(), total), (expected, 2 * expected));
                    let at = list.len().saturating_sub(put_back);
                    let rest = list.split_off(at.max(1));
                    lists.put_back(rest);
                    seen.extend(numbers(&list));
                }
                assert!(seen.iter().copied().eq(0..count), "{max_chunks} {put_back}");
            }
        }
    }

    #[test]
    fn no_more_is_taken_when_there_are_bytes_enough() {
        let chunks = LIST + 2;
        for max_bytes in 1..=2 * chunks {
            let mut lists = Lists::default();
            (0..chunks).for_each(|n| lists.push(chunk(n)));
            let (list, total) = lists.take(Limits {
                max_bytes,
                max_chunks: usize::MAX,
            });
            assert_eq!(list.len(), max_bytes.div_ceil(2));
            assert_eq!(total, 2 * list.len());
            let rest: Vec<_> = lists.drain().collect();
            assert!(numbers(list.iter().chain(&rest)).into_iter().eq(0..chunks));
        }
    }
}
