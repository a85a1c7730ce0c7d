use std::io::{PipeReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

#[cfg(windows)]
mod carried;
#[cfg(target_os = "linux")]
mod passing;

use super::*;
use crate::os::Handle;

/// No test takes nearly as long.
const LONG: Duration = Duration::from_secs(60);

/// Runs a test; one that hangs has failed.
fn watched(test: impl FnOnce() + Send + 'static) {
    let (done, watchdog) = channel();
    let test = thread::spawn(move || {
        // Dropped also by a panic.
        let _done: Sender<()> = done;
        test();
    });
    let timed_out = watchdog.recv_timeout(LONG) == Err(RecvTimeoutError::Timeout);
    assert!(!timed_out, "the test hangs");
    test.join().unwrap();
}

fn feed(on_full: OnFull, buffer: u64) -> (Arc<Feed>, Receiver<Event>) {
    let manner = Manner {
        on_full,
        buffer,
        lines: false,
        in_doubt: InDoubt::Skip,
        splice: false,
    };
    let (sender, events) = channel();
    (Arc::new(Feed::new(0, &manner, sender)), events)
}

fn attach(feed: &Arc<Feed>) -> PipeReader {
    let (reader, pipe) = std::io::pipe().unwrap();
    assert!(
        feed.attach("pipe", Handle::from(pipe).into(), true, None)
            .is_ok()
    );
    reader
}

fn read_all(mut reader: PipeReader) -> Vec<u8> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    bytes
}

#[track_caller]
fn ended(events: &Receiver<Event>) {
    assert!(matches!(events.recv_timeout(LONG), Ok(Event::Ended(0))));
}

/// The copy and the callbacks hand on by turns: whoever comes while the other is
/// at it must not be forgotten.
#[test]
fn everything_arrives_and_the_end_is_heard_of_whoever_hands_on() {
    watched(|| {
        for round in 0..2000 {
            let (feed, events) = feed(OnFull::Wait, 400);
            let reader = attach(&feed);
            let pieces: Vec<Bytes> = (0..20_u8)
                .map(|n| vec![n; 1 + round % 100].into())
                .collect();
            let reading = thread::spawn(move || read_all(reader));
            for piece in &pieces {
                assert!(feed.offer_patiently(piece.clone()));
            }
            feed.finish(Waits::ForNobody);
            ended(&events);
            assert_eq!(reading.join().unwrap(), pieces.concat());
            let accounts = feed.accounts();
            assert_eq!(
                (accounts.written, accounts.unsent),
                (pieces.concat().len() as u64, 0)
            );
        }
    });
}

#[test]
fn what_one_pipe_did_not_take_goes_through_the_next() {
    watched(|| {
        for round in 0..300 {
            let (feed, events) = feed(OnFull::Wait, 1 << 20);
            let all: Vec<u8> = (0..=255).cycle().take(300_000).collect();
            let mut first = attach(&feed);
            for piece in all.chunks(10_000) {
                assert!(feed.offer_patiently(Bytes::copy_from_slice(piece)));
            }
            first.read_exact(&mut vec![0; 1 + round * 100]).unwrap();
            drop(first);
            ended(&events);
            let before = feed.accounts();
            assert!(matches!(before.end, Some(End::Failed(_))));
            // What is in doubt, on Windows, is not sent again.
            let gone = before.written + before.in_doubt;
            assert_eq!(gone + before.unsent, 300_000);
            let reading = attach(&feed);
            let reading = thread::spawn(move || read_all(reading));
            feed.finish(Waits::ForReader);
            ended(&events);
            let rest = &all[usize::try_from(gone).unwrap()..];
            assert!(reading.join().unwrap() == rest, "{gone}");
            let after = feed.accounts();
            assert_eq!(after.in_doubt, before.in_doubt);
            assert_eq!(after.written + after.in_doubt, 300_000);
        }
    });
}

#[test]
fn nobody_waits_for_a_feed_that_was_stopped() {
    watched(|| {
        let (feed, events) = feed(OnFull::Wait, 10);
        let waiting = {
            let feed = Arc::clone(&feed);
            thread::spawn(move || {
                feed.offer_patiently(vec![1; 8].into()) && feed.offer_patiently(vec![2; 8].into())
            })
        };
        while feed.accounts().unsent < 8 {
            thread::yield_now();
        }
        feed.stop();
        assert!(!waiting.join().unwrap());
        ended(&events);
        let accounts = feed.accounts();
        assert!(matches!(accounts.end, Some(End::Stopped)));
        assert_eq!((accounts.written, accounts.unsent), (0, 8));
        // A pipe that comes late is not used.
        let reader = attach(&feed);
        assert_eq!(read_all(reader), b"");
    });
}

#[test]
fn a_reader_is_waited_for_only_if_there_is_time_or_something_to_read() {
    watched(|| {
        let (feed, events) = feed(OnFull::Wait, 10);
        feed.finish(Waits::ForReader);
        assert!(events.try_recv().is_err());
        feed.finish(Waits::ForNobody);
        ended(&events);
        assert!(matches!(feed.accounts().end, Some(End::Closed)));
    });
}
