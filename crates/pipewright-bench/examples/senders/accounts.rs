//! What the parts of a tail have to share: how much was accepted, whether that is all,
//! and how much was taken out.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};

/// Set in `accepted` by the end, so that a send is before it or is refused.
const FINISHED: u64 = 1 << 63;

/// Why a message was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Full,
    Finished,
}

/// A tail of a queue, to which many threads send at once.
pub(crate) trait Tail: Sync {
    /// What the one thread that takes out remembers.
    type Drain: Default;

    fn new(capacity: u64) -> Self;

    fn accounts(&self) -> &Accounts;

    /// Appends a copy of a message, all or nothing. Where it begins in the stream:
    /// how many bytes were accepted before it.
    fn try_send(&self, message: &[u8]) -> Result<u64, Refused>;

    /// Takes out what there is in order, up to the first message that is not copied yet:
    /// what comes after it has to wait. The blocks are handed to `write`, and used again.
    fn take(&self, drain: &mut Self::Drain, write: &mut dyn FnMut(&[u8]));
}

/// Data that has its cache lines to itself: two, because they are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// # Invariant
///
/// `taken <= accepted`, and neither ever falls.
#[derive(Debug)]
pub(crate) struct Accounts {
    accepted: Padded<AtomicU64>,
    taken: Padded<AtomicU64>,
    capacity: u64,
}

impl Accounts {
    pub(crate) fn new(capacity: u64) -> Self {
        Accounts {
            accepted: Padded::default(),
            taken: Padded::default(),
            capacity,
        }
    }

    /// Gives a message its position. Exchanged and not added, because a message that
    /// turns out not to fit could not be subtracted again: others follow it already.
    #[inline]
    pub(crate) fn accept(&self, len: usize) -> Result<u64, Refused> {
        let mut accepted = self.accepted.load(Ordering::Relaxed);
        loop {
            if accepted & FINISHED != 0 {
                return Err(Refused::Finished);
            }
            let after = accepted + len as u64;
            // What was taken may be newer than what was accepted: then the exchange fails.
            if after.saturating_sub(self.taken.load(Ordering::Acquire)) > self.capacity {
                return Err(Refused::Full);
            }
            match self.accepted.compare_exchange_weak(
                accepted,
                after,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(accepted),
                Err(newer) => accepted = newer,
            }
        }
    }

    /// No more is accepted.
    pub(crate) fn finish(&self) {
        self.accepted.fetch_or(FINISHED, Ordering::AcqRel);
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::Acquire) & !FINISHED
    }

    /// Everything before `position` was taken out, and its memory may be used again.
    pub(crate) fn taken(&self, position: u64) {
        self.taken.store(position, Ordering::Release);
    }
}
