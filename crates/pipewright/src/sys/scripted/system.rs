//! The system that a scripted kernel is, where there is no other.

use std::convert::Infallible;
use std::io;
use std::sync::PoisonError;

use super::Kernel;
use crate::front::waitable::Waitable;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::sys::{Description, Handling, Opened, Refused};

pub(crate) use super::clock::{Timer, now};

/// The writing end of a kernel's pipe. Dropping it closes it.
#[derive(Debug)]
pub struct Pipe(Kernel);

impl Kernel {
    /// The writing end of its pipe; there is but one.
    #[must_use]
    pub fn pipe(&self) -> Pipe {
        Pipe(self.clone())
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.0.lock().account.closed += 1;
    }
}

pub(crate) fn describe(pipe: &Pipe) -> Description {
    pipe.0.description()
}

#[expect(clippy::unnecessary_wraps, reason = "the other systems' may fail")]
pub(crate) fn open(pipe: Pipe, _: Handling) -> Result<Opened, Refused> {
    let kernel = pipe.0.clone();
    Ok(kernel.open(pipe))
}

/// The kind of an error, by its number: as the machine has it on which the tests run.
pub(crate) fn error_kind(code: i32) -> io::ErrorKind {
    io::Error::from_raw_os_error(code).kind()
}

/// Nobody need ask twice whether the reader has taken everything.
#[derive(Default)]
pub(crate) struct Asked;

/// No thread is ours: none has a duty to leave.
pub(crate) fn step_aside() -> Result<(), Infallible> {
    Ok(())
}

/// The waitable object: a flag, and a way to wait for it.
#[derive(Debug)]
pub(crate) struct Signal {
    set: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    #[expect(clippy::unnecessary_wraps, reason = "the other systems' may fail")]
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Signal {
            set: Mutex::new(false),
            changed: Condvar::new(),
        })
    }

    pub(crate) fn set(&self) {
        *self.lock() = true;
        self.changed.notify_all();
    }

    pub(crate) fn clear(&self) {
        *self.lock() = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waitable {
    /// Waits until it is ready.
    pub fn wait(&self) {
        let mut set = self.0.lock();
        while !*set {
            set = self
                .0
                .changed
                .wait(set)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether it is ready.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.lock()
    }
}
