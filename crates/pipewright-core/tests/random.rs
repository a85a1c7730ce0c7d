//! Proves that the core does what the model says in long scripts with realistic
//! lengths, in both modes, with every kind of limits and capacity, down to one
//! byte and one chunk at a time. A failing script is shrunk, and kept beside this
//! file to be tried first ever after.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod model;

use std::num::NonZeroU64;

use model::PAYLOAD_MAX;
use model::finale::{Finale, play};
use model::script::{Amount, Step};
use pipewright_core::{Config, JOIN_MAX, Limits, Mode, Rest};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

/// How many steps a script has at most.
const LONG: usize = 400;

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn long_scripts_of_bytes_do_what_the_model_says(
        capacity in capacity(),
        limits in limits(),
        script in prop::collection::vec(step(Mode::Byte), 1..LONG),
        finale in finale(),
    ) {
        run(Mode::Byte, capacity, limits, &[], &script, finale);
    }

    #[test]
    fn long_scripts_of_messages_do_what_the_model_says(
        capacity in capacity(),
        limits in limits(),
        script in prop::collection::vec(step(Mode::Message), 1..LONG),
        finale in finale(),
    ) {
        run(Mode::Message, capacity, limits, &[], &script, finale);
    }

    #[test]
    fn scripts_that_attach_late_do_what_the_model_says(
        mode in prop_oneof![Just(Mode::Byte), Just(Mode::Message)],
        capacity in capacity(),
        limits in limits(),
        before in prop::collection::vec(step(Mode::Message), 0..LONG / 8),
        after in prop::collection::vec(step(Mode::Message), 0..LONG / 2),
        finale in finale(),
    ) {
        run(mode, capacity, limits, &before, &after, finale);
    }
}

fn run(
    mode: Mode,
    capacity: NonZeroU64,
    limits: Limits,
    before: &[Step],
    after: &[Step],
    finale: Finale,
) {
    let attach = [Step::Attach(limits)];
    let script = before.iter().chain(&attach).chain(after).copied();
    play(Config { capacity, mode }, script, finale);
}

fn capacity() -> impl Strategy<Value = NonZeroU64> {
    let capacity = prop_oneof![
        1_u64..20,
        Just(4 * 1024),
        Just(64 * 1024),
        Just(1 << 20),
        Just(u64::MAX),
    ];
    capacity.prop_map(|capacity| NonZeroU64::new(capacity).unwrap())
}

fn limits() -> impl Strategy<Value = Limits> {
    let max_bytes = prop_oneof![
        0_usize..4,
        100_usize..5_000,
        Just(64 * 1024),
        Just(usize::MAX),
    ];
    let max_chunks = prop_oneof![0_usize..4, Just(64), Just(usize::MAX)];
    (max_bytes, max_chunks).prop_map(|(max_bytes, max_chunks)| Limits {
        max_bytes,
        max_chunks,
    })
}

fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => Just(0),
        10 => 1_usize..30,
        10 => 30_usize..JOIN_MAX,
        2 => JOIN_MAX - 1..=JOIN_MAX + 1,
        5 => JOIN_MAX..20_000,
        1 => 20_000..PAYLOAD_MAX,
    ]
}

/// A part of a message is the end of its writer, and so is nothing at all.
fn amount(mode: Mode) -> BoxedStrategy<Amount> {
    let whole = prop_oneof![4 => Just(Amount::All), 1 => Just(Amount::TooMuch)];
    match mode {
        Mode::Byte => prop_oneof![whole, any::<u8>().prop_map(Amount::Part)].boxed(),
        Mode::Message => whole.boxed(),
    }
}

fn any_amount() -> impl Strategy<Value = Amount> {
    prop_oneof![4 => amount(Mode::Byte), 1 => Just(Amount::Nothing)]
}

/// Which of a few; what is not there is not touched.
fn which() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0), 1 => 1_usize..3]
}

fn rest() -> impl Strategy<Value = Rest> {
    prop_oneof![Just(Rest::Unsent), Just(Rest::InDoubt)]
}

/// What ends a writer is rare, so that most scripts get somewhere.
fn step(mode: Mode) -> impl Strategy<Value = Step> {
    prop_oneof![
        500 => user(),
        500 => driver(mode),
        3 => ending(),
    ]
}

fn user() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => len().prop_map(Step::Send),
        8 => len().prop_map(Step::SendSlice),
        8 => len().prop_map(Step::SendDirect),
        2 => len().prop_map(Step::Reserve),
        4 => (which(), len()).prop_map(|(which, len)| Step::SendReserved { which, len }),
        1 => which().prop_map(Step::Release),
        3 => len().prop_map(Step::WaitInLine),
        6 => which().prop_map(Step::Claim),
        1 => which().prop_map(Step::Leave),
        6 => Just(Step::PollEvent),
        1 => Just(Step::PollEvents),
        1 => Just(Step::TakeUnsent),
    ]
}

fn driver(mode: Mode) -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::PollSubmit),
        8 => amount(mode).prop_map(Step::Completed),
        4 => Just(Step::Write),
        2 => Just(Step::NotReady),
        3 => Just(Step::Ready),
        1 => Just(Step::Exhausted),
        1 => Just(Step::PollCancel),
        1 => Just(Step::PollClose),
        1 => Just(Step::HandleClosed),
    ]
}

fn ending() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Finish),
        1 => Just(Step::Stop),
        1 => Just(Step::Broken),
        1 => Just(Step::Completed(Amount::Nothing)),
        1 => any::<u8>().prop_map(|share| Step::Completed(Amount::Part(share))),
        2 => (any_amount(), rest()).prop_map(|(amount, rest)| Step::Failed(amount, rest)),
    ]
}

fn finale() -> impl Strategy<Value = Finale> {
    let fate = prop_oneof![
        (any_amount(), rest()).prop_map(|(amount, rest)| Step::Failed(amount, rest)),
        any_amount().prop_map(Step::Completed),
        Just(Step::NotReady),
        Just(Step::Exhausted),
    ];
    prop_oneof![Just(Finale::Drain), fate.prop_map(Finale::Stop)]
}
