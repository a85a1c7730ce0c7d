//! Past the backlog and the writer: what a [`Splice`] holds goes into the sink's pipe
//! when nothing is on its way there, so nothing is overtaken.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Feed;
use super::state::State;
use crate::os::{Handle, Input, Splice};

/// So long the input waits for a sink that is full before it is read ahead, into memory.
const PATIENCE: Duration = Duration::from_millis(10);

impl Feed {
    /// Whether [`pass`](Self::pass) would find the way free.
    pub(crate) fn is_passable(&self) -> bool {
        self.lock().passage().is_some()
    }

    /// Lets the pipe take all that the splice holds. False if some of it must go the
    /// ordinary way: there is no room for a while, or no free way, or a write would fail.
    pub(crate) fn pass(&self, splice: &mut Splice, input: &Input) -> bool {
        let begun = Instant::now();
        while let Some(pipe) = self.begin_pass() {
            let given = splice.give(&pipe);
            self.end_pass(*given.as_ref().unwrap_or(&0));
            let left = PATIENCE.saturating_sub(begun.elapsed());
            match given {
                Ok(_) if splice.is_empty() => return true,
                // A reader that takes a little now and then has no more time.
                Ok(_) if left.is_zero() => return false,
                Ok(_) if Splice::wait_for_room(&pipe, input, left) => {}
                _ => return false,
            }
        }
        false
    }

    /// What else happens to the feed meanwhile is left to `end_pass`.
    fn begin_pass(&self) -> Option<Arc<Handle>> {
        let mut state = self.lock();
        let pipe = state.passage()?;
        state.pumping = true;
        state.again = false;
        Some(pipe)
    }

    fn end_pass(&self, given: usize) {
        let mut state = self.lock();
        state.pumping = false;
        if given > 0 {
            state.passed(given as u64);
        }
        if state.again {
            drop(state);
            self.pump();
        }
    }
}

impl State {
    /// The pipe, if nothing is before what comes next.
    fn passage(&self) -> Option<Arc<Handle>> {
        let is_idle = !self.over
            && !self.pumping
            && self.finishing.is_none()
            && self.backlog.len() + self.backlog.outside() == 0;
        let link = self.link.as_ref().filter(|_| is_idle)?;
        match link.ended {
            Some(_) => None,
            None => link.outlet.pipe(),
        }
    }

    fn passed(&mut self, bytes: u64) {
        self.written += bytes;
        self.spliced += bytes;
        if let Some(link) = &mut self.link {
            link.spliced += bytes;
        }
        self.stall.took(Instant::now(), false);
    }
}
