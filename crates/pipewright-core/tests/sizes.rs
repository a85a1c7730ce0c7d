//! Proves what the core makes of sizes: more than 4 GiB are never narrowed to 32
//! bits, a lack of resources halves the operations until the system can bear them,
//! and a write of nothing ends the writer where it would turn in circles.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::num::NonZeroU64;

use bytes::Bytes;
use pipewright_core::{
    Config, Core, Event, Failure, Limits, Mode, Outcome, Position, Refused, Rest, Retry,
};

const NO_RESOURCES: Failure = Failure::Os(1450);

/// 5 GiB that take no memory: zeroes that nobody reads, sent again and again.
#[cfg(target_pointer_width = "64")]
mod beyond_4_gib {
    use super::*;

    const PIECE: usize = 64 << 20;
    const PIECES: usize = 80;
    const TOTAL: usize = PIECES * PIECE;
    const TOTAL_64: u64 = TOTAL as u64;
    /// 4 GiB and a little: 5 bytes, if it were narrowed.
    const BIG: usize = (4 << 30) + 5;
    const BIG_64: u64 = BIG as u64;

    #[test]
    fn an_operation_of_5_gib_is_written_in_one() {
        let mut core = full();
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), TOTAL);
        assert_eq!(operation.slices().map(<[u8]>::len).sum::<usize>(), TOTAL);
        assert_eq!(core.progress().in_flight, TOTAL_64);
        drop(core.handle_completed(operation, TOTAL));
        assert_eq!(core.progress().written, TOTAL_64);
        assert!(core.is_written(Position::new(TOTAL_64)));
        assert!(!core.is_written(Position::new(TOTAL_64 + 1)));
    }

    /// Where memory that is not touched costs nothing.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_message_beyond_4_gib_stays_whole() {
        for mode in [Mode::Byte, Mode::Message] {
            let mut core = Core::new(Config {
                mode,
                ..Config::default()
            });
            core.attach(UNLIMITED).unwrap();
            let end = core.send(&mut Bytes::from(vec![0; BIG])).unwrap();
            assert_eq!(end.get(), BIG_64);
            assert_eq!(core.progress().queued, BIG_64);
            assert_eq!(core.reserve(1).map(drop), Err(Refused::Full));
            let operation = core.poll_submit().unwrap();
            assert_eq!(operation.first().len(), BIG);
            core.handle_not_ready(operation);
            assert_eq!(core.progress().queued, BIG_64);
        }
    }

    #[test]
    fn a_part_beyond_4_gib_is_accounted_for() {
        let mut core = full();
        let operation = core.poll_submit().unwrap();
        drop(core.handle_completed(operation, BIG));
        let progress = core.progress();
        assert_eq!(progress.written, BIG_64);
        assert_eq!(progress.queued, TOTAL_64 - BIG_64);
        assert_eq!(progress.outcome, None);

        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), TOTAL - BIG);
        core.handle_not_ready(operation);
    }

    #[test]
    fn a_doubt_beyond_4_gib_is_accounted_for() {
        let mut core = full();
        let operation = core.poll_submit().unwrap();
        drop(core.handle_failed(operation, 1, Failure::Os(995), Rest::InDoubt));
        let progress = core.progress();
        assert_eq!((progress.written, progress.in_doubt), (1, TOTAL_64 - 1));
        let in_doubt = core.take_unsent().unwrap().in_doubt;
        assert_eq!(in_doubt.iter().map(Bytes::len).sum::<usize>(), TOTAL - 1);
    }

    #[test]
    fn unsent_data_beyond_4_gib_is_accounted_for() {
        let mut core = full();
        core.stop();
        assert_eq!(core.progress().queued, TOTAL_64);
        let unsent = core.take_unsent().unwrap().unsent;
        assert_eq!(unsent.iter().map(Bytes::len).sum::<usize>(), TOTAL);
        assert_eq!(core.progress().queued, TOTAL_64);
    }

    #[test]
    fn limits_beyond_4_gib_are_kept() {
        let mut core = full_with(Limits {
            max_bytes: BIG,
            max_chunks: usize::MAX,
        });
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), BIG);
        let progress = core.progress();
        assert_eq!(progress.in_flight, BIG_64);
        assert_eq!(progress.queued, TOTAL_64 - BIG_64);
        core.handle_exhausted(operation, NO_RESOURCES);
        core.handle_ready();
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), BIG / 2);
        core.handle_not_ready(operation);
    }

    #[test]
    fn a_capacity_beyond_4_gib_is_kept() {
        let mut core = full();
        let fits = NonZeroU64::new(CAPACITY - TOTAL_64).unwrap().get();
        let reservation = core.reserve(usize::try_from(fits).unwrap()).unwrap();
        assert_eq!(core.reserve(1).map(drop), Err(Refused::Full));
        core.release(reservation);
    }

    #[test]
    fn the_largest_reservation_there_can_be_does_not_overflow() {
        let mut core = Core::new(Config::default());
        let reservation = core.reserve(usize::MAX).unwrap();
        assert_eq!(core.send_slice(b"x"), Err(Refused::Full));
        let ticket = core.wait_in_line(usize::MAX).unwrap();
        core.send_reserved(reservation, &mut Bytes::from_static(b"x"))
            .unwrap();
        let ticket = core.claim(ticket).unwrap_err();
        core.leave(ticket);
        core.send_slice(b"x").unwrap();
    }

    const CAPACITY: u64 = TOTAL_64 + (1 << 33);
    const UNLIMITED: Limits = Limits {
        max_bytes: usize::MAX,
        max_chunks: usize::MAX,
    };

    fn full() -> Core {
        full_with(UNLIMITED)
    }

    fn full_with(limits: Limits) -> Core {
        let mut core = Core::new(Config {
            capacity: NonZeroU64::new(CAPACITY).unwrap(),
            mode: Mode::Byte,
        });
        core.attach(limits).unwrap();
        let piece = Bytes::from(vec![0; PIECE]);
        for number in 1..=PIECES {
            let end = core.send(&mut piece.clone()).unwrap();
            assert_eq!(end.get(), (number * PIECE) as u64);
        }
        core
    }
}

#[test]
fn each_lack_of_resources_halves_the_next_operation() {
    let mut core = writer(64 * 1024);
    core.send(&mut Bytes::from(vec![7; 1 << 20])).unwrap();
    let mut expected = 64 * 1024;
    for attempt in 1..=16 {
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), expected);
        let retry = core.handle_exhausted(operation, NO_RESOURCES);
        assert_eq!(retry, Retry::Later { attempt });
        assert!(!core.wants_turn(), "not before it is ready");
        core.handle_ready();
        expected /= 2;
    }
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.len(), 1);
    core.handle_not_ready(operation);
}

#[test]
fn a_lack_of_resources_halves_what_failed_and_not_a_limit_far_above_it() {
    let mut core = writer(usize::MAX);
    core.send(&mut Bytes::from(vec![7; 10_000])).unwrap();
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.len(), 10_000);
    core.handle_exhausted(operation, NO_RESOURCES);
    core.handle_ready();
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.len(), 5_000);
    core.handle_not_ready(operation);
}

#[test]
fn a_lasting_lack_of_resources_ends_the_writer_with_the_systems_error() {
    let mut core = writer(64 * 1024);
    core.send(&mut Bytes::from(vec![7; 10_000])).unwrap();
    for _ in 0..16 {
        let operation = core.poll_submit().unwrap();
        core.handle_exhausted(operation, NO_RESOURCES);
        core.handle_ready();
    }
    let operation = core.poll_submit().unwrap();
    assert_eq!(
        core.handle_exhausted(operation, NO_RESOURCES),
        Retry::GivenUp
    );
    assert_eq!(core.refusal(), Some(Outcome::Failed(NO_RESOURCES)));
    assert_eq!(core.take_unsent().unwrap().unsent.concat(), [7; 10_000]);
}

#[test]
fn a_success_restores_size_and_patience() {
    let mut core = writer(64 * 1024);
    core.send(&mut Bytes::from(vec![7; 1 << 20])).unwrap();
    for _ in 0..2 {
        for attempt in 1..=16 {
            let operation = core.poll_submit().unwrap();
            let retry = core.handle_exhausted(operation, NO_RESOURCES);
            assert_eq!(retry, Retry::Later { attempt });
            core.handle_ready();
        }
        let operation = core.poll_submit().unwrap();
        drop(core.handle_completed(operation, 1));
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), 64 * 1024);
        core.handle_not_ready(operation);
        core.handle_ready();
    }
}

#[test]
fn a_driver_that_is_only_not_ready_restores_nothing() {
    let mut core = writer(64 * 1024);
    core.send(&mut Bytes::from(vec![7; 1 << 20])).unwrap();
    let operation = core.poll_submit().unwrap();
    core.handle_exhausted(operation, NO_RESOURCES);
    for _ in 0..3 {
        core.handle_ready();
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), 32 * 1024);
        core.handle_not_ready(operation);
    }
}

#[test]
fn a_message_that_the_system_cannot_bear_is_tried_whole_until_the_end() {
    let mut core = Core::new(Config {
        mode: Mode::Message,
        ..Config::default()
    });
    core.attach(Limits::default()).unwrap();
    core.send(&mut Bytes::from(vec![7; 10_000])).unwrap();
    for attempt in 1..=17 {
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.len(), 10_000);
        let retry = core.handle_exhausted(operation, NO_RESOURCES);
        assert_eq!(retry == Retry::GivenUp, attempt == 17);
        core.handle_ready();
    }
    assert_eq!(core.take_unsent().unwrap().unsent, [vec![7; 10_000]]);
}

#[test]
fn a_write_of_nothing_is_a_failure_and_not_an_endless_loop() {
    let mut core = writer(64 * 1024);
    core.send_slice(b"data").unwrap();
    let operation = core.poll_submit().unwrap();
    drop(core.handle_completed(operation, 0));
    assert_eq!(core.refusal(), Some(Outcome::Failed(Failure::NoProgress)));
    assert!(core.poll_submit().is_none());
    assert_eq!(core.take_unsent().unwrap().unsent.concat(), b"data");
    assert_ne!(core.poll_event(), Some(Event::Written));
}

#[test]
fn more_than_all_is_all() {
    let mut core = writer(4);
    core.send_slice(b"data and more").unwrap();
    let operation = core.poll_submit().unwrap();
    drop(core.handle_completed(operation, usize::MAX));
    assert_eq!(core.progress().written, 4);
    assert_eq!(core.poll_submit().unwrap().first(), b" and");
}

fn writer(max_bytes: usize) -> Core {
    let mut core = Core::new(Config {
        capacity: NonZeroU64::new(2 << 20).unwrap(),
        mode: Mode::Byte,
    });
    core.attach(Limits {
        max_bytes,
        max_chunks: 64,
    })
    .unwrap();
    core
}
