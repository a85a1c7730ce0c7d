//! Whether what a writer says agrees with what the kernel has seen.

use super::Account;
use crate::progress::{Progress, Unsent};

impl Account {
    /// Compares what the pipe took with the stream that was accepted, with what the
    /// writer says of it, and with what it gave back after its end.
    ///
    /// # Errors
    ///
    /// What does not agree.
    pub fn audit(
        &self,
        stream: &[u8],
        progress: &Progress,
        unsent: Option<&Unsent>,
    ) -> Result<(), String> {
        if !self.breaches.is_empty() {
            return Err(format!(
                "the driver's contract: {}",
                self.breaches.join("; ")
            ));
        }
        let received = self.received.len() as u64;
        let Progress {
            accepted, written, ..
        } = *progress;
        let unaccounted = progress.in_flight + progress.in_doubt;
        let rules = [
            (accepted == stream.len() as u64, "what was accepted"),
            (
                accepted == written + unaccounted + progress.queued,
                "the sum of the accounts",
            ),
            (stream.starts_with(&self.received), "the stream"),
            (written <= received, "what was written"),
            (received <= written + unaccounted, "what was received"),
            (
                progress.outcome.is_none() || progress.in_flight == 0,
                "what is in flight after the end",
            ),
            (
                unsent.is_none_or(|unsent| is_rest(unsent, stream, progress)),
                "what was given back",
            ),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, what)) => Err(format!(
                "{what}: {received} of {} bytes received, {progress:?}, {unsent:?}",
                stream.len()
            )),
        }
    }
}

/// Whether it is the end of the stream, beginning where the written part ends.
fn is_rest(unsent: &Unsent, stream: &[u8], progress: &Progress) -> bool {
    let (in_doubt, pieces) = (unsent.in_doubt().concat(), unsent.pieces().concat());
    let written = usize::try_from(progress.written).unwrap_or(usize::MAX);
    unsent.written() == progress.written
        && in_doubt.len() as u64 == progress.in_doubt
        && stream.get(written..) == Some(&[in_doubt, pieces].concat())
}
