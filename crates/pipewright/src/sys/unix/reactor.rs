//! The one thread that writes for all readiness writers: it runs their turns,
//! waits until pipes take more, and keeps the time.
//!
//! A writer that has something to do is put into the run queue, once, and the
//! thread is woken only if it sleeps. Each writer in the queue gets one operation
//! and goes to the end of the queue if it has more to do, so that no writer keeps
//! another waiting. After a round, or a few if they are short, the thread looks
//! for readiness and for timers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use polling::{Events, Poller};

use super::sigpipe;
use super::source::Source;
use crate::panics::contain;
use crate::sys::Writer;
use crate::sys::duty::{self, Duty, Server};

/// What its threads are called.
const THREAD: &str = "pipewright";

/// How many jobs are done between two looks at the poller.
const JOBS_PER_ROUND: usize = 64;

/// How many operations a writer may have in one turn while no other waits for its
/// turn. Whoever waits for them is woken once for all.
const BURST: usize = 16;

/// While so many jobs wait, senders write by themselves: what they send would only wait,
/// and take memory. While there are fewer, a thread that does nothing else is faster.
const BEHIND: usize = 512;

pub(super) struct Reactor {
    poller: Poller,
    /// Room for what the poller reports, of the thread that asks it.
    events: Mutex<Events>,
    duty: Duty,
    queue: Mutex<RunQueue>,
    /// How many jobs are in the queue, or were a moment ago.
    waiting: AtomicUsize,
    expected: Mutex<HashMap<usize, Arc<dyn Writer>>>,
    timers: Mutex<BTreeMap<(Instant, u64), Waker>>,
    next_key: AtomicUsize,
    next_timer: AtomicU64,
}

#[derive(Default)]
struct RunQueue {
    jobs: VecDeque<Job>,
    /// How many were done since the last look at the poller.
    done: usize,
    /// The thread waits in the poller, or is about to.
    sleeping: bool,
}

/// What somebody else found to do.
enum Job {
    /// The writer wants a turn.
    Turn(Arc<dyn Writer>),
    /// The writer's pipe takes more.
    Ready(Arc<dyn Writer>),
    /// A timer is over.
    Wake(Waker),
}

/// What the thread does next, without the lock.
enum Next {
    Turn(Arc<dyn Writer>, usize),
    Ready(Arc<dyn Writer>),
    Wake(Waker),
    /// Look for readiness and for timers; wait for them, if there is nothing to do.
    Look {
        wait: bool,
    },
}

impl Reactor {
    /// The reactor, started on first use. It lives as long as the process.
    pub(super) fn get() -> io::Result<&'static Reactor> {
        static REACTOR: Mutex<Option<&'static Reactor>> = Mutex::new(None);
        let mut slot = lock(&REACTOR);
        if let Some(reactor) = *slot {
            return Ok(reactor);
        }
        // First: without a thread, what is leaked here would be lost each time.
        let thread = duty::recruit(THREAD)?;
        let reactor: &'static Reactor = Box::leak(Box::new(Reactor {
            poller: Poller::new()?,
            events: Mutex::new(Events::new()),
            duty: Duty::new(THREAD),
            queue: Mutex::default(),
            waiting: AtomicUsize::new(0),
            expected: Mutex::default(),
            timers: Mutex::default(),
            next_key: AtomicUsize::new(0),
            next_timer: AtomicU64::new(0),
        }));
        thread.serve(reactor);
        *slot = Some(reactor);
        Ok(reactor)
    }

    /// Puts a descriptor in the reactor's care, under a key of its own.
    pub(super) fn source(&'static self, fd: OwnedFd) -> Source {
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        Source::new(&self.poller, fd, key)
    }

    /// Has a turn of the writer run.
    pub(super) fn schedule(&self, writer: Arc<dyn Writer>) {
        let mut queue = lock(&self.queue);
        queue.jobs.push_back(Job::Turn(writer));
        self.waiting.store(queue.jobs.len(), Ordering::Relaxed);
        let wake = std::mem::take(&mut queue.sleeping);
        drop(queue);
        if wake {
            self.notify();
        }
    }

    /// Whether many writers wait for their turn.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= BEHIND
    }

    /// Remembers whom to tell when `key` becomes ready.
    pub(super) fn expect(&self, key: usize, writer: Arc<dyn Writer>) {
        lock(&self.expected).insert(key, writer);
    }

    /// Tells nobody any more; the result is to be dropped without a lock.
    pub(super) fn forget(&self, key: usize) -> Option<Arc<dyn Writer>> {
        lock(&self.expected).remove(&key)
    }

    fn notify(&self) {
        // It fails only if the poller's own descriptor is gone, and it is not.
        let _ = self.poller.notify();
    }

    /// Looks for readiness and for timers, and queues what there is to do.
    fn look(&self, wait: bool) {
        let limit = if wait {
            self.until_next_timer()
        } else {
            Some(Duration::ZERO)
        };
        let mut events = lock(&self.events);
        events.clear();
        let waited = self.poller.wait(&mut events, limit);
        let mut jobs = VecDeque::new();
        if !events.is_empty() {
            let mut expected = lock(&self.expected);
            let ready = events
                .iter()
                .filter_map(|event| expected.remove(&event.key));
            jobs.extend(ready.map(Job::Ready));
        }
        drop(events);
        jobs.extend(self.take_due_timers().map(Job::Wake));
        let mut queue = lock(&self.queue);
        queue.sleeping = false;
        queue.done = 0;
        // What was heard of just now has waited longer than what wants a turn.
        jobs.append(&mut queue.jobs);
        queue.jobs = jobs;
        drop(queue);
        if waited.is_err() {
            // Nothing can be heard of readiness now: look again soon, and do not spin.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn until_next_timer(&self) -> Option<Duration> {
        let timers = lock(&self.timers);
        let (when, _) = timers.keys().next()?;
        Some(when.saturating_duration_since(Instant::now()))
    }

    fn take_due_timers(&self) -> impl Iterator<Item = Waker> + use<> {
        let mut timers = lock(&self.timers);
        if timers.is_empty() {
            return BTreeMap::new().into_values();
        }
        let later = timers.split_off(&(Instant::now(), u64::MAX));
        std::mem::replace(&mut *timers, later).into_values()
    }
}

impl RunQueue {
    fn next(&mut self) -> Next {
        if self.done == JOBS_PER_ROUND {
            return Next::Look { wait: false };
        }
        self.done += 1;
        match self.jobs.pop_front() {
            Some(Job::Turn(writer)) => {
                let burst = if self.jobs.is_empty() { BURST } else { 1 };
                Next::Turn(writer, burst)
            }
            Some(Job::Ready(writer)) => Next::Ready(writer),
            Some(Job::Wake(waker)) => Next::Wake(waker),
            None => {
                self.sleeping = true;
                Next::Look { wait: true }
            }
        }
    }
}

impl Server for &'static Reactor {
    fn duty(&self) -> &Duty {
        &self.duty
    }

    fn take_over(&self) {
        sigpipe::block_all();
    }

    fn step(&self) -> bool {
        let next = {
            let mut queue = lock(&self.queue);
            let next = queue.next();
            self.waiting.store(queue.jobs.len(), Ordering::Relaxed);
            next
        };
        match next {
            Next::Turn(writer, burst) => contain(move || writer.turn(burst)),
            Next::Ready(writer) => contain(move || writer.ready()),
            Next::Wake(waker) => contain(move || waker.wake()),
            Next::Look { wait } => self.look(wait),
        }
        true
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a waker at a time, unless it is dropped before.
pub(crate) struct Timer {
    reactor: &'static Reactor,
    key: (Instant, u64),
}

impl Timer {
    pub(crate) fn start(when: Instant, waker: Waker) -> io::Result<Timer> {
        let reactor = Reactor::get()?;
        let key = (when, reactor.next_timer.fetch_add(1, Ordering::Relaxed));
        let mut timers = lock(&reactor.timers);
        let is_first = timers.keys().next().is_none_or(|first| key < *first);
        timers.insert(key, waker);
        drop(timers);
        if is_first {
            reactor.notify();
        }
        Ok(Timer { reactor, key })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = lock(&self.reactor.timers).remove(&self.key);
        drop(waker);
    }
}
