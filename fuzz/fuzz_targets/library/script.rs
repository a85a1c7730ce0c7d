//! What a script says, and how it is read from the fuzzer's bytes.

use libfuzzer_sys::arbitrary::{Arbitrary, Result, Unstructured};
use pipewright::JOIN_MAX;
use pipewright::Mode;
use pipewright::scripted::{Answer, Cancelled, End, Fault, Ready, Rest, Script};

/// More find nothing that fewer do not, and cost time.
const STEPS_MAX: usize = 200;
const ANSWERS_MAX: usize = 40;

/// A writer, a system, and what happens to them.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) capacity: u64,
    pub(crate) linger: u8,
    pub(crate) callback: Callback,
    /// Whether the pipe is there from the beginning.
    pub(crate) attached: bool,
    pub(crate) kernel: Script,
    pub(crate) steps: Vec<Step>,
    /// Whether it ends by writing everything, if it has not ended before.
    pub(crate) drains: bool,
}

/// What the callback does, besides listening.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Callback {
    None,
    Listens,
    Sends,
    Cancels,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    // The user.
    Send(usize),
    SendSlice(usize),
    Reserve(usize),
    SendPermit { which: usize, len: usize },
    DropPermit(usize),
    Clone,
    DropHandle,
    Attach,
    Finish,
    Cancel,
    TakeUnsent,
    Look,
    // Tasks: they are polled when they are woken, and may be given up.
    BeginSend(usize),
    BeginFlush,
    BeginEnded,
    BeginClose(u8),
    Poll(usize),
    GiveUp(usize),
    // The system.
    Kernel(usize),
    Pass(u8),
}

impl<'a> Arbitrary<'a> for Plan {
    fn arbitrary(input: &mut Unstructured<'a>) -> Result<Self> {
        let capacity = match input.int_in_range(0..=3)? {
            0 => input.int_in_range(1..=20)?,
            1 => input.int_in_range(1_000..=10_000)?,
            2 => 1 << 20,
            _ => u64::MAX,
        };
        let linger = input.choose(&[0, 1, 50])?;
        let callbacks = [
            Callback::None,
            Callback::Listens,
            Callback::Sends,
            Callback::Cancels,
        ];
        let callback = *input.choose(&callbacks)?;
        let attached = input.ratio(3, 4)?;
        let drains = bool::arbitrary(input)?;
        let kernel = kernel(input)?;
        let mut steps = Vec::new();
        while !input.is_empty() && steps.len() < STEPS_MAX {
            steps.push(step(input)?);
        }
        Ok(Plan {
            capacity,
            linger: *linger,
            callback,
            attached,
            kernel,
            steps,
            drains,
        })
    }
}

fn kernel(input: &mut Unstructured) -> Result<Script> {
    let inline = bool::arbitrary(input)?;
    let max_bytes = match input.int_in_range(0..=2)? {
        0 => input.int_in_range(0..=9)?,
        1 => input.int_in_range(100..=5_000)?,
        _ => 64 * 1024,
    };
    let max_chunks = *input.choose(&[0, 1, 2, 64])?;
    let burst = *input.choose(&[1, 2, 16])?;
    let mode = *input.choose(&[Mode::Byte, Mode::Message])?;
    let answers = input.int_in_range(0..=ANSWERS_MAX)?;
    Ok(Script {
        answers: (0..answers).map(|_| answer(input)).collect::<Result<_>>()?,
        inline,
        max_bytes,
        max_chunks,
        burst,
        mode,
    })
}

fn answer(input: &mut Unstructured) -> Result<Answer> {
    Ok(match input.int_in_range(0..=7)? {
        0..=3 => Answer::Now(end(input)?),
        4 | 5 => Answer::Ends(end(input)?),
        6 => Answer::EndsUnlessCancelled(end(input)?, cancelled(input)?),
        _ => Answer::Stalls(cancelled(input)?),
    })
}

fn end(input: &mut Unstructured) -> Result<End> {
    Ok(match input.int_in_range(0..=31)? {
        0 => End::Took(0),
        1..=8 => End::Took(input.int_in_range(1..=5_000)?),
        9..=15 => End::NotReady(Ready::Later),
        16..=18 => End::NotReady(Ready::AtOnce),
        19 => End::NotReady(Ready::Fails(24)),
        20 | 21 => End::Exhausted(12),
        22 => End::ExhaustedBeyond(input.int_in_range(0..=5_000)?, 12),
        23 => End::Failed(Fault {
            code: 32,
            counted: input.int_in_range(0..=3_000)?,
            uncounted: input.int_in_range(0..=3_000)?,
            rest: *input.choose(&[Rest::Unsent, Rest::InDoubt])?,
        }),
        _ => End::Took(usize::MAX),
    })
}

fn cancelled(input: &mut Unstructured) -> Result<Cancelled> {
    Ok(Cancelled {
        uncounted: input.int_in_range(0..=3_000)?,
        at_once: input.arbitrary()?,
    })
}

/// What ends a writer is rare, so that most scripts get somewhere.
fn step(input: &mut Unstructured) -> Result<Step> {
    Ok(match u8::arbitrary(input)? {
        0..=31 => Step::Send(len(input)?),
        32..=55 => Step::SendSlice(len(input)?),
        56..=67 => Step::Reserve(len(input)?),
        68..=79 => Step::SendPermit {
            which: which(input)?,
            len: len(input)?,
        },
        80..=83 => Step::DropPermit(which(input)?),
        84..=87 => Step::Clone,
        88..=91 => Step::DropHandle,
        92..=99 => Step::Attach,
        100..=101 => Step::Finish,
        102..=103 => Step::Cancel,
        104..=107 => Step::TakeUnsent,
        108..=115 => Step::Look,
        116..=135 => Step::BeginSend(len(input)?),
        136..=143 => Step::BeginFlush,
        144..=147 => Step::BeginEnded,
        148..=149 => Step::BeginClose(input.arbitrary()?),
        150..=169 => Step::Poll(which(input)?),
        170..=175 => Step::GiveUp(which(input)?),
        176..=239 => Step::Kernel(input.int_in_range(0..=3)?),
        240..=255 => Step::Pass(input.arbitrary()?),
    })
}

fn len(input: &mut Unstructured) -> Result<usize> {
    match input.int_in_range(0..=9)? {
        0 => Ok(0),
        1..=4 => input.int_in_range(1..=30),
        5..=6 => input.int_in_range(30..=JOIN_MAX),
        7 => input.int_in_range(JOIN_MAX - 1..=JOIN_MAX + 1),
        8 => input.int_in_range(JOIN_MAX..=20_000),
        _ => input.int_in_range(0..=70_000),
    }
}

/// Which of a few; what is not there is not touched.
fn which(input: &mut Unstructured) -> Result<usize> {
    input.int_in_range(0..=3)
}
