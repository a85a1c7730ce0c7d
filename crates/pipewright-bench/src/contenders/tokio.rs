//! tokio, on a runtime of one thread: its pipe (on Windows its named pipe), a write
//! for each message.

use std::io;
use std::thread::{self, JoinHandle};

use ::tokio::io::AsyncWriteExt;
use ::tokio::runtime::{Builder, Runtime};
use ::tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use bytes::Bytes;

use super::{Call, Contender, Many, Source, Stream};
use crate::os::Pipe;

pub(crate) const CONTENDER: Contender = Contender {
    name: "tokio",
    stream: |pipe| {
        let runtime = runtime()?;
        let sender = runtime.block_on(open(pipe))?;
        Ok(Box::new(Task { runtime, sender }))
    },
    prompt: true,
    call: Some(call),
    many: Some(many),
    most: usize::MAX,
};

#[cfg(unix)]
type Sender = ::tokio::net::unix::pipe::Sender;
#[cfg(windows)]
type Sender = ::tokio::net::windows::named_pipe::NamedPipeServer;

#[cfg(unix)]
async fn open(pipe: Pipe) -> io::Result<Sender> {
    Sender::from_owned_fd(pipe.into_handle()?)
}

#[cfg(windows)]
async fn open(pipe: Pipe) -> io::Result<Sender> {
    let mut options = ::tokio::net::windows::named_pipe::ServerOptions::new();
    let server = options
        .access_inbound(false)
        .out_buffer_size(pipe.size)
        .create(&pipe.name)?;
    server.connect().await?;
    Ok(server)
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

struct Task {
    runtime: Runtime,
    sender: Sender,
}

impl Stream for Task {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        let sender = &mut self.sender;
        self.runtime.block_on(async {
            while let Some(message) = source.next()? {
                sender.write_all(message).await?;
            }
            // On Windows a write is over before the system has it.
            sender.flush().await
        })
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// A task on a thread of its own, behind an unbounded channel.
struct Caller {
    messages: UnboundedSender<Bytes>,
    thread: JoinHandle<io::Result<()>>,
}

fn call(pipe: Pipe) -> io::Result<Box<dyn Call>> {
    let (messages, mut sent) = unbounded_channel::<Bytes>();
    let thread = thread::spawn(move || {
        runtime()?.block_on(async {
            let mut sender = open(pipe).await?;
            while let Some(message) = sent.recv().await {
                sender.write_all(&message).await?;
            }
            sender.flush().await
        })
    });
    Ok(Box::new(Caller { messages, thread }))
}

impl Call for Caller {
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

/// A task for each pipe.
fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let runtime = runtime()?;
    let senders: io::Result<Vec<_>> = runtime.block_on(async {
        let mut senders = Vec::with_capacity(pipes.len());
        for pipe in pipes {
            senders.push(open(pipe).await?);
        }
        Ok(senders)
    });
    let senders = senders?;
    Ok(Box::new(move |chunk, chunks| {
        let write = |mut sender: Sender| {
            let chunk = chunk.clone();
            runtime.spawn(async move {
                for _ in 0..chunks {
                    sender.write_all(&chunk).await?;
                }
                sender.flush().await
            })
        };
        let tasks: Vec<_> = senders.into_iter().map(write).collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.map_err(io::Error::other)??;
            }
            Ok(())
        })
    }))
}
