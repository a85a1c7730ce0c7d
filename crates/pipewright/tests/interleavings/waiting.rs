//! Waiting: nobody is left behind, and what is given up goes to the next.

use std::task::Wake;

use loom::sync::Notify;
use loom::thread;
use pipewright::scripted::{Answer, End, Fault};
use pipewright::{Outcome, SendTimeoutError, WaitError};

use super::*;

/// A writer with a capacity of 3 bytes that are used up by one operation, which
/// lands by and by.
fn full(answers: impl IntoIterator<Item = Answer>) -> (Kernel, PipeWriter, Accepted) {
    let kernel = kernel(answers);
    let writer = PipeWriter::builder().capacity(3).build(kernel.pipe());
    let (writer, accepted) = (writer.unwrap(), Accepted::default());
    assert!(accepted.send(&writer, "abc"));
    (kernel, writer, accepted)
}

/// A task that a thread waits for, with a waker that looks at the writer.
struct Task {
    writer: PipeWriter,
    /// Loom's own, which also wakes for no reason.
    woken: Notify,
}

impl Task {
    fn new(writer: &PipeWriter) -> (Arc<Task>, Waker) {
        let task = Arc::new(Task {
            writer: writer.clone(),
            woken: Notify::new(),
        });
        (Arc::clone(&task), Waker::from(task))
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        assert!(self.writer.progress().accepted > 0);
        self.woken.notify();
    }
}

#[test]
fn a_sender_that_waits_is_served_when_there_is_room() {
    explore(|| {
        let (kernel, writer, accepted) = full([SLOW, SLOW]);
        let system = serve(&kernel);
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || {
                let position = writer.send_timeout("de", LONG).unwrap();
                accepted.note(position, "de".into());
            })
        };
        let position = writer.send_timeout("f", LONG).unwrap();
        accepted.note(position, "f".into());
        sender.join().unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 6);
    });
}

#[test]
fn room_that_comes_while_a_sender_gives_up_goes_to_the_next() {
    explore(|| {
        let (kernel, writer, accepted) = full([SLOW]);
        let system = serve(&kernel);
        let mut first = Box::pin({
            let writer = writer.clone();
            async move { writer.send("ddd").await }
        });
        let begun = poll(&mut first, Waker::noop());
        let next = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || {
                let position = writer.send_timeout("eee", LONG).unwrap();
                accepted.note(position, "eee".into());
            })
        };
        if let Poll::Ready(sent) = begun {
            accepted.note(sent.unwrap(), "ddd".into());
        }
        drop(first);
        next.join().unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn a_permit_that_is_given_back_while_others_wait_goes_to_the_next() {
    explore(|| {
        let kernel = kernel([]);
        let writer = PipeWriter::builder().capacity(3).build(kernel.pipe());
        let (writer, accepted) = (writer.unwrap(), Accepted::default());
        let permit = writer.try_reserve(3).unwrap();
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || {
                let position = writer.send_timeout("abc", LONG).unwrap();
                accepted.note(position, "abc".into());
            })
        };
        drop(permit);
        sender.join().unwrap();
        while kernel.step(0) {}
        writer.close_timeout(LONG).unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 3);
    });
}

#[test]
fn a_waker_that_is_replaced_while_it_is_woken_leaves_nobody_asleep() {
    explore(|| {
        let (kernel, writer, accepted) = full([SLOW]);
        let end = writer.position();
        let system = serve(&kernel);
        let mut written = Box::pin({
            let writer = writer.clone();
            async move { writer.written_to(end).await }
        });
        let (_, old_waker) = Task::new(&writer);
        let (task, waker) = Task::new(&writer);
        if poll(&mut written, &old_waker).is_pending() {
            // The task has moved on: the old waker is nothing to it.
            while poll(&mut written, &waker).is_pending() {
                task.woken.wait();
            }
        }
        drop(written);
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn what_a_burst_has_written_is_told_although_its_next_operation_stalls() {
    explore(|| {
        let mut script = Script::new([SLOW, Answer::takes(2), STALLED]);
        script.max_bytes = 2;
        script.burst = 16;
        let kernel = Kernel::new(script);
        let (writer, accepted) = (writer(&kernel), Accepted::default());
        let system = serve(&kernel);
        accepted.send(&writer, "abcd");
        let end = writer.position();
        accepted.send(&writer, "ef");
        writer.wait_written(end, LONG).unwrap();
        writer.cancel();
        writer.wait_ended(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn everybody_who_waits_learns_of_a_failure() {
    explore(|| {
        let fault = Fault::refused(32);
        let (kernel, writer, accepted) = full([Answer::Ends(End::Failed(fault))]);
        let system = serve(&kernel);
        let sender = {
            let writer = writer.clone();
            thread::spawn(move || writer.send_timeout("de", LONG).unwrap_err())
        };
        let end = writer.position();
        let flushed = writer.wait_written(end, LONG);
        let Err(WaitError::Ended(outcome)) = flushed else {
            panic!("{flushed:?}");
        };
        assert_failed(Some(&outcome), 32);
        let SendTimeoutError::Closed(message, outcome) = sender.join().unwrap() else {
            panic!("the sender's time is over");
        };
        assert_eq!(message, "de");
        assert_failed(Some(&outcome), 32);
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn a_sender_that_waits_while_the_writer_is_closed_gets_its_message_back_or_sends() {
    explore(|| {
        let (kernel, writer, accepted) = full([SLOW]);
        let system = serve(&kernel);
        let sender = {
            let (writer, accepted) = (writer.clone(), accepted.clone());
            thread::spawn(move || match writer.send_timeout("de", LONG) {
                Ok(position) => accepted.note(position, "de".into()),
                Err(refused) => {
                    assert!(matches!(
                        refused,
                        SendTimeoutError::Closed(_, Outcome::Closed)
                    ));
                    assert_eq!(refused.into_inner(), "de");
                }
            })
        };
        writer.close_timeout(LONG).unwrap();
        sender.join().unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn a_sender_that_waits_learns_of_a_close_before_the_end() {
    explore(|| {
        let (kernel, writer, accepted) = full([STALLED]);
        let system = serve(&kernel);
        let sender = {
            let writer = writer.clone();
            thread::spawn(move || writer.send_timeout("de", LONG).unwrap_err())
        };
        writer.finish();
        let refused = sender.join().unwrap();
        assert_eq!(refused.into_inner(), "de");
        assert!(writer.progress().outcome.is_none());
        writer.cancel();
        writer.wait_ended(LONG).unwrap();
        system.join().unwrap();
        settle(&kernel, &writer, &accepted);
    });
}

#[test]
fn an_async_writer_that_found_no_room_is_woken_when_there_is_some() {
    use futures_io::AsyncWrite;

    explore(|| {
        let (kernel, writer, accepted) = full([SLOW]);
        let system = serve(&kernel);
        let mut stream = writer.async_writer();
        let (task, waker) = Task::new(&writer);
        loop {
            let mut cx = Context::from_waker(&waker);
            match Pin::new(&mut stream).poll_write(&mut cx, b"de") {
                Poll::Ready(sent) => break assert_eq!(sent.unwrap(), 2),
                Poll::Pending => task.woken.wait(),
            }
        }
        accepted.note(writer.position(), "de".into());
        drop(stream);
        writer.flush_timeout(LONG).unwrap();
        writer.close_timeout(LONG).unwrap();
        system.join().unwrap();
        assert_eq!(settle(&kernel, &writer, &accepted).written, 5);
    });
}
