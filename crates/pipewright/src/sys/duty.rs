//! Threads of ours, and what becomes of their work while user code keeps them.
//!
//! User code runs on threads of ours: callbacks, wakers, destructors. If it waits for
//! a writer there, the thread cannot do the work that the wait may be for. So a
//! thread of ours has a *duty*, which one thread at a time carries out; before it
//! waits it gives the duty up, and another takes over, started if there is none to
//! spare. The wait is then an ordinary one, and waits of different writers'
//! callbacks do not lie on top of each other.
//!
//! A thread whose wait is over stays, to take over from the next that waits: there
//! are as many threads to a duty as have ever waited at the same time, and one.

use std::cell::RefCell;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, mpsc};

/// A kind of work that one thread at a time carries out.
pub(super) struct Duty {
    /// The name of its threads.
    name: &'static str,
    state: Mutex<State>,
    vacant: Condvar,
}

#[derive(Default)]
struct State {
    taken: bool,
    /// How many threads wait to take over.
    spare: usize,
    over: bool,
}

/// What has a duty, as each of its threads knows it.
pub(super) trait Server: Clone + Send + 'static {
    fn duty(&self) -> &Duty;

    /// The current thread takes over.
    fn take_over(&self) {}

    /// Does one thing, or waits for something to do. False when all is over. User
    /// code runs at its end only, so that whoever waits there leaves nothing undone.
    fn step(&self) -> bool;
}

type GiveUp = Box<dyn FnOnce() -> io::Result<()>>;

thread_local! {
    /// How the current thread gives its duty up, while it has one.
    static ON_DUTY: RefCell<Option<GiveUp>> = const { RefCell::new(None) };
}

/// To be called before the current thread waits for a writer. If it is one of ours,
/// another takes over its duty.
///
/// # Errors
///
/// None could be started: the thread still has its duty, and nothing that only it can
/// do will be done while it waits.
pub(crate) fn step_aside() -> io::Result<()> {
    // A thread that has come to its end has no duty any more.
    let give_up = ON_DUTY.try_with(RefCell::take).ok().flatten();
    give_up.map_or(Ok(()), |give_up| give_up())
}

impl Duty {
    pub(super) fn new(name: &'static str) -> Self {
        Duty {
            name,
            state: Mutex::default(),
            vacant: Condvar::new(),
        }
    }

    /// Nobody takes it over any more.
    pub(super) fn end(&self) {
        self.state().over = true;
        self.vacant.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it is to be taken over. False when all is over.
    fn take(&self) -> bool {
        let mut state = self.state();
        state.spare += 1;
        let mut state = self
            .vacant
            .wait_while(state, |state| state.taken && !state.over)
            .unwrap_or_else(PoisonError::into_inner);
        state.spare -= 1;
        state.taken = true;
        !state.over
    }

    /// Leaves it to another thread; whether there is one.
    fn leave(&self) -> bool {
        let mut state = self.state();
        let is_served = state.spare > 0 || state.over;
        state.taken = !is_served;
        drop(state);
        self.vacant.notify_one();
        is_served
    }
}

/// A thread that waits for a duty.
pub(super) struct Recruit<S>(mpsc::Sender<S>);

/// Starts a thread, before there is anything that depends on it.
pub(super) fn recruit<S: Server>(name: &str) -> io::Result<Recruit<S>> {
    let (give, given) = mpsc::channel();
    std::thread::Builder::new()
        .name(name.into())
        .spawn(move || {
            if let Ok(server) = given.recv() {
                serve(&server);
            }
        })?;
    Ok(Recruit(give))
}

impl<S> Recruit<S> {
    /// The thread takes the server's duty over when nobody has it.
    pub(super) fn serve(self, server: S) {
        // The thread waits for it, so it cannot fail.
        let _ = self.0.send(server);
    }
}

/// Starts a thread for the duty, which takes it over when nobody has it.
pub(super) fn start<S: Server>(server: S) -> io::Result<()> {
    recruit(server.duty().name)?.serve(server);
    Ok(())
}

fn serve<S: Server>(server: &S) {
    while server.duty().take() {
        server.take_over();
        set_on_duty(server);
        while ON_DUTY.with_borrow(Option::is_some) {
            if !server.step() {
                return server.duty().end();
            }
        }
    }
}

fn set_on_duty<S: Server>(server: &S) {
    let server = server.clone();
    ON_DUTY.set(Some(Box::new(move || give_up(&server))));
}

fn give_up<S: Server>(server: &S) -> io::Result<()> {
    if server.duty().leave() {
        return Ok(());
    }
    start(server.clone()).inspect_err(|_| set_on_duty(server))?;
    server.duty().state().taken = false;
    server.duty().vacant.notify_one();
    Ok(())
}
