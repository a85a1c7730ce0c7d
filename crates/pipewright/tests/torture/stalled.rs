//! Writers that are stalled cost no time of the processor, and hold up nobody else.
//! Each test has a process of its own.

use std::fs::File;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use pipewright::PipeWriter;

use crate::common::data::{assert_stream, read_exact, stream};
use crate::common::ends::{full_pipe, on_a_thread, pipe};
use crate::common::process::{Thread, cpu_time_of_all, naps, raise_handle_limit, threads_named};
use crate::common::wakers::{Wakes, poll_with};
use crate::common::{LONG, alone, until};
use crate::times;

const WRITERS: usize = 1_000;

/// A writer whose pipe is full, with as much queued as there is room for, and what
/// reads its pipe.
fn stalled() -> (PipeWriter, File) {
    let (reader, pipe, _) = full_pipe();
    let writer = PipeWriter::builder()
        .sole_owner(true)
        .capacity(10_000)
        .build(pipe)
        .unwrap();
    writer.try_send(stream(0, 10_000)).unwrap();
    (writer, reader)
}

/// What all writers together cost while nothing can get any further.
#[derive(Debug)]
struct Cost {
    time: Duration,
    cpu_time: Duration,
    /// How often their one thread was woken, where the system counts it.
    woken: u64,
}

impl Cost {
    fn of(stall: Duration, reactor: &Thread) -> Self {
        let (cpu_time, woken) = (cpu_time_of_all(), naps(reactor));
        let since = Instant::now();
        thread::sleep(stall);
        Cost {
            time: since.elapsed(),
            cpu_time: cpu_time_of_all() - cpu_time,
            woken: naps(reactor) - woken,
        }
    }

    fn is_nothing(&self) -> bool {
        self.cpu_time * 100 < self.time && self.woken <= 1
    }
}

#[test]
fn a_thousand_stalled_writers_cost_no_time_of_the_processor() {
    alone(|| {
        raise_handle_limit(4 * WRITERS as u64);
        let writers: Vec<_> = (0..WRITERS).map(|_| stalled()).collect();
        // Some have a thread of their own, which is stalled as well,
        let on_threads: Vec<_> = (0..20)
            .map(|_| {
                let (reader, writer) = on_a_thread(|pipe| {
                    PipeWriter::builder().capacity(1 << 20).build(pipe).unwrap()
                });
                writer.try_send(stream(0, 1 << 20)).unwrap();
                (writer, reader)
            })
            .collect();
        // some have tasks and threads that wait for them, and some are to linger.
        let (wakes, waker) = Wakes::new();
        let mut sends: Vec<_> = writers[..200]
            .iter()
            .map(|(writer, _)| Box::pin(writer.send("more")))
            .collect();
        for send in &mut sends {
            assert!(poll_with(send, &waker).is_pending());
        }
        let waiting = Arc::new(Barrier::new(21));
        for (writer, _) in &writers[200..220] {
            let (writer, waiting) = (writer.clone(), Arc::clone(&waiting));
            thread::spawn(move || {
                waiting.wait();
                drop(writer.flush_timeout(LONG));
            });
        }
        waiting.wait();
        let lingering: Vec<_> = (0..50)
            .map(|_| {
                let (reader, pipe, _) = full_pipe();
                let writer = PipeWriter::builder()
                    .sole_owner(true)
                    .linger(LONG)
                    .build(pipe)
                    .unwrap();
                writer.try_send("last words").unwrap();
                reader
            })
            .collect();

        let reactor = threads_named("pipewright").remove(0);
        for _ in 0..times(1) {
            // On a busy machine it takes a while until everybody has come to rest.
            let comes_to_rest = (0..30).any(|_| {
                let cost = Cost::of(Duration::from_secs(1), &reactor);
                cost.is_nothing()
            });
            assert!(comes_to_rest, "they are never at rest");
            let cost = Cost::of(Duration::from_secs(3), &reactor);
            assert!(cost.is_nothing(), "{cost:?} for nothing");
        }
        assert_eq!(wakes.count(), 0);
        assert!(
            writers
                .iter()
                .all(|(writer, _)| writer.progress().written == 0)
        );
        assert!(
            on_threads
                .iter()
                .all(|(writer, _)| writer.progress().queued > 0)
        );
        drop((sends, lingering));
    });
}

/// Of a thousand writers so many are stalled from the beginning. All others get all
/// of theirs through, and the stalled ones move by not one byte.
fn the_others_get_everything_through(stalled_ones: usize) {
    const LEN: usize = 40_000;
    raise_handle_limit(4 * WRITERS as u64);
    let stalled: Vec<_> = (0..stalled_ones).map(|_| stalled()).collect();
    let (done, written) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicU64::new(0)));
    let mut others: Vec<_> = (stalled_ones..WRITERS)
        .map(|n| {
            let (reader, pipe) = pipe();
            let (done, written) = (Arc::clone(&done), Arc::clone(&written));
            let writer = PipeWriter::builder()
                .sole_owner(true)
                .on_progress(move |progress| {
                    if progress.outcome.is_some() {
                        written.fetch_add(progress.written, Ordering::SeqCst);
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                })
                .build(pipe)
                .unwrap();
            writer.try_send(stream(n as u64, 5 * LEN)).unwrap();
            writer.finish();
            (n as u64, reader)
        })
        .collect();
    for round in 0..5 {
        for (n, reader) in &mut others {
            let position = *n + round * LEN as u64;
            assert_stream(position, &read_exact(reader, LEN));
        }
    }
    until(|| done.load(Ordering::SeqCst) == others.len());
    let sent = 5 * LEN as u64 * others.len() as u64;
    assert_eq!(written.load(Ordering::SeqCst), sent);
    for (writer, _) in &stalled {
        let progress = writer.progress();
        assert_eq!(progress.written, 0);
        assert_eq!(progress.in_flight + progress.queued, 10_000);
    }
}

#[test]
fn one_stalled_writer_delays_none_of_the_other_999() {
    alone(|| the_others_get_everything_through(1));
}

#[test]
fn five_hundred_stalled_writers_delay_none_of_the_other_500() {
    alone(|| the_others_get_everything_through(500));
}
