//! Writers that were dropped and still have data to write.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{error, fmt};

use crate::sync::{Mutex, MutexGuard, global};
use crate::sys::Timer;
use crate::wait::Wait;

/// How many writers linger, and who waits for none to.
struct Everybody {
    writers: usize,
    waiting: BTreeMap<u64, Waker>,
    next_id: u64,
}

fn everybody() -> MutexGuard<'static, Everybody> {
    global!(EVERYBODY: Mutex<Everybody> = Mutex::new(Everybody {
        writers: 0,
        waiting: BTreeMap::new(),
        next_id: 0,
    }));
    EVERYBODY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A writer that lingers. Dropped when it has ended.
pub(crate) struct Lingering {
    _limit: Option<Timer>,
}

impl Lingering {
    /// The writer lingers until `limit`, which stops it.
    pub(crate) fn enter(limit: Option<Timer>) -> Self {
        everybody().writers += 1;
        Lingering { _limit: limit }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let mut everybody = everybody();
        everybody.writers -= 1;
        if everybody.writers == 0 {
            let woken = std::mem::take(&mut everybody.waiting);
            drop(everybody);
            woken.into_values().for_each(Waker::wake);
        }
    }
}

/// Until no writer lingers. A wait that is given up leaves nothing behind.
#[derive(Default)]
struct NobodyLingers {
    id: Option<u64>,
}

impl Wait for NobodyLingers {
    type Output = ();

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut everybody = everybody();
        if everybody.writers == 0 {
            return Poll::Ready(());
        }
        let id = *self.id.get_or_insert_with(|| {
            everybody.next_id += 1;
            everybody.next_id
        });
        everybody.waiting.insert(id, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for NobodyLingers {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            everybody().waiting.remove(&id);
        }
    }
}

/// Waits, at most `timeout`, until no writer lingers: every one that was dropped
/// with data left has written it, has failed, or has come to the end of its
/// linger time ([`Builder::linger`](crate::Builder::linger)).
///
/// To be called before the process exits: the end of `main` and
/// [`std::process::exit`] wait for nobody.
///
/// # Errors
///
/// [`StillLingering`] if the time was over first.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mut reader, pipe) = std::io::pipe()?;
/// let writer = pipewright::PipeWriter::new(pipe)?;
/// writer.try_send("last words")?;
/// drop(writer);
///
/// pipewright::wait_lingering(Duration::from_secs(5))?;
/// let mut heard = String::new();
/// reader.read_to_string(&mut heard)?;
/// assert_eq!(heard, "last words");
/// # Ok(())
/// # }
/// ```
pub fn wait_lingering(timeout: Duration) -> Result<(), StillLingering> {
    if NobodyLingers::default().wait_timeout(timeout).is_some() {
        return Ok(());
    }
    let writers = everybody().writers;
    if writers == 0 {
        return Ok(());
    }
    Err(StillLingering { writers })
}

/// Some dropped writers still have data to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StillLingering {
    /// How many.
    pub writers: usize,
}

impl fmt::Display for StillLingering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} dropped writer(s) still have data to write",
            self.writers
        )
    }
}

impl error::Error for StillLingering {}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting() -> NobodyLingers {
        let mut wait = NobodyLingers::default();
        let polled = wait.poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        wait
    }

    fn is_known(id: Option<u64>) -> bool {
        id.is_some_and(|id| everybody().waiting.contains_key(&id))
    }

    #[test]
    fn a_wait_that_is_given_up_leaves_nothing_behind_and_the_others_alone() {
        let _lingering = Lingering::enter(None);
        let (first, second) = (waiting(), waiting());
        let (given_up, other) = (first.id, second.id);
        assert!(is_known(given_up) && is_known(other));
        drop(first);
        assert!(!is_known(given_up));
        assert!(is_known(other));
    }
}
