//! Waiting until the reader has taken everything: `FlushFileBuffers`.
//!
//! It waits for the reader, and there is no way to have it wait in the background.
//! So it has a thread: one a writer, and only while somebody asks. A flush answers
//! whoever asked before it began; those who come later are answered by the next one,
//! on another thread, so that nothing else is kept waiting by what a waker does.
//!
//! A flush that nobody waits for any more is cancelled, and so is one that is in the
//! way: of a write, on a handle that can only block, where the system does one thing
//! at a time; and of the handle's end. It lets go of the handle before anything else
//! happens to it.
//!
//! No question that returns at once tells the same. `FilePipeLocalInformation` counts
//! what a reader that waits has asked for like unread data, so that a reader who has
//! read all and waits for more looks like one who has read nothing.
//!
//! When the reader is gone the system has forgotten what it had not read, and a flush
//! succeeds. So its success counts only while the reader is still there.

use std::collections::BTreeMap;
use std::io;
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use windows_sys::Win32::Foundation::{ERROR_BROKEN_PIPE, ERROR_OPERATION_ABORTED};
use windows_sys::Win32::Storage::FileSystem::FlushFileBuffers;

use super::call::Call;
use super::errors::{Class, class};
use super::kind::{self, Kind, Object, last_error};
use crate::panics::contain;
use crate::sys::{Pipe, Writer};

/// The flushes of one writer.
pub(super) struct Flushes {
    /// Held for calls that do not wait.
    state: Mutex<State>,
    /// Notified at the end of each flush.
    over: Condvar,
}

struct State {
    /// Until it is given up.
    pipe: Option<Arc<OwnedHandle>>,
    /// Who asked, in the order in which they came.
    questions: BTreeMap<u64, Question>,
    next: u64,
    flush: Option<Flush>,
    /// No flush may begin.
    halted: bool,
    /// The handle was given up while a flush used it, and who waits for it.
    last: Option<(Arc<OwnedHandle>, Arc<dyn Writer>)>,
}

struct Question {
    waker: Option<Waker>,
    answer: Option<Answer>,
}

/// The one that is under way.
struct Flush {
    call: Arc<Call>,
    /// Whom it answers: everybody before this one.
    before: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Read,
    /// The pipe is broken, with this code.
    Broken(u32),
    /// The system cannot tell.
    Unknown,
}

/// One who asks. Dropped, it asks no more.
#[derive(Default)]
pub(crate) struct Asked(Option<(Arc<Flushes>, u64)>);

impl Drop for Asked {
    fn drop(&mut self) {
        if let Some((flushes, id)) = self.0.take() {
            flushes.withdraw(id);
        }
    }
}

impl Flushes {
    pub(super) fn new(pipe: &Arc<OwnedHandle>) -> Arc<Self> {
        Arc::new(Flushes {
            state: Mutex::new(State {
                pipe: Some(Arc::clone(pipe)),
                questions: BTreeMap::new(),
                next: 0,
                flush: None,
                halted: false,
                last: None,
            }),
            over: Condvar::new(),
        })
    }

    /// See [`Driver::poll_read`](crate::sys::Driver::poll_read).
    pub(super) fn poll(
        self: &Arc<Self>,
        kind: Kind,
        asked: &mut Asked,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        if kind.object != Object::Pipe {
            // A file would be written to its disk: nobody reads there.
            return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
        }
        let waker = Some(cx.waker().clone());
        let mut state = self.state();
        let (_, id) = asked.0.get_or_insert_with(|| {
            state.next += 1;
            (Arc::clone(self), state.next)
        });
        let known = state.questions.remove(id);
        let answer = known.as_ref().and_then(|question| question.answer);
        state.questions.insert(*id, Question { waker, answer });
        let refused = self.begin(&mut state);
        drop(state);
        drop(known);
        wake(refused);
        match answer {
            None => Poll::Pending,
            Some(Answer::Read) => Poll::Ready(Ok(())),
            Some(Answer::Broken(code)) => Poll::Ready(Err(kind::code(code))),
            Some(Answer::Unknown) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }

    /// Lets no flush be under way until [`resume`](Self::resume): waits until the one
    /// that is has been cancelled, which does not take the reader.
    pub(super) fn halt(&self) {
        let mut state = self.state();
        state.halted = true;
        if let Some(flush) = &state.flush {
            flush.call.cancel();
        }
        let over = self.over.wait_while(state, |state| state.flush.is_some());
        drop(over.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn resume(self: &Arc<Self>) {
        let mut state = self.state();
        state.halted = false;
        let refused = self.begin(&mut state);
        drop(state);
        wake(refused);
    }

    /// Gives the handle up: at once, if no flush uses it, or through
    /// [`Writer::detached`]. Nobody else has a reference to it.
    pub(super) fn end(
        &self,
        pipe: Arc<OwnedHandle>,
        writer: Arc<dyn Writer>,
    ) -> Poll<Option<Pipe>> {
        let mut state = self.state();
        // Not the last one, so nothing is closed under the lock.
        state.pipe = None;
        let Some(flush) = &state.flush else {
            return Poll::Ready(Arc::into_inner(pipe));
        };
        flush.call.cancel();
        state.last = Some((pipe, writer));
        Poll::Pending
    }

    fn withdraw(&self, id: u64) {
        let mut state = self.state();
        let removed = state.questions.remove(&id);
        if let Some(flush) = &state.flush {
            if state.waiting(flush.before) == 0 {
                flush.call.cancel();
            }
        }
        drop(state);
        drop(removed);
    }

    /// Begins a flush, if somebody waits for one and it may. Whom to wake, because
    /// there can be none.
    fn begin(self: &Arc<Self>, state: &mut State) -> Vec<Waker> {
        let wanted = state.waiting(u64::MAX) > 0 && !state.halted && state.flush.is_none();
        let Some(pipe) = state.pipe.clone().filter(|_| wanted) else {
            return Vec::new();
        };
        let before = state.next + 1;
        let call = Call::new();
        let (flushes, made) = (Arc::clone(self), Arc::clone(&call));
        let spawned = thread::Builder::new()
            .name("pipewright-flush".into())
            .spawn(move || {
                let flushed = made.make(|| flush(&pipe));
                flushes.flushed(flushed.flatten(), pipe);
            });
        match spawned {
            Ok(thread) => {
                call.is_on(Some(thread.into()));
                state.flush = Some(Flush { call, before });
                Vec::new()
            }
            Err(_) => state.answer(before, Answer::Unknown),
        }
    }

    /// On its thread: a flush is over. `None`: it was cancelled.
    fn flushed(self: Arc<Self>, answer: Option<Answer>, pipe: Arc<OwnedHandle>) {
        let mut state = self.state();
        let before = state.flush.take().map_or(0, |flush| flush.before);
        let mut woken = answer.map_or_else(Vec::new, |answer| state.answer(before, answer));
        woken.append(&mut self.begin(&mut state));
        let last = state.last.take();
        // Before anybody can see that the flush is over. Not the last one, so nothing is
        // closed under the lock: `last` has one, or `state.pipe`.
        drop(pipe);
        drop(state);
        self.over.notify_all();
        if let Some((pipe, writer)) = last {
            contain(move || writer.detached(Arc::into_inner(pipe)));
        }
        wake(woken);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many of those before `before` have no answer yet.
    fn waiting(&self, before: u64) -> usize {
        let questions = self.questions.range(..before);
        questions.filter(|(_, asks)| asks.answer.is_none()).count()
    }

    /// Answers everybody before `before` who has no answer yet.
    fn answer(&mut self, before: u64, answer: Answer) -> Vec<Waker> {
        let questions = self.questions.range_mut(..before);
        questions
            .filter(|(_, asks)| asks.answer.is_none())
            .filter_map(|(_, asks)| {
                asks.answer = Some(answer);
                asks.waker.take()
            })
            .collect()
    }
}

fn wake(woken: Vec<Waker>) {
    for waker in woken {
        contain(move || waker.wake());
    }
}

/// Waits for the reader. `None`: it was cancelled.
fn flush(pipe: &OwnedHandle) -> Option<Answer> {
    // Before the wait as well: what cannot be told need not be waited for.
    if let Some(answer) = reader_is_missing(pipe) {
        return Some(answer);
    }
    // SAFETY: the handle is open while it is borrowed.
    let flushed = unsafe { FlushFileBuffers(pipe.as_raw_handle()) };
    if flushed != 0 {
        return Some(reader_is_missing(pipe).unwrap_or(Answer::Read));
    }
    match last_error() {
        ERROR_OPERATION_ABORTED => None,
        code => Some(failed(code)),
    }
}

/// What that means for a question, if the reader is gone, or if nobody knows.
fn reader_is_missing(pipe: &OwnedHandle) -> Option<Answer> {
    match kind::reader_is_gone(pipe.as_handle()) {
        Ok(false) => None,
        Ok(true) => Some(Answer::Broken(ERROR_BROKEN_PIPE)),
        Err(error) => Some(failed(kind::code_of(&error))),
    }
}

fn failed(code: u32) -> Answer {
    match class(code) {
        Class::Gone | Class::Broken => Answer::Broken(code),
        _ => Answer::Unknown,
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::incompatible_msrv,
    reason = "tests fail by panicking, and are built with the newest Rust"
)]
mod tests {
    use super::*;

    /// Else whoever gives the handle up in that moment would not be the last to have it:
    /// it would be closed behind the back of a user who is to get it.
    #[test]
    fn a_flush_that_is_over_has_let_go_of_the_handle() {
        let (_reader, pipe) = io::pipe().unwrap();
        let pipe = Arc::new(OwnedHandle::from(pipe));
        let kind = Kind::of(pipe.as_handle()).unwrap();
        let flushes = Flushes::new(&pipe);
        let cx = Context::from_waker(Waker::noop());
        // The pipe is empty, so each flush is over soon.
        for _ in 0..1_000 {
            let mut asked = Asked::default();
            assert!(flushes.poll(kind, &mut asked, &cx).is_pending());
            let mut state = flushes.state();
            while state.flush.is_some() {
                drop(state);
                thread::yield_now();
                state = flushes.state();
            }
            // This one, and that of `flushes`.
            assert_eq!(Arc::strong_count(&pipe), 2);
        }
    }
}
