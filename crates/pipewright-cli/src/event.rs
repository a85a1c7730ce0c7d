//! What the conductor hears of, from every other thread.

use crate::copy::CopyEnd;
use crate::os::{Exit, Signal, Suspension, Trouble};

/// Sinks are meant by their place on the command line.
pub(crate) enum Event {
    /// Somebody wants this process to end.
    Signal(Signal),
    /// The terminal's user suspends this process, or lets it go on.
    Suspension(Suspension),
    /// No more will be read.
    CopyEnded(CopyEnd),
    /// The sink's buffer was full, and it is given up.
    Detached(usize),
    /// The sink that waited for a reader has one.
    Connected(usize),
    /// The sink that waited for a reader will not get one.
    NotConnected(usize, Trouble),
    /// The sink's writer has ended; its feed knows how.
    Ended(usize),
    /// The sink's command has ended.
    Exited(usize, std::io::Result<Exit>),
}
