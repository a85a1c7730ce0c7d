//! A loop of blocking writes: what the system can do, and the reference.

use std::io::{self, Write};

use bytes::Bytes;

use super::{Call, Contender, Many, Source, Stream};
use crate::os::{Blocking, Pipe};

pub(crate) const CONTENDER: Contender = Contender {
    name: super::RAW,
    stream: |pipe| Ok(Box::new(Raw(pipe.blocking()?))),
    prompt: true,
    call: Some(|pipe| Ok(Box::new(Raw(pipe.blocking()?)))),
    many: Some(many),
    most: usize::MAX,
};

struct Raw(Blocking);

impl Stream for Raw {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.0.write_all(message)?;
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

impl Call for Raw {
    fn call(&mut self, message: &Bytes) -> io::Result<()> {
        self.0.write_all(message)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// One pipe after the other, round after round.
fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let pipes: io::Result<Vec<_>> = pipes.into_iter().map(Pipe::blocking).collect();
    let mut pipes = pipes?;
    Ok(Box::new(move |chunk, chunks| {
        for _ in 0..chunks {
            for pipe in &mut pipes {
                pipe.write_all(chunk)?;
            }
        }
        Ok(())
    }))
}
