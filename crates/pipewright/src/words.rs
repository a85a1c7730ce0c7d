//! What errors and accounts say to people, word by word.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use pipewright_core::Failure;

use crate::error::{CloseError, Ended, SendError, SendTimeoutError, TrySendError, WaitError};
use crate::outcome::{Outcome, PipeError};
use crate::progress::{Summary, Unsent};

fn failed(failure: Failure) -> Outcome {
    Outcome::Failed(PipeError::new("log".into(), failure))
}

fn says(what: impl ToString, words: &str) {
    assert_eq!(what.to_string(), words);
}

#[test]
fn an_outcome_says_how_the_writer_ended() {
    says(Outcome::Closed, "closed");
    says(Outcome::Stopped, "stopped");
    let words = "writing to log failed: the system wrote 0 bytes and reported no error";
    says(failed(Failure::NoProgress), words);
    let words = "writing to log failed: the system took a message only in part";
    says(failed(Failure::PartialMessage), words);
    let system = io::Error::from_raw_os_error(5);
    let words = format!("writing to log failed: {system}");
    says(failed(Failure::Os(5)), &words);
}

#[test]
fn a_refused_send_says_that_nothing_was_sent_and_why() {
    let stopped = "nothing was sent: the writer was stopped";
    let full = TrySendError::Full(());
    assert!(full.is_full());
    says(full, "nothing was sent: the writer is full");
    let closed = TrySendError::Closed((), Outcome::Stopped);
    assert!(!closed.is_full());
    says(closed, stopped);
    let words = "nothing was sent: the writer was full all the time";
    says(SendTimeoutError::Timeout(()), words);
    says(SendTimeoutError::Closed((), Outcome::Stopped), stopped);
    says(SendError((), Outcome::Stopped), stopped);
    let error = SendError((), failed(Failure::PartialMessage));
    let words = "nothing was sent: writing to log failed: \
                 the system took a message only in part";
    says(error, words);
}

#[test]
fn a_wait_says_why_it_did_not_see_what_it_waited_for() {
    says(WaitError::Timeout, "the time was over first");
    says(WaitError::Ended(Outcome::Closed), "the writer was closed");
    let words = "the system cannot tell what the reader has read";
    says(WaitError::Unsupported, words);
}

#[test]
fn an_end_is_an_error_of_input_and_output_with_the_reason_inside() {
    let stopped: io::Error = Ended(Outcome::Stopped).into();
    assert_eq!(stopped.kind(), io::ErrorKind::BrokenPipe);
    says(stopped, "the writer was stopped");
    let failed: io::Error = Ended(failed(Failure::NoProgress)).into();
    assert_eq!(failed.kind(), io::ErrorKind::WriteZero);
    let inner = failed.get_ref().and_then(|error| error.downcast_ref());
    assert_eq!(inner.map(PipeError::pipe), Some("log"));
}

fn summary(in_doubt: u64, unsent: u64) -> Summary {
    Summary {
        pipe: Arc::from("log"),
        accepted: 5 + in_doubt + unsent,
        written: 5,
        in_doubt,
        unsent,
        outcome: Outcome::Stopped,
    }
}

#[test]
fn accounts_name_what_is_missing_and_nothing_else() {
    says(summary(0, 0), "log: stopped; 5 of 5 bytes written");
    says(
        summary(0, 2),
        "log: stopped; 5 of 7 bytes written, 2 unsent",
    );
    says(
        summary(3, 0),
        "log: stopped; 5 of 8 bytes written, 3 in doubt",
    );
    let words = "log: stopped; 5 of 10 bytes written, 2 unsent, 3 in doubt";
    says(summary(3, 2), words);
}

/// Bytes in so many pieces, with those before them that are in doubt.
fn unsent(pieces: &[&'static str]) -> Unsent {
    let pieces = pieces.iter().map(|piece| Bytes::from(*piece)).collect();
    let left = pipewright_core::Unsent {
        in_doubt: vec![Bytes::from("doubt")],
        unsent: pieces,
    };
    Unsent::new(7, left)
}

#[test]
fn a_close_that_failed_says_whether_the_time_was_over_and_has_the_rest() {
    let late = CloseError::new(true, summary(0, 2), unsent(&["ab"]));
    assert!(late.timed_out());
    assert_eq!(late.summary().unsent, 2);
    let words = "not all was written in time: log: stopped; 5 of 7 bytes written, 2 unsent";
    says(&late, words);
    assert_eq!(late.into_unsent().into_bytes(), "ab");
    let stopped = CloseError::new(false, summary(0, 2), unsent(&["ab"]));
    assert!(!stopped.timed_out());
    says(stopped, "log: stopped; 5 of 7 bytes written, 2 unsent");
}

#[test]
fn what_was_not_written_is_counted_and_kept_in_order() {
    for (pieces, all) in [
        (&[][..], ""),
        (&["one"], "one"),
        (&["one", "two"], "onetwo"),
    ] {
        let left = unsent(pieces);
        assert_eq!(left.len(), all.len() as u64);
        assert_eq!(left.is_empty(), all.is_empty());
        assert_eq!(left.written(), 7);
        assert_eq!(left.in_doubt(), ["doubt"]);
        assert_eq!(left.pieces(), pieces);
        assert!(left.clone().into_iter().eq(pieces.iter().copied()));
        assert_eq!(left.into_bytes(), all);
    }
    let one = Bytes::from(vec![1, 2, 3]);
    let left = pipewright_core::Unsent {
        in_doubt: Vec::new(),
        unsent: vec![one.clone()],
    };
    let whole = Unsent::new(0, left).into_bytes();
    assert_eq!(whole.as_ptr(), one.as_ptr(), "it is no copy");
}
