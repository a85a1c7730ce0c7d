//! Writers that were dropped and still have data to write.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;
use std::{error, fmt};

use crate::sys::Timer;

static LINGERING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A writer that lingers. Dropped when it has ended.
pub(crate) struct Lingering {
    _limit: Option<Timer>,
}

impl Lingering {
    /// The writer lingers until `limit`, which stops it.
    pub(crate) fn enter(limit: Option<Timer>) -> Self {
        *LINGERING.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Lingering { _limit: limit }
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        *LINGERING.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        ENDED.notify_all();
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
    let lingering = LINGERING.lock().unwrap_or_else(PoisonError::into_inner);
    let (lingering, _) = ENDED
        .wait_timeout_while(lingering, timeout, |lingering| *lingering > 0)
        .unwrap_or_else(PoisonError::into_inner);
    match *lingering {
        0 => Ok(()),
        writers => Err(StillLingering { writers }),
    }
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
