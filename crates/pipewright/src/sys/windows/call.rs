//! A system call that may wait, on a thread of ours, and how it is called back.
//!
//! `CancelSynchronousIo` cancels what the thread waits for *now*; it does nothing to a
//! thread that has not come to wait yet. So it is repeated, from the moment of the
//! cancel until the thread says that the call is over. The thread says so under the
//! lock under which it is cancelled, so that a cancel cannot hit something else that
//! the thread does later.

use std::os::windows::io::{AsRawHandle, OwnedHandle};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use windows_sys::Win32::System::IO::CancelSynchronousIo;

use super::worker::Timer;

/// The calls of one thread, one after the other, until they are cancelled for ever.
pub(super) struct Call {
    me: Weak<Call>,
    /// Held for calls that do not wait.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The thread, once it is known.
    thread: Option<OwnedHandle>,
    /// The thread is in the call, or about to begin it, or has just returned.
    active: bool,
    /// No call begins any more.
    cancelled: bool,
    /// When to cancel again.
    again: Option<Timer>,
}

impl Call {
    const FIRST_PAUSE: Duration = Duration::from_millis(1);
    const LONGEST_PAUSE: Duration = Duration::from_millis(20);

    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|me| Call {
            me: Weak::clone(me),
            state: Mutex::default(),
        })
    }

    /// Says which thread makes the calls.
    pub(super) fn is_on(&self, thread: Option<OwnedHandle>) {
        self.state().thread = thread;
    }

    /// Makes a call, on that thread, which a cancel ends. `None`: cancelled before.
    pub(super) fn make<T>(&self, call: impl FnOnce() -> T) -> Option<T> {
        {
            let mut state = self.state();
            if state.cancelled {
                return None;
            }
            state.active = true;
        }
        let result = call();
        let again = {
            let mut state = self.state();
            state.active = false;
            state.again.take()
        };
        drop(again);
        Some(result)
    }

    /// Cancels the call that is being made, and lets none begin any more. Returns at
    /// once.
    pub(super) fn cancel(&self) {
        self.state().cancelled = true;
        self.interrupt(Self::FIRST_PAUSE);
    }

    fn interrupt(&self, pause: Duration) {
        let mut state = self.state();
        if !state.active {
            return;
        }
        if let Some(thread) = &state.thread {
            // SAFETY: the thread's handle is open, with all rights, for `self` owns it.
            // What the call answers changes nothing: the end of the thread's own tells.
            unsafe { CancelSynchronousIo(thread.as_raw_handle()) };
        }
        // Under the lock: were it noted only after it is over, it would take the place
        // of the next one, and nobody would cancel again.
        let waker = Waker::from(Arc::new(Again(Weak::clone(&self.me), pause)));
        let timer = Timer::start(Instant::now() + pause, waker).ok();
        let replaced = std::mem::replace(&mut state.again, timer);
        drop(state);
        drop(replaced);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cancels again, and waits twice as long before the next time.
struct Again(Weak<Call>, Duration);

impl Wake for Again {
    fn wake(self: Arc<Self>) {
        if let Some(call) = self.0.upgrade() {
            call.interrupt((self.1 * 2).min(Call::LONGEST_PAUSE));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::io::Write;
    use std::sync::mpsc;
    use std::thread;

    use super::super::worker::Worker;
    use super::*;

    /// A call that waits until it is cancelled: nobody reads. Before it, `first` runs,
    /// when the call counts as being made.
    #[allow(
        clippy::incompatible_msrv,
        reason = "tests are built with the newest Rust"
    )]
    fn waiting_call(
        call: &Arc<Call>,
        first: impl FnOnce() + Send + 'static,
    ) -> mpsc::Receiver<Option<i32>> {
        Worker::get().unwrap();
        let (tell, told) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let on_thread = Arc::clone(call);
        let thread = thread::spawn(move || {
            begun.recv().unwrap();
            let (reader, mut pipe) = std::io::pipe().unwrap();
            let made = on_thread.make(|| {
                first();
                pipe.write_all(&vec![0; 1 << 20])
            });
            let error = made.and_then(|written| written.unwrap_err().raw_os_error());
            tell.send(error).unwrap();
            drop(reader);
        });
        call.is_on(Some(thread.into()));
        begin.send(()).unwrap();
        told
    }

    const WATCHDOG: Duration = Duration::from_secs(60);

    #[test]
    fn a_cancel_that_comes_before_the_thread_waits_is_repeated() {
        let (standing, stands) = mpsc::channel();
        let (go_on, told) = mpsc::channel::<()>();
        let call = Call::new();
        let result = waiting_call(&call, move || {
            standing.send(()).unwrap();
            told.recv().unwrap();
        });
        stands.recv().unwrap();
        // The thread does not wait for I/O yet: this one cancels nothing.
        call.cancel();
        go_on.send(()).unwrap();
        assert_eq!(result.recv_timeout(WATCHDOG), Ok(Some(995)));
        assert!(call.state().again.is_none(), "it is not cancelled any more");
    }

    #[test]
    fn no_call_begins_after_a_cancel() {
        let call = Call::new();
        call.cancel();
        call.cancel();
        assert_eq!(call.make(|| ()), None);
        assert!(call.state().again.is_none());
    }

    #[test]
    fn what_the_thread_does_after_the_call_is_not_cancelled() {
        let call = Call::new();
        let (standing, stands) = mpsc::channel();
        let result = waiting_call(&call, move || standing.send(()).unwrap());
        stands.recv().unwrap();
        call.cancel();
        assert_eq!(result.recv_timeout(WATCHDOG), Ok(Some(995)));
        let before = Instant::now();
        while before.elapsed() < Call::LONGEST_PAUSE * 3 {
            assert!(!call.state().active);
            assert!(call.state().again.is_none(), "a cancel is still under way");
            thread::yield_now();
        }
    }
}
