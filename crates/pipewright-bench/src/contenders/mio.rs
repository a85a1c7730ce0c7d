//! mio: non-blocking writes, and a poll whenever the pipe is full.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use ::mio::unix::SourceFd;
use ::mio::{Events, Interest, Poll, Token};
use rustix::fs::{OFlags, fcntl_setfl};

use super::{Contender, Many, Source, Stream};
use crate::os::Pipe;

pub(crate) const CONTENDER: Contender = Contender {
    name: "mio",
    stream: |pipe| Ok(Box::new(Loop::new(vec![pipe])?)),
    prompt: true,
    // Handing it a message from another thread takes a queue and a waker, which would
    // be somebody's own.
    call: None,
    many: Some(many),
    most: usize::MAX,
};

struct Loop {
    poll: Poll,
    events: Events,
    pipes: Vec<File>,
}

impl Loop {
    fn new(pipes: Vec<Pipe>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let pipes: io::Result<Vec<_>> = pipes.into_iter().map(Pipe::blocking).collect();
        let pipes = pipes?;
        for (n, pipe) in pipes.iter().enumerate() {
            fcntl_setfl(pipe, OFlags::NONBLOCK)?;
            let source = &mut SourceFd(&pipe.as_raw_fd());
            poll.registry()
                .register(source, Token(n), Interest::WRITABLE)?;
        }
        Ok(Loop {
            poll,
            events: Events::with_capacity(1024),
            pipes,
        })
    }
}

impl Stream for Loop {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            let mut written = 0;
            while written < message.len() {
                match self.pipes[0].write(&message[written..]) {
                    Ok(n) => written += n,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.poll.poll(&mut self.events, None)?;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// Each pipe is written to until it is full, whenever it is reported.
fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let mut all = Loop::new(pipes)?;
    Ok(Box::new(move |chunk, chunks| {
        let mut left = vec![chunks * chunk.len(); all.pipes.len()];
        let mut open = left.len();
        while open > 0 {
            all.poll.poll(&mut all.events, None)?;
            for event in &all.events {
                let Token(n) = event.token();
                while left[n] > 0 {
                    let at = (chunk.len() - left[n] % chunk.len()) % chunk.len();
                    match all.pipes[n].write(&chunk[at..]) {
                        Ok(written) => left[n] -= written,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(error) => return Err(error),
                    }
                    open -= usize::from(left[n] == 0);
                }
            }
        }
        Ok(())
    }))
}
