//! One sink: how it is opened, its command, how it ended.

#[cfg(test)]
mod tests;
mod way_in;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::args::PlannedSink;
use crate::copy::Lane;
use crate::event::Event;
use crate::feed::{Accounts, Feed, Manner, Waits};
use crate::os::{Child, Created, Exit, Kind, Opened, Opener, Opening, Pipe, Trouble};
use crate::outlet::End;
use crate::progress::{Phase, SinkState};
use crate::report::{Fate, SinkReport};
use crate::retry::Retry;
use crate::spec::{OnFull, Target};
use way_in::WayIn;

pub(crate) struct Sink {
    index: usize,
    name: String,
    target: Target,
    kind: Kind,
    buffer: u64,
    connect_timeout: Option<Duration>,
    required: bool,
    retry: Retry,
    feed: Arc<Feed>,
    /// Waits for its reader.
    awaited: bool,
    /// To be started once all sinks are there.
    opening: Option<Opening>,
    child: Option<Child>,
    exit: Option<Exit>,
    created: Option<Created>,
    /// Why it failed.
    trouble: Option<Trouble>,
    detached: bool,
    /// Nothing more reaches it.
    over: bool,
    /// Its command was told to end.
    terminated: bool,
    settled_at: Option<Instant>,
}

/// Coming to be.
impl Sink {
    /// Opens it. What goes wrong is a matter of this sink alone.
    pub(crate) fn open(
        index: usize,
        planned: &PlannedSink,
        opener: &mut Opener,
        events: &Sender<Event>,
    ) -> Sink {
        let manner = Manner {
            on_full: planned.on_full,
            buffer: planned.buffer.get(),
            lines: planned.lines,
            in_doubt: planned.in_doubt,
            splice: planned.splice,
        };
        let mut sink = Sink {
            index,
            name: planned.spec.name.clone(),
            target: planned.spec.target.clone(),
            kind: Kind::by_word(&planned.spec.target),
            buffer: planned.buffer.get(),
            connect_timeout: planned.connect_timeout,
            required: planned.required,
            retry: Retry::new(planned.retry),
            feed: Arc::new(Feed::new(index, &manner, events.clone())),
            awaited: false,
            opening: None,
            child: None,
            exit: None,
            created: None,
            trouble: None,
            detached: false,
            over: false,
            terminated: false,
            settled_at: None,
        };
        let opened = opener.open(&sink.target, &sink.name, sink.connect_timeout);
        if let Err(trouble) = opened.and_then(|opened| sink.take_on(opened)) {
            sink.fail(trouble);
        }
        sink
    }

    fn take_on(&mut self, opened: Opened) -> Result<(), Trouble> {
        self.kind = opened.kind;
        self.child = opened.child;
        self.exit = None;
        if opened.created.is_some() {
            self.created = opened.created;
        }
        match opened.pipe {
            Pipe::Open { handle, sole_owner } => self.way_in().attach(handle.into(), sole_owner),
            Pipe::Awaited(opening) => {
                self.awaited = true;
                self.opening = Some(opening);
                Ok(())
            }
        }
    }

    fn way_in(&self) -> WayIn {
        WayIn {
            feed: Arc::clone(&self.feed),
            name: self.name.clone(),
            kind: self.kind,
            may_be_reopened: self.retry.is_possible() && self.kind.can_be_reopened(),
        }
    }

    /// Starts the threads that wait: for a reader, and for a command's end. Only
    /// after all sinks are open, so that no command inherits anything half open.
    pub(crate) fn start(&mut self, events: &Sender<Event>) {
        if let Err(error) = self.try_start(events) {
            self.fail(error.into());
        }
    }

    fn try_start(&mut self, events: &Sender<Event>) -> std::io::Result<()> {
        let index = self.index;
        if let Some(child) = &mut self.child {
            let events = events.clone();
            child.watch(move |exit| {
                let _ = events.send(Event::Exited(index, exit));
            })?;
        }
        if let Some(opening) = self.opening.take() {
            let (way_in, events) = (self.way_in(), events.clone());
            let connect = move || {
                let attached = opening().and_then(|way_out| way_in.attach(way_out, true));
                let _ = events.send(match attached {
                    Ok(()) => Event::Connected(index),
                    Err(trouble) => Event::NotConnected(index, trouble),
                });
            };
            thread::Builder::new()
                .name("connect".into())
                .spawn(connect)?;
        }
        Ok(())
    }

    pub(crate) fn lane(&self, events: &Sender<Event>) -> Option<Lane> {
        let feed = Arc::clone(&self.feed);
        self.takes_data()
            .then(|| Lane::new(self.index, feed, self.buffer, events.clone()))
    }
}

/// What is done with it.
impl Sink {
    /// No more will come. A sink that still waits for its reader is left open, so
    /// that the reader finds somebody there even if there is nothing to read;
    /// unless there is no time for that.
    pub(crate) fn finish(&self, in_haste: bool) {
        let waits = if self.awaited && !in_haste {
            Waits::ForReader
        } else {
            Waits::ForNobody
        };
        self.feed.finish(waits);
    }

    /// What is not written yet will not be, and its command is to end.
    pub(crate) fn stop(&mut self) {
        self.retry.give_up();
        self.feed.stop();
        if let (Some(child), None, false) = (&self.child, self.exit, self.detached) {
            self.terminated = true;
            child.terminate();
        }
    }

    /// If it listens, and nobody has ever come to read: the run does not wait for that.
    pub(crate) fn give_up_first_reader(&mut self) {
        if self.awaited && self.kind == Kind::Listen && self.retry.count() == 0 {
            let what = "nobody has opened it for reading, and the input has ended";
            self.fail(Trouble::own(what));
        }
    }

    /// It will not get anything more.
    fn fail(&mut self, trouble: Trouble) {
        self.awaited = false;
        self.trouble.get_or_insert(trouble);
        self.over = true;
        self.feed.stop();
    }

    /// Opens it again, if it is time.
    pub(crate) fn retry(&mut self, now: Instant, opener: &Opener, events: &Sender<Event>) {
        if !self.retry.begin(now) {
            return;
        }
        let opened = opener.reopen(&self.target, self.connect_timeout);
        match opened.and_then(|opened| self.take_on(opened)) {
            Ok(()) => self.start(events),
            Err(trouble) => self.fail_or_retry(trouble, now),
        }
    }

    /// When it is to be opened again.
    pub(crate) fn retry_at(&self) -> Option<Instant> {
        self.retry.at()
    }

    /// Removes what was put into the file system for it.
    pub(crate) fn clean_up(&self) {
        if let Some(created) = &self.created {
            created.remove();
        }
    }
}

/// What has happened to it.
impl Sink {
    pub(crate) fn connected(&mut self) {
        self.awaited = false;
    }

    pub(crate) fn not_connected(&mut self, trouble: Trouble, now: Instant) {
        // What was stopped meanwhile has no trouble with that, also if it has not said
        // yet that it has ended.
        if !self.over && !self.feed.is_over() {
            self.fail_or_retry(trouble, now);
        }
    }

    pub(crate) fn detached(&mut self) {
        self.detached = true;
    }

    /// Its writer has ended.
    pub(crate) fn ended(&mut self, now: Instant) {
        match self.feed.accounts().end {
            Some(End::Failed(cause)) if !self.over => self.fail_or_retry(cause.trouble(), now),
            _ => self.over = true,
        }
    }

    fn fail_or_retry(&mut self, trouble: Trouble, now: Instant) {
        let written = self.feed.accounts().written;
        if self.kind.can_be_reopened() && self.retry.plan(written, trouble.clone()) {
            if self.child.is_none() || self.exit.is_some() {
                self.retry.count_down(now);
            }
        } else {
            self.fail(trouble);
        }
    }

    pub(crate) fn exited(&mut self, exit: std::io::Result<Exit>, now: Instant) {
        match exit {
            Ok(exit) => self.exit = Some(exit),
            Err(error) => {
                self.trouble.get_or_insert(error.into());
                self.child = None;
            }
        }
        // Two of a command never run at the same time.
        self.retry.count_down(now);
    }

    /// What is to be said of a failure that is not the end: once.
    pub(crate) fn setback(&mut self) -> Option<String> {
        let trouble = self.retry.take_news()?;
        let accounts = self.feed.accounts();
        let mut said = format!(
            "'{}' will be opened again: {}; it got {} bytes",
            self.name, trouble.message, accounts.written
        );
        if accounts.unread > 0 {
            said += &format!(", {} of them died unread with a reader", accounts.unread);
        }
        Some(said)
    }

    /// Whether more data can reach it.
    pub(crate) fn takes_data(&self) -> bool {
        !self.over
    }

    /// Whether its reader is waited for after the end of the input: for a time of its
    /// own, or because everything waits for this sink.
    pub(crate) fn is_patient(&self) -> bool {
        self.connect_timeout.is_some() || self.feed.on_full() == OnFull::Wait
    }

    /// Whether nothing more is going to happen to it. The command of a detached
    /// sink is let go as well. True for the first time: says so once.
    pub(crate) fn settles(&mut self) -> bool {
        let settles = self.settled_at.is_none() && !self.takes_data() && !self.waits_for_command();
        if settles {
            self.settled_at = Some(Instant::now());
        }
        settles
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.settled_at.is_some()
    }

    /// Whether the others need not go on without it.
    pub(crate) fn is_missed(&self) -> bool {
        self.required && self.over && (self.trouble.is_some() || self.detached)
    }

    fn waits_for_command(&self) -> bool {
        self.child.is_some() && self.exit.is_none() && !self.detached
    }
}

/// How it stands.
impl Sink {
    pub(crate) fn state(&self, read: u64) -> SinkState<'_> {
        let Accounts {
            written,
            unsent,
            stalled_for,
            ..
        } = self.feed.accounts();
        let phase = if self.is_settled() {
            Phase::Over(self.fate(&self.feed.accounts(), read).word())
        } else if self.retry.is_planned() {
            Phase::Retrying
        } else if self.awaited {
            Phase::Awaited
        } else {
            Phase::Running
        };
        SinkState {
            name: &self.name,
            phase,
            written,
            queued: unsent,
            stalled_for,
        }
    }

    /// In the end, `read` bytes having been read.
    pub(crate) fn report(&self, read: u64, since: Instant) -> SinkReport {
        let accounts = self.feed.accounts();
        let accepted = accounts.written + accounts.unsent + accounts.in_doubt;
        SinkReport {
            name: self.name.clone(),
            kind: self.kind,
            buffer: self.buffer,
            fate: self.fate(&accounts, read),
            trouble: self.trouble.clone(),
            exit: self.exit,
            accepted,
            written: accounts.written,
            dropped: read.saturating_sub(accepted),
            unsent: accounts.unsent,
            in_doubt: accounts.in_doubt,
            unread: accounts.unread,
            spliced: accounts.spliced,
            retries: self.retry.count(),
            stalled: accounts.stalled,
            duration: self.settled_at.unwrap_or_else(Instant::now) - since,
        }
    }

    fn fate(&self, accounts: &Accounts, read: u64) -> Fate {
        if self.trouble.is_some() {
            return Fate::Failed;
        }
        if self.detached {
            return Fate::Detached;
        }
        if !matches!(accounts.end, Some(End::Closed)) {
            return Fate::Stopped;
        }
        let exited_well = self.child.is_none() || self.exit == Some(Exit::Status(0));
        if !exited_well {
            return if self.exit.is_some() && !self.terminated {
                Fate::Failed
            } else {
                Fate::Stopped
            };
        }
        if accounts.unread + accounts.in_doubt > 0 {
            Fate::Lost
        } else if accounts.written < read {
            Fate::Dropped
        } else {
            Fate::Complete
        }
    }
}
