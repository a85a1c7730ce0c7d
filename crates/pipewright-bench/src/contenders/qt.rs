//! Qt's pipe writer, as its sockets and processes use it when they wait: a write for
//! each message, and a look at its event when too much is queued. Its library is given
//! on the command line; without it, Qt is left out.

use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use bytes::Bytes;

use super::{Call, Contender, LeftOut, Many, Source, Stream};
use crate::os::{Library, Pipe, Writer};

/// How much may be queued before a stream waits.
const BOUND: i64 = 1 << 20;

/// Where a trial finds the path of the library.
const PATH: &str = "PIPEWRIGHT_BENCH_QT6CORE";

/// What was given to the process that starts the trials.
static GIVEN: OnceLock<PathBuf> = OnceLock::new();

pub(crate) const CONTENDER: Contender = Contender {
    name: "Qt",
    stream: |pipe| Ok(Box::new(open(library()?, pipe)?)),
    prompt: true,
    // It does not wait: its queue has no bound.
    call: Some(|pipe| Ok(Box::new(open(library()?, pipe)?))),
    many: Some(many),
    most: usize::MAX,
};

/// Makes it a contender, if it can be loaded.
pub(crate) fn give(path: &Path) -> io::Result<()> {
    Library::load(path)?;
    // Only one path can be given on a command line.
    GIVEN.get_or_init(|| path.to_owned());
    Ok(())
}

/// Tells a trial where it is.
pub(crate) fn pass_on(trial: &mut Command) {
    if let Some(path) = GIVEN.get() {
        trial.env(PATH, path);
    }
}

pub(crate) fn left_out() -> Option<LeftOut> {
    let left_out = LeftOut {
        name: CONTENDER.name,
        why: "its Qt6Core.dll was not given (--qt6core)".into(),
    };
    GIVEN.get().is_none().then_some(left_out)
}

fn library() -> io::Result<Library> {
    let path = env::var_os(PATH).ok_or(io::ErrorKind::NotFound)?;
    Library::load(Path::new(&path))
}

fn open(library: Library, pipe: Pipe) -> io::Result<Writer> {
    Ok(Writer::new(library, pipe.into_handle()?))
}

impl Stream for Writer {
    fn feed(&mut self, source: &mut dyn Source) -> io::Result<()> {
        while let Some(message) = source.next()? {
            self.write(message)?;
            self.wait_until_left(BOUND)?;
        }
        self.wait_until_left(0)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Writer::close(*self)
    }
}

impl Call for Writer {
    fn call(&mut self, message: &Bytes) -> io::Result<()> {
        self.write(message)
    }

    fn close(self: Box<Self>) -> io::Result<()> {
        Writer::close(*self)
    }
}

fn many(pipes: Vec<Pipe>) -> io::Result<Many> {
    let library = library()?;
    let writers: io::Result<Vec<_>> = pipes.into_iter().map(|pipe| open(library, pipe)).collect();
    let mut writers = writers?;
    Ok(Box::new(move |chunk, chunks| {
        for writer in &mut writers {
            for _ in 0..chunks {
                writer.write(chunk)?;
            }
        }
        // First all, then wait for each.
        writers.into_iter().try_for_each(Writer::close)
    }))
}
