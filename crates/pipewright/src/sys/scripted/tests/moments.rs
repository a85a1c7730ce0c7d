//! What is no plain failure: writes of nothing, arming that fails, lacks that pass,
//! and cancels at every moment of an operation.

use std::io::Write;
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use super::common::data::{assert_stream, stream, tracked, when_freed};
use super::common::{LONG, until, watched};
use super::*;
use crate::outcome::PipeError;
use crate::sys::scripted::CANCELLED;
use crate::writer::WeakPipeWriter;

/// A writer with 25 bytes to write, 10 in an operation, to a kernel that answers so.
fn writing(answers: impl IntoIterator<Item = Answer>) -> (Kernel, PipeWriter, Told) {
    let mut script = Script::new(answers);
    script.max_bytes = 10;
    let kernel = Kernel::new(script);
    let told = Told::default();
    let writer = told.listen(PipeWriter::builder()).unattached().unwrap();
    writer.try_send(stream(0, 25)).unwrap();
    attach(&kernel, &writer);
    (kernel, writer, told)
}

/// Checks the accounts of a writer that has ended.
#[track_caller]
fn audit(kernel: &Kernel, writer: &PipeWriter, told: &Told) -> Progress {
    let unsent = writer.take_unsent().unwrap();
    let progress = told.last();
    let audited = kernel
        .account()
        .audit(&stream(0, 25), &progress, Some(&unsent));
    assert_eq!(audited, Ok(()));
    progress
}

#[test]
fn a_write_of_nothing_ends_the_writer_instead_of_being_repeated() {
    watched(|| {
        for answer in [Answer::Now(End::Took(0)), Answer::Ends(End::Took(0))] {
            let (kernel, writer, told) = writing([Answer::takes(4), answer]);
            settle(&kernel);
            let progress = audit(&kernel, &writer, &told);
            assert_eq!(code(progress.outcome.as_ref().unwrap()), None);
            assert_eq!((progress.written, progress.queued), (4, 21));
            assert_eq!(kernel.account().operations, 2);
        }
    });
}

#[test]
fn arming_that_fails_ends_the_writer_with_its_code() {
    watched(|| {
        let refused = End::NotReady(Ready::Fails(24));
        for answer in [Answer::Now(refused), Answer::Ends(refused)] {
            let (kernel, writer, told) = writing([Answer::takes(4), answer]);
            settle(&kernel);
            let progress = audit(&kernel, &writer, &told);
            assert_eq!(code(progress.outcome.as_ref().unwrap()), Some(24));
            assert_eq!((progress.written, progress.queued), (4, 21));
        }
    });
}

#[test]
fn a_lack_of_resources_that_passes_costs_no_byte() {
    watched(|| {
        let lack = End::Exhausted(1450);
        let answers = [
            Answer::Now(lack),
            Answer::Ends(lack),
            Answer::takes(1),
            Answer::Now(lack),
        ];
        let (kernel, writer, told) = writing(answers);
        until(|| {
            settle(&kernel);
            writer.progress().written == 25
        });
        writer.finish();
        settle(&kernel);
        let progress = audit(&kernel, &writer, &told);
        assert!(matches!(progress.outcome, Some(Outcome::Closed)));
        assert_stream(0, &kernel.account().received);
    });
}

#[test]
fn a_lack_of_resources_that_goes_away_for_smaller_operations_costs_no_byte() {
    watched(|| {
        // It bears this many bytes at once, and never more.
        for bears in [9, 5, 4, 3, 1] {
            let end = End::ExhaustedBeyond(bears, 1450);
            for answer in [Answer::Now(end), Answer::Ends(end)] {
                let (kernel, writer, told) = writing([answer; 200]);
                writer.finish();
                until(|| {
                    settle(&kernel);
                    kernel.account().detached
                });
                let progress = audit(&kernel, &writer, &told);
                assert!(matches!(progress.outcome, Some(Outcome::Closed)));
                assert_eq!(kernel.account().received, stream(0, 25));
                // At most 10, 5, 2 and 1 are tried for each byte.
                assert!(kernel.account().operations <= 25 * 4, "{kernel:?}");
            }
        }
    });
}

#[test]
fn a_pipe_that_takes_a_byte_at_a_time_gets_the_whole_stream() {
    watched(|| {
        let ends = [
            Answer::takes(1),
            Answer::Now(End::NotReady(Ready::Later)),
            Answer::Ends(End::Took(1)),
            Answer::Now(End::NotReady(Ready::AtOnce)),
        ];
        let (kernel, writer, told) = writing(ends.into_iter().cycle().take(100));
        writer.finish();
        settle(&kernel);
        assert_eq!(audit(&kernel, &writer, &told).written, 25);
    });
}

/// What a pending operation does when it is cancelled, how it would have ended, and
/// how much may be written in the end.
fn stop_at(steps: usize, answer: Answer) -> Progress {
    let (kernel, writer, told) = writing([Answer::Ends(End::Took(10)), answer]);
    for _ in 0..steps {
        kernel.step(0);
    }
    writer.cancel();
    // A second one changes nothing.
    writer.cancel();
    settle(&kernel);
    let progress = audit(&kernel, &writer, &told);
    assert!(matches!(progress.outcome, Some(Outcome::Stopped)));
    assert!(kernel.account().cancels <= 1);
    progress
}

/// The turn, the first landing, the turn of the second operation, its landing, and
/// the turn of the third.
const STEPS: usize = 6;

#[test]
fn a_cancel_that_finds_nothing_counts_what_was_written_as_written() {
    watched(|| {
        let slow = Answer::Ends(End::Took(10));
        let written: Vec<_> = (0..STEPS)
            .map(|steps| stop_at(steps, slow).written)
            .collect();
        assert_eq!(written, [0, 10, 10, 20, 20, 25]);
    });
}

#[test]
fn a_cancel_at_any_moment_leaves_at_most_the_operation_in_doubt() {
    watched(|| {
        for at_once in [false, true] {
            for uncounted in [0, 3, usize::MAX] {
                let stall = Answer::Stalls(Cancelled { uncounted, at_once });
                for steps in 0..STEPS {
                    let progress = stop_at(steps, stall);
                    let in_doubt = if steps < 3 { 0 } else { 10 };
                    assert_eq!(progress.in_doubt, in_doubt, "{steps} {stall:?}");
                }
            }
        }
    });
}

#[test]
fn an_operation_that_fails_while_it_is_cancelled_does_not_change_the_outcome() {
    watched(|| {
        let fault = End::Failed(Fault::in_doubt(109, 1));
        // Before it has landed.
        for steps in 0..4 {
            let progress = stop_at(steps, Answer::Ends(fault));
            assert!(progress.written <= 10);
        }
    });
}

#[test]
fn somebody_elses_cancel_is_a_failure_with_its_code() {
    watched(|| {
        let fault = Fault::in_doubt(CANCELLED, 3);
        let (kernel, writer, told) = writing([Answer::Ends(End::Failed(fault))]);
        settle(&kernel);
        let progress = audit(&kernel, &writer, &told);
        assert_eq!(code(progress.outcome.as_ref().unwrap()), Some(CANCELLED));
        assert_eq!((progress.in_doubt, progress.queued), (10, 15));
        assert_eq!(kernel.account().cancels, 0);
    });
}

#[test]
fn memory_of_a_pending_operation_is_kept_until_it_has_ended() {
    watched(|| {
        let stall = Answer::Stalls(Cancelled {
            uncounted: 0,
            at_once: false,
        });
        let kernel = Kernel::new(Script::new([stall]));
        let writer = PipeWriter::builder()
            .linger(std::time::Duration::ZERO)
            .unattached()
            .unwrap();
        attach(&kernel, &writer);
        let (message, fate) = tracked(stream(0, 10_000));
        writer.try_send(message).unwrap();
        while kernel.step(0) {}
        drop(writer);
        // The cancel has been asked for, and has not ended it yet.
        assert_eq!(kernel.account().cancels, 1);
        assert!(!fate.is_freed());
        settle(&kernel);
        // The timer that ends the lingering may have a reference for a moment yet.
        until(|| fate.is_freed());
    });
}

#[test]
fn a_handle_is_given_back_only_when_its_operation_has_ended() {
    watched(|| {
        for at_once in [false, true] {
            let stall = Answer::Stalls(Cancelled {
                uncounted: 3,
                at_once,
            });
            let (kernel, writer, told) = writing([stall]);
            let (pipe, unsent) = std::thread::scope(|scope| {
                scope.spawn(|| kernel.run());
                writer.into_parts()
            });
            let audited = kernel
                .account()
                .audit(&stream(0, 25), &told.last(), Some(&unsent));
            assert_eq!(audited, Ok(()));
            let again = PipeWriter::new(pipe.unwrap()).unwrap();
            again.close_timeout(LONG).unwrap();
        }
    });
}

#[test]
fn a_blocking_write_that_got_room_and_then_the_end_says_why_it_ended() {
    watched(|| {
        let kernel = Kernel::new(Script::new([Answer::takes(3_000), Answer::fails(28)]));
        let writer = PipeWriter::builder().capacity(6_001).unattached().unwrap();
        // Freed when the sender has its room and was not woken yet: the next one fails.
        let next = kernel.clone();
        let first = when_freed(stream(0, 3_000), move || settle(&next));
        writer.try_send(first).unwrap();
        writer.try_send(stream(3_000, 3_000)).unwrap();
        attach(&kernel, &writer);
        let mut blocking = writer.clone();
        let write = std::thread::spawn(move || blocking.write(&stream(6_000, 3_000)));
        // Nobody else is given room while somebody waits in line.
        until(|| writer.try_reserve(1).is_err());
        kernel.step(0);
        let error = write.join().unwrap().unwrap_err();
        let inner = error.get_ref().unwrap();
        let why = inner.downcast_ref::<PipeError>().unwrap();
        assert_eq!(why.raw_os_error(), Some(28));
        assert_eq!(error.kind(), why.kind());
    });
}

/// One that sends whenever something was written would keep the thread that it runs on.
#[test]
fn what_a_callback_sends_is_left_to_the_writing_side() {
    watched(|| {
        let kernel = Kernel::new(Script {
            inline: true,
            ..Script::default()
        });
        let own = Arc::new(OnceLock::<WeakPipeWriter>::new());
        let (tell, told) = mpsc::channel();
        let weak = Arc::clone(&own);
        let builder = PipeWriter::builder().on_progress(move |progress| {
            let Some(writer) = weak.get().and_then(WeakPipeWriter::upgrade) else {
                return;
            };
            if progress.written > 5 {
                return;
            }
            // Later than what follows closely.
            let called = Instant::now();
            until(|| called.elapsed() > Duration::from_millis(1));
            writer.try_send("second").unwrap();
            tell.send(writer.progress().written).unwrap();
        });
        let writer = builder.unattached().unwrap();
        own.set(writer.downgrade()).unwrap();
        attach(&kernel, &writer);
        settle(&kernel);
        writer.try_send("first").unwrap();
        assert_eq!(told.recv(), Ok(5));
        settle(&kernel);
        assert_eq!(writer.progress().written, 11);
    });
}

#[test]
fn whatever_happens_during_a_call_is_told_in_exactly_one_more() {
    watched(|| {
        for (sent, written) in [("", 0), ("more", 4)] {
            let kernel = Kernel::new(Script::default());
            let own = Arc::new(OnceLock::<WeakPipeWriter>::new());
            let (tell, told) = mpsc::channel();
            let weak = Arc::clone(&own);
            let mut is_first = true;
            let builder = PipeWriter::builder().capacity(100);
            let builder = builder.on_progress(move |progress| {
                tell.send(progress.written).unwrap();
                if std::mem::take(&mut is_first) {
                    let writer = weak.get().and_then(WeakPipeWriter::upgrade).unwrap();
                    (0..50).for_each(|_| give_back_room(&writer));
                    writer.try_send(sent).unwrap();
                }
            });
            let writer = builder.unattached().unwrap();
            own.set(writer.downgrade()).unwrap();
            attach(&kernel, &writer);
            settle(&kernel);
            give_back_room(&writer);
            let calls: Vec<_> = told.try_iter().collect();
            assert_eq!(calls, [0], "the giver calls back");
            settle(&kernel);
            let calls: Vec<_> = told.try_iter().collect();
            assert_eq!(calls, [written], "as it is by then");
        }
    });
}

/// Room that was refused to somebody.
fn give_back_room(writer: &PipeWriter) {
    let permit = writer.try_reserve(100).unwrap();
    assert!(writer.try_send("refused").unwrap_err().is_full());
    drop(permit);
}

#[test]
fn a_callback_that_panicked_is_out_of_the_senders_way() {
    watched(|| {
        let builder = PipeWriter::builder().on_progress(|_| panic!("on purpose"));
        let writer = builder.unattached().unwrap();
        let kernel = Kernel::new(Script::default());
        attach(&kernel, &writer);
        settle(&kernel);
        writer.try_send("first").unwrap();
        settle(&kernel);
        let told = Instant::now();
        until(|| told.elapsed() > Duration::from_millis(1));
        writer.try_send("second").unwrap();
        // By its sender: nobody else did anything.
        assert_eq!(writer.progress().written, 11);
    });
}
