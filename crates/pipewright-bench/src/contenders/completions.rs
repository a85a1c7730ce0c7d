//! io_uring: gathering writes that wait in the kernel, on one thread, which starts those
//! of all pipes with one system call.

use std::io;
use std::iter;

use super::{Contender, LeftOut, Many, Source, Stream};
use crate::os::{Pipe, Ring};

/// How much a stream may queue before it waits.
const BOUND: usize = 1 << 20;

pub(crate) const CONTENDER: Contender = Contender {
    name: "io_uring",
    stream: |pipe| Ok(Box::new(open(vec![pipe])?)),
    prompt: true,
    // Handing it a message from another thread takes a queue and a way to wake the
    // thread, which would be somebody's own.
    call: None,
    many: Some(many),
    most: usize::MAX,
};

/// It is, if the kernel refuses a ring: it is too old, or the process may not have one.
pub(crate) fn left_out() -> Option<LeftOut> {
    let refused = Ring::new(Vec::new()).err()?;
    Some(LeftOut {
        name: CONTENDER.name,
        why: format!("the kernel refuses a ring: {refused}"),
    })
}

fn open(pipes: Vec<Pipe>) -> io::Result<Ring> {
    let pipes: io::Result<_> = pipes.into_iter().map(Pipe::into_handle).collect();
    Ring::new(pipes?)
}

impl Stream for Ring {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.queue(0, [message.clone()])?;
            self.submit()?;
            while self.left(0) > BOUND {
                self.wait()?;
            }
        }
        self.flush()
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let count = pipes.len();
    let mut ring = open(pipes)?;
    Ok(Box::new(move |chunk, chunks| {
        for n in 0..count {
            ring.queue(n, iter::repeat_n(chunk.clone(), chunks))?;
        }
        ring.flush()
    }))
}
