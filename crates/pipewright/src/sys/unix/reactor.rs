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
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use polling::{Events, Poller};

use super::source::Source;
use super::{set_parker, sigpipe};
use crate::panics::contain;
use crate::sys::{Park, Writer};

/// How many turns are run between two looks at the poller.
const TURNS_PER_ROUND: usize = 64;

/// How many operations a writer may have in one turn while no other waits for its
/// turn. Whoever waits for them is woken once for all.
const BURST: usize = 16;

pub(super) struct Reactor {
    poller: Poller,
    queue: Mutex<RunQueue>,
    expected: Mutex<HashMap<usize, Arc<dyn Writer>>>,
    timers: Mutex<BTreeMap<(Instant, u64), Waker>>,
    next_key: AtomicUsize,
    next_timer: AtomicU64,
}

#[derive(Default)]
struct RunQueue {
    writers: VecDeque<Arc<dyn Writer>>,
    /// The thread waits in the poller, or is about to.
    sleeping: bool,
}

impl Reactor {
    /// The reactor, started on first use. It lives as long as the process.
    pub(super) fn get() -> io::Result<&'static Reactor> {
        static REACTOR: Mutex<Option<&'static Reactor>> = Mutex::new(None);
        let mut slot = lock(&REACTOR);
        if let Some(reactor) = *slot {
            return Ok(reactor);
        }
        let reactor: &'static Reactor = Box::leak(Box::new(Reactor {
            poller: Poller::new()?,
            queue: Mutex::default(),
            expected: Mutex::default(),
            timers: Mutex::default(),
            next_key: AtomicUsize::new(0),
            next_timer: AtomicU64::new(0),
        }));
        std::thread::Builder::new()
            .name("pipewright".into())
            .spawn(move || reactor.run())?;
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
        queue.writers.push_back(writer);
        let wake = std::mem::take(&mut queue.sleeping);
        drop(queue);
        if wake {
            self.notify();
        }
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

    fn run(&'static self) {
        sigpipe::block_all();
        set_parker(Arc::new(ReactorPark(self)));
        loop {
            self.step(None, &AtomicBool::new(false));
        }
    }

    /// Runs a round of turns, then waits for more to do, at most `timeout`, and not
    /// if `woken` is set by then.
    fn step(&self, timeout: Option<Duration>, woken: &AtomicBool) {
        let busy = self.run_turns();
        let timeout = if busy || woken.load(Ordering::Acquire) {
            Some(Duration::ZERO)
        } else {
            earlier(timeout, self.until_next_timer())
        };
        self.wait(timeout);
        self.fire_timers();
    }

    /// Whether there is more to do.
    fn run_turns(&self) -> bool {
        for _ in 0..TURNS_PER_ROUND {
            let mut queue = lock(&self.queue);
            let Some(writer) = queue.writers.pop_front() else {
                queue.sleeping = true;
                return false;
            };
            let burst = if queue.writers.is_empty() { BURST } else { 1 };
            drop(queue);
            contain(|| writer.turn(burst));
        }
        true
    }

    fn wait(&self, timeout: Option<Duration>) {
        let mut events = Events::new();
        let waited = self.poller.wait(&mut events, timeout);
        lock(&self.queue).sleeping = false;
        if waited.is_err() {
            // Nothing can be heard of readiness now: look again soon, and do not spin.
            std::thread::sleep(Duration::from_millis(1));
        }
        for event in events.iter() {
            if let Some(writer) = self.forget(event.key) {
                writer.ready();
            }
        }
    }

    fn until_next_timer(&self) -> Option<Duration> {
        let timers = lock(&self.timers);
        let (when, _) = timers.keys().next()?;
        Some(when.saturating_duration_since(Instant::now()))
    }

    fn fire_timers(&self) {
        loop {
            let mut timers = lock(&self.timers);
            let Some(first) = timers.first_entry() else {
                return;
            };
            if first.key().0 > Instant::now() {
                return;
            }
            let waker = first.remove();
            drop(timers);
            contain(move || waker.wake());
        }
    }
}

fn earlier(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// On the reactor's own thread, waiting means going on with its work.
struct ReactorPark(&'static Reactor);

impl Park for ReactorPark {
    fn park(&self, timeout: Option<Duration>, woken: &AtomicBool) {
        self.0.step(timeout, woken);
    }

    fn unpark(&self) {
        self.0.notify();
    }
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
