//! The books of a writer that has ended, held against what the reader got.

use std::ops::RangeInclusive;

use pipewright::{PipeWriter, Progress, Summary, Unsent};

use super::data::assert_stream;
use super::until;

/// How many bytes may be in doubt when an operation was cancelled or has failed: at most
/// those of one operation. On Unix nothing ever is.
pub(crate) const DOUBT: RangeInclusive<u64> = 0..=if cfg!(windows) { 64 * 1024 } else { 0 };

/// How many bytes are in doubt.
pub(crate) fn in_doubt(unsent: &Unsent) -> u64 {
    unsent
        .in_doubt()
        .iter()
        .map(|piece| piece.len() as u64)
        .sum()
}

#[track_caller]
pub(crate) fn assert_balanced(progress: &Progress) {
    assert_eq!(
        progress.accepted,
        progress.written + progress.in_flight + progress.queued + progress.in_doubt,
        "{progress:?}"
    );
    assert!(DOUBT.contains(&progress.in_doubt), "{progress:?}");
}

/// The reader has all that was written, and of the rest at most what is in doubt.
#[track_caller]
pub(crate) fn assert_heard(heard: u64, written: u64, in_doubt: u64) {
    assert!(DOUBT.contains(&in_doubt), "{in_doubt} are in doubt");
    assert!(
        (written..=written + in_doubt).contains(&heard),
        "{heard} were heard, {written} written, and {in_doubt} are in doubt"
    );
}

/// What a reader has got when it went, or heard the end.
pub(crate) struct Heard {
    pub(crate) len: u64,
    pub(crate) is_all: bool,
}

impl Heard {
    /// It may have gone before it had read all, but it has no more than there is.
    #[track_caller]
    pub(crate) fn assert_fits(&self, end: &Progress) {
        if self.is_all {
            assert_heard(self.len, end.written, end.in_doubt);
        } else {
            assert!(self.len <= end.written + end.in_doubt, "{end:?}");
        }
    }
}

/// What was handed back goes on where the written part of the stream ends, and fills it
/// up to what was accepted.
#[track_caller]
pub(crate) fn assert_unsent(unsent: &Unsent, written: u64, accepted: u64) {
    assert_eq!(unsent.written(), written);
    let doubtful = unsent.in_doubt().concat();
    assert!(DOUBT.contains(&(doubtful.len() as u64)));
    assert_stream(written, &doubtful);
    let begin = written + doubtful.len() as u64;
    assert_eq!(unsent.len(), accepted - begin);
    assert_eq!(unsent.is_empty(), accepted == begin);
    let mut position = begin;
    for piece in unsent.pieces() {
        assert!(!piece.is_empty());
        assert_stream(position, piece);
        position += piece.len() as u64;
    }
    assert_stream(begin, &unsent.clone().into_bytes());
}

/// Checks the accounts of a writer that has ended, and that what the reader got is the
/// stream from its beginning and as long as they say.
#[track_caller]
pub(crate) fn assert_accounts(summary: &Summary, unsent: &Unsent, heard: &[u8]) {
    assert_stream(0, heard);
    let Summary {
        accepted,
        written,
        in_doubt: doubtful,
        unsent: left,
        ..
    } = *summary;
    assert_eq!(accepted, written + doubtful + left, "{summary:?}");
    assert_heard(heard.len() as u64, written, doubtful);
    assert_eq!((unsent.len(), in_doubt(unsent)), (left, doubtful));
    assert_unsent(unsent, written, accepted);
}

/// Waits until a writer gets no further. Where the system keeps an operation until the
/// reader takes it, it has one then.
pub(crate) fn until_stalled(writer: &PipeWriter) {
    let (mut last, mut since) = (0, 0);
    until(|| {
        let progress = writer.progress();
        let stands = progress.written == last && (progress.in_flight > 0 || cfg!(unix));
        since = if stands { since + 1 } else { 0 };
        last = progress.written;
        since > 30
    });
}
