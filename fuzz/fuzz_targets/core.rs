//! Scripts of steps against the core and its naive model: what the model of the
//! core's tests compares after every step, for scripts that a fuzzer grows along
//! the core's branches.

#![no_main]

#[path = "../../crates/pipewright-core/tests/model/mod.rs"]
mod model;

use std::num::NonZeroU64;

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use model::finale::{Finale, play};
use model::script::{Amount, Step};
use pipewright_core::{Config, JOIN_MAX, Limits, Mode, Rest};

/// More steps find nothing that fewer do not, and cost time.
const STEPS_MAX: usize = 300;

/// The longest message: the end of a script may write it byte by byte.
const LONG: usize = 70_000;

fuzz_target!(|script: Script| {
    play(script.config, script.steps, script.finale);
});

#[derive(Debug)]
struct Script {
    config: Config,
    steps: Vec<Step>,
    finale: Finale,
}

impl<'a> Arbitrary<'a> for Script {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let config = config(input)?;
        let finale = finale(input)?;
        let mut steps = Vec::new();
        // Most scripts have a pipe from the beginning; the others may attach one.
        if input.ratio(7, 8)? {
            steps.push(Step::Attach(limits(input)?));
        }
        while !input.is_empty() && steps.len() < STEPS_MAX {
            steps.push(step(input)?);
        }
        Ok(Script {
            config,
            steps,
            finale,
        })
    }
}

fn config(input: &mut Unstructured) -> Result<Config> {
    let capacity = match input.int_in_range(0..=4)? {
        0 => input.int_in_range(1..=20)?,
        1 => input.int_in_range(1_000..=10_000)?,
        2 => 64 * 1024,
        3 => 1 << 20,
        _ => u64::MAX,
    };
    Ok(Config {
        capacity: NonZeroU64::new(capacity).unwrap_or(NonZeroU64::MIN),
        mode: *input.choose(&[Mode::Byte, Mode::Message])?,
    })
}

fn limits(input: &mut Unstructured) -> Result<Limits> {
    let max_bytes = match input.int_in_range(0..=3)? {
        0 => input.int_in_range(0..=3)?,
        1 => input.int_in_range(100..=5_000)?,
        2 => 64 * 1024,
        _ => usize::MAX,
    };
    Ok(Limits {
        max_bytes,
        max_chunks: *input.choose(&[0, 1, 2, 3, 64, usize::MAX])?,
    })
}

/// What ends a writer is rare, so that most scripts get somewhere.
fn step(input: &mut Unstructured) -> Result<Step> {
    Ok(match u8::arbitrary(input)? {
        0..=23 => Step::Send(len(input)?),
        24..=35 => Step::SendSlice(len(input)?),
        36..=47 => Step::SendDirect(len(input)?),
        48..=55 => Step::Reserve(len(input)?),
        56..=67 => Step::SendReserved {
            which: which(input)?,
            len: len(input)?,
        },
        68..=71 => Step::Release(which(input)?),
        72..=83 => Step::WaitInLine(len(input)?),
        84..=99 => Step::Claim(which(input)?),
        100..=103 => Step::Leave(which(input)?),
        104..=119 => Step::PollEvent,
        120..=123 => Step::PollEvents,
        124..=127 => Step::TakeUnsent,
        128..=151 => Step::PollSubmit,
        152..=175 => Step::Completed(some(input)?),
        176..=191 => Step::Write,
        192..=199 => Step::NotReady,
        200..=211 => Step::Ready,
        212..=219 => Step::Exhausted,
        220..=225 => Step::PollCancel,
        226..=231 => Step::PollClose,
        232..=237 => Step::HandleClosed,
        238..=241 => Step::Attach(limits(input)?),
        242..=244 => Step::Finish,
        245 => Step::Stop,
        246 => Step::Broken,
        247 => Step::Completed(Amount::Nothing),
        248..=255 => Step::Failed(any_amount(input)?, rest(input)?),
    })
}

/// Around what the core distinguishes, and now and then anything.
fn len(input: &mut Unstructured) -> Result<usize> {
    match input.int_in_range(0..=9)? {
        0 => Ok(0),
        1..=4 => input.int_in_range(1..=30),
        5..=6 => input.int_in_range(30..=JOIN_MAX),
        7 => input.int_in_range(JOIN_MAX - 1..=JOIN_MAX + 1),
        8 => input.int_in_range(JOIN_MAX..=20_000),
        _ => input.int_in_range(0..=LONG),
    }
}

/// Which of a few; what is not there is not touched.
fn which(input: &mut Unstructured) -> Result<usize> {
    input.int_in_range(0..=3)
}

fn some(input: &mut Unstructured) -> Result<Amount> {
    Ok(match input.int_in_range(0..=7)? {
        0 => Amount::TooMuch,
        1..=3 => Amount::Part(input.arbitrary()?),
        _ => Amount::All,
    })
}

fn any_amount(input: &mut Unstructured) -> Result<Amount> {
    if input.ratio(1, 4)? {
        return Ok(Amount::Nothing);
    }
    some(input)
}

fn rest(input: &mut Unstructured) -> Result<Rest> {
    Ok(*input.choose(&[Rest::Unsent, Rest::InDoubt])?)
}

fn finale(input: &mut Unstructured) -> Result<Finale> {
    Ok(match input.int_in_range(0..=4)? {
        0 => Finale::Stop(Step::Failed(any_amount(input)?, rest(input)?)),
        1 => Finale::Stop(Step::Completed(any_amount(input)?)),
        2 => Finale::Stop(*input.choose(&[Step::NotReady, Step::Exhausted])?),
        _ => Finale::Drain,
    })
}
