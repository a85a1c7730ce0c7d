//! What the monkeys know of the writers, and what callbacks, wakers and destructors do
//! with them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pipewright::{Unsent, WeakPipeWriter};

use crate::common::Random;
use crate::common::wakers::poll_once;

/// What everybody was told of one writer.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) weak: OnceLock<WeakPipeWriter>,
    /// Accepted, as the sends said.
    pub(crate) accepted: AtomicU64,
    /// Given back as unsent.
    pub(crate) taken: AtomicU64,
}

impl Book {
    pub(crate) fn accept(&self, len: usize) {
        self.accepted.fetch_add(len as u64, Ordering::SeqCst);
    }

    pub(crate) fn take(&self, unsent: &Unsent) {
        self.taken.fetch_add(unsent.len(), Ordering::SeqCst);
    }
}

/// All books, and choices for user code that the writers run.
#[derive(Debug)]
pub(crate) struct Zoo {
    pub(crate) books: Vec<Book>,
    random: Mutex<Random>,
}

impl Zoo {
    pub(crate) fn new(writers: usize, random: &mut Random) -> Arc<Self> {
        Arc::new(Zoo {
            books: (0..writers).map(|_| Book::default()).collect(),
            random: Mutex::new(random.fork()),
        })
    }

    pub(crate) fn choose(&self, limit: usize) -> usize {
        self.random.lock().unwrap().below(limit)
    }

    /// What callbacks, wakers and destructors do with any of the writers.
    pub(crate) fn user_code(&self) {
        let book = &self.books[self.choose(self.books.len())];
        let Some(writer) = book.weak.get().and_then(WeakPipeWriter::upgrade) else {
            return;
        };
        match self.choose(12) {
            0..=2 if writer.try_send_slice(b"from user code").is_ok() => book.accept(14),
            3 => drop(writer.progress()),
            4 => drop(writer.take_progress()),
            5 => drop(writer.flush_timeout(Duration::from_micros(100))),
            6 => drop(writer.reserve_timeout(10, Duration::from_micros(100))),
            7 => {
                let _ = poll_once(&mut Box::pin(writer.ended()));
            }
            8 if self.choose(20) == 0 => writer.cancel(),
            8 if self.choose(20) == 0 => writer.finish(),
            9 => drop(writer.clone()),
            _ => {}
        }
    }

    /// User code that may panic, where that is the library's affair.
    pub(crate) fn bad_user_code(&self) {
        self.user_code();
        assert!(self.choose(100) > 0, "on purpose");
    }
}
