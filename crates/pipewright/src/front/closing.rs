//! Closing: write what is queued, then close, within a time.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use crate::error::CloseError;
use crate::outcome::Outcome;
use crate::progress::Summary;
use crate::sys::{Timer, now};
use crate::wait::{End, Wait};
use crate::writer::PipeWriter;

impl PipeWriter {
    /// Writes what is queued and closes the pipe, for all handles. Waits until that
    /// is done, at most `limit`; then stops.
    ///
    /// The reader sees the end of the stream only after all data.
    ///
    /// # Errors
    ///
    /// [`CloseError`], with what was not written, if the time was over first or the
    /// writer had another [`Outcome`] than `Closed`.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the writer goes on closing, without a limit.
    pub async fn close(&self, limit: Duration) -> Result<Summary, CloseError> {
        self.finish();
        let mut end = End::new(&self.shared);
        let deadline = now().checked_add(limit);
        let mut timer = None;
        let ended = poll_fn(|cx| {
            if let Poll::Ready(outcome) = end.poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            let Some(deadline) = deadline else {
                return Poll::Pending;
            };
            if now() >= deadline {
                return Poll::Ready(None);
            }
            match Timer::start(deadline, cx.waker().clone()) {
                Ok(started) => timer = Some(started),
                // Without a clock to wait by, the time counts as over.
                Err(_) => return Poll::Ready(None),
            }
            Poll::Pending
        })
        .await;
        drop(timer);
        match ended {
            Some(outcome) => self.closed(outcome, false),
            None => {
                self.cancel();
                let outcome = end.wait().await;
                self.closed(outcome, true)
            }
        }
    }

    /// As [`close`](Self::close), blocking the thread.
    ///
    /// # Errors
    ///
    /// [`CloseError`].
    pub fn close_timeout(&self, limit: Duration) -> Result<Summary, CloseError> {
        self.finish();
        match End::new(&self.shared).wait_timeout(limit) {
            Some(outcome) => self.closed(outcome, false),
            None => {
                self.cancel();
                let outcome = End::new(&self.shared).wait_forever();
                self.closed(outcome, true)
            }
        }
    }

    fn closed(&self, outcome: Outcome, timed_out: bool) -> Result<Summary, CloseError> {
        let summary = self.summary(outcome);
        match summary.outcome {
            // It may have ended well between the end of the time and the stop.
            Outcome::Closed => Ok(summary),
            _ => {
                let unsent = self.take_unsent().unwrap_or_default();
                Err(CloseError::new(timed_out, summary, unsent))
            }
        }
    }
}
