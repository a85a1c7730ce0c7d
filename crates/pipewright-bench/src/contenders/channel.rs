//! A thread behind a channel of the standard library, as one writes it in ten lines: a
//! blocking write for each message.

use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::{Call, Contender, Many, Source, Stream};
use crate::os::Pipe;

/// Messages in the channel of a stream: as much as 64-byte messages that fill 1 MiB.
const BOUND: usize = 16 * 1024;
/// Chunks in the channel of each of many pipes.
const BOUND_OF_MANY: usize = 64;
/// The stack of each of many threads.
const STACK: usize = 64 * 1024;

pub(crate) const CONTENDER: Contender = Contender {
    name: "channel",
    stream: |pipe| {
        let (messages, sent) = mpsc::sync_channel(BOUND);
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || write(pipe, sent, Some(tell)));
        Ok(Box::new(Streaming {
            messages,
            told,
            thread,
        }))
    },
    prompt: true,
    call: Some(|pipe| {
        // Unbounded: the caller does not wait.
        let (messages, sent) = mpsc::channel();
        let thread = thread::spawn(move || write(pipe, sent, None));
        Ok(Box::new(Calling { messages, thread }))
    }),
    many: Some(many),
    most: 1000,
};

/// Writes each message. An empty one asks to be told when it is reached.
fn write(pipe: Pipe, sent: Receiver<Bytes>, tell: Option<Sender<()>>) -> io::Result<()> {
    let mut pipe = pipe.blocking()?;
    for message in sent {
        match &tell {
            // Whoever asked and went away need not be told.
            Some(tell) if message.is_empty() => drop(tell.send(())),
            _ => pipe.write_all(&message)?,
        }
    }
    Ok(())
}

struct Streaming {
    messages: SyncSender<Bytes>,
    told: Receiver<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Stream for Streaming {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.messages
                .send(message.clone())
                .map_err(io::Error::other)?;
        }
        self.messages.send(Bytes::new()).map_err(io::Error::other)?;
        self.told.recv().map_err(io::Error::other)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        drop(self.messages);
        super::joined(self.thread)
    }
}

struct Calling {
    messages: Sender<Bytes>,
    thread: JoinHandle<io::Result<()>>,
}

impl Call for Calling {
    fn call(&mut self, message: &Bytes) -> io::Result<()> {
        // The caller keeps its message, as with all others.
        self.messages
            .send(Bytes::copy_from_slice(message))
            .map_err(io::Error::other)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        drop(self.messages);
        super::joined(self.thread)
    }
}

/// A thread for each pipe.
fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let start = |pipe: Pipe| {
        let (messages, sent) = mpsc::sync_channel::<Bytes>(BOUND_OF_MANY);
        let builder = thread::Builder::new().stack_size(STACK);
        Ok((messages, builder.spawn(move || write(pipe, sent, None))?))
    };
    let threads: io::Result<Vec<_>> = pipes.into_iter().map(start).collect();
    let threads = threads?;
    Ok(Box::new(move |chunk, chunks| {
        for _ in 0..chunks {
            for (messages, _) in &threads {
                messages.send(chunk.clone()).map_err(io::Error::other)?;
            }
        }
        let (senders, threads): (Vec<_>, Vec<_>) = threads.into_iter().unzip();
        drop(senders);
        threads.into_iter().try_for_each(super::joined)
    }))
}
