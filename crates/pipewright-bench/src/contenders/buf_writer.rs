//! `std::io::BufWriter` of 64 KiB around a blocking pipe: messages are joined, and go
//! out when the buffer is full. Nothing goes out while nothing is sent, so it is no
//! contender for latency.

use std::io::{self, BufWriter, Write};

use bytes::Bytes;

use super::{Call, Contender, Source, Stream};
use crate::os::{Blocking, Pipe};

const BUFFER: usize = 64 * 1024;

pub(crate) const CONTENDER: Contender = Contender {
    name: "BufWriter",
    stream: |pipe| Ok(Box::new(Buffered::new(pipe)?)),
    prompt: false,
    call: Some(|pipe| Ok(Box::new(Buffered::new(pipe)?))),
    many: None,
    most: 1,
};

struct Buffered(BufWriter<Blocking>);

impl Buffered {
    fn new(pipe: Pipe) -> io::Result<Self> {
        Ok(Buffered(BufWriter::with_capacity(BUFFER, pipe.blocking()?)))
    }
}

impl Stream for Buffered {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.0.write_all(message)?;
        }
        self.0.flush()
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl Call for Buffered {
    fn call(&mut self, message: &Bytes) -> io::Result<()> {
        self.0.write_all(message)
    }

    fn close(mut self: Box<Self>) -> io::Result<()> {
        self.0.flush()
    }
}
