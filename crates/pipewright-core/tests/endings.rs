//! Proves that a writer ends once, with one outcome that stays, and that every
//! byte is accounted for then: written, in doubt, or handed back.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use bytes::Bytes;
use pipewright_core::{Config, Core, Event, Failure, Limits, Mode, Outcome, Refused, Rest};

type End = fn(&mut Core);

const BROKEN: Failure = Failure::Os(32);
const CANCELLED: Failure = Failure::Os(995);

#[test]
fn finish_writes_all_that_was_accepted_before_the_handle_is_closed() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"all of it").unwrap();
    core.finish();
    assert_eq!(
        core.send_slice(b"late"),
        Err(Refused::Closed(Outcome::Closed))
    );
    assert!(!core.poll_close(), "not before the data");
    write(&mut core, 4);
    assert!(!core.poll_close(), "not before all of the data");
    write(&mut core, 5);
    assert!(core.wants_turn());
    close(&mut core);
    assert_eq!(core.progress().outcome, Some(Outcome::Closed));
    let expected = [Event::Written, Event::Refusing, Event::Ended];
    assert_eq!(events(&mut core), expected);
}

#[test]
fn an_idle_writer_finishes_at_once() {
    let mut core = writer(Mode::Byte);
    core.finish();
    close(&mut core);
    assert_eq!(core.progress().outcome, Some(Outcome::Closed));
}

#[test]
fn the_outcome_is_there_only_after_the_handle_was_closed() {
    let mut core = writer(Mode::Byte);
    core.stop();
    core.handle_closed();
    assert_eq!(core.progress().outcome, None, "nobody was told to close it");
    assert!(core.poll_close());
    assert!(!core.poll_close(), "told once");
    assert_eq!(core.progress().outcome, None);
    assert_eq!(events(&mut core), [Event::Refusing]);
    core.handle_closed();
    assert_eq!(core.progress().outcome, Some(Outcome::Stopped));
    assert_eq!(events(&mut core), [Event::Ended]);
}

#[test]
fn a_writer_without_a_handle_ends_without_closing_one() {
    let mut core = Core::new(Config::default());
    core.send_slice(b"data").unwrap();
    core.finish();
    assert_eq!(core.progress().outcome, None, "a handle may still come");
    core.stop();
    assert!(!core.poll_close());
    assert_eq!(core.progress().outcome, Some(Outcome::Stopped));
    assert_eq!(core.take_unsent().unwrap().unsent.concat(), b"data");
    assert_eq!(core.attach(Limits::default()), Err(Outcome::Stopped));
}

#[test]
fn a_handle_that_comes_after_finish_still_gets_the_data() {
    let mut core = Core::new(Config::default());
    core.send_slice(b"data").unwrap();
    core.finish();
    core.attach(Limits::default()).unwrap();
    write(&mut core, 4);
    close(&mut core);
    assert_eq!(core.progress().outcome, Some(Outcome::Closed));
}

#[test]
fn stop_asks_once_for_the_cancel_and_waits_for_the_operation() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"data").unwrap();
    let operation = core.poll_submit().unwrap();
    assert_eq!(core.poll_cancel(), None);
    core.stop();
    assert_eq!(core.poll_cancel(), Some(operation.id()));
    assert_eq!(core.poll_cancel(), None);
    assert!(!core.poll_close(), "the kernel may still read the data");
    assert!(core.take_unsent().is_none(), "not settled yet");
    drop(core.handle_failed(operation, 0, CANCELLED, Rest::Unsent));
    close(&mut core);
    assert_eq!(core.progress().outcome, Some(Outcome::Stopped));
    assert_eq!(core.take_unsent().unwrap().unsent.concat(), b"data");
}

#[test]
fn an_operation_that_comes_back_before_the_cancel_needs_none() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"data").unwrap();
    let operation = core.poll_submit().unwrap();
    core.stop();
    core.handle_not_ready(operation);
    assert_eq!(core.poll_cancel(), None);
    close(&mut core);
}

#[test]
fn an_operation_that_won_against_its_cancel_counts_as_written() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"data").unwrap();
    let operation = core.poll_submit().unwrap();
    core.stop();
    drop(core.handle_completed(operation, 3));
    close(&mut core);
    let progress = core.progress();
    assert_eq!(progress.outcome, Some(Outcome::Stopped));
    assert_eq!((progress.written, progress.queued), (3, 1));
    assert_eq!(core.take_unsent().unwrap().unsent.concat(), b"a");
}

#[test]
fn what_the_system_does_not_account_for_is_in_doubt_and_never_unsent() {
    let mut core = Core::new(Config::default());
    let limits = Limits {
        max_bytes: 6,
        max_chunks: 1,
    };
    core.attach(limits).unwrap();
    core.send_slice(b"0123456789").unwrap();
    let operation = core.poll_submit().unwrap();
    core.stop();
    drop(core.handle_failed(operation, 2, CANCELLED, Rest::InDoubt));
    let progress = core.progress();
    let counts = (progress.written, progress.in_doubt, progress.queued);
    assert_eq!(counts, (2, 4, 4));
    let rest = core.take_unsent().unwrap();
    assert_eq!(rest.in_doubt.concat(), b"2345");
    assert_eq!(rest.unsent.concat(), b"6789");
    let rest = core.take_unsent().unwrap();
    assert!(rest.in_doubt.is_empty() && rest.unsent.is_empty());
    assert_eq!(core.progress(), progress, "taken back, but still unsent");
}

#[test]
fn the_first_end_is_the_outcome_whatever_comes_later() {
    let ends: [(End, Outcome); 3] = [
        (Core::stop, Outcome::Stopped),
        (Core::finish, Outcome::Closed),
        (|core| core.handle_broken(BROKEN), Outcome::Failed(BROKEN)),
    ];
    for (end, outcome) in ends {
        let mut core = writer(Mode::Byte);
        end(&mut core);
        for _ in 0..3 {
            core.handle_broken(Failure::Os(5));
            core.stop();
            core.finish();
            assert_eq!(core.refusal(), Some(outcome));
            core.poll_close();
            core.handle_closed();
        }
        assert_eq!(core.progress().outcome, Some(outcome));
        assert_eq!(events(&mut core), [Event::Refusing, Event::Ended]);
    }
}

#[test]
fn a_finish_that_is_under_way_can_still_be_stopped_or_fail() {
    let ends: [(End, Outcome); 2] = [
        (Core::stop, Outcome::Stopped),
        (|core| core.handle_broken(BROKEN), Outcome::Failed(BROKEN)),
    ];
    for (end, outcome) in ends {
        let mut core = writer(Mode::Byte);
        core.send_slice(b"data").unwrap();
        core.finish();
        end(&mut core);
        close(&mut core);
        assert_eq!(core.progress().outcome, Some(outcome));
        assert_eq!(events(&mut core), [Event::Refusing, Event::Ended]);
    }
}

#[test]
fn the_systems_error_number_reaches_every_refusal() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"data").unwrap();
    let operation = core.poll_submit().unwrap();
    drop(core.handle_failed(operation, 1, Failure::Os(-7), Rest::Unsent));
    let outcome = Outcome::Failed(Failure::Os(-7));
    assert_eq!(core.send_slice(b"x"), Err(Refused::Closed(outcome)));
    assert_eq!(core.wait_in_line(1).map(drop), Err(outcome));
    assert_eq!(core.attach(Limits::default()), Err(outcome));
    close(&mut core);
    assert_eq!(core.progress().outcome, Some(outcome));
}

#[test]
fn a_failure_cancels_what_is_in_flight() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"data").unwrap();
    let operation = core.poll_submit().unwrap();
    core.handle_broken(BROKEN);
    assert_eq!(core.poll_cancel(), Some(operation.id()));
    drop(core.handle_failed(operation, 0, CANCELLED, Rest::InDoubt));
    close(&mut core);
    assert_eq!(core.progress().outcome, Some(Outcome::Failed(BROKEN)));
    assert_eq!(core.take_unsent().unwrap().in_doubt.concat(), b"data");
}

#[test]
fn whoever_holds_a_place_or_a_reservation_learns_of_the_end() {
    let mut core = writer(Mode::Byte);
    let reservation = core.reserve(1 << 20).unwrap();
    let waiting = core.wait_in_line(1).unwrap();
    core.stop();
    assert_eq!(events(&mut core), [Event::Refusing]);
    let mut message = Bytes::from_static(b"data");
    let refused = core.send_reserved(reservation, &mut message);
    assert_eq!(refused, Err(Refused::Closed(Outcome::Stopped)));
    assert_eq!(message, b"data"[..]);
    let waiting = core.claim(waiting).unwrap_err();
    core.leave(waiting);
    assert_eq!(events(&mut core), []);
}

#[test]
fn part_of_a_message_is_a_failure_that_hands_the_rest_back() {
    let mut core = writer(Mode::Message);
    core.send_slice(b"first").unwrap();
    core.send_slice(b"").unwrap();
    core.send_slice(b"third").unwrap();
    write(&mut core, 2);
    assert_eq!(
        core.refusal(),
        Some(Outcome::Failed(Failure::PartialMessage))
    );
    let unsent = core.take_unsent().unwrap().unsent;
    assert_eq!(unsent, [&b"rst"[..], b"", b"third"]);
}

#[test]
fn an_empty_message_that_failed_is_handed_back() {
    for rest in [Rest::Unsent, Rest::InDoubt] {
        let mut core = writer(Mode::Message);
        core.send_slice(b"").unwrap();
        core.send_slice(b"second").unwrap();
        let operation = core.poll_submit().unwrap();
        drop(core.handle_failed(operation, 0, BROKEN, rest));
        let back = core.take_unsent().unwrap();
        let (in_doubt, unsent): (&[&[u8]], &[&[u8]]) = match rest {
            Rest::Unsent => (&[], &[b"", b"second"]),
            Rest::InDoubt => (&[b""], &[b"second"]),
        };
        assert_eq!(back.in_doubt, in_doubt);
        assert_eq!(back.unsent, unsent);
    }
}

fn writer(mode: Mode) -> Core {
    let mut core = Core::new(Config {
        mode,
        ..Config::default()
    });
    core.attach(Limits::default()).unwrap();
    core
}

fn write(core: &mut Core, written: usize) {
    let operation = core.poll_submit().unwrap();
    drop(core.handle_completed(operation, written));
}

fn close(core: &mut Core) {
    assert!(core.poll_close());
    core.handle_closed();
}

/// All events, unless there is no end of them.
fn events(core: &mut Core) -> Vec<Event> {
    std::iter::from_fn(|| core.poll_event()).take(100).collect()
}
