//! The one thread that starts the writes of all overlapped writers, accounts for their
//! completions, and keeps the time; and another, for handles that are bound to a port.
//!
//! Why only a thread of ours starts writes to the others: the system cancels what a
//! thread has pending when that thread ends (Microsoft, "ExitThread function": pending I/O
//! that is not associated with a completion port is canceled). A message must not
//! be lost because the thread that sent it has ended, nor because the thread pool
//! had no more use for the one that continued; this thread lives as long as the
//! process, and so does one that took over its duty. Starting a write does not wait,
//! so one thread is enough for all.
//!
//! Work is done in rounds: what was there when a round began, each job once. So each
//! writer gets one turn and then waits for those of the others, and the completions that
//! have come to the port are looked at between any two rounds.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::block::Block;
use super::overlapped::Overlapped;
use super::port::Port;
use crate::panics::contain;
use crate::sys::Writer;
use crate::sys::duty::{self, Duty, Recruit, Server};

/// How many operations a writer may have in one turn while no other waits for its
/// turn. Whoever waits for them is woken once for all.
const BURST: usize = 16;

/// The names of the threads.
const NAME: &str = "pipewright";
const NAME_OF_PORTS: &str = "pipewright-port";

thread_local! {
    static IS_WORKER: Cell<bool> = const { Cell::new(false) };
}

pub(super) struct Worker {
    todo: Mutex<Todo>,
    bell: Bell,
    duty: Duty,
}

/// What wakes the thread.
enum Bell {
    Condvar(Condvar),
    /// It also brings completions.
    Port(&'static Port),
}

#[derive(Default)]
struct Todo {
    /// The jobs of this round.
    round: VecDeque<Job>,
    /// Those that have come meanwhile.
    posted: VecDeque<Job>,
    timers: BTreeMap<(Instant, u64), Waker>,
    next_timer: u64,
    /// The thread waits for the bell, or is about to.
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
        once(&WORKER, || {
            let recruit = duty::recruit(NAME)?;
            let worker = Box::leak(Box::new(Worker::new(Bell::Condvar(Condvar::new()), NAME)));
            Ok(Worker::start(worker, recruit))
        })
    }

    /// The worker of handles that are bound to its port, started on first use.
    pub(super) fn of_port() -> io::Result<(&'static Worker, &'static Port)> {
        static WORKER: Mutex<Option<(&'static Worker, &'static Port)>> = Mutex::new(None);
        once(&WORKER, || {
            let recruit = duty::recruit(NAME_OF_PORTS)?;
            let port = Box::leak(Box::new(Port::new()?));
            let worker = Box::leak(Box::new(Worker::new(Bell::Port(port), NAME_OF_PORTS)));
            Ok((Worker::start(worker, recruit), port))
        })
    }

    fn new(bell: Bell, name: &'static str) -> Worker {
        Worker {
            todo: Mutex::default(),
            bell,
            duty: Duty::new(name),
        }
    }

    fn start(&'static self, thread: Recruit<&'static Worker>) -> &'static Worker {
        thread.serve(self);
        self
    }

    /// Whether the current thread is the worker.
    pub(super) fn is_here() -> bool {
        IS_WORKER.get()
    }

    /// Has a turn of the writer run.
    pub(super) fn schedule(&self, writer: Arc<dyn Writer>) {
        self.post(|todo| todo.posted.push_back(Job::Turn(writer)));
    }

    /// Has the operation accounted for with which the kernel is done.
    pub(super) fn land(&self, block: Block) {
        self.post(|todo| todo.posted.push_back(Job::Land(block)));
    }

    fn post(&self, add: impl FnOnce(&mut Todo)) {
        let mut todo = self.todo();
        add(&mut todo);
        let wake = std::mem::take(&mut todo.sleeping);
        drop(todo);
        if wake && self.bell.ring().is_err() {
            self.hand_over();
        }
    }

    /// The thread cannot be woken now. What was posted can be done by the other one: it
    /// has no port, and is always woken.
    fn hand_over(&self) {
        let mut todo = self.todo();
        let posted = std::mem::take(&mut todo.posted);
        todo.sleeping = true;
        drop(todo);
        if let Ok(other) = Worker::get() {
            other.post(|todo| todo.posted.extend(posted));
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
            self.next_round(todo);
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

/// What was made before, or is made now.
fn once<T: Copy>(slot: &Mutex<Option<T>>, make: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = *slot {
        return Ok(made);
    }
    let made = make()?;
    *slot = Some(made);
    Ok(made)
}

impl Bell {
    fn ring(&self) -> io::Result<()> {
        match self {
            Bell::Condvar(posted) => posted.notify_one(),
            Bell::Port(port) => return port.ring(),
        }
        Ok(())
    }
}

impl Worker {
    /// A round is over. Begins the next one, and waits if there is nothing to do.
    fn next_round(&self, mut todo: MutexGuard<'_, Todo>) {
        todo.sleeping = todo.posted.is_empty();
        let mut todo = match &self.bell {
            Bell::Condvar(posted) => match todo.until_next_timer() {
                _ if !todo.sleeping => todo,
                None => posted.wait(todo).unwrap_or_else(PoisonError::into_inner),
                Some(limit) => {
                    let waited = posted.wait_timeout(todo, limit);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            },
            Bell::Port(port) => {
                let nothing = todo.sleeping;
                drop(todo);
                let over = if nothing { port.wait() } else { port.poll() };
                let mut todo = self.todo();
                todo.posted.extend(over.into_iter().map(Job::Land));
                todo
            }
        };
        todo.sleeping = false;
        let Todo { round, posted, .. } = &mut *todo;
        std::mem::swap(round, posted);
    }
}

impl Todo {
    /// What to do next in this round.
    fn next(&mut self) -> Option<Next> {
        let first = self.timers.first_entry();
        if let Some(due) = first.filter(|timer| timer.key().0 <= Instant::now()) {
            return Some(Next::Wake(due.remove()));
        }
        match self.round.pop_front()? {
            Job::Land(block) => Some(Next::Land(block)),
            Job::Turn(writer) => {
                let alone = self.round.is_empty() && self.posted.is_empty();
                Some(Next::Turn(writer, if alone { BURST } else { 1 }))
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Read;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, Sender};

    use super::super::signal::event;
    use super::*;
    use crate::PipeWriter;
    use crate::named_pipe::ServerOptions;
    use crate::sys::{Driver, Pipe, Submitted};

    const WATCHDOG: Duration = Duration::from_secs(60);

    /// A writer whose turns are told, and do nothing else.
    struct Told(Box<dyn Fn(Arc<dyn Writer>) + Send + Sync>);

    impl Writer for Told {
        fn turn(self: Arc<Self>, _: usize) {
            (self.0)(Arc::clone(&self) as _);
        }

        fn landed(self: Arc<Self>, _: &dyn Driver, _: Submitted) {}

        fn detached(self: Arc<Self>, _: Option<Pipe>) {}

        fn ready(self: Arc<Self>) {}
    }

    fn told(turn: impl Fn(Arc<dyn Writer>) + Send + Sync + 'static) -> Arc<Told> {
        Arc::new(Told(Box::new(turn)))
    }

    #[test]
    fn what_a_port_cannot_be_told_is_done_by_the_other_thread() {
        // Its thread was never started, and its port is none.
        let port = Box::leak(Box::new(Port::from(event().unwrap())));
        let worker = Worker::new(Bell::Port(port), "never started");
        worker.todo().sleeping = true;
        let (tell, turns) = mpsc::channel();
        let tell = Mutex::new(tell);
        for n in 0..3 {
            let tell: Sender<i32> = tell.lock().unwrap().clone();
            worker.schedule(told(move |_| tell.send(n).unwrap()));
        }
        for n in 0..3 {
            assert_eq!(turns.recv_timeout(WATCHDOG), Ok(n));
        }
    }

    #[test]
    fn a_writer_that_always_wants_a_turn_keeps_no_completion_from_coming_home() {
        let (worker, _) = Worker::of_port().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        worker.schedule(told(move |writer| {
            if !ends.load(Ordering::Relaxed) {
                worker.schedule(writer);
            }
        }));

        let name = format!(r"\\.\pipe\pipewright-worker-{}", std::process::id());
        let mut server = ServerOptions::new(&name).out_buffer(1).create().unwrap();
        let mut reader = OpenOptions::new().read(true).open(&name).unwrap();
        let builder = PipeWriter::builder().sole_owner(true);
        let writer = builder.build(server.accept(WATCHDOG).unwrap()).unwrap();
        writer.try_send(vec![7; 10_000]).unwrap();
        let mut heard = vec![0; 10_000];
        reader.read_exact(&mut heard).unwrap();
        assert!(
            writer.flush_timeout(WATCHDOG).is_ok(),
            "it did not come home"
        );
        over.store(true, Ordering::Relaxed);
    }
}
