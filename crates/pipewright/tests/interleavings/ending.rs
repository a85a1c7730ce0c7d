//! Ends: whoever meets whom, there is one outcome, and the accounts are exact.

use loom::thread;
use pipewright::scripted::{Answer, CANCELLED, Cancelled, End, Fault, Script};
use pipewright::{Outcome, Unsent};

use super::*;

/// One sends, one stops, and the system completes.
fn stop_in_between(answer: Answer) {
    let kernel = kernel([answer]);
    let (writer, accepted) = (writer(&kernel), Accepted::default());
    let system = serve(&kernel);
    accepted.send(&writer, "abc");
    let stopper = {
        let writer = writer.clone();
        thread::spawn(move || writer.cancel())
    };
    accepted.send(&writer, "de");
    stopper.join().unwrap();
    writer.wait_ended(LONG).unwrap();
    system.join().unwrap();
    let progress = settle(&kernel, &writer, &accepted);
    assert!(matches!(progress.outcome, Some(Outcome::Stopped)));
}

const CANCELLED_LATER: Cancelled = Cancelled {
    uncounted: 2,
    at_once: false,
};
const CANCELLED_AT_ONCE: Cancelled = Cancelled {
    uncounted: 2,
    at_once: true,
};

#[test]
fn a_stop_that_comes_too_late_for_an_operation_counts_it_as_written() {
    explore(|| stop_in_between(SLOW));
}

#[test]
fn a_stop_ends_an_operation_that_stalls() {
    explore(|| stop_in_between(Answer::Stalls(CANCELLED_LATER)));
}

#[test]
fn an_operation_that_comes_back_during_its_cancel_is_accounted_for_once() {
    explore(|| stop_in_between(Answer::Stalls(CANCELLED_AT_ONCE)));
}

#[test]
fn a_stop_that_races_a_completion_leaves_one_account() {
    explore(|| {
        stop_in_between(Answer::EndsUnlessCancelled(End::Took(3), CANCELLED_AT_ONCE));
    });
}

#[test]
fn a_stop_that_races_a_completion_which_the_system_tells_later_leaves_one_account() {
    explore(|| {
        stop_in_between(Answer::EndsUnlessCancelled(End::Took(1), CANCELLED_LATER));
    });
}

#[test]
fn somebody_elses_cancel_ends_the_writer_with_its_code() {
    explore(|| {
        let fault = Fault::in_doubt(CANCELLED, 1);
        let kernel = kernel_of_threes([Answer::Ends(End::Failed(fault))]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        let summary = writer.wait_ended(LONG).unwrap();
        system.join().unwrap();
        assert_failed(Some(&summary.outcome), CANCELLED);
        let progress = settle(&kernel, &writer, &accepted);
        assert_eq!((progress.written, progress.in_doubt), (0, 3));
    });
}

#[test]
fn a_close_that_races_a_failure_tells_everybody_the_same_outcome() {
    explore(|| {
        let fault = Fault {
            counted: 1,
            ..Fault::refused(32)
        };
        let kernel = kernel([Answer::Ends(End::Failed(fault))]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        let waiter = {
            let writer = writer.clone();
            thread::spawn(move || writer.wait_ended(LONG).unwrap())
        };
        let unclosed = writer.close_timeout(LONG).unwrap_err();
        let summary = waiter.join().unwrap();
        system.join().unwrap();
        assert_failed(Some(&summary.outcome), 32);
        assert_failed(Some(&unclosed.summary().outcome), 32);
        let progress = writer.progress();
        let unsent = unclosed.into_unsent();
        let stream = accepted.stream();
        let audited = kernel.account().audit(&stream, &progress, Some(&unsent));
        assert_eq!(audited, Ok(()));
    });
}

#[test]
fn a_close_that_races_a_stop_has_one_outcome() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        let stopper = {
            let writer = writer.clone();
            thread::spawn(move || {
                writer.cancel();
                writer.wait_ended(LONG).unwrap().outcome
            })
        };
        writer.finish();
        let mine = writer.wait_ended(LONG).unwrap().outcome;
        let other = stopper.join().unwrap();
        system.join().unwrap();
        assert_eq!(format!("{mine:?}"), format!("{other:?}"));
        let progress = settle(&kernel, &writer, &accepted);
        assert_eq!(
            matches!(mine, Outcome::Closed),
            matches!(progress.outcome, Some(Outcome::Closed))
        );
    });
}

#[test]
fn unsent_data_that_is_taken_while_an_operation_lands_is_what_was_not_written() {
    explore(|| {
        let kernel = kernel([Answer::EndsUnlessCancelled(End::Took(2), CANCELLED_LATER)]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        writer.cancel();
        // Before the operation has landed there is nothing final to take.
        let early = writer.take_unsent();
        writer.wait_ended(LONG).unwrap();
        let late = writer.take_unsent();
        system.join().unwrap();
        let unsent = early.or(late).unwrap();
        let (account, progress) = (kernel.account(), writer.progress());
        let audited = account.audit(&accepted.stream(), &progress, Some(&unsent));
        assert_eq!(audited, Ok(()));
        assert!(writer.take_unsent().unwrap().is_empty());
    });
}

#[test]
fn unsent_data_goes_to_one_of_those_who_take_it() {
    explore(|| {
        let kernel = kernel([STALLED]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.stop())
        };
        let mine = writer.stop();
        let theirs = other.join().unwrap();
        system.join().unwrap();
        let (account, progress) = (kernel.account(), writer.progress());
        let is_nothing = |unsent: &Unsent| unsent.in_doubt().is_empty() && unsent.is_empty();
        assert_eq!(is_nothing(&mine), !is_nothing(&theirs));
        let unsent = if is_nothing(&mine) { theirs } else { mine };
        let audited = account.audit(&accepted.stream(), &progress, Some(&unsent));
        assert_eq!(audited, Ok(()));
    });
}

#[test]
fn a_pipe_that_is_taken_back_while_an_operation_lands_stays_open() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        let (pipe, unsent) = writer.into_parts();
        system.join().unwrap();
        let account = kernel.account();
        assert!(account.detached);
        assert_eq!(account.closed, 0);
        let stream = accepted.stream();
        let written = usize::try_from(unsent.written()).unwrap();
        assert_eq!(account.received, stream[..written]);
        assert_eq!(unsent.into_bytes(), stream[written..]);
        drop(pipe.unwrap());
        assert_eq!(kernel.account().closed, 1);
    });
}

#[test]
fn a_writer_that_was_dropped_writes_what_it_has_and_then_lingers_no_more() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        let other = {
            let writer = writer.clone();
            thread::spawn(move || drop(writer))
        };
        drop(writer);
        other.join().unwrap();
        pipewright::wait_lingering(LONG).unwrap();
        let account = kernel.account();
        assert_eq!(account.received, accepted.stream());
        assert_eq!(account.closed, 1);
        system.join().unwrap();
    });
}

#[test]
fn a_writer_that_has_ended_does_not_linger_for_a_permit_that_is_left() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let writer = writer(&kernel);
        let system = serve(&kernel);
        writer.try_send("abc").unwrap();
        let permit = writer.try_reserve(1).unwrap();
        drop(writer);
        pipewright::wait_lingering(LONG).unwrap();
        assert_eq!(clock::timers(), 0);
        drop(permit);
        system.join().unwrap();
    });
}

#[test]
fn a_writer_that_lingers_too_long_is_stopped() {
    explore(|| {
        let kernel = kernel([STALLED]);
        let writer = PipeWriter::builder()
            .linger(LONG / 2)
            .build(kernel.pipe())
            .unwrap();
        let system = serve(&kernel);
        writer.try_send("abc").unwrap();
        let waiter = thread::spawn(|| pipewright::wait_lingering(LONG).unwrap());
        drop(writer);
        clock::advance(LONG / 2);
        waiter.join().unwrap();
        system.join().unwrap();
        assert_eq!(kernel.account().closed, 1);
    });
}

#[test]
fn a_handle_that_is_upgraded_while_the_last_one_goes_is_whole_or_not_there() {
    explore(|| {
        let kernel = Kernel::new(Script::default());
        let writer = writer(&kernel);
        let weak = writer.downgrade();
        let system = serve(&kernel);
        let upgrader = thread::spawn(move || {
            let Some(writer) = weak.upgrade() else {
                return false;
            };
            writer.try_send("still open").unwrap();
            true
        });
        drop(writer);
        let sent = upgrader.join().unwrap();
        system.join().unwrap();
        pipewright::wait_lingering(LONG).unwrap();
        let account = kernel.account();
        assert_eq!(account.received.is_empty(), !sent);
        assert_eq!(account.closed, 1);
    });
}

#[test]
fn a_pipe_that_is_attached_while_the_writer_is_stopped_is_closed_once() {
    explore(|| {
        let kernel = kernel([STALLED]);
        let (writer, accepted) = (PipeWriter::unattached(), Accepted::default());
        accepted.send(&writer, "abc");
        let attacher = {
            let (writer, pipe) = (writer.clone(), kernel.pipe());
            thread::spawn(move || writer.attach(pipe).is_ok())
        };
        writer.cancel();
        let attached = attacher.join().unwrap();
        while kernel.step(0) {}
        let summary = writer.wait_ended(LONG).unwrap();
        assert!(matches!(summary.outcome, Outcome::Stopped));
        let account = kernel.account();
        assert_eq!(account.closed, 1);
        assert!(attached || account.operations == 0);
        let unsent = writer.take_unsent().unwrap();
        let audited = account.audit(&accepted.stream(), &writer.progress(), Some(&unsent));
        assert_eq!(audited, Ok(()));
    });
}
