//! Proves who owns memory, and until when: the user's own buffers are dropped by
//! whoever drops [`Spent`], never inside a call into the core, where a lock may be
//! held; blocks are used again; an operation that is not in flight changes nothing.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use pipewright_core::{Config, Core, Failure, JOIN_MAX, Limits, Mode, Operation, Rest, Spent};

const LARGE: usize = 2 * JOIN_MAX;

/// Counts the buffers that were dropped.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A message in memory of the user's own.
    fn message(&self, len: usize) -> Bytes {
        Bytes::from_owner(Owned {
            data: vec![7; len],
            drops: self.clone(),
        })
    }
}

struct Owned {
    data: Vec<u8>,
    drops: Drops,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.drops.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_written_message_is_dropped_with_what_the_completion_returns() {
    for mode in [Mode::Byte, Mode::Message] {
        let (mut core, drops) = (writer(mode), Drops::default());
        core.send(&mut drops.message(LARGE)).unwrap();
        let operation = core.poll_submit().unwrap();
        let spent = core.handle_completed(operation, LARGE);
        assert!(!spent.is_empty());
        assert_eq!(drops.count(), 0);
        drop(spent);
        assert_eq!(drops.count(), 1);
    }
}

#[test]
fn what_was_written_can_be_dropped_piece_by_piece() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    for _ in 0..3 {
        core.send(&mut drops.message(LARGE)).unwrap();
    }
    let operation = core.poll_submit().unwrap();
    let mut spent = core.handle_completed(operation, 3 * LARGE);
    for dropped in 1..=3 {
        assert_eq!(spent.next().unwrap(), vec![7; LARGE]);
        assert_eq!(drops.count(), dropped);
    }
    assert!(spent.is_empty() && spent.next().is_none());
}

#[test]
fn what_several_completions_return_can_be_dropped_together() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    let mut all = Spent::default();
    for _ in 0..3 {
        core.send(&mut drops.message(LARGE)).unwrap();
        let operation = core.poll_submit().unwrap();
        all.append(core.handle_completed(operation, LARGE));
        assert_eq!(drops.count(), 0);
    }
    assert_eq!(all.by_ref().count(), 3);
    assert_eq!(drops.count(), 3);
}

#[test]
fn each_message_is_dropped_as_soon_as_it_is_written_and_no_earlier() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    for _ in 0..3 {
        core.send(&mut drops.message(LARGE)).unwrap();
    }
    for (written, dropped) in [(LARGE - 1, 0), (1, 1), (LARGE + 1, 2), (LARGE - 1, 3)] {
        let operation = core.poll_submit().unwrap();
        drop(core.handle_completed(operation, written));
        assert_eq!(drops.count(), dropped);
    }
}

#[test]
fn an_empty_message_is_dropped_with_what_the_completion_returns() {
    let (mut core, drops) = (writer(Mode::Message), Drops::default());
    core.send(&mut drops.message(0)).unwrap();
    let operation = core.poll_submit().unwrap();
    let spent = core.handle_completed(operation, 0);
    assert_eq!(drops.count(), 0);
    drop(spent);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_small_message_stays_with_the_caller_who_drops_it() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    let mut message = drops.message(JOIN_MAX);
    core.send(&mut message).unwrap();
    assert_eq!(drops.count(), 0);
    drop(message);
    assert_eq!(drops.count(), 1);
}

#[test]
fn a_refused_message_stays_with_the_caller() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    core.send(&mut drops.message(2 << 20)).unwrap();
    let mut message = drops.message(LARGE);
    core.send(&mut message).unwrap_err();
    core.stop();
    core.send(&mut message).unwrap_err();
    assert_eq!((message.len(), drops.count()), (LARGE, 0));
}

#[test]
fn nothing_of_the_users_is_dropped_on_any_way_but_the_written_one() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    for _ in 0..4 {
        core.send(&mut drops.message(LARGE)).unwrap();
    }
    let operation = core.poll_submit().unwrap();
    core.handle_not_ready(operation);
    core.handle_ready();
    let operation = core.poll_submit().unwrap();
    core.handle_exhausted(operation, Failure::Os(1450));
    core.handle_ready();
    let operation = core.poll_submit().unwrap();
    core.stop();
    let spent = core.handle_failed(operation, LARGE + 1, Failure::Os(995), Rest::InDoubt);
    assert_eq!(drops.count(), 0);
    drop(spent);
    assert_eq!(drops.count(), 1);

    let rest = core.take_unsent().unwrap();
    drop(core);
    assert_eq!(drops.count(), 1);
    drop(rest);
    assert_eq!(drops.count(), 4);
}

#[test]
fn the_memory_of_a_written_block_is_used_again() {
    let mut core = writer(Mode::Byte);
    core.send_slice(&[1; 100]).unwrap();
    let operation = core.poll_submit().unwrap();
    let block = operation.first().as_ptr();
    // Kept, so that the allocator cannot give the same memory out a second time.
    let spent = core.handle_completed(operation, 100);
    assert!(spent.is_empty());

    core.send_slice(&[2; 100]).unwrap();
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.first(), [2; 100]);
    assert_eq!(operation.first().as_ptr(), block);
    drop(core.handle_completed(operation, 100));
}

#[test]
fn a_block_that_was_written_in_pieces_is_used_again_from_its_start() {
    let mut core = writer(Mode::Byte);
    core.send_slice(&[1; 2_000]).unwrap();
    let operation = core.poll_submit().unwrap();
    let block = operation.first().as_ptr();
    let mut spent = vec![core.handle_completed(operation, 1_500)];
    let operation = core.poll_submit().unwrap();
    spent.push(core.handle_completed(operation, 500));
    assert!(spent.iter().all(Spent::is_empty));

    core.send_slice(&[2; 2_000]).unwrap();
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.first(), [2; 2_000]);
    assert_eq!(operation.first().as_ptr(), block);
    drop(core.handle_completed(operation, 2_000));
}

#[test]
fn only_one_block_is_kept_for_the_next_time() {
    let mut core = writer(Mode::Byte);
    for _ in 0..3 * 64 {
        core.send_slice(&[1; 1_024]).unwrap();
    }
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.slices().count(), 3);
    let spent = core.handle_completed(operation, 3 * 64 * 1_024);
    assert!(!spent.is_empty(), "two blocks too many");
}

#[test]
fn the_users_memory_is_never_taken_for_a_block() {
    let (mut core, drops) = (writer(Mode::Byte), Drops::default());
    core.send(&mut drops.message(LARGE)).unwrap();
    let operation = core.poll_submit().unwrap();
    drop(core.handle_completed(operation, LARGE));
    core.send(&mut Bytes::from(vec![1; LARGE])).unwrap();
    let operation = core.poll_submit().unwrap();
    let place = operation.first().as_ptr();
    let spent = core.handle_completed(operation, LARGE);
    core.send_slice(&[2; 100]).unwrap();
    let operation = core.poll_submit().unwrap();
    assert_ne!(operation.first().as_ptr(), place);
    drop(spent);
    drop(core.handle_completed(operation, 100));
}

#[test]
fn the_copy_of_a_large_message_is_not_kept_when_it_is_written() {
    for (len, is_kept) in [(JOIN_MAX, true), (LARGE, false)] {
        let mut core = writer(Mode::Byte);
        let (_, direct) = core.send_direct(len).unwrap();
        let operation = direct.into_copy(&vec![7; len]);
        let spent = core.handle_completed(operation, len);
        assert_eq!(spent.is_empty(), is_kept, "{len} bytes");
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is not in flight")]
fn a_stray_operation_is_shown_by_debug_builds() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"ours").unwrap();
    let _ours = core.poll_submit().unwrap();
    drop(core.handle_completed(stray(), LARGE));
}

#[test]
#[cfg(not(debug_assertions))]
fn a_stray_operation_does_not_touch_the_accounts() {
    let mut core = writer(Mode::Byte);
    core.send_slice(b"ours").unwrap();
    let ours = core.poll_submit().unwrap();
    let before = core.progress();
    for in_flight in [true, false] {
        let spent = core.handle_completed(stray(), LARGE);
        assert!(!spent.is_empty());
        let spent = core.handle_failed(stray(), 1, Failure::Os(5), Rest::InDoubt);
        assert!(!spent.is_empty());
        let retry = core.handle_exhausted(stray(), Failure::Os(1450));
        assert_eq!(retry, pipewright_core::Retry::GivenUp);
        core.handle_not_ready(stray());
        assert_eq!(core.refusal(), None);
        assert!(!core.has_events());
        if in_flight {
            assert_eq!(core.progress(), before);
            core.stop();
            assert_eq!(core.poll_cancel(), Some(ours.id()));
            core = writer(Mode::Byte);
        } else {
            assert_eq!(core.progress(), writer(Mode::Byte).progress());
            core.send_slice(b"flows").unwrap();
            assert!(core.wants_turn(), "not blocked");
        }
    }
}

/// An operation of another writer; only its number tells it from one's own.
fn stray() -> Operation {
    let mut other = writer(Mode::Byte);
    other.send(&mut Bytes::from(vec![7; LARGE])).unwrap();
    let operation = other.poll_submit().unwrap();
    other.handle_not_ready(operation);
    other.handle_ready();
    other.poll_submit().unwrap()
}

fn writer(mode: Mode) -> Core {
    let mut core = Core::new(Config {
        mode,
        ..Config::default()
    });
    let limits = Limits {
        max_bytes: usize::MAX,
        max_chunks: usize::MAX,
    };
    core.attach(limits).unwrap();
    core
}
