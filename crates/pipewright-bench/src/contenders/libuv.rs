//! libuv: a request for each message, and a turn of its loop now and then. Without its
//! library it is left out.

use std::io;

use super::{Contender, LeftOut, Many, Source, Stream};
use crate::os::{Pipe, Uv, UvLoop};

/// How much a stream may queue before it waits.
const BOUND: usize = 1 << 20;

/// While so many requests are not over, the loop has a turn after each, in which it tells
/// of those that are. A program whose own work is done by the loop has some between its
/// turns, too.
const TURN: usize = 64;

pub(crate) const CONTENDER: Contender = Contender {
    name: "libuv",
    stream: |pipe| Ok(Box::new(open(vec![pipe])?)),
    prompt: true,
    // Handing it a message from another thread takes a queue and a `uv_async_t`, which
    // would be somebody's own.
    call: None,
    many: Some(many),
    most: usize::MAX,
};

pub(crate) fn left_out() -> Option<LeftOut> {
    let why = Uv::load().err()?;
    Some(LeftOut {
        name: CONTENDER.name,
        why: why.to_string(),
    })
}

fn open(pipes: Vec<Pipe>) -> io::Result<UvLoop> {
    let pipes: io::Result<_> = pipes.into_iter().map(Pipe::into_handle).collect();
    UvLoop::new(Uv::load()?, pipes?)
}

impl Stream for UvLoop {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.write(0, vec![message.clone()])?;
            if self.on_their_way() >= TURN {
                self.turn()?;
            }
            while self.left(0) > BOUND {
                self.wait()?;
            }
        }
        self.flush()
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        UvLoop::close(*self)
    }
}

/// All chunks of a pipe in one request, which gathers them.
fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let count = pipes.len();
    let mut all = open(pipes)?;
    Ok(Box::new(move |chunk, chunks| {
        for n in 0..count {
            all.write(n, vec![chunk.clone(); chunks])?;
        }
        all.close()
    }))
}
