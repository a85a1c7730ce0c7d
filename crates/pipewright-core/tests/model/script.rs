//! The steps of a script: all that a user, a driver and a system can do.

use pipewright_core::{Limits, Rest};

/// How much of an operation the system took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    Nothing,
    /// This many 256ths, at least 1 byte and not all.
    Part(u8),
    All,
    /// A driver's mistake: more than there was.
    TooMuch,
}

impl Amount {
    /// The number of bytes, of an operation of `len` bytes.
    pub(crate) fn of(self, len: usize) -> usize {
        match self {
            Amount::Nothing => 0,
            Amount::Part(share) if len >= 2 => (len * usize::from(share) / 256).clamp(1, len - 1),
            Amount::Part(_) | Amount::All => len,
            Amount::TooMuch => len + 7,
        }
    }
}

/// One step. A step that needs what is not there (an operation in flight, a
/// ticket, a reservation) does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    // The user.
    Send(usize),
    SendSlice(usize),
    /// Sends, and writes by itself, if nothing is before it.
    SendDirect(usize),
    Reserve(usize),
    /// Sends `len` bytes with reservation number `which`.
    SendReserved {
        which: usize,
        len: usize,
    },
    Release(usize),
    WaitInLine(usize),
    Claim(usize),
    Leave(usize),
    Attach(Limits),
    Finish,
    Stop,
    TakeUnsent,
    // The driver.
    PollSubmit,
    PollCancel,
    PollClose,
    PollEvent,
    /// All the events that there are.
    PollEvents,
    // The system.
    Completed(Amount),
    /// The next operation (or the one in flight) is written whole.
    Write,
    NotReady,
    Ready,
    Exhausted,
    Failed(Amount, Rest),
    Broken,
    HandleClosed,
}
