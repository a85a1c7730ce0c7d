//! Where a writer is in its life, and every way from one state to the next.
//!
//! ```text
//!           finish            nothing left            no operation in flight
//!   Open ──────────▶ Draining ────────────▶ Ending ──────────────▶ Releasing
//!    │  stop │ fail     │ stop │ fail         ▲                        │ poll_close
//!    └───────┴──────────┴──────┴──────────────┘                        ▼
//!                                                 Ended ◀────────── Closing
//!                                                      handle closed
//! ```
//!
//! A writer that has no handle yet goes from `Ending` straight to `Ended`. The
//! outcome is fixed on the way into `Ending` and never changes again: whatever
//! comes later (a failure while a stop is under way, a second stop) finds the
//! end already decided.

/// Why a writer ended. Exactly one per writer, and it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Everything that was accepted was written, then the handle was closed.
    Closed,
    /// The user stopped it; what was not written can be taken back.
    Stopped,
    /// The operating system refused a write, or the pipe broke.
    Failed(Failure),
}

/// What went wrong, in terms that need no operating system to be stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The operating system's own error number (`errno`, `GetLastError`).
    Os(i32),
    /// A write of a non-empty buffer was reported as done, with 0 bytes.
    NoProgress,
    /// A message was written only in part, where messages must stay whole.
    PartialMessage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Sends are accepted.
    Open,
    /// No more sends; what is queued is still written.
    Draining,
    /// The outcome is decided; an operation may still be in flight.
    Ending(Outcome),
    /// Nothing is in flight; the handle waits to be closed.
    Releasing(Outcome),
    /// The driver is closing the handle.
    Closing(Outcome),
    /// Over.
    Ended(Outcome),
}

/// What moves a writer along.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The user wants no more sends.
    Finish,
    /// The user wants the end now.
    Stop,
    /// A write failed.
    Fail(Failure),
    /// Nothing is queued or in flight.
    Drained,
    /// No operation is in flight; `attached` tells whether there is a handle.
    Quiet { attached: bool },
    /// The driver was told to close the handle.
    Release,
    /// The driver has closed the handle.
    HandleClosed,
}

impl Phase {
    /// The only place in which a writer's state changes.
    ///
    /// A step that does not apply leaves the phase as it is: a second `finish`,
    /// a failure after the end was decided, and so on.
    pub(crate) fn after(self, step: Step) -> Phase {
        use Phase::*;
        match (self, step) {
            (Open, Step::Finish) => Draining,
            (Draining, Step::Drained) => Ending(Outcome::Closed),
            (Open | Draining, Step::Stop) => Ending(Outcome::Stopped),
            (Open | Draining, Step::Fail(failure)) => Ending(Outcome::Failed(failure)),
            (Ending(outcome), Step::Quiet { attached: true }) => Releasing(outcome),
            (Ending(outcome), Step::Quiet { attached: false }) => Ended(outcome),
            (Releasing(outcome), Step::Release) => Closing(outcome),
            (Closing(outcome), Step::HandleClosed) => Ended(outcome),
            (unmoved, _) => unmoved,
        }
    }

    /// Whether queued data may still be handed to the driver.
    #[inline]
    pub(crate) fn writes(self) -> bool {
        matches!(self, Phase::Open | Phase::Draining)
    }

    /// Whether nothing can be in flight any more, so that the unsent data is settled.
    pub(crate) fn is_settled(self) -> bool {
        matches!(
            self,
            Phase::Releasing(_) | Phase::Closing(_) | Phase::Ended(_)
        )
    }

    /// Why sends are refused, if they are.
    #[inline]
    pub(crate) fn refusal(self) -> Option<Outcome> {
        match self {
            Phase::Open => None,
            Phase::Draining => Some(Outcome::Closed),
            Phase::Ending(outcome)
            | Phase::Releasing(outcome)
            | Phase::Closing(outcome)
            | Phase::Ended(outcome) => Some(outcome),
        }
    }

    /// The outcome, once all is over.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        match self {
            Phase::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTCOMES: [Outcome; 3] = [
        Outcome::Closed,
        Outcome::Stopped,
        Outcome::Failed(Failure::Os(32)),
    ];
    const STEPS: [Step; 8] = [
        Step::Finish,
        Step::Stop,
        Step::Fail(Failure::NoProgress),
        Step::Drained,
        Step::Quiet { attached: true },
        Step::Quiet { attached: false },
        Step::Release,
        Step::HandleClosed,
    ];

    #[test]
    fn no_step_changes_an_outcome_or_leads_back() {
        for outcome in OUTCOMES {
            let way = [
                Phase::Ending(outcome),
                Phase::Releasing(outcome),
                Phase::Closing(outcome),
                Phase::Ended(outcome),
            ];
            for (place, phase) in way.into_iter().enumerate() {
                for step in STEPS {
                    let after = phase.after(step);
                    assert!(way[place..].contains(&after), "{phase:?} {step:?}");
                }
            }
        }
    }

    #[test]
    fn a_writer_that_refuses_never_accepts_again() {
        for step in STEPS {
            assert_ne!(Phase::Draining.after(step), Phase::Open);
        }
    }

    #[test]
    fn only_a_drained_writer_has_closed_well() {
        for step in STEPS {
            for phase in [Phase::Open, Phase::Draining] {
                let closed = phase.after(step) == Phase::Ending(Outcome::Closed);
                let drained = phase == Phase::Draining && matches!(step, Step::Drained);
                assert_eq!(closed, drained, "{phase:?} {step:?}");
            }
        }
    }
}
