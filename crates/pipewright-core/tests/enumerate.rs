//! Proves that the core does what the model says after every sequence of steps
//! up to a depth, in four small worlds, each in byte mode and in message mode.
//! Each world has the few steps, lengths and limits that bring one side of the
//! core into all of its states. In all, some 540,000 sequences of 5 to 7 steps,
//! and 3,700,000 of one step more where the compiler optimises.
//!
//! Only steps that mean something are tried (no completion without an operation,
//! no claim without a ticket), so that every sequence counts. After each of them
//! the writer is brought to its end in two ways, and the final account drawn up.
//! The number of sequences is printed and has a lower bound, so that a world that
//! falls silent is seen.

#![allow(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a failing sequence has to be shown, and the count as well; helpers of tests fail by panicking"
)]

mod model;

use std::num::NonZeroU64;

use model::finale::Finale;
use model::script::{Amount, Step};
use model::trial::Trial;
use pipewright_core::{Config, JOIN_MAX, Limits, Mode, Rest};

/// Joined with its neighbours in byte mode.
const SMALL: usize = 3;
/// A chunk of its own.
const LARGE: usize = JOIN_MAX + 500;
/// Has room for a `LARGE` and a few `SMALL`, and for one `LARGE` only.
const CAPACITY: u64 = 3_000;
/// More than the capacity.
const OVERSIZE: usize = 3_500;

const NARROW: Limits = Limits {
    max_bytes: 1_100,
    max_chunks: 2,
};
const SINGLE: Limits = Limits {
    max_bytes: 64 * 1024,
    max_chunks: 1,
};

const PART: Amount = Amount::Part(100);

/// How data is accepted, cut into operations and put back.
const FLOW: [Step; 13] = [
    Step::Send(SMALL),
    Step::SendDirect(SMALL),
    Step::SendDirect(OVERSIZE),
    Step::Send(LARGE),
    Step::SendSlice(OVERSIZE),
    Step::PollSubmit,
    Step::Completed(Amount::All),
    Step::Completed(PART),
    Step::NotReady,
    Step::Ready,
    Step::Exhausted,
    Step::Failed(PART, Rest::InDoubt),
    Step::PollEvents,
];

/// How capacity is shared among those who want it, with all of its corners.
const LINE: [Step; 17] = [
    Step::Send(5),
    Step::SendDirect(5),
    Step::Send(0),
    Step::SendSlice(3),
    Step::Reserve(4),
    Step::SendReserved { which: 0, len: 2 },
    Step::SendReserved { which: 0, len: 7 },
    Step::Release(0),
    Step::WaitInLine(6),
    Step::WaitInLine(0),
    Step::WaitInLine(20),
    Step::Claim(0),
    Step::Leave(0),
    Step::Leave(1),
    Step::Write,
    Step::PollEvents,
    Step::Finish,
];

/// The same with fewer of them, so that it can go deeper.
const LINE_DEEP: [Step; 10] = [
    Step::Send(5),
    Step::Reserve(4),
    Step::SendReserved { which: 0, len: 2 },
    Step::SendReserved { which: 0, len: 7 },
    Step::WaitInLine(6),
    Step::WaitInLine(20),
    Step::Claim(0),
    Step::Leave(1),
    Step::Write,
    Step::PollEvents,
];

/// How it ends.
const ENDS: [Step; 20] = [
    Step::Send(SMALL),
    Step::SendDirect(SMALL),
    Step::Send(0),
    Step::WaitInLine(LARGE),
    Step::Attach(NARROW),
    Step::Finish,
    Step::Stop,
    Step::Broken,
    Step::PollSubmit,
    Step::Completed(Amount::All),
    Step::Completed(Amount::Nothing),
    Step::NotReady,
    Step::Failed(PART, Rest::Unsent),
    Step::Failed(PART, Rest::InDoubt),
    Step::Failed(Amount::All, Rest::InDoubt),
    Step::PollCancel,
    Step::PollClose,
    Step::HandleClosed,
    Step::TakeUnsent,
    Step::PollEvents,
];

struct World {
    capacity: u64,
    before: &'static [Step],
    alphabet: &'static [Step],
    depth: usize,
    at_least: u64,
}

const FLOW_WORLD: World = World {
    capacity: CAPACITY,
    before: &[Step::Attach(NARROW)],
    alphabet: &FLOW,
    depth: 7,
    at_least: 30_000,
};

const LINE_WORLD: World = World {
    capacity: 8,
    before: &[Step::Attach(SINGLE)],
    alphabet: &LINE,
    depth: 5,
    at_least: 75_000,
};

const LINE_DEEP_WORLD: World = World {
    alphabet: &LINE_DEEP,
    depth: 6,
    at_least: 37_000,
    ..LINE_WORLD
};

const ENDS_WORLD: World = World {
    capacity: CAPACITY,
    before: &[Step::Send(LARGE)],
    alphabet: &ENDS,
    depth: 7,
    at_least: 115_000,
};

#[test]
fn bytes_flow_in_order_whatever_the_driver_answers() {
    explore(Mode::Byte, &FLOW_WORLD);
}

#[test]
fn messages_flow_in_order_whatever_the_driver_answers() {
    explore(Mode::Message, &FLOW_WORLD);
}

#[test]
fn capacity_for_bytes_is_shared_in_the_order_of_asking() {
    explore(Mode::Byte, &LINE_WORLD);
    explore(Mode::Byte, &LINE_DEEP_WORLD);
}

#[test]
fn capacity_for_messages_is_shared_in_the_order_of_asking() {
    explore(Mode::Message, &LINE_WORLD);
    explore(Mode::Message, &LINE_DEEP_WORLD);
}

#[test]
fn bytes_are_accounted_for_after_every_end() {
    explore(Mode::Byte, &ENDS_WORLD);
}

#[test]
fn messages_are_accounted_for_after_every_end() {
    explore(Mode::Message, &ENDS_WORLD);
}

fn explore(mode: Mode, world: &World) {
    // Where the compiler optimises, there is time for one step more.
    let depth = world.depth + usize::from(!cfg!(debug_assertions));
    let world = &World { depth, ..*world };
    let mut count = 0;
    walk(mode, world, &mut Vec::new(), &mut count);
    eprintln!("{mode:?}: {count} sequences of up to {} steps", world.depth);
    assert!(count >= world.at_least, "only {count} sequences");
}

/// Goes on from `path` in every way, and ends there if there is no other.
fn walk(mode: Mode, world: &World, path: &mut Vec<Step>, count: &mut u64) {
    let trial = replay(mode, world, path);
    let mut is_leaf = true;
    if path.len() < world.depth {
        for step in world.alphabet {
            if trial.is_worthwhile(*step) {
                is_leaf = false;
                path.push(*step);
                walk(mode, world, path, count);
                path.pop();
            }
        }
    }
    if is_leaf {
        *count += 1;
        let fate = Step::Failed(PART, Rest::InDoubt);
        shown(path, || {
            replay(mode, world, path).wind_up(Finale::Stop(fate))
        });
        shown(path, || trial.wind_up(Finale::Drain));
    }
}

/// Only the last step is new: what came before it was compared on the way here.
fn replay(mode: Mode, world: &World, path: &[Step]) -> Trial {
    let mut trial = Trial::new(Config {
        capacity: NonZeroU64::new(world.capacity).unwrap(),
        mode,
    });
    shown(path, || {
        for step in world.before {
            trial.take_unseen(*step);
        }
        if let Some((last, known)) = path.split_last() {
            for step in known {
                trial.take_unseen(*step);
            }
            trial.take(*last);
        }
    });
    trial
}

/// Runs `test`; if it fails, says where.
fn shown<R>(path: &[Step], test: impl FnOnce() -> R) -> R {
    struct Shown<'a>(&'a [Step]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the sequence was {:?}", self.0);
            }
        }
    }
    let _shown = Shown(path);
    test()
}
