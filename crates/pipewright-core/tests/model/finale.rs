//! How a script is brought to its end, and what must hold then.

use pipewright_core::{Config, Limits, Outcome};

use super::PAYLOAD_MAX;
use super::naive::Life;
use super::script::Step;
use super::trial::Trial;

/// The ways to bring a script to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finale {
    /// Serve everybody in line, write everything, close.
    Drain,
    /// Stop; what is in flight has this fate.
    Stop(Step),
}

/// A script from its beginning to its end.
pub(crate) fn play(config: Config, script: impl IntoIterator<Item = Step>, finale: Finale) {
    let mut trial = Trial::new(config);
    for step in script {
        trial.take(step);
    }
    // Byte by byte, a long queue takes its time: it ends by a stop then.
    let pace = trial.model.limits.unwrap_or_default().max_bytes.max(1);
    let open = matches!(trial.model.life, Life::Open | Life::Finishing);
    if open && trial.model.queued() / pace > 1_000 {
        trial.take(Step::Stop);
    }
    trial.wind_up(finale);
}

/// Ends.
impl Trial {
    /// Ends the writer, and draws up the final account.
    pub(crate) fn wind_up(mut self, finale: Finale) {
        self.take_unseen(Step::TakeUnsent);
        match finale {
            Finale::Drain => {
                if self.model.limits.is_none() {
                    self.take_unseen(Step::Attach(Limits::default()));
                }
                self.serve_everybody();
                self.take_unseen(Step::Finish);
            }
            Finale::Stop(fate) => {
                self.take_unseen(Step::Stop);
                self.take_unseen(Step::PollCancel);
                self.take_unseen(fate);
            }
        }
        self.compare();
        self.write_everything();
        self.compare();
        while self.tickets() > 0 {
            self.take_unseen(Step::Leave(0));
        }
        while self.reservations() > 0 {
            self.take_unseen(Step::SendReserved { which: 0, len: 1 });
        }
        self.take_unseen(Step::PollClose);
        self.take_unseen(Step::HandleClosed);
        self.take_unseen(Step::TakeUnsent);
        self.take_unseen(Step::PollEvents);

        let progress = self.core.progress();
        let outcome = progress.outcome.unwrap();
        assert!(!self.core.has_events() && !self.core.wants_turn());
        assert_eq!(progress.in_flight, 0);
        if outcome == Outcome::Closed {
            assert_eq!(self.read_so_far(), self.model.stream);
            assert_eq!(progress.written, progress.accepted);
        }
        for late in [Step::Finish, Step::Stop, Step::Broken, Step::TakeUnsent] {
            self.take_unseen(late);
            assert_eq!(self.core.progress().outcome, Some(outcome), "sticky");
        }
        self.compare();
    }

    /// Nobody waits for ever: once the pipe flows and reservations come back,
    /// everyone in line gets a turn, and who was refused hears of the room.
    fn serve_everybody(&mut self) {
        loop {
            self.write_everything();
            while self.reservations() > 0 {
                self.take_unseen(Step::Release(0));
            }
            self.take_unseen(Step::PollEvents);
            if self.tickets() == 0 || self.model.life != Life::Open {
                break;
            }
            let need = usize::try_from(self.model.tickets[0].need).unwrap();
            self.take_unseen(Step::Claim(0));
            assert_eq!(self.reservations(), 1, "the first in line had its turn");
            let len = need.min(PAYLOAD_MAX);
            self.take_unseen(Step::SendReserved { which: 0, len });
        }
        if self.model.life == Life::Open {
            assert!(
                !self.model.news.is_anybody_left_refused(),
                "told of the room"
            );
        }
    }

    fn write_everything(&mut self) {
        self.take_unseen(Step::Ready);
        while self.is_in_flight() || self.model.can_submit() {
            self.take_unseen(Step::Write);
        }
    }
}
