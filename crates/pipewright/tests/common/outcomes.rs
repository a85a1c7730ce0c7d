//! How writers end, and what those who wait are told of it.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

use pipewright::{Ended, Outcome, PipeError, PipeWriter, WaitError};
use rustix::io::Errno;

use super::data::stream;
use super::ends::full_pipe;

#[track_caller]
pub(crate) fn assert_broken(outcome: &Outcome) {
    match outcome {
        Outcome::Failed(error) => {
            assert_eq!(error.raw_os_error(), Some(Errno::PIPE.raw_os_error()));
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn ended(waited: Result<(), WaitError>) -> Outcome {
    match waited {
        Err(WaitError::Ended(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

/// The outcome inside an `io::Error`.
pub(crate) fn of_io(error: io::Error) -> Outcome {
    let inner = error.into_inner().unwrap();
    if let Some(error) = inner.downcast_ref::<PipeError>() {
        return Outcome::Failed(error.clone());
    }
    inner.downcast_ref::<Ended>().unwrap().0.clone()
}

/// A stalled writer with nothing free, and what its callback was told last.
pub(crate) fn full_writer() -> (PipeWriter, File, Arc<Mutex<Vec<Option<Outcome>>>>) {
    let (reader, pipe, _) = full_pipe();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tells = Arc::clone(&told);
    let writer = PipeWriter::builder()
        .capacity(100)
        .on_progress(move |progress| tells.lock().unwrap().push(progress.outcome))
        .build(pipe)
        .unwrap();
    writer.try_send(stream(0, 100)).unwrap();
    (writer, reader, told)
}
