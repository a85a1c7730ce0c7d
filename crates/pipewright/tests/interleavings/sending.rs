//! Messages on their way, while others send and the system completes.

use loom::thread;
use pipewright::scripted::{Answer, End, Ready, Script, clock};
use pipewright::{Outcome, PipeWriter};

use super::*;

/// Lets two threads send, waits until all is written without anything else that
/// might set it going, and closes.
fn two_senders(answers: impl IntoIterator<Item = Answer>) {
    let kernel = kernel(answers);
    let (writer, accepted) = (writer(&kernel), Accepted::default());
    let system = serve(&kernel);
    let sender = {
        let (writer, accepted) = (writer.clone(), accepted.clone());
        thread::spawn(move || assert!(accepted.send(&writer, "bb")))
    };
    assert!(accepted.send(&writer, "aaa"));
    assert!(accepted.send(&writer, "c"));
    sender.join().unwrap();
    writer.flush_timeout(LONG).unwrap();
    let summary = writer.close_timeout(LONG).unwrap();
    system.join().unwrap();
    assert_eq!(summary.written, 6);
    settle(&kernel, &writer, &accepted);
}

#[test]
fn two_senders_and_a_completion_leave_one_stream() {
    explore(|| two_senders([SLOW, SLOW]));
}

#[test]
fn two_senders_of_a_pipe_that_takes_parts_leave_one_stream() {
    explore(|| two_senders([Answer::takes(1), Answer::Ends(End::Took(1))]));
}

#[test]
fn a_pipe_that_becomes_ready_while_it_is_sent_to_is_written() {
    explore(|| two_senders([Answer::Now(End::NotReady(Ready::Later))]));
}

#[test]
fn a_pipe_that_becomes_ready_before_anybody_waits_for_it_is_written() {
    explore(|| two_senders([Answer::Now(End::NotReady(Ready::AtOnce))]));
}

#[test]
fn a_message_that_comes_while_another_lands_is_written() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "first");
        accepted.send(&writer, "second");
        writer.flush_timeout(LONG).unwrap();
        assert_eq!(kernel.account().received, b"firstsecond");
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn what_is_sent_while_a_pipe_is_attached_is_written() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let (writer, accepted) = (PipeWriter::unattached(), Accepted::default());
        let system = serve(&kernel);
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || assert!(accepted.send(&writer, "early or late")))
        };
        writer.attach(kernel.pipe()).unwrap();
        sender.join().unwrap();
        writer.flush_timeout(LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        let progress = settle(&kernel, &writer, &accepted);
        assert_eq!(progress.written, 13);
    });
}

#[test]
fn one_of_two_pipes_that_are_attached_at_once_comes_back() {
    explore(|| {
        let (one, other) = (kernel([]), kernel([]));
        let (writer, accepted) = (PipeWriter::unattached(), Accepted::default());
        accepted.send(&writer, "once");
        let attacher = {
            let (writer, pipe) = (writer.clone(), other.pipe());
            thread::spawn(move || writer.attach(pipe).is_ok())
        };
        let mine = writer.attach(one.pipe()).is_ok();
        assert_ne!(attacher.join().unwrap(), mine);
        let (taken, refused) = if mine { (one, other) } else { (other, one) };
        while taken.step(0) {}
        writer.close_timeout(LONG).unwrap();
        settle(&taken, &writer, &accepted);
        let account = refused.account();
        assert_eq!((account.operations, account.closed), (0, 1));
    });
}

#[test]
fn a_writer_whose_threads_may_not_write_inline_loses_no_message() {
    explore(|| {
        let mut script = Script::new([Answer::takes(1)]);
        script.inline = false;
        script.burst = 1;
        let kernel = Kernel::new(script);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "ab");
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || accepted.send(&writer, "c"))
        };
        accepted.send(&writer, "d");
        sender.join().unwrap();
        writer.flush_timeout(LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 4);
    });
}

#[test]
fn a_burst_that_meets_a_sender_loses_no_message() {
    explore(|| {
        let mut script = Script::new([Answer::takes(1), SLOW]);
        script.max_bytes = 2;
        script.burst = 16;
        let kernel = Kernel::new(script);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abc");
        accepted.send(&writer, "de");
        writer.flush_timeout(LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 5);
    });
}

#[test]
fn what_the_system_lacked_resources_for_is_written_after_a_pause() {
    explore(|| {
        let kernel = kernel([Answer::Now(End::Exhausted(12)), SLOW]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abcd");
        assert_eq!(clock::timers(), 1);
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || accepted.send(&writer, "e"))
        };
        clock::advance(LONG / 2);
        sender.join().unwrap();
        writer.flush_timeout(LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 5);
    });
}

#[test]
fn a_pause_that_is_over_before_its_timer_is_noted_does_not_end_the_next_one() {
    explore(|| {
        let lack = Answer::Now(End::Exhausted(12));
        let kernel = kernel([lack, lack]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        let time = thread::spawn(|| {
            for _ in 0..2 {
                while clock::timers() == 0 {
                    thread::yield_now();
                }
                clock::advance(LONG / 4);
            }
        });
        accepted.send(&writer, "abcd");
        writer.flush_timeout(LONG).unwrap();
        time.join().unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 4);
    });
}

#[test]
fn a_lack_of_resources_that_lasts_ends_the_writer_and_gives_all_back() {
    explore(|| {
        let kernel = kernel([Answer::Now(End::Exhausted(12)); 17]);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        accepted.send(&writer, "abcd");
        while writer.progress().outcome.is_none() {
            clock::advance(LONG);
            while kernel.step(0) {}
        }
        let progress = settle(&kernel, &writer, &accepted);
        assert_failed(progress.outcome.as_ref(), 12);
        assert_eq!((progress.written, progress.queued), (0, 4));
        assert_eq!(kernel.account().operations, 17);
    });
}

#[test]
fn a_message_is_freed_once_however_it_ends() {
    explore(|| {
        let kernel = kernel([SLOW]);
        let freed = Freed::default();
        let writer = writer(&kernel);
        let system = serve(&kernel);
        writer.try_send(freed.message()).unwrap();
        let stopper = {
            let writer = writer.clone();
            thread::spawn(move || writer.cancel())
        };
        let second = writer.try_send(freed.message());
        let left = second.is_err().then_some(second);
        stopper.join().unwrap();
        system.join().unwrap();
        assert!(matches!(
            writer.progress().outcome,
            Some(Outcome::Stopped | Outcome::Closed)
        ));
        drop(writer.take_unsent());
        drop((left, writer));
        drop(kernel);
        assert_eq!(freed.times(), 2);
    });
}
