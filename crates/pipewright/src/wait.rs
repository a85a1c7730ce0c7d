//! Waiting: the same conditions for tasks and for threads.
//!
//! A wait is polled with a waker, as a future is. Async functions poll it from
//! their task; blocking ones poll it from [`block_on`], whose waker unparks the
//! thread. Dropping a wait takes it off the writer's list.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::{Duration, Instant};

use pipewright_core::{Position, Refused, Reservation, Ticket};

use crate::error::WaitError;
use crate::outcome::Outcome;
use crate::shared::Shared;
use crate::state::State;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::thread::{self, Thread};
use crate::sys::{Asked, now, step_aside};
use crate::waiters::{Until, WaiterId};

/// A condition that comes true, or the end.
pub(crate) trait Wait: Unpin {
    type Output;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Waits as a task.
    async fn wait(mut self) -> Self::Output
    where
        Self: Sized,
    {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits as a thread, at most `timeout`.
    fn wait_timeout(mut self, timeout: Duration) -> Option<Self::Output>
    where
        Self: Sized,
    {
        block_on(now().checked_add(timeout), |cx| self.poll(cx))
    }

    /// Waits as a thread.
    fn wait_forever(mut self) -> Self::Output
    where
        Self: Sized,
    {
        loop {
            if let Some(output) = block_on(None, |cx| self.poll(cx)) {
                return output;
            }
        }
    }
}

/// Polls until it is ready or the deadline has passed; at least once.
fn block_on<T>(
    deadline: Option<Instant>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Option<T> {
    /// How often a thread that could not leave its duty to another tries again.
    const TRY_AGAIN: Duration = Duration::from_millis(1);

    /// Waits may lie inside each other on one thread, when user code that runs
    /// during one begins another: each has a flag of its own, so that an inner one
    /// cannot use up the wake of an outer one.
    struct Unpark {
        thread: Thread,
        woken: AtomicBool,
    }
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, Ordering::Release);
            self.thread.unpark();
        }
    }
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut cx = Context::from_waker(&waker);
    loop {
        unpark.woken.store(false, Ordering::Release);
        if let Poll::Ready(output) = poll(&mut cx) {
            return Some(output);
        }
        let mut left = deadline.map(|deadline| deadline.saturating_duration_since(now()));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        if step_aside().is_err() {
            left = Some(left.map_or(TRY_AGAIN, |left| left.min(TRY_AGAIN)));
        }
        if unpark.woken.load(Ordering::Acquire) {
            continue;
        }
        match left {
            Some(left) => thread::park_timeout(left),
            None => thread::park(),
        }
    }
}

/// An entry in the writer's list of waiters, which ends with this value.
struct Entry {
    writer: Arc<Shared>,
    registered: Option<(Until, WaiterId)>,
}

impl Entry {
    fn new(writer: &Arc<Shared>) -> Self {
        Entry {
            writer: Arc::clone(writer),
            registered: None,
        }
    }

    /// Registers the task for `until`, unless `ready` finds that it need not wait.
    /// The waker is cloned before the lock is taken, and what it replaces is
    /// dropped after: both are user code.
    fn register<T>(
        &mut self,
        cx: &Context<'_>,
        until: Until,
        ready: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<T> {
        let waker = cx.waker().clone();
        let mut state = self.writer.lock();
        if let Some(output) = ready(&mut state) {
            drop(state);
            return Poll::Ready(output);
        }
        let (_, id) = *self
            .registered
            .get_or_insert_with(|| (until, state.waiters.new_id()));
        let replaced = state.waiters.register(until, id, waker);
        drop(state);
        drop(replaced);
        Poll::Pending
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some((until, id)) = self.registered {
            let waker = self.writer.lock().waiters.remove(until, id);
            drop(waker);
        }
    }
}

/// Until everything before a position is written, or the writer has ended.
pub(crate) struct Written {
    entry: Entry,
    position: Position,
}

impl Written {
    pub(crate) fn new(writer: &Arc<Shared>, position: Position) -> Self {
        Written {
            entry: Entry::new(writer),
            position,
        }
    }
}

impl Wait for Written {
    type Output = Result<(), Outcome>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let position = self.position;
        self.entry.register(cx, Until::Written(position), |state| {
            if state.core.is_written(position) {
                return Some(Ok(()));
            }
            let outcome = state.core.progress().outcome?;
            Some(Err(state.explain(outcome)))
        })
    }
}

/// Until the writer has ended.
pub(crate) struct End(Entry);

impl End {
    pub(crate) fn new(writer: &Arc<Shared>) -> Self {
        End(Entry::new(writer))
    }
}

impl Wait for End {
    type Output = Outcome;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.0.register(cx, Until::Ended, |state| {
            let outcome = state.core.progress().outcome?;
            Some(state.explain(outcome))
        })
    }
}

/// Until there is room for a message, in the order in which the waits began.
pub(crate) struct Line {
    writer: Arc<Shared>,
    len: usize,
    place: Option<Place>,
}

/// A ticket, and its entry in the list of waiters. Leaves the line when it is dropped,
/// also by a panic of the waker's: those behind would wait for ever.
struct Place {
    /// `None` once it was claimed.
    ticket: Option<Ticket>,
    entry: Entry,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.entry.writer.change(|state| state.core.leave(ticket));
        }
    }
}

impl Line {
    pub(crate) fn new(writer: &Arc<Shared>, len: usize) -> Self {
        Line {
            writer: Arc::clone(writer),
            len,
            place: None,
        }
    }

    /// Gets the capacity at once, or a place in the line.
    fn begin(&mut self) -> Poll<Result<Reservation, Outcome>> {
        let (len, writer) = (self.len, &self.writer);
        let begun = writer.change(|state| match state.core.reserve(len) {
            Ok(reservation) => Ok(Ok(reservation)),
            Err(Refused::Closed(outcome)) => Err(state.explain(outcome)),
            Err(Refused::Full) => match state.core.wait_in_line(len) {
                Ok(ticket) => Ok(Err(ticket)),
                Err(outcome) => Err(state.explain(outcome)),
            },
        });
        match begun {
            Ok(Ok(reservation)) => Poll::Ready(Ok(reservation)),
            Err(outcome) => Poll::Ready(Err(outcome)),
            Ok(Err(ticket)) => {
                let (ticket, entry) = (Some(ticket), Entry::new(writer));
                self.place = Some(Place { ticket, entry });
                Poll::Pending
            }
        }
    }
}

impl Wait for Line {
    type Output = Result<Reservation, Outcome>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.place.is_none() {
            if let Poll::Ready(output) = self.begin() {
                return Poll::Ready(output);
            }
        }
        let Some(Place { ticket, entry }) = &mut self.place else {
            return Poll::Pending;
        };
        let Some(until) = ticket.as_ref().map(|ticket| Until::Granted(ticket.id())) else {
            return Poll::Pending;
        };
        let polled = entry.register(cx, until, |state| {
            match state.core.claim(ticket.take()?) {
                Ok(reservation) => return Some(Ok(reservation)),
                Err(waiting) => *ticket = Some(waiting),
            }
            let outcome = state.core.refusal()?;
            Some(Err(state.explain(outcome)))
        });
        if polled.is_ready() {
            self.place = None;
        }
        polled
    }
}

/// Until a slice was sent. Does not stand in the line: whoever gives up asking has
/// nothing to give back, and may come back with other data.
pub(crate) struct Room(Entry);

impl Room {
    pub(crate) fn new(writer: &Arc<Shared>) -> Self {
        Room(Entry::new(writer))
    }

    pub(crate) fn poll_send(
        &mut self,
        cx: &Context<'_>,
        slice: &[u8],
    ) -> Poll<Result<(), Outcome>> {
        let sent = self.0.register(cx, Until::Space, |state| {
            match state.core.send_slice(slice) {
                Ok(_) => Some(Ok(())),
                Err(Refused::Full) => None,
                Err(Refused::Closed(outcome)) => Some(Err(state.explain(outcome))),
            }
        });
        if matches!(sent, Poll::Ready(Ok(()))) {
            // What follows from the send.
            self.0.writer.change(|_| ());
        }
        sent
    }
}

/// Until the reader has taken everything that was written before the first poll.
pub(crate) struct Read {
    entry: Entry,
    asked: Asked,
}

impl Read {
    pub(crate) fn new(writer: &Arc<Shared>) -> Self {
        Read {
            entry: Entry::new(writer),
            asked: Asked::default(),
        }
    }
}

impl Wait for Read {
    type Output = Result<(), WaitError>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut driver = None;
        // For the end as well: then nobody is left who could tell.
        let over = self.entry.register(cx, Until::Ended, |state| {
            driver = state.driver();
            driver.is_none().then(|| state.why_closed())
        });
        let Some(driver) = driver else {
            return over.map(|why| why.map_or(Ok(()), |why| Err(WaitError::Ended(why))));
        };
        let read = ready!(driver.poll_read(&mut self.asked, cx));
        Poll::Ready(read.map_err(|error| {
            if error.kind() == io::ErrorKind::Unsupported {
                return WaitError::Unsupported;
            }
            // Whoever writes next would find out; the others need not wait for that.
            let why = self.entry.writer.change(|state| {
                state.broken(&error);
                state.why_closed()
            });
            why.map_or(WaitError::Unsupported, WaitError::Ended)
        }))
    }
}
