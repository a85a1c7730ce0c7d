//! Proves the shared piece of a writer in every order in which threads can meet, up
//! to a number of preemptions: loom runs each test again and again, and the system
//! is a scripted kernel. To be run by `scripts/loom.sh`; there is nothing here for an
//! ordinary build.
//!
//! Loom itself finds whoever is left waiting: it reports a deadlock.

#![cfg(pipewright_loom)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod ending;
mod sending;
mod telling;
mod waiting;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use loom::thread::{self, JoinHandle};
use pipewright::scripted::{Answer, Cancelled, End, Kernel, Script, clock};
use pipewright::{Outcome, PipeWriter, Position, Progress};

/// A time that never comes: none passes, unless a test says so.
const LONG: Duration = Duration::from_secs(3600);

/// More than a message that is kept, and not copied, has at least.
const LARGE: usize = pipewright::JOIN_MAX + 1;

/// Pending, and taken as a whole by and by.
const SLOW: Answer = Answer::Ends(End::Took(usize::MAX));

/// Pending until it is cancelled, which the kernel does in its own time.
const STALLED: Answer = Answer::Stalls(Cancelled {
    uncounted: 0,
    at_once: false,
});

/// Tries every order.
fn explore(test: impl Fn() + Send + Sync + 'static) {
    loom::model(move || {
        test();
        assert_eq!(clock::timers(), 0, "a timer outlives its writer");
    });
}

/// Somebody plays the system.
fn serve(kernel: &Kernel) -> JoinHandle<()> {
    let kernel = kernel.clone();
    thread::spawn(move || kernel.run())
}

fn kernel(answers: impl IntoIterator<Item = Answer>) -> Kernel {
    Kernel::new(Script::new(answers))
}

/// A kernel that takes three bytes at once, so that messages are not joined to fewer
/// operations than there are answers.
fn kernel_of_threes(answers: impl IntoIterator<Item = Answer>) -> Kernel {
    Kernel::new(Script {
        max_bytes: 3,
        ..Script::new(answers)
    })
}

fn writer(kernel: &Kernel) -> PipeWriter {
    PipeWriter::new(kernel.pipe()).unwrap()
}

/// What was accepted: each message, and the position after it.
#[derive(Clone, Default)]
struct Accepted(Arc<Mutex<Vec<(Position, Bytes)>>>);

impl Accepted {
    /// Sends, and notes it if it was accepted.
    fn send(&self, writer: &PipeWriter, message: impl Into<Bytes>) -> bool {
        let message = message.into();
        let sent = writer.try_send(message.clone());
        match sent {
            Ok(position) => self.note(position, message),
            Err(ref refused) => drop(refused.clone()),
        }
        sent.is_ok()
    }

    fn note(&self, position: Position, message: Bytes) {
        self.0.lock().unwrap().push((position, message));
    }

    /// All of it, in the order of the positions.
    fn stream(&self) -> Vec<u8> {
        let mut accepted = self.0.lock().unwrap().clone();
        accepted.sort_by_key(|(position, _)| *position);
        let mut stream = Vec::new();
        for (position, message) in accepted {
            stream.extend_from_slice(&message);
            assert_eq!(position.get(), stream.len() as u64, "messages overlap");
        }
        stream
    }
}

/// Checks the accounts of a writer that has ended and was asked by nobody for what it
/// did not write.
#[track_caller]
fn settle(kernel: &Kernel, writer: &PipeWriter, accepted: &Accepted) -> Progress {
    let unsent = writer.take_unsent().unwrap();
    let progress = writer.progress();
    assert!(progress.outcome.is_some());
    let account = kernel.account();
    let audited = account.audit(&accepted.stream(), &progress, Some(&unsent));
    assert_eq!(audited, Ok(()));
    assert!(account.detached);
    assert_eq!(account.closed, 1);
    progress
}

/// Memory that counts how often it is freed: once is right.
#[derive(Clone, Default)]
struct Freed(Arc<AtomicUsize>);

impl Freed {
    /// A message that is not copied.
    fn message(&self) -> Bytes {
        struct Owner(Freed);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &[b'f'; LARGE]
            }
        }
        impl Drop for Owner {
            fn drop(&mut self) {
                self.0.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        Bytes::from_owner(Owner(self.clone()))
    }

    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}

/// What a callback was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Progress>>>);

impl Told {
    fn note(&self, progress: Progress) {
        self.0.lock().unwrap().push(progress);
    }

    /// How much was written, as far as it was told.
    fn written(&self) -> u64 {
        let told = self.0.lock().unwrap();
        told.last().map_or(0, |progress| progress.written)
    }

    /// Checks that it was told in order, and of the end exactly once, at last.
    #[track_caller]
    fn assert_complete(&self, written: u64) {
        let told = self.0.lock().unwrap();
        assert!(told.is_sorted_by_key(|progress| progress.written));
        let ends = told.iter().filter(|progress| progress.outcome.is_some());
        assert_eq!(ends.count(), 1, "{told:?}");
        let last = told.last().unwrap();
        assert!(last.outcome.is_some());
        assert_eq!(last.written, written);
    }
}

#[track_caller]
fn assert_failed(outcome: Option<&Outcome>, code: i32) {
    match outcome {
        Some(Outcome::Failed(error)) => assert_eq!(error.raw_os_error(), Some(code)),
        other => panic!("{other:?}"),
    }
}
