//! The shared piece of a writer against every fault that a system can make, with a
//! scripted kernel behind a handle of the real system.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod faults;
mod moments;
mod random;

#[path = "../../../../tests/common/mod.rs"]
mod common;

use std::sync::{Arc, Mutex};

use super::{Answer, Cancelled, End, Fault, Kernel, Ready, Script};
use crate::builder::Builder;
use crate::outcome::Outcome;
use crate::progress::Progress;
use crate::writer::PipeWriter;

/// Gives the writer a real pipe that the kernel serves in place of the system.
fn attach(kernel: &Kernel, writer: &PipeWriter) {
    let (_, pipe) = common::ends::pipe();
    writer.attach_opened(kernel.open(pipe)).unwrap();
}

/// Lets the kernel do all that it has to do now.
fn settle(kernel: &Kernel) {
    while kernel.step(0) {}
}

/// What a callback was told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Progress>>>);

impl Told {
    fn listen(&self, builder: Builder) -> Builder {
        let told = self.clone();
        builder.on_progress(move |progress| told.0.lock().unwrap().push(progress))
    }

    fn has_ended(&self) -> bool {
        let told = self.0.lock().unwrap();
        told.last().is_some_and(|last| last.outcome.is_some())
    }

    /// Checks that it was told in order, and of the end exactly once and at last.
    #[track_caller]
    fn last(&self) -> Progress {
        let told = self.0.lock().unwrap();
        assert!(told.is_sorted_by_key(|progress| progress.written));
        let ends = told.iter().filter(|progress| progress.outcome.is_some());
        assert_eq!(ends.count(), 1);
        let last = told.last().unwrap();
        assert!(last.outcome.is_some());
        last.clone()
    }
}

/// The code of a failure; `None` for one that has none, as a write of 0 bytes.
#[track_caller]
fn code(outcome: &Outcome) -> Option<i32> {
    match outcome {
        Outcome::Failed(error) => {
            assert!(error.to_string().contains("scripted pipe"), "{error}");
            error.raw_os_error()
        }
        other => panic!("{other:?}"),
    }
}
