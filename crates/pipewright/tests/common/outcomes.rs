//! How writers end, and what those who wait are told of it.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex};

use pipewright::{Ended, Outcome, PipeError, PipeWriter, WaitError};

use super::data::stream;
use super::ends::full_pipe;

/// The error numbers of a write that has no reader any more: `EPIPE`.
#[cfg(unix)]
const BROKEN: [i32; 1] = [rustix::io::Errno::PIPE.raw_os_error()];

/// The error numbers of a write that has no reader any more: `ERROR_BROKEN_PIPE`,
/// `ERROR_NO_DATA`, `ERROR_PIPE_NOT_CONNECTED`.
#[cfg(windows)]
const BROKEN: [i32; 3] = [109, 232, 233];

/// The writer failed because its reader is gone; gives the error.
#[track_caller]
pub(crate) fn assert_broken(outcome: &Outcome) -> &PipeError {
    match outcome {
        Outcome::Failed(error) => {
            let code = error.raw_os_error().unwrap();
            assert!(BROKEN.contains(&code), "{error}");
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
            error
        }
        other => panic!("{other:?}"),
    }
}

/// What the system says about an error of this number, for people.
pub(crate) fn text_of(code: i32) -> String {
    let text = io::Error::from_raw_os_error(code).to_string();
    text.split(" (os error").next().unwrap().to_owned()
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
