//! One sink: its writer, its command, and how it ended.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use pipewright::{AttachError, Builder, Outcome, PipeWriter, Progress};

use crate::args::PlannedSink;
use crate::copy::Lane;
use crate::event::Event;
use crate::os::{Child, CreatedFifo, Exit, Kind, Opener, Opening, Pipe, Trouble};
use crate::report::{Fate, SinkReport};
use crate::spec::{OnFull, Target};

pub(crate) struct Sink {
    index: usize,
    name: String,
    kind: Kind,
    on_full: OnFull,
    buffer: u64,
    /// `None`: it could not be opened.
    writer: Option<PipeWriter>,
    /// Waits for its reader.
    awaited: bool,
    /// To be started once all sinks are there.
    opening: Option<Opening>,
    child: Option<Child>,
    exit: Option<Exit>,
    created: Option<CreatedFifo>,
    /// The writer's final accounts.
    end: Option<Progress>,
    /// Why it failed, where the writer does not know.
    trouble: Option<Trouble>,
    detached: bool,
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
        let mut sink = Sink {
            index,
            name: planned.spec.name.clone(),
            kind: kind_by_word(&planned.spec.target),
            on_full: planned.on_full,
            buffer: planned.buffer.get(),
            writer: None,
            awaited: false,
            opening: None,
            child: None,
            exit: None,
            created: None,
            end: None,
            trouble: None,
            detached: false,
            terminated: false,
            settled_at: None,
        };
        if let Err(trouble) = sink.try_open(&planned.spec.target, opener, events) {
            sink.fail(trouble);
        }
        sink
    }

    fn try_open(
        &mut self,
        target: &Target,
        opener: &mut Opener,
        events: &Sender<Event>,
    ) -> Result<(), Trouble> {
        let opened = opener.open(target, &self.name)?;
        self.kind = opened.kind;
        self.child = opened.child;
        self.created = opened.created;
        let builder = self.builder(events.clone());
        self.writer = Some(match opened.pipe {
            Pipe::Open { handle, sole_owner } => builder
                .sole_owner(sole_owner)
                .build(handle)
                .map_err(unfit)?,
            Pipe::Awaited(opening) => {
                self.awaited = true;
                self.opening = Some(opening);
                builder.sole_owner(true).unattached()?
            }
        });
        Ok(())
    }

    fn builder(&self, events: Sender<Event>) -> Builder {
        let index = self.index;
        PipeWriter::builder()
            .name(&self.name)
            .capacity(self.buffer)
            // Nothing goes on behind our back.
            .linger(Duration::ZERO)
            .on_progress(move |progress| {
                if progress.outcome.is_some() {
                    let _ = events.send(Event::Ended(index, progress));
                }
            })
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
        if let (Some(opening), Some(writer)) = (self.opening.take(), self.writer.clone()) {
            let events = events.clone();
            let connect = move || {
                let attached = opening().and_then(|handle| writer.attach(handle).map_err(unfit));
                let event = match attached {
                    Ok(()) => Event::Connected(index),
                    // It was stopped meanwhile, which is no trouble.
                    Err(_) if writer.progress().outcome.is_some() => return,
                    Err(trouble) => Event::NotConnected(index, trouble),
                };
                let _ = events.send(event);
            };
            thread::Builder::new()
                .name("connect".into())
                .spawn(connect)?;
        }
        Ok(())
    }

    pub(crate) fn lane(&self, events: &Sender<Event>) -> Option<Lane> {
        let writer = self.writer.clone()?;
        self.takes_data().then(|| {
            Lane::new(
                self.index,
                writer,
                self.on_full,
                self.buffer,
                events.clone(),
            )
        })
    }
}

/// What is done with it.
impl Sink {
    /// No more will come. A sink that still waits for its reader is left open, so
    /// that the reader finds somebody there even if there is nothing to read;
    /// unless there is no time for that.
    pub(crate) fn finish(&self, in_haste: bool) {
        if let Some(writer) = &self.writer
            && (in_haste || !self.awaited)
        {
            writer.finish();
        }
    }

    /// What is not written yet will not be, and its command is to end.
    pub(crate) fn stop(&mut self) {
        if let Some(writer) = &self.writer {
            writer.cancel();
        }
        if let (Some(child), None, false) = (&self.child, self.exit, self.detached) {
            self.terminated = true;
            child.terminate();
        }
    }

    pub(crate) fn fail(&mut self, trouble: Trouble) {
        // A writer that has ended already has said why.
        if self.end.is_none() {
            self.trouble.get_or_insert(trouble);
        }
        self.awaited = false;
        if let Some(writer) = &self.writer {
            writer.cancel();
        }
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

    pub(crate) fn detached(&mut self) {
        self.detached = true;
    }

    pub(crate) fn ended(&mut self, end: Progress) {
        self.end = Some(end);
    }

    pub(crate) fn exited(&mut self, exit: std::io::Result<Exit>) {
        match exit {
            Ok(exit) => self.exit = Some(exit),
            Err(error) => {
                self.trouble.get_or_insert(error.into());
                self.child = None;
            }
        }
    }

    /// Whether more data can reach it.
    pub(crate) fn takes_data(&self) -> bool {
        self.writer.is_some() && self.end.is_none()
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

    fn waits_for_command(&self) -> bool {
        self.child.is_some() && self.exit.is_none() && !self.detached
    }

    /// How it stands, `read` bytes having been read.
    pub(crate) fn report(&self, read: u64, since: Instant) -> SinkReport {
        let accounts = match (&self.end, &self.writer) {
            (Some(end), _) => Some(end.clone()),
            (None, Some(writer)) => Some(writer.progress()),
            (None, None) => None,
        };
        let count = |of: fn(&Progress) -> u64| accounts.as_ref().map_or(0, of);
        let accepted = count(|progress| progress.accepted);
        let dropped = read.saturating_sub(accepted);
        let (fate, trouble) = self.fate(dropped);
        SinkReport {
            name: self.name.clone(),
            kind: self.kind,
            buffer: self.buffer,
            fate,
            trouble,
            exit: self.exit,
            accepted,
            written: count(|progress| progress.written),
            dropped,
            unsent: count(|progress| progress.queued),
            in_doubt: count(|progress| progress.in_doubt + progress.in_flight),
            duration: self.settled_at.unwrap_or_else(Instant::now) - since,
        }
    }

    fn fate(&self, dropped: u64) -> (Fate, Option<Trouble>) {
        if let Some(trouble) = &self.trouble {
            return (Fate::Failed, Some(trouble.clone()));
        }
        let outcome = self.end.as_ref().and_then(|end| end.outcome.as_ref());
        if let Some(Outcome::Failed(error)) = outcome {
            let trouble = match error.raw_os_error() {
                Some(code) => std::io::Error::from_raw_os_error(code).into(),
                None => Trouble::own(error.to_string()),
            };
            return (Fate::Failed, Some(trouble));
        }
        if self.detached {
            return (Fate::Detached, None);
        }
        let exited_well = self.child.is_none() || self.exit == Some(Exit::Status(0));
        let fate = match outcome {
            Some(Outcome::Closed) if exited_well && dropped > 0 => Fate::Dropped,
            Some(Outcome::Closed) if exited_well => Fate::Complete,
            Some(Outcome::Closed) if self.exit.is_some() && !self.terminated => Fate::Failed,
            _ => Fate::Stopped,
        };
        (fate, None)
    }
}

/// As far as it can be told without opening.
fn kind_by_word(target: &Target) -> Kind {
    match target {
        Target::Stdout => Kind::Stdout,
        Target::Path(_) => Kind::File,
        Target::Exec(_) => Kind::Exec,
        Target::Unix(_) => Kind::Unix,
        Target::Listen(_) => Kind::Listen,
    }
}

/// A handle that cannot be written to.
fn unfit(error: AttachError) -> Trouble {
    Trouble {
        message: error.error().to_string(),
        os_error: error.error().raw_os_error(),
    }
}
