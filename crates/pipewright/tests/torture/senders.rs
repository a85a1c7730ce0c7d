//! Threads that send one stream together, each byte of which tells its position.

use std::sync::Mutex;
use std::task::Poll;
use std::thread::{self, Scope};
use std::time::Duration;

use futures_lite::future::block_on;
use pipewright::{PipeWriter, Position};

use crate::common::Random;
use crate::common::data::stream;
use crate::common::wakers::poll_once;

/// Where the stream goes on. Whoever sends holds it, so that the position of a
/// message is known before it is accepted; waits for room in the line are outside.
type Next = Mutex<u64>;

/// Threads that send one stream, in every way, until they have done so for a while or
/// the writer takes no more.
pub(crate) struct Senders {
    next: Next,
}

impl Senders {
    pub(crate) fn of(from: u64) -> Self {
        Senders {
            next: Mutex::new(from),
        }
    }

    /// Where the accepted stream ends.
    pub(crate) fn end(self) -> u64 {
        self.next.into_inner().unwrap()
    }

    pub(crate) fn start<'scope, 'env>(
        &'scope self,
        scope: &'scope Scope<'scope, 'env>,
        writer: &PipeWriter,
        random: &mut Random,
    ) {
        let (writer, mut random) = (writer.clone(), random.fork());
        let mut messages = random.between(1, 300);
        scope.spawn(move || {
            while messages > 0 && self.send(&writer, &mut random) {
                messages -= 1;
            }
        });
    }

    /// Sends a message, or not; whether there is any point in going on.
    fn send(&self, writer: &PipeWriter, random: &mut Random) -> bool {
        let len = random.message_len();
        let short = Duration::from_micros(random.below(2_000) as u64);
        let permit = match random.below(8) {
            0 => writer.reserve_timeout(len, short).ok(),
            1 => block_on(writer.reserve(len)).ok(),
            2 => writer.try_reserve(random.below(len + 10)).ok(),
            _ => None,
        };
        if random.one_in(10) {
            // Given up while it waits in the line, or with what it was granted.
            drop(poll_once(&mut Box::pin(writer.reserve(len))));
        }
        let mut next = self.next.lock().unwrap();
        let message = stream(*next, len);
        let sent = match permit {
            Some(permit) if random.one_in(5) => {
                drop(permit);
                None
            }
            Some(permit) => permit.send(message).ok(),
            None => send_somehow(writer, message, short, random),
        };
        *next += sent.map_or(0, |_| len as u64);
        drop(next);
        sent.is_some() || writer.try_send("").is_ok()
    }
}

/// Nothing here waits without a limit: others may keep the room that they have got in
/// the line until they know the position.
fn send_somehow(
    writer: &PipeWriter,
    message: Vec<u8>,
    short: Duration,
    random: &mut Random,
) -> Option<Position> {
    match random.below(4) {
        0 => writer.try_send(message).ok(),
        1 => writer.try_send_slice(&message).ok(),
        2 => writer.send_timeout(message, short).ok(),
        _ => {
            // Given up after a few looks, mostly while it waits.
            let mut send = Box::pin(writer.send(message));
            let looks = random.between(1, 5);
            (0..looks).find_map(|_| match poll_once(&mut send) {
                Poll::Ready(sent) => Some(sent.ok()),
                Poll::Pending => {
                    thread::yield_now();
                    None
                }
            })?
        }
    }
}
