//! One thread that has the system write, and hears when it has: of all pipes through one
//! io_uring on Linux, through one completion port on Windows.

use std::io;
use std::iter;

#[cfg(target_os = "linux")]
use super::LeftOut;
use super::{Contender, Many, Source, Stream};
use crate::os::{COMPLETIONS, Completions, Pipe};

/// How much a stream may queue before it waits.
const BOUND: usize = 1 << 20;

pub(crate) const CONTENDER: Contender = Contender {
    name: COMPLETIONS,
    stream: |pipe| Ok(Box::new(open(vec![pipe])?)),
    prompt: true,
    // Handing it a message from another thread takes a queue and a way to wake the
    // thread, which would be somebody's own.
    call: None,
    many: Some(many),
    most: usize::MAX,
};

/// It is, if the kernel refuses a ring: it is too old, or the process may not have one.
#[cfg(target_os = "linux")]
pub(crate) fn left_out() -> Option<LeftOut> {
    let refused = Completions::new(Vec::new()).err()?;
    Some(LeftOut {
        name: CONTENDER.name,
        why: format!("the kernel refuses a ring: {refused}"),
    })
}

fn open(pipes: Vec<Pipe>) -> io::Result<Completions> {
    let pipes: io::Result<_> = pipes.into_iter().map(Pipe::into_handle).collect();
    Completions::new(pipes?)
}

impl Stream for Completions {
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
    let mut completions = open(pipes)?;
    Ok(Box::new(move |chunk, chunks| {
        for n in 0..count {
            completions.queue(n, iter::repeat_n(chunk.clone(), chunks))?;
        }
        completions.flush()
    }))
}
