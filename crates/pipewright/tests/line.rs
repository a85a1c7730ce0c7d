//! C6, liveness, of those who wait for room: first come, first served, whoever
//! waits as a task or as a thread; nobody overtakes; whoever gives up, at whatever
//! moment, takes no room with him; and only those whose turn it is are woken.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use common::data::{reading, stream};
use common::ends::{full_pipe, pipe};
use common::wakers::{Wakes, poll_once, poll_with};
use common::{LONG, rounds, until, watched};
use pipewright::{Ended, Permit, PipeWriter};

const CAPACITY: usize = 1_000;

/// A writer whose capacity is in the hands of a permit: whoever wants more waits.
fn taken() -> (PipeWriter, Permit) {
    let writer = PipeWriter::builder()
        .capacity(CAPACITY as u64)
        .unattached()
        .unwrap();
    let permit = writer.try_reserve(CAPACITY).unwrap();
    (writer, permit)
}

type Reserving<'a> = Pin<Box<dyn Future<Output = Result<Permit, Ended>> + 'a>>;

/// Somebody who waits in the line, and how often he was woken.
fn waiting(writer: &PipeWriter, len: usize) -> (Reserving<'_>, Arc<Wakes>, Waker) {
    let (wakes, waker) = Wakes::new();
    let mut reserving: Reserving<'_> = Box::pin(writer.reserve(len));
    assert!(poll_with(&mut reserving, &waker).is_pending());
    (reserving, wakes, waker)
}

fn granted(reserving: &mut Reserving<'_>) -> Permit {
    match poll_once(reserving) {
        Poll::Ready(permit) => permit.unwrap(),
        Poll::Pending => panic!("not granted"),
    }
}

#[test]
fn those_who_wait_are_served_in_the_order_in_which_they_came() {
    watched(|| {
        let (writer, permit) = taken();
        let mut line: Vec<_> = (0..10).map(|_| waiting(&writer, CAPACITY)).collect();
        drop(permit);
        while !line.is_empty() {
            let woken: Vec<_> = line.iter().map(|(_, wakes, _)| wakes.count()).collect();
            assert!(woken[0] > 0 && woken[1..].iter().all(|wakes| *wakes == 0));
            // Whoever asks out of turn gets nothing.
            if let Some((second, ..)) = line.get_mut(1) {
                assert!(poll_once(second).is_pending());
            }
            let (mut first, ..) = line.remove(0);
            for (later, _, waker) in &mut line {
                assert!(poll_with(later, waker).is_pending());
            }
            drop(granted(&mut first));
        }
        assert!(writer.try_reserve(CAPACITY).is_ok());
    });
}

#[test]
fn nobody_overtakes_those_who_wait() {
    watched(|| {
        let (writer, permit) = taken();
        let (mut large, ..) = waiting(&writer, CAPACITY);
        let (mut small, ..) = waiting(&writer, 1);
        permit.send(stream(0, CAPACITY - 10)).unwrap();
        // There is room for the small one, and it is not its turn.
        assert!(poll_once(&mut small).is_pending());
        assert!(writer.try_send("x").unwrap_err().is_full());
        assert!(writer.try_reserve(1).unwrap_err().is_full());
        assert!(poll_once(&mut large).is_pending());
        drop(large);
        drop(granted(&mut small));
        assert!(writer.try_send("x").is_ok());
    });
}

#[test]
fn several_are_granted_at_once_if_there_is_room_for_them() {
    watched(|| {
        let (writer, permit) = taken();
        let mut line: Vec<_> = (0..5).map(|_| waiting(&writer, CAPACITY / 4)).collect();
        drop(permit);
        let woken: Vec<_> = line.iter().map(|(_, wakes, _)| wakes.count()).collect();
        assert_eq!(woken, [1, 1, 1, 1, 0]);
        // A granted one may take his time: his room is his.
        let (mut last, ..) = line.pop().unwrap();
        assert!(poll_once(&mut last).is_pending());
        assert!(writer.try_reserve(1).unwrap_err().is_full());
        let permits: Vec<_> = line.iter_mut().map(|(one, ..)| granted(one)).collect();
        drop(permits);
        drop(granted(&mut last));
    });
}

#[test]
fn whoever_gives_up_takes_no_room_with_him() {
    watched(|| {
        for victim in 0..4 {
            for is_granted in [false, true] {
                let (writer, permit) = taken();
                let mut permit = Some(permit);
                let mut line: Vec<_> = (0..4).map(|_| waiting(&writer, CAPACITY)).collect();
                if is_granted {
                    // He is woken, and goes before he looks.
                    permit.take();
                    for _ in 0..victim {
                        let (mut one, ..) = line.remove(0);
                        drop(granted(&mut one));
                    }
                    drop(line.remove(0));
                } else {
                    drop(line.remove(victim));
                    permit.take();
                }
                for (mut one, wakes, _) in line {
                    assert_eq!(wakes.count(), 1);
                    drop(granted(&mut one));
                }
                assert!(writer.try_reserve(CAPACITY).is_ok());
            }
        }
    });
}

#[test]
fn sends_that_are_given_up_send_nothing_and_keep_nothing() {
    watched(|| {
        let (writer, permit) = taken();
        let mut sends: Vec<_> = (0..6)
            .map(|_| Box::pin(writer.send(stream(0, CAPACITY / 2))))
            .collect();
        for send in &mut sends {
            assert!(poll_once(send).is_pending());
        }
        drop(sends.remove(0));
        drop(permit);
        // The first two are granted now; one of them goes without looking.
        drop(sends.remove(1));
        assert!(poll_once(&mut sends[0]).is_ready());
        assert!(poll_once(&mut sends[1]).is_ready());
        drop(sends);
        assert_eq!(writer.progress().accepted, CAPACITY as u64);
        assert_eq!(writer.stop().len(), CAPACITY as u64);
    });
}

#[test]
fn threads_whose_time_is_over_leave_the_line() {
    watched(|| {
        let (writer, permit) = taken();
        let short = Duration::from_millis(2);
        assert!(writer.send_timeout(stream(0, CAPACITY), short).is_err());
        let impatient = writer.clone();
        let gone = thread::spawn(move || impatient.reserve_timeout(CAPACITY, short).is_err());
        assert!(gone.join().unwrap());
        let (mut patient, ..) = waiting(&writer, CAPACITY);
        drop(permit);
        drop(granted(&mut patient));
        assert!(writer.try_reserve(CAPACITY).is_ok());
    });
}

#[test]
fn a_task_is_woken_by_the_waker_that_it_showed_last() {
    watched(|| {
        let (writer, permit) = taken();
        let (mut reserving, first, _) = waiting(&writer, 1);
        let (second, waker) = Wakes::new();
        assert!(poll_with(&mut reserving, &waker).is_pending());
        drop(permit);
        assert_eq!((first.count(), second.count()), (0, 1));

        let (_reader, pipe, _) = full_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        writer.try_send("x").unwrap();
        let mut ended = Box::pin(writer.ended());
        let (first, waker) = Wakes::new();
        assert!(poll_with(&mut ended, &waker).is_pending());
        let (second, waker) = Wakes::new();
        assert!(poll_with(&mut ended, &waker).is_pending());
        writer.cancel();
        until(|| second.count() == 1);
        assert_eq!(first.count(), 0);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn tasks_and_threads_wait_in_one_line() {
    use common::data::{read_exact, read_stream};
    use common::process::{status, this_thread};
    use futures_lite::future::block_on;
    watched(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(100).build(pipe).unwrap();
        let mut position = writer.try_send(stream(0, 100)).unwrap().get();
        let mut waiting = Vec::new();
        for n in 0..10 {
            let (message, writer) = (stream(position, 100), writer.clone());
            position += 100;
            let (here, started) = std::sync::mpsc::channel();
            waiting.push(thread::spawn(move || {
                here.send(this_thread()).unwrap();
                if n % 2 == 0 {
                    block_on(writer.send(message)).unwrap()
                } else {
                    writer.send_timeout(message, LONG).unwrap()
                }
            }));
            // The next one comes when this one sleeps in the line.
            let thread = started.recv().unwrap();
            until(|| status(&thread, "State").starts_with('S'));
        }
        read_exact(&mut reader, filling);
        let ends: Vec<_> = waiting
            .into_iter()
            .map(|thread| thread.join().unwrap().get())
            .collect();
        assert!(ends.is_sorted(), "served in order: {ends:?}");
        writer.finish();
        assert_eq!(read_stream(&mut reader, 0), position);
    });
}

#[test]
fn permits_that_are_dropped_feed_the_line() {
    watched(|| {
        let (writer, permit) = taken();
        let (mut first, ..) = waiting(&writer, 600);
        let (mut second, ..) = waiting(&writer, 600);
        permit.send(stream(0, 400)).unwrap();
        let held = granted(&mut first);
        assert!(poll_once(&mut second).is_pending());
        // Most of what was reserved is not used: the next gets it.
        drop(held);
        let held = granted(&mut second);
        held.send(stream(0, 600)).unwrap();
        assert!(writer.try_send("x").unwrap_err().is_full());
    });
}

#[test]
fn waiting_senders_that_come_and_go_at_random_lose_no_room() {
    watched(|| {
        rounds(40, |random| {
            let (reader, pipe) = pipe();
            let writer = PipeWriter::builder().capacity(5_000).build(pipe).unwrap();
            let mut line: Vec<Reserving<'_>> = Vec::new();
            let mut permits = Vec::new();
            let mut sent = 0;
            let reading = reading(reader);
            for _ in 0..400 {
                match random.below(8) {
                    0..=2 => {
                        let len = match random.below(10) {
                            0 => random.between(5_001, 20_000),
                            1 => 0,
                            _ => random.between(1, 3_000),
                        };
                        line.push(Box::pin(writer.reserve(len)));
                    }
                    3 if !line.is_empty() => {
                        let gone = random.below(line.len());
                        drop(line.remove(gone));
                    }
                    4 if !permits.is_empty() => drop(permits.pop()),
                    5 => {
                        if let Some(permit) = permits.pop() {
                            let len = random.between(0, 500);
                            let permit: Permit = permit;
                            if let Ok(end) = permit.send(stream(sent, len)) {
                                sent = end.get();
                            }
                        }
                    }
                    6 => {
                        if let Ok(end) = writer.try_send(stream(sent, random.between(0, 900))) {
                            sent = end.get();
                        }
                    }
                    _ => {
                        let mut n = 0;
                        while n < line.len() {
                            match poll_once(&mut line[n]) {
                                Poll::Ready(permit) => {
                                    permits.push(permit.unwrap());
                                    drop(line.remove(n));
                                }
                                Poll::Pending => n += 1,
                            }
                        }
                    }
                }
            }
            drop((line, permits));
            // All of it is there again, once everything is written.
            let all = writer.reserve_timeout(5_000, LONG).unwrap();
            assert!(writer.try_send("x").unwrap_err().is_full());
            drop(all);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap().len() as u64, sent);
        });
    });
}

#[test]
fn those_who_wait_give_up_when_no_more_is_accepted() {
    watched(|| {
        for end in [PipeWriter::finish, PipeWriter::cancel] {
            let (_reader, pipe, _) = full_pipe();
            let writer = PipeWriter::builder().capacity(10).build(pipe).unwrap();
            writer.try_send(stream(0, 10)).unwrap();
            let mut line: Vec<_> = (0..5).map(|_| waiting(&writer, 5)).collect();
            end(&writer);
            for (reserving, wakes, _) in &mut line {
                assert_eq!(wakes.count(), 1);
                assert!(matches!(poll_once(reserving), Poll::Ready(Err(Ended(_)))));
            }
        }
    });
}
