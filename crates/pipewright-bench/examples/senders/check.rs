//! Whether a tail keeps what it must, while threads send, one takes out, and it ends.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crate::accounts::{Refused, Tail};

const SENDERS: usize = 3;
/// When it ends, with all threads still sending.
const BYTES: usize = 100_000_000;
/// When it ends if it stands still.
const LIMIT: Duration = Duration::from_secs(60);
/// A block and a half, so that it is full again and again.
const CAPACITY: u64 = 96 * 1024;

/// A message that was accepted, and the position that its sender was told.
struct Receipt {
    position: u64,
    sender: usize,
    number: usize,
}

/// Compares what comes out of a tail with what every sender was told.
pub(crate) fn check<T: Tail>() -> io::Result<()> {
    let tail = T::new(CAPACITY);
    let mut drain = T::Drain::default();
    let mut stream = Vec::new();
    let receipts = thread::scope(|threads| {
        let tail = &tail;
        let senders: [_; SENDERS] =
            std::array::from_fn(|sender| threads.spawn(move || send_all(tail, sender)));
        take_most(tail, &mut drain, &mut stream);
        tail.accounts().finish();
        senders.map(|sender| sender.join().unwrap_or_default())
    });
    // Nobody is copying any more: all that is left is there.
    tail.take(&mut drain, &mut |bytes| stream.extend_from_slice(bytes));
    let refuses = tail.try_send(&[0]) == Err(Refused::Finished);
    if refuses
        && stops_at_a_gap::<T>()
        && receipts.iter().all(|receipts| !receipts.is_empty())
        && is_exact(receipts, &stream)
    {
        return Ok(());
    }
    Err(io::Error::other(
        "a message is lost, damaged or out of order",
    ))
}

/// Sends until the end; what was accepted, or nothing if a position was wrong.
fn send_all<T: Tail>(tail: &T, sender: usize) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for number in 0.. {
        let message = message(sender, number);
        let position = loop {
            let earlier = tail.accounts().accepted();
            match tail.try_send(&message) {
                Ok(position) if position >= earlier => break position,
                // It would stand before what was there when it was sent.
                Ok(_) => return Vec::new(),
                Err(Refused::Full) => thread::yield_now(),
                Err(Refused::Finished) => return receipts,
            }
        };
        receipts.push(Receipt {
            position,
            sender,
            number,
        });
    }
    receipts
}

fn take_most<T: Tail>(tail: &T, drain: &mut T::Drain, stream: &mut Vec<u8>) {
    let begun = Instant::now();
    while stream.len() < BYTES && begun.elapsed() < LIMIT {
        let before = stream.len();
        tail.take(drain, &mut |bytes| stream.extend_from_slice(bytes));
        if stream.len() == before {
            thread::yield_now();
        }
    }
}

/// Whether nothing overtakes a sender that has its position and was kept from copying.
fn stops_at_a_gap<T: Tail>() -> bool {
    let tail = T::new(CAPACITY);
    let accepts = tail.try_send(&[1; 100]).is_ok()
        && tail.accounts().accept(50) == Ok(100)
        && tail.try_send(&[1; 100]) == Ok(150);
    let mut taken = 0;
    tail.take(&mut T::Drain::default(), &mut |bytes| taken += bytes.len());
    accepts && taken <= 100
}

/// Whether the stream is these messages, each at its position, and nothing else.
fn is_exact(receipts: [Vec<Receipt>; SENDERS], mut stream: &[u8]) -> bool {
    let mut receipts: Vec<_> = receipts.into_iter().flatten().collect();
    receipts.sort_unstable_by_key(|receipt| receipt.position);
    let mut end = 0;
    for receipt in receipts {
        let message = message(receipt.sender, receipt.number);
        let Some(rest) = stream.strip_prefix(&*message) else {
            return false;
        };
        if receipt.position != end {
            return false;
        }
        end += message.len() as u64;
        stream = rest;
    }
    stream.is_empty()
}

/// Its length and its bytes are its sender's and its number's.
fn message(sender: usize, number: usize) -> Vec<u8> {
    let len = 1 + (number * 7 + sender) % 2048;
    let byte = |at: usize| (number * 31 + sender * 89 + at * 3).to_le_bytes();
    (0..len).map(|at| byte(at)[0] ^ byte(at)[1]).collect()
}
