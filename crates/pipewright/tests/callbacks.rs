//! C6, liveness, inside callbacks and wakers: any method may be called there, also
//! one that waits, also dropping the last handle, on whichever thread it runs: the
//! one that sends, the one that writes for all pipes, the system's, or that of a file.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};

use common::accounts::in_doubt;
use common::data::{reading, stream};
use common::ends::{full_pipe, pipe};
use common::wakers::{poll_with, when_woken};
use common::{LONG, alone, watched};
use pipewright::{Outcome, PipeWriter};

/// On which thread a callback runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The one that sends, and writes the message itself.
    #[cfg(unix)]
    Sender,
    /// One that gives back room which somebody else wanted.
    Giver,
    /// The one that writes for all pipes.
    WritingSide,
    /// One of the system's, which says that an operation has come back.
    #[cfg(windows)]
    Completion,
    FileThread,
}

#[cfg(unix)]
const PLACES: [Place; 4] = [
    Place::Sender,
    Place::Giver,
    Place::WritingSide,
    Place::FileThread,
];

/// Where it runs when a stalled pipe goes on.
#[cfg(unix)]
const STALLED: Place = Place::WritingSide;

#[cfg(windows)]
const PLACES: [Place; 4] = [
    Place::Giver,
    Place::WritingSide,
    Place::Completion,
    Place::FileThread,
];

/// Where it runs when a stalled pipe goes on.
#[cfg(windows)]
const STALLED: Place = Place::Completion;

impl Place {
    /// Whether it is the current thread; `test` is the test's.
    fn is_here(self, test: ThreadId) -> bool {
        let current = thread::current();
        match current.name() {
            Some("pipewright-file" | "pipewright-blocking") => self == Place::FileThread,
            // Which of the two hears of it depends on how soon the reader was there.
            Some("pipewright") if cfg!(unix) => self == Place::WritingSide,
            _ if self == Place::FileThread => false,
            _ => (current.id() == test) == self.is_the_tests(),
        }
    }

    fn is_the_tests(self) -> bool {
        match self {
            #[cfg(unix)]
            Place::Sender => true,
            Place::Giver => true,
            _ => false,
        }
    }
}

type Act = Box<dyn FnOnce(PipeWriter) + Send>;

/// Runs `act` in a callback, with a handle to the writer that calls back: the only
/// one, if `alone`. Returns when the callback has returned.
fn in_callback(place: Place, alone: bool, act: impl FnOnce(PipeWriter) + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let act: Act = Box::new(move |writer| {
        act(writer);
        done.send(()).unwrap();
    });
    let slot = Arc::new(Mutex::new(None::<(PipeWriter, Act)>));
    let called = Arc::clone(&slot);
    let test = thread::current().id();
    let builder = PipeWriter::builder()
        .capacity(50_000)
        .sole_owner(true)
        .on_progress(move |_| {
            if place.is_here(test) {
                let act = called.lock().unwrap().take();
                if let Some((writer, act)) = act {
                    act(writer);
                }
            }
        });
    // The handle is in the slot before the callback can come.
    let ready = |writer: &PipeWriter| *slot.lock().unwrap() = Some((writer.clone(), act));
    let (mut reader, pipe) = match place {
        Place::FileThread => (None, tempfile::tempfile().unwrap().into()),
        STALLED => {
            let (reader, pipe, _) = full_pipe();
            (Some(reader), pipe)
        }
        _ => {
            let (reader, pipe) = pipe();
            (Some(reader), pipe)
        }
    };
    let writer = builder.build(pipe).unwrap();
    let early = (place != STALLED).then(|| reader.take().map(reading));
    match place {
        Place::Giver => {
            let permit = writer.try_reserve(50_000).unwrap();
            assert!(writer.try_send("hello").unwrap_err().is_full());
            ready(&writer);
            drop(permit);
        }
        STALLED => {
            writer.try_send("hello").unwrap();
            ready(&writer);
        }
        _ => {
            ready(&writer);
            writer.try_send("hello").unwrap();
        }
    }
    let writer = (!alone).then_some(writer);
    let reading = early.unwrap_or_else(|| reader.take().map(reading));
    is_done.recv().unwrap();
    drop(writer);
    if let Some(reading) = reading {
        reading.join().unwrap();
    }
}

fn in_every_callback(act: impl Fn(PipeWriter) + Clone + Send + 'static) {
    for place in PLACES {
        in_callback(place, false, act.clone());
    }
}

#[test]
fn a_callback_may_wait_until_all_is_written() {
    watched(|| {
        in_every_callback(|writer| {
            let end = writer.try_send(stream(0, 40_000)).unwrap();
            writer.wait_written(end, LONG).unwrap();
            writer.try_send(stream(0, 200_000)).unwrap();
            let end = writer.position();
            writer.flush_timeout(LONG).unwrap();
            assert!(writer.progress().written >= end.get());
        });
    });
}

#[test]
fn a_callback_may_wait_for_room() {
    watched(|| {
        in_every_callback(|writer| {
            for _ in 0..20 {
                writer.send_timeout(stream(0, 40_000), LONG).unwrap();
                let permit = writer.reserve_timeout(30_000, LONG).unwrap();
                permit.send(stream(0, 30_000)).unwrap();
            }
            Write::write_all(&mut &writer, &stream(0, 500_000)).unwrap();
            Write::flush(&mut &writer).unwrap();
        });
    });
}

#[test]
fn a_callback_may_close() {
    watched(|| {
        in_every_callback(|writer| {
            let end = writer.try_send(stream(0, 40_000)).unwrap();
            let summary = writer.close_timeout(LONG).unwrap();
            assert_eq!(summary.written, summary.accepted);
            assert!(summary.written >= end.get());
        });
    });
}

#[test]
fn a_callback_may_stop_and_take_the_rest() {
    watched(|| {
        in_every_callback(|writer| {
            writer.try_send(stream(0, 40_000)).unwrap();
            let unsent = writer.stop();
            let progress = writer.progress();
            let given_back = unsent.len() + in_doubt(&unsent);
            assert_eq!(given_back + progress.written, progress.accepted);
        });
    });
}

#[test]
fn a_callback_may_take_the_writer_apart() {
    watched(|| {
        in_every_callback(|writer| {
            writer.try_send(stream(0, 40_000)).unwrap();
            let (pipe, _unsent) = writer.into_parts();
            File::from(pipe.unwrap()).write_all(b"raw").unwrap();
        });
    });
}

#[test]
fn a_callback_may_wait_for_the_end_of_another_writer() {
    watched(|| {
        in_every_callback(|_| {
            let (reader, stalled, _) = full_pipe();
            let other = PipeWriter::builder()
                .sole_owner(true)
                .build(stalled)
                .unwrap();
            other.try_send("hello").unwrap();
            other.finish();
            let reading = reading(reader);
            let summary = other.wait_ended(LONG).unwrap();
            assert!(matches!(summary.outcome, Outcome::Closed));
            reading.join().unwrap();
        });
    });
}

#[cfg(all(target_os = "linux", not(pipewright_portable)))]
#[test]
fn a_callback_may_wait_until_all_is_read() {
    watched(|| {
        for place in [Place::Sender, Place::WritingSide] {
            in_callback(place, false, |writer| {
                writer.try_send(stream(0, 40_000)).unwrap();
                writer.wait_read(LONG).unwrap();
            });
        }
    });
}

#[test]
fn a_callback_may_drop_the_last_handle() {
    watched(|| {
        for place in [STALLED, Place::FileThread] {
            in_callback(place, true, drop);
            in_callback(place, true, |writer| {
                writer.try_send(stream(0, 40_000)).unwrap();
            });
        }
    });
}

#[test]
fn a_callback_may_make_and_close_another_writer() {
    watched(|| {
        in_every_callback(|_| {
            let (reader, pipe) = pipe();
            let reading = reading(reader);
            let other = PipeWriter::new(pipe).unwrap();
            other.try_send(stream(0, 300_000)).unwrap();
            other.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap().len(), 300_000);
            let file = PipeWriter::new(tempfile::tempfile().unwrap()).unwrap();
            file.try_send(stream(0, 300_000)).unwrap();
            file.close_timeout(LONG).unwrap();
        });
    });
}

#[cfg(unix)]
#[test]
fn a_callback_may_wait_for_a_fifo() {
    watched(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        pipewright::fifo::create(&path).unwrap();
        in_every_callback(move |_| {
            let nobody = pipewright::fifo::open(&path, std::time::Duration::from_millis(5));
            assert_eq!(nobody.unwrap_err().kind(), std::io::ErrorKind::TimedOut);
        });
    });
}

#[test]
fn a_callback_may_wait_for_everybody_who_lingers() {
    // In a process of its own: others linger too.
    alone(|| {
        in_every_callback(|_| {
            let (reader, pipe, _) = full_pipe();
            let other = PipeWriter::builder().linger(LONG).build(pipe).unwrap();
            other.try_send("last words").unwrap();
            drop(other);
            let reading = reading(reader);
            pipewright::wait_lingering(LONG).unwrap();
            reading.join().unwrap();
        });
    });
}

#[test]
fn a_waker_may_do_what_a_callback_may() {
    type InWaker = fn(PipeWriter);
    let acts: [InWaker; 6] = [
        drop,
        |writer| drop(writer.stop()),
        |writer| drop(writer.close_timeout(LONG).unwrap()),
        |writer| {
            writer
                .send_timeout(stream(0, 200_000), LONG)
                .map(drop)
                .unwrap()
        },
        |writer| {
            writer.try_send(stream(0, 90_000)).unwrap();
            writer.flush_timeout(LONG).unwrap();
        },
        |writer| drop(writer.into_parts()),
    ];
    watched(|| {
        for act in acts {
            let (reader, pipe, _) = full_pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            writer.try_send("hello").unwrap();
            let slot = Mutex::new(Some(writer.clone()));
            let (done, is_done) = mpsc::channel();
            let done = Mutex::new(done);
            let waker = when_woken(move || {
                let writer = slot.lock().unwrap().take();
                if let Some(writer) = writer {
                    act(writer);
                    done.lock().unwrap().send(()).unwrap();
                }
            });
            let mut flush = Box::pin(async move { writer.flush().await });
            assert!(poll_with(&mut flush, &waker).is_pending());
            drop(waker);
            let reading = reading(reader);
            is_done.recv().unwrap();
            drop(flush);
            reading.join().unwrap();
        }
    });
}

/// Not on Windows: there such destructors run under the loader's lock, and may wait for
/// no thread (the standard library's documentation of `LocalKey`).
#[cfg(unix)]
#[test]
fn a_thread_that_ends_may_stop_a_writer_that_it_kept_for_itself() {
    struct Kept(PipeWriter);
    impl Drop for Kept {
        fn drop(&mut self) {
            drop(self.0.stop());
        }
    }
    thread_local! {
        static KEPT: std::cell::RefCell<Option<Kept>> = const { std::cell::RefCell::new(None) };
    }
    alone(|| {
        let (_reader, stalled, _) = full_pipe();
        let thread = thread::spawn(|| {
            let writer = PipeWriter::new(stalled).unwrap();
            KEPT.set(Some(Kept(writer.clone())));
            writer.try_send("x").unwrap();
            assert!(
                writer
                    .flush_timeout(std::time::Duration::from_millis(1))
                    .is_err()
            );
        });
        thread.join().unwrap();
    });
}
