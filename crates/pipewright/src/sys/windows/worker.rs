//! The one thread that starts the writes of all overlapped writers, accounts for their
//! completions, and keeps the time.
//!
//! Why a thread of ours starts every write: the system cancels what a thread has
//! pending when that thread ends (Microsoft, "ExitThread function": pending I/O
//! that is not associated with a completion port is canceled). A message must not
//! be lost because the thread that sent it has ended, nor because the thread pool
//! had no more use for the one that continued; this thread lives as long as the
//! process, and so does one that took over its duty. Starting a write does not wait,
//! so one thread is enough for all.
//!
//! Each writer in the queue gets one turn and goes to the end of the queue if it
//! has more to do, so that no writer keeps another waiting.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::block::Block;
use super::overlapped::Overlapped;
use crate::panics::contain;
use crate::sys::Writer;
use crate::sys::duty::{self, Duty, Server};

/// How many operations a writer may have in one turn while no other waits for its
/// turn. Whoever waits for them is woken once for all.
const BURST: usize = 16;

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

pub(super) struct Worker {
    todo: Mutex<Todo>,
    posted: Condvar,
    duty: Duty,
}

#[derive(Default)]
struct Todo {
    jobs: VecDeque<Job>,
    timers: BTreeMap<(Instant, u64), Waker>,
    next_timer: u64,
    /// The thread waits for `posted`, or is about to.
    sleeping: bool,
}

enum Job {
    /// The writer wants a turn.
    Turn(Arc<dyn Writer>),
    /// The kernel is done with an operation.
    Land(Block),
}

/// What the thread does next, without the lock.
enum Next {
    Wake(Waker),
    Turn(Arc<dyn Writer>, usize),
    Land(Block),
}

impl Worker {
    /// The worker, started on first use. It lives as long as the process.
    pub(super) fn get() -> io::Result<&'static Worker> {
        static WORKER: Mutex<Option<&'static Worker>> = Mutex::new(None);
        let mut slot = WORKER.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(worker) = *slot {
            return Ok(worker);
        }
        let worker: &'static Worker = Box::leak(Box::new(Worker {
            todo: Mutex::default(),
            posted: Condvar::new(),
            duty: Duty::new("pipewright"),
        }));
        duty::start(worker)?;
        *slot = Some(worker);
        Ok(worker)
    }

    /// Whether the current thread is the worker.
    pub(super) fn is_here() -> bool {
        IS_WORKER.get()
    }

    /// Has a turn of the writer run.
    pub(super) fn schedule(&self, writer: Arc<dyn Writer>) {
        self.post(|todo| todo.jobs.push_back(Job::Turn(writer)));
    }

    /// Has the operation accounted for with which the kernel is done.
    pub(super) fn land(&self, block: Block) {
        self.post(|todo| todo.jobs.push_back(Job::Land(block)));
    }

    fn post(&self, add: impl FnOnce(&mut Todo)) {
        let mut todo = self.todo();
        add(&mut todo);
        let wake = std::mem::take(&mut todo.sleeping);
        drop(todo);
        if wake {
            self.posted.notify_one();
        }
    }

    fn todo(&self) -> MutexGuard<'_, Todo> {
        self.todo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server for &'static Worker {
    fn duty(&self) -> &Duty {
        &self.duty
    }

    fn take_over(&self) {
        IS_WORKER.set(true);
    }

    fn step(&self) -> bool {
        let mut todo = self.todo();
        let Some(next) = todo.next() else {
            self.sleep(todo);
            return true;
        };
        drop(todo);
        match next {
            Next::Wake(waker) => contain(move || waker.wake()),
            Next::Turn(writer, burst) => contain(move || writer.turn(burst)),
            Next::Land(block) => contain(move || Overlapped::land(block)),
        }
        true
    }
}

impl Worker {
    /// Waits for something to do.
    fn sleep(&self, mut todo: MutexGuard<'_, Todo>) {
        todo.sleeping = true;
        let mut todo = match todo.until_next_timer() {
            None => self
                .posted
                .wait(todo)
                .unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let waited = self.posted.wait_timeout(todo, limit);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        todo.sleeping = false;
    }
}

impl Todo {
    fn next(&mut self) -> Option<Next> {
        let first = self.timers.first_entry();
        if let Some(due) = first.filter(|timer| timer.key().0 <= Instant::now()) {
            return Some(Next::Wake(due.remove()));
        }
        match self.jobs.pop_front()? {
            Job::Land(block) => Some(Next::Land(block)),
            Job::Turn(writer) => {
                let burst = if self.jobs.is_empty() { BURST } else { 1 };
                Some(Next::Turn(writer, burst))
            }
        }
    }

    fn until_next_timer(&self) -> Option<Duration> {
        let (when, _) = self.timers.keys().next()?;
        Some(when.saturating_duration_since(Instant::now()))
    }
}

/// Wakes a waker at a time, unless it is dropped before. Neither call waits for
/// the waker, so it may be dropped by the waker itself.
pub(crate) struct Timer {
    worker: &'static Worker,
    key: (Instant, u64),
}

impl Timer {
    pub(crate) fn start(when: Instant, waker: Waker) -> io::Result<Timer> {
        let worker = Worker::get()?;
        let mut key = (when, 0);
        worker.post(|todo| {
            key.1 = todo.next_timer;
            todo.next_timer += 1;
            todo.timers.insert(key, waker);
        });
        Ok(Timer { worker, key })
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let waker = self.worker.todo().timers.remove(&self.key);
        drop(waker);
    }
}
