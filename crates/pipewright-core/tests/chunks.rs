//! Proves how the stream is cut into operations: large messages stay the caller's
//! own memory, small ones are joined into blocks, messages keep their boundaries,
//! and no operation exceeds what the driver takes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use bytes::Bytes;
use pipewright_core::{Config, Core, Failure, JOIN_MAX, Limits, Mode, Operation, Rest};

const BLOCK: usize = 64 * 1024;
const UNLIMITED: Limits = Limits {
    max_bytes: usize::MAX,
    max_chunks: usize::MAX,
};

#[test]
fn a_large_message_goes_to_the_driver_without_a_copy() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    let (first, second) = (large(1), large(2));
    core.send(&mut first.clone()).unwrap();
    core.send(&mut second.clone()).unwrap();

    let operation = core.poll_submit().unwrap();
    assert_eq!(places(&operation), [place(&first), place(&second)]);
    drop(core.handle_completed(operation, 2 * first.len()));
}

#[test]
fn a_large_message_is_taken_out_of_the_callers_hands_and_a_small_one_is_not() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    let mut message = large(1);
    core.send(&mut message).unwrap();
    assert!(message.is_empty());

    let mut message = Bytes::from(vec![7; JOIN_MAX]);
    core.send(&mut message).unwrap();
    assert_eq!(message.len(), JOIN_MAX);
}

#[test]
fn what_remains_of_a_large_message_stays_where_it_is() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    let message = large(1);
    core.send(&mut message.clone()).unwrap();

    let operation = core.poll_submit().unwrap();
    drop(core.handle_completed(operation, 100));
    let operation = core.poll_submit().unwrap();
    assert_eq!(places(&operation), [place(&message.slice(100..))]);
    core.handle_not_ready(operation);
    core.handle_ready();
    let operation = core.poll_submit().unwrap();
    assert_eq!(places(&operation), [place(&message.slice(100..))]);
    drop(core.handle_completed(operation, message.len() - 100));
}

#[test]
fn unsent_and_doubtful_data_come_back_without_a_copy() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    let (first, second) = (large(1), large(2));
    core.send(&mut first.clone()).unwrap();
    let operation = core.poll_submit().unwrap();
    core.send(&mut second.clone()).unwrap();
    core.stop();
    drop(core.handle_failed(operation, 10, Failure::Os(995), Rest::InDoubt));

    let rest = core.take_unsent().unwrap();
    let places: Vec<_> = [rest.in_doubt, rest.unsent].concat();
    let places: Vec<_> = places.iter().map(|bytes| place(bytes)).collect();
    assert_eq!(places, [place(&first.slice(10..)), place(&second)]);
}

#[test]
fn the_unsent_end_of_a_doubtful_chunk_comes_back_without_a_copy() {
    let limits = Limits {
        max_bytes: 1_000,
        max_chunks: 1,
    };
    let mut core = writer(Mode::Byte, limits);
    let message = large(1);
    core.send(&mut message.clone()).unwrap();
    let operation = core.poll_submit().unwrap();
    drop(core.handle_failed(operation, 10, Failure::Os(995), Rest::InDoubt));

    let rest = core.take_unsent().unwrap();
    assert_eq!(rest.in_doubt.len(), 1);
    assert_eq!(place(&rest.in_doubt[0]), place(&message.slice(10..1_000)));
    assert_eq!(rest.unsent.len(), 1);
    assert_eq!(place(&rest.unsent[0]), place(&message.slice(1_000..)));
}

#[test]
fn small_messages_are_joined_into_one_block() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    let mut expected = Vec::new();
    for number in 0..1_024_u32 {
        let message = [number.to_le_bytes(); 16].concat();
        core.send_slice(&message).unwrap();
        expected.extend(message);
    }

    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.len(), BLOCK);
    assert_eq!(operation.slices().count(), 1);
    assert_eq!(operation.first(), expected);
    drop(core.handle_completed(operation, BLOCK));
    assert!(core.poll_submit().is_none());
}

#[test]
fn a_block_is_full_before_the_next_one_begins() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    let message = [7; JOIN_MAX - 1];
    for _ in 0..33 {
        core.send_slice(&message).unwrap();
    }
    let operation = core.poll_submit().unwrap();
    let lens: Vec<usize> = operation.slices().map(<[u8]>::len).collect();
    assert_eq!(lens, [BLOCK, 33 * message.len() - BLOCK]);
    let len = operation.len();
    drop(core.handle_completed(operation, len));
}

#[test]
fn a_small_message_does_not_overtake_a_large_one() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    core.send_slice(b"before").unwrap();
    core.send(&mut large(1)).unwrap();
    core.send_slice(b"after").unwrap();
    core.send_slice(b"wards").unwrap();

    let operation = core.poll_submit().unwrap();
    let slices: Vec<&[u8]> = operation.slices().collect();
    assert_eq!(slices, [b"before", &*large(1), b"afterwards"]);
    let len = operation.len();
    drop(core.handle_completed(operation, len));
}

#[test]
fn a_message_of_exactly_the_joining_size_is_joined_and_the_next_size_is_not() {
    for (len, chunks) in [(JOIN_MAX, 1), (JOIN_MAX + 1, 2)] {
        let mut core = writer(Mode::Byte, UNLIMITED);
        core.send(&mut Bytes::from(vec![1; len])).unwrap();
        core.send_slice(&vec![2; len]).unwrap();
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.slices().count(), chunks, "of {len}");
        let len = operation.len();
        drop(core.handle_completed(operation, len));
    }
}

#[test]
fn messages_are_never_joined_in_message_mode() {
    let mut core = writer(Mode::Message, UNLIMITED);
    let small = Bytes::from_static(b"small");
    for message in [&small, &large(1), &small, &small] {
        core.send(&mut message.clone()).unwrap();
    }
    core.send_slice(b"slice").unwrap();
    let expected: [&[u8]; 5] = [&small, &large(1), &small, &small, b"slice"];
    for message in expected {
        let operation = core.poll_submit().unwrap();
        assert_eq!(operation.slices().collect::<Vec<_>>(), [message]);
        drop(core.handle_completed(operation, message.len()));
    }
    assert!(core.poll_submit().is_none());
}

#[test]
fn an_empty_message_is_an_empty_operation_in_message_mode() {
    let mut core = writer(Mode::Message, UNLIMITED);
    core.send_slice(b"").unwrap();
    core.send(&mut Bytes::new()).unwrap();
    for _ in 0..2 {
        assert!(core.wants_turn());
        let operation = core.poll_submit().unwrap();
        assert!(operation.is_empty());
        assert_eq!(operation.slices().collect::<Vec<_>>(), [b""]);
        assert_eq!(operation.first(), b"");
        drop(core.handle_completed(operation, 0));
        assert_eq!(core.refusal(), None);
    }
    assert!(core.poll_submit().is_none());
}

#[test]
fn an_empty_send_is_nothing_in_byte_mode() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    core.send_slice(b"").unwrap();
    assert_eq!(core.send(&mut Bytes::new()).unwrap().get(), 0);
    assert!(!core.wants_turn());
    assert!(core.poll_submit().is_none());
}

#[test]
fn a_message_is_not_cut_to_the_drivers_limits() {
    let limits = Limits {
        max_bytes: 10,
        max_chunks: 1,
    };
    let mut core = writer(Mode::Message, limits);
    core.send(&mut large(1)).unwrap();
    let operation = core.poll_submit().unwrap();
    assert_eq!(operation.first(), large(1));
    drop(core.handle_completed(operation, large(1).len()));
}

#[test]
fn an_operation_has_no_more_bytes_and_chunks_than_the_driver_takes() {
    let large_len = large(1).len();
    for (max_bytes, max_chunks, expected) in [
        (10_000, 1, vec![large_len]),
        (10_000, 2, vec![large_len, large_len]),
        (
            10_000,
            3,
            vec![large_len, large_len, 10_000 - 2 * large_len],
        ),
        (large_len, 3, vec![large_len]),
        (large_len + 1, 3, vec![large_len, 1]),
        (1, 1, vec![1]),
        (0, 0, vec![1]),
    ] {
        let mut core = writer(
            Mode::Byte,
            Limits {
                max_bytes,
                max_chunks,
            },
        );
        for number in 0..4 {
            core.send(&mut large(number)).unwrap();
        }
        let operation = core.poll_submit().unwrap();
        let lens: Vec<usize> = operation.slices().map(<[u8]>::len).collect();
        assert_eq!(lens, expected, "{max_bytes} bytes, {max_chunks} chunks");
        assert_eq!(operation.chunks(), expected.len());
        core.handle_not_ready(operation);
    }
}

#[test]
fn later_sends_do_not_change_an_operation_in_flight() {
    let mut core = writer(Mode::Byte, UNLIMITED);
    core.send_slice(b"first").unwrap();
    let operation = core.poll_submit().unwrap();
    core.send_slice(b"second").unwrap();
    assert_eq!(operation.first(), b"first");
    core.handle_not_ready(operation);
    core.handle_ready();
    let operation = core.poll_submit().unwrap();
    let slices: Vec<&[u8]> = operation.slices().collect();
    assert_eq!(slices.concat(), b"firstsecond");
    drop(core.handle_completed(operation, 11));
}

fn writer(mode: Mode, limits: Limits) -> Core {
    let mut core = Core::new(Config {
        mode,
        ..Config::default()
    });
    core.attach(limits).unwrap();
    core
}

fn large(fill: u8) -> Bytes {
    Bytes::from(vec![fill; 2 * JOIN_MAX])
}

/// Where a slice lies, and how long it is.
fn place(slice: &[u8]) -> (*const u8, usize) {
    (slice.as_ptr(), slice.len())
}

fn places(operation: &Operation) -> Vec<(*const u8, usize)> {
    operation.slices().map(place).collect()
}
