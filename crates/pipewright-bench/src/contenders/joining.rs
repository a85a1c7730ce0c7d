//! A thread that joins messages, by hand: senders append to a buffer, and the thread
//! takes it as a whole, writes it, and leaves the one before in its place.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::{Call, Contender, Source, Stream};
use crate::os::Pipe;

/// How much senders may append before they wait.
const BOUND: usize = 1 << 20;

pub(crate) const CONTENDER: Contender = Contender {
    name: "joining",
    stream: |pipe| Ok(Box::new(Joining::new(pipe, BOUND))),
    prompt: true,
    call: Some(|pipe| Ok(Box::new(Joining::new(pipe, usize::MAX)))),
    // One thread for each pipe, as the channel has.
    many: None,
    most: 1,
};

struct Joining {
    shared: Arc<Shared>,
    bound: usize,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// The thread writes what it took.
    writing: bool,
    /// It waits for something to write.
    idle: bool,
    /// A sender waits for room, or for all to be written.
    waiting: bool,
    closed: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, pipe: Pipe) -> io::Result<()> {
        let mut pipe = pipe.blocking()?;
        let mut taken = Vec::new();
        let mut state = self.lock();
        loop {
            while state.buffer.is_empty() && !state.closed {
                state.idle = true;
                state = self.wait(state);
                state.idle = false;
            }
            if state.buffer.is_empty() {
                return Ok(());
            }
            std::mem::swap(&mut taken, &mut state.buffer);
            state.writing = true;
            self.tell_waiting(&mut state);
            drop(state);
            pipe.write_all(&taken)?;
            taken.clear();
            state = self.lock();
            state.writing = false;
            self.tell_waiting(&mut state);
        }
    }

    fn tell_waiting(&self, state: &mut State) {
        if std::mem::take(&mut state.waiting) {
            self.changed.notify_all();
        }
    }
}

impl Joining {
    fn new(pipe: Pipe, bound: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let writing = Arc::clone(&shared);
        Joining {
            shared,
            bound,
            thread: thread::spawn(move || writing.write(pipe)),
        }
    }

    fn append(&self, message: &Bytes) {
        let mut state = self.shared.lock();
        while state.buffer.len() >= self.bound {
            state.waiting = true;
            state = self.shared.wait(state);
        }
        state.buffer.extend_from_slice(message);
        // Once: it may take a while to wake up.
        if std::mem::take(&mut state.idle) {
            self.shared.changed.notify_all();
        }
    }

    fn finish(self) -> io::Result<()> {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
        super::joined(self.thread)
    }
}

impl Stream for Joining {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.append(message);
        }
        let mut state = self.shared.lock();
        while state.writing || !state.buffer.is_empty() {
            state.waiting = true;
            state = self.shared.wait(state);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        self.finish()
    }
}

impl Call for Joining {
    fn call(&mut self, message: &Bytes) -> io::Result<()> {
        self.append(message);
        Ok(())
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        self.finish()
    }
}
