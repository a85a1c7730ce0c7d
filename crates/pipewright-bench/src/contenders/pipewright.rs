//! Pipewright. Messages that it would copy anyway are given as slices, larger ones as
//! shared memory.

use std::io;

use ::pipewright::{CloseError, JOIN_MAX, PipeWriter, SendTimeoutError};
use bytes::Bytes;

use super::{Call, Contender, LONG, Many, Source, Stream};
use crate::os::Pipe;

/// Enough for all that a caller sends while its reader stalls.
const STALLED: u64 = 64 << 20;

pub(crate) const CONTENDER: Contender = Contender {
    name: "pipewright",
    stream: |pipe| Ok(Box::new(Writer(PipeWriter::new(pipe.into_handle()?)?))),
    prompt: true,
    call: Some(|pipe| {
        let builder = PipeWriter::builder().capacity(STALLED);
        Ok(Box::new(Writer(builder.build(pipe.into_handle()?)?)))
    }),
    many: Some(many),
    most: usize::MAX,
};

struct Writer(PipeWriter);

impl Stream for Writer {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            if message.len() <= JOIN_MAX && self.0.try_send_slice(message).is_ok() {
                continue;
            }
            send(&self.0, message)?;
        }
        self.0.flush_timeout(LONG).map_err(io::Error::other)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        close(&self.0)
    }
}

impl Call for Writer {
    fn call(&mut self, message: &Bytes) -> io::Result<()> {
        let sent = self.0.try_send_slice(message);
        sent.map(drop).map_err(io::Error::other)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        close(&self.0)
    }
}

/// Waits for room.
fn send(writer: &PipeWriter, message: &Bytes) -> io::Result<()> {
    let sent = writer.send_timeout(message.clone(), LONG);
    sent.map(drop)
        .map_err(|refused: SendTimeoutError| io::Error::other(refused))
}

fn close(writer: &PipeWriter) -> io::Result<()> {
    let closed = writer.close_timeout(LONG);
    closed
        .map(drop)
        .map_err(|error: CloseError| io::Error::other(error.to_string()))
}

fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let open = |pipe: Pipe| Ok(PipeWriter::new(pipe.into_handle()?)?);
    let writers: io::Result<Vec<_>> = pipes.into_iter().map(open).collect();
    let writers = writers?;
    Ok(Box::new(move |chunk, chunks| {
        for writer in &writers {
            for _ in 0..chunks {
                send(writer, chunk)?;
            }
        }
        // First all, then wait for each.
        writers.iter().for_each(PipeWriter::finish);
        writers.iter().try_for_each(close)
    }))
}
