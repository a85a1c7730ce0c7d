//! The way to one sink: a [`Backlog`] that is handed on to a writer, whenever that
//! has room. The writer may come late, may fail, and may be followed by another,
//! which goes on where it left off.
//!
//! Nobody waits for the sink here but who offers under the policy `wait`. What the
//! backlog has is handed on by whoever made that possible: the copy when it
//! offers, the writer's callback when it has written ([`Feed::pump`]).

mod pass;
mod state;

use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pipewright::{PipeWriter, Progress};

use crate::backlog::Backlog;
use crate::event::Event;
use crate::os::{Remains, Splice, Trouble, WayOut};
use crate::outlet::{End, Outlet};
use crate::sent::Sent;
use crate::spec::{InDoubt, OnFull};
use crate::stall::Stall;
use state::{Link, State, Step};

/// The most that a writer has at a time. It is enough for it to work at its best.
const HANDED_ON: u64 = 1 << 20;

pub(crate) struct Feed {
    index: usize,
    on_full: OnFull,
    /// How much is offered at once.
    largest_piece: usize,
    /// How much the writer has at most.
    handed_on: usize,
    in_doubt: InDoubt,
    splice: bool,
    state: Mutex<State>,
    /// There is more room, or none is needed any more.
    changed: Condvar,
    events: Sender<Event>,
}

/// Whether a reader is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    ForReader,
    ForNobody,
}

/// How far the sink has come. Bytes.
pub(crate) struct Accounts {
    pub(crate) written: u64,
    /// Taken, and not written (yet).
    pub(crate) unsent: u64,
    pub(crate) in_doubt: u64,
    /// Written, and lost with a reader that had not read it.
    pub(crate) unread: u64,
    /// Written without a copy.
    pub(crate) spliced: u64,
    pub(crate) stalled: Duration,
    /// How long the present stall has lasted.
    pub(crate) stalled_for: Option<Duration>,
    /// How it ended, or its last writer did.
    pub(crate) end: Option<End>,
}

/// Why something that was offered was not taken.
pub(crate) enum Refused {
    Full(Bytes),
    Over,
}

/// What a feed is to be like.
pub(crate) struct Manner {
    pub(crate) on_full: OnFull,
    pub(crate) buffer: u64,
    pub(crate) lines: bool,
    pub(crate) in_doubt: InDoubt,
    /// Whether it may be [passed](Feed::pass).
    pub(crate) splice: bool,
}

/// Taking in.
impl Feed {
    pub(crate) fn new(index: usize, manner: &Manner, events: Sender<Event>) -> Self {
        let Manner {
            on_full,
            buffer,
            lines,
            in_doubt,
            splice,
        } = *manner;
        let drops = matches!(on_full, OnFull::DropNewest | OnFull::DropOldest);
        // What the writer has cannot be dropped any more, so it has only a part.
        let a_part = as_len((buffer / 4).max(1));
        let largest_piece = match on_full {
            _ if lines && drops => usize::MAX,
            OnFull::DropOldest => a_part,
            _ => as_len(buffer),
        };
        Feed {
            index,
            on_full,
            largest_piece,
            handed_on: a_part.min(as_len(HANDED_ON)),
            in_doubt,
            splice,
            state: Mutex::new(State {
                backlog: Backlog::new(buffer, lines && drops),
                link: None,
                kept: None,
                pumping: false,
                again: false,
                awaited: false,
                finishing: None,
                over: false,
                end: None,
                written: 0,
                in_doubt: 0,
                unread: 0,
                spliced: 0,
                stall: Stall::default(),
            }),
            changed: Condvar::new(),
            events,
        }
    }

    pub(crate) fn on_full(&self) -> OnFull {
        self.on_full
    }

    pub(crate) fn largest_piece(&self) -> usize {
        self.largest_piece
    }

    /// Takes the piece, or what the policy lets it take. Never waits.
    pub(crate) fn offer(&self, piece: Bytes) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.over {
            return Err(Refused::Over);
        }
        state
            .backlog
            .offer(piece, self.on_full)
            .map_err(Refused::Full)?;
        state.stall.waits(Instant::now());
        drop(state);
        self.pump();
        Ok(())
    }

    /// Takes the piece as soon as there is room; false if that will never be.
    pub(crate) fn offer_patiently(&self, mut piece: Bytes) -> bool {
        loop {
            match self.offer(piece) {
                Ok(()) => return true,
                Err(Refused::Over) => return false,
                Err(Refused::Full(back)) => piece = back,
            }
            let state = self.lock();
            let waits = |state: &mut State| {
                state.awaited = !state.over && !state.backlog.fits(piece.len());
                state.awaited
            };
            let state = self.changed.wait_while(state, waits);
            drop(state.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Handing on.
impl Feed {
    /// Gives it a pipe to write to. What is left from the last one goes first.
    pub(crate) fn attach(
        self: &Arc<Self>,
        name: &str,
        way_out: WayOut,
        sole_owner: bool,
        remains: Option<Remains>,
    ) -> Result<(), Trouble> {
        let (feed, carried) = (Arc::downgrade(self), Arc::downgrade(self));
        let builder = PipeWriter::builder()
            .name(name)
            .capacity(self.handed_on as u64)
            .sole_owner(sole_owner)
            .on_progress(move |progress| {
                if let Some(feed) = feed.upgrade() {
                    feed.progressed(progress);
                }
            });
        let pipe = self.splice.then(|| Splice::way_to(&way_out.handle));
        let outlet = Outlet::open(builder, way_out, move || {
            if let Some(feed) = carried.upgrade() {
                feed.carried();
            }
        })?;
        let outlet = Arc::new(outlet.with_pipe(pipe.flatten()));
        let resend = remains
            .as_ref()
            .filter(|_| self.in_doubt == InDoubt::Resend)
            .map(Remains::capacity);
        let behind = outlet.carrier_holds().or(resend);
        let kept = behind.map_or(0, |most| most + self.handed_on);
        let link = Link {
            outlet: Arc::clone(&outlet),
            written: 0,
            spliced: 0,
            finished: false,
            ended: None,
            remains,
            sent: Sent::new(kept),
        };
        let mut state = self.lock();
        if !state.over {
            state.end = None;
            state.link = Some(link);
            // The new pipe is open, so the old one may go.
            state.kept = None;
        }
        drop(state);
        // It may have ended before it was the one to listen to.
        let progress = outlet.writer().progress();
        if progress.outcome.is_some() {
            self.progressed(progress);
        }
        self.carried();
        Ok(())
    }

    /// What the writer's callback says.
    fn progressed(&self, progress: Progress) {
        let mut state = self.lock();
        let State {
            backlog,
            link: Some(link),
            written,
            stall,
            ..
        } = &mut *state
        else {
            return;
        };
        let newly = progress.written - link.written;
        link.written = progress.written;
        if progress.outcome.is_some() {
            link.ended = Some(progress);
        }
        if newly > 0 {
            *written += newly;
            backlog.gone(newly);
            let is_more = backlog.len() + backlog.outside() > 0;
            stall.took(Instant::now(), is_more);
        }
        let awaited = std::mem::take(&mut state.awaited);
        drop(state);
        if awaited {
            self.changed.notify_all();
        }
        self.pump();
    }

    /// The carrier may have ended.
    fn carried(&self) {
        let outlet = self
            .lock()
            .link
            .as_ref()
            .map(|link| Arc::clone(&link.outlet));
        if let Some(outlet) = outlet {
            outlet.follow_carrier();
        }
        self.pump();
    }

    /// Does what can be done now. One thread at a time, so that the order is kept;
    /// the library is called without the lock, because it may call back.
    fn pump(&self) {
        let mut state = self.lock();
        if state.pumping {
            state.again = true;
            return;
        }
        state.pumping = true;
        loop {
            state.again = false;
            match state.step(self.handed_on) {
                Step::Send(outlet, piece) => {
                    drop(state);
                    let sent = outlet.writer().try_send(piece.clone());
                    state = self.lock();
                    if sent.is_err() {
                        state.not_sent(piece);
                    } else {
                        continue;
                    }
                }
                Step::Finish(outlet) => {
                    drop(state);
                    outlet.writer().finish();
                    state = self.lock();
                }
                Step::Reclaim(link, end) => {
                    drop(state);
                    let unsent = link.outlet.writer().take_unsent().unwrap_or_default();
                    state = self.lock();
                    state.reclaim(*link, end, unsent, self.in_doubt);
                    let _ = self.events.send(Event::Ended(self.index));
                }
                Step::Nothing => {}
            }
            if !state.again {
                break;
            }
        }
        state.pumping = false;
    }
}

/// Ending.
impl Feed {
    /// Nothing more will be offered. What is here is still written.
    pub(crate) fn finish(&self, waits: Waits) {
        let mut state = self.lock();
        state.backlog.end();
        state.finishing = Some(waits);
        if state.link.is_none()
            && !state.over
            && waits == Waits::ForNobody
            && state.backlog.len() == 0
        {
            state.over = true;
            state.end = Some(End::Closed);
            let _ = self.events.send(Event::Ended(self.index));
        }
        drop(state);
        self.pump();
    }

    /// What is not written yet will not be. Does not wait.
    pub(crate) fn stop(&self) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        state.over = true;
        let outlet = state.link.as_ref().map(|link| Arc::clone(&link.outlet));
        if outlet.is_none() {
            state.end.get_or_insert(End::Stopped);
            let _ = self.events.send(Event::Ended(self.index));
        }
        drop(state);
        self.changed.notify_all();
        if let Some(outlet) = outlet {
            outlet.cancel();
        }
    }

    /// Whether nothing more is taken: the end may be on its way.
    pub(crate) fn is_over(&self) -> bool {
        self.lock().over
    }

    pub(crate) fn accounts(&self) -> Accounts {
        let now = Instant::now();
        let state = self.lock();
        let (written, unsent) = state.written_and_unsent();
        Accounts {
            written,
            unsent,
            in_doubt: state.in_doubt,
            unread: state.unread,
            spliced: state.spliced,
            stalled: state.stall.total(now),
            stalled_for: state.stall.current(now).filter(|_| !state.over),
            end: state.end.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn as_len(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
