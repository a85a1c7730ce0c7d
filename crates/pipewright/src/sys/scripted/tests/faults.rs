//! Every way to fail, at every moment: the accounts are exact, the outcome has the
//! system's code, the data comes back, and everybody who waits learns of it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::common::data::stream;
use super::common::news::wait_for;
use super::common::wakers::{Wakes, poll_with};
use super::common::{LONG, until, watched};
use super::*;
use crate::front::waitable::Waitable;
use crate::sys::scripted::Rest;

/// What is queued; an operation takes 10 bytes of it.
const TOTAL: usize = 25;

/// The codes of every class that a driver tells apart, on Windows and on Unix, and
/// some that no system has.
const CODES: [i32; 16] = [
    109,
    232,
    233,
    32,
    104,
    995,
    125,
    1168,
    6,
    87,
    13,
    28,
    1117,
    0,
    i32::MAX,
    i32::MIN,
];

/// An operation that fails: what the system counts of it, what the pipe took beyond
/// that, and whether the rest is in doubt.
#[derive(Clone, Copy, Debug)]
struct Shape {
    counted: usize,
    uncounted: usize,
    in_doubt: bool,
}

const SHAPES: [Shape; 8] = [
    shape(0, 0, false),
    shape(3, 0, false),
    shape(usize::MAX, 0, false),
    shape(0, 0, true),
    shape(0, 2, true),
    shape(0, usize::MAX, true),
    shape(2, 1, true),
    shape(4, 0, true),
];

const fn shape(counted: usize, uncounted: usize, in_doubt: bool) -> Shape {
    Shape {
        counted,
        uncounted,
        in_doubt,
    }
}

/// What the kernel did before, how much it took, and how much the next operation
/// holds at most.
#[derive(Clone, Copy, Debug)]
struct Before {
    answer: Option<Answer>,
    taken: usize,
    next: usize,
}

const BEFORE: [Before; 6] = [
    before(None, 0, 10),
    before(Some(Answer::Now(End::Took(4))), 4, 10),
    before(Some(Answer::Ends(End::Took(7))), 7, 10),
    before(Some(Answer::Now(End::NotReady(Ready::Later))), 0, 10),
    before(Some(Answer::Ends(End::NotReady(Ready::AtOnce))), 0, 10),
    before(Some(Answer::Now(End::Exhausted(12))), 0, 5),
];

const fn before(answer: Option<Answer>, taken: usize, next: usize) -> Before {
    Before {
        answer,
        taken,
        next,
    }
}

/// Whether the user has meanwhile asked for the end.
#[derive(Clone, Copy, Debug, PartialEq)]
enum User {
    Sends,
    Closes,
    Drops,
}

#[test]
fn every_fault_at_every_moment_is_accounted_for_to_the_byte() {
    watched(|| {
        for before in BEFORE {
            for shape in SHAPES {
                for (pending, inline) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    for user in [User::Sends, User::Closes, User::Drops] {
                        fail(before, shape, 109, pending, inline, user);
                    }
                }
            }
        }
    });
}

#[test]
fn every_code_is_the_outcome_as_it_is() {
    watched(|| {
        for code in CODES {
            for shape in SHAPES {
                for pending in [false, true] {
                    fail(BEFORE[0], shape, code, pending, true, User::Sends);
                }
            }
        }
    });
}

fn fail(before: Before, shape: Shape, raw: i32, pending: bool, inline: bool, user: User) {
    let what = format!("{before:?} {shape:?} {raw} pending: {pending} inline: {inline} {user:?}");
    let end = End::Failed(Fault {
        code: raw,
        counted: shape.counted,
        uncounted: shape.uncounted,
        rest: if shape.in_doubt {
            Rest::InDoubt
        } else {
            Rest::Unsent
        },
    });
    let answer = if pending {
        Answer::Ends(end)
    } else {
        Answer::Now(end)
    };
    let mut script = Script::new(before.answer.into_iter().chain([answer]));
    script.inline = inline;
    script.max_bytes = 10;
    let kernel = Kernel::new(script);
    let told = Told::default();
    let writer = told
        .listen(PipeWriter::builder().capacity(TOTAL as u64))
        .unattached()
        .unwrap();
    writer.try_send(stream(0, TOTAL)).unwrap();
    let mut waiters = Waiters::of(&writer);
    let weak = writer.downgrade();
    attach(&kernel, &writer);
    let writer = match user {
        User::Sends => Some(writer),
        User::Closes => {
            writer.finish();
            Some(writer)
        }
        User::Drops => {
            waiters.leave();
            drop(writer);
            None
        }
    };
    until(|| {
        settle(&kernel);
        kernel.account().detached
    });
    let len = before.next.min(TOTAL - before.taken);
    let counted = shape.counted.min(len);
    let progress = told.last();
    assert_eq!(
        code(progress.outcome.as_ref().unwrap()),
        Some(raw),
        "{what}"
    );
    assert_eq!(progress.written, (before.taken + counted) as u64, "{what}");
    let in_doubt = if shape.in_doubt { len - counted } else { 0 };
    assert_eq!(progress.in_doubt, in_doubt as u64, "{what}");
    let unsent = writer.as_ref().map(|writer| writer.take_unsent().unwrap());
    let (account, stream) = (kernel.account(), stream(0, TOTAL));
    let audited = account.audit(&stream, &progress, unsent.as_ref());
    assert_eq!(audited, Ok(()), "{what}");
    match &writer {
        Some(writer) => {
            waiters.assert_told(raw);
            let refused = writer.try_send("more").unwrap_err();
            assert_eq!(refused.into_inner(), "more");
            let now = writer.progress();
            assert_eq!(audited, account.audit(&stream, &now, None), "{what}");
        }
        None => assert!(weak.upgrade().is_none(), "{what}"),
    }
}

type Task<T> = Pin<Box<dyn Future<Output = T>>>;

/// Somebody who waits for each thing that there is to wait for.
struct Waiters {
    sender: Option<Task<(bytes::Bytes, Outcome)>>,
    flush: Option<Task<Outcome>>,
    end: Option<Task<Outcome>>,
    wakes: [Arc<Wakes>; 3],
    waitable: Waitable,
}

impl Waiters {
    fn of(writer: &PipeWriter) -> Self {
        let wakers = [Wakes::new(), Wakes::new(), Wakes::new()];
        let (sends, flushes, ends) = (writer.clone(), writer.clone(), writer.clone());
        let mut sender: Task<_> = Box::pin(async move {
            let refused = sends.send(stream(0, TOTAL)).await.unwrap_err();
            (refused.0, refused.1)
        });
        let mut flush: Task<_> = Box::pin(async move { flushes.flush().await.unwrap_err().0 });
        let mut end: Task<_> = Box::pin(async move { ends.ended().await.outcome });
        assert!(poll_with(&mut sender, &wakers[0].1).is_pending());
        assert!(poll_with(&mut flush, &wakers[1].1).is_pending());
        assert!(poll_with(&mut end, &wakers[2].1).is_pending());
        Waiters {
            sender: Some(sender),
            flush: Some(flush),
            end: Some(end),
            wakes: wakers.map(|(wakes, _)| wakes),
            waitable: writer.waitable().unwrap(),
        }
    }

    /// They all give up.
    fn leave(&mut self) {
        drop((self.sender.take(), self.flush.take(), self.end.take()));
    }

    #[track_caller]
    fn assert_told(mut self, raw: i32) {
        for wakes in &self.wakes {
            assert!(wakes.count() > 0);
        }
        let waker = std::task::Waker::noop();
        let (message, outcome) = expect(poll_with(self.sender.as_mut().unwrap(), waker));
        assert_eq!(message, stream(0, TOTAL));
        assert_eq!(code(&outcome), Some(raw));
        for waiter in [&mut self.flush, &mut self.end] {
            let outcome = expect(poll_with(waiter.as_mut().unwrap(), waker));
            assert_eq!(code(&outcome), Some(raw));
        }
        assert!(wait_for(&self.waitable, Some(Duration::ZERO)));
    }
}

#[track_caller]
fn expect<T>(polled: std::task::Poll<T>) -> T {
    match polled {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("still waits"),
    }
}

/// A writer whose sending threads write by themselves fails in the send that finds it,
/// and the send is accepted all the same.
#[test]
fn a_fault_that_a_sender_meets_by_itself_is_the_outcome_and_not_the_sends() {
    watched(|| {
        for raw in CODES {
            let kernel = Kernel::new(Script::new([Answer::fails(raw)]));
            let writer = PipeWriter::unattached();
            attach(&kernel, &writer);
            writer.try_send("accepted").unwrap();
            assert_eq!(kernel.account().operations, 1);
            let summary = writer.wait_ended(LONG).unwrap();
            assert_eq!(code(&summary.outcome), Some(raw));
            assert_eq!(writer.take_unsent().unwrap().into_bytes(), "accepted");
        }
    });
}
