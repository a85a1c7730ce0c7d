//! async-io, as smol uses it: a non-blocking file and its reactor thread, driven from
//! one thread, a write for each message.

use std::fs::File;
use std::io;

use ::async_io::{Async, block_on};
use futures_lite::AsyncWriteExt;

use super::{Contender, Source, Stream};

pub(crate) const CONTENDER: Contender = Contender {
    name: "async-io",
    stream: |pipe| Ok(Box::new(Task(Async::new(pipe.blocking()?)?))),
    prompt: true,
    // It has no channel and no executor of its own: that would measure others.
    call: None,
    many: None,
    most: 1,
};

struct Task(Async<File>);

impl Stream for Task {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        block_on(async {
            while let Some(message) = source.next()? {
                self.0.write_all(message).await?;
            }
            Ok(())
        })
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}
