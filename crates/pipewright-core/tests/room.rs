//! Proves how capacity is shared: it is a bound, one message larger than it passes
//! when nothing waits, who asked first is served first, and nobody who was refused
//! or waits is forgotten.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::num::NonZeroU64;

use bytes::Bytes;
use pipewright_core::{Config, Core, Event, Limits, Mode, Refused, Reservation, Ticket};

#[test]
fn the_capacity_can_be_used_to_the_last_byte_and_not_beyond() {
    for mode in [Mode::Byte, Mode::Message] {
        let mut core = writer(mode, 10);
        core.send_slice(&[1; 9]).unwrap();
        assert_eq!(core.send_slice(&[2; 2]), Err(Refused::Full));
        core.send_slice(&[3; 1]).unwrap();
        assert_eq!(core.send_slice(&[4; 1]), Err(Refused::Full));
    }
}

#[test]
fn data_in_flight_uses_capacity_until_it_is_written() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 10]).unwrap();
    let operation = core.poll_submit().unwrap();
    assert_eq!(core.send_slice(&[2; 1]), Err(Refused::Full));
    drop(core.handle_completed(operation, 3));
    core.send_slice(&[2; 3]).unwrap();
    assert_eq!(core.send_slice(&[2; 1]), Err(Refused::Full));
}

#[test]
fn one_message_larger_than_the_capacity_is_accepted_when_nothing_waits() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 25]).unwrap();
    assert_eq!(core.send_slice(&[2; 25]), Err(Refused::Full));
    assert_eq!(core.send_slice(&[2; 1]), Err(Refused::Full));
    write(&mut core, 24);
    assert_eq!(core.send_slice(&[2; 25]), Err(Refused::Full));
    write(&mut core, 1);
    core.send_slice(&[2; 25]).unwrap();
}

#[test]
fn empty_messages_are_bounded_too() {
    let mut core = writer(Mode::Message, 2);
    core.send_slice(b"").unwrap();
    core.send_slice(b"").unwrap();
    assert_eq!(core.send_slice(b""), Err(Refused::Full));
    write(&mut core, 0);
    core.send_slice(b"").unwrap();
    assert_eq!(core.send_slice(b""), Err(Refused::Full));
}

#[test]
fn a_reservation_for_an_empty_message_takes_room_like_the_message() {
    let mut core = writer(Mode::Message, 1);
    let reservation = core.reserve(0).unwrap();
    assert_eq!(core.send_slice(b""), Err(Refused::Full));
    let [ticket] = wait(&mut core, [0]);
    let ticket = core.claim(ticket).unwrap_err();
    core.release(reservation);
    let reservation = core.claim(ticket).unwrap();
    assert_eq!(core.send_slice(b""), Err(Refused::Full));
    send_reserved(&mut core, reservation, 0).unwrap();
}

#[test]
fn a_reservation_keeps_its_room_against_everybody() {
    let mut core = writer(Mode::Byte, 10);
    let reservation = core.reserve(8).unwrap();
    assert_eq!(core.send_slice(&[1; 3]), Err(Refused::Full));
    core.send_slice(&[1; 2]).unwrap();
    send_reserved(&mut core, reservation, 8).unwrap();
    assert_eq!(core.progress().accepted, 10);
}

#[test]
fn what_a_message_does_not_use_of_its_reservation_is_room_again() {
    let mut core = writer(Mode::Byte, 10);
    let reservation = core.reserve(8).unwrap();
    send_reserved(&mut core, reservation, 3).unwrap();
    core.send_slice(&[1; 7]).unwrap();
    assert_eq!(core.send_slice(&[1; 1]), Err(Refused::Full));
}

#[test]
fn a_message_larger_than_its_reservation_needs_room_like_any_other() {
    let mut core = writer(Mode::Byte, 10);
    let reservation = core.reserve(2).unwrap();
    core.send_slice(&[1; 5]).unwrap();
    send_reserved(&mut core, reservation, 5).unwrap();

    let mut core = writer(Mode::Byte, 10);
    let reservation = core.reserve(2).unwrap();
    core.send_slice(&[1; 5]).unwrap();
    assert_eq!(send_reserved(&mut core, reservation, 6), Err(Refused::Full));
    core.send_slice(&[1; 5]).unwrap();
}

#[test]
fn who_waits_is_served_before_those_who_come_later_however_little_they_want() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 10]).unwrap();
    let tickets = wait(&mut core, [8, 1, 1]);
    write(&mut core, 4);
    assert_eq!(core.send_slice(&[1; 1]), Err(Refused::Full));
    assert_eq!(core.reserve(1).map(drop), Err(Refused::Full));
    assert_eq!(events(&mut core), [Event::Written]);

    write(&mut core, 4);
    let ids = tickets.each_ref().map(Ticket::id);
    assert_eq!(events(&mut core)[..1], [Event::Granted(ids[0])]);
    write(&mut core, 2);
    let granted = [Event::Granted(ids[1]), Event::Granted(ids[2])];
    assert_eq!(events(&mut core)[..2], granted);

    for (ticket, len) in tickets.into_iter().zip([8, 1, 1]) {
        let reservation = core.claim(ticket).unwrap();
        send_reserved(&mut core, reservation, len).unwrap();
    }
    assert_eq!(core.progress().queued, 10);
}

#[test]
fn who_leaves_the_line_lets_the_next_one_through() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 5]).unwrap();
    let [first, second, third] = wait(&mut core, [8, 5, 5]);
    core.leave(first);
    assert_eq!(events(&mut core), [Event::Granted(second.id())]);
    core.leave(second);
    assert_eq!(events(&mut core), [Event::Granted(third.id())]);
    core.leave(third);
    core.send_slice(&[1; 5]).unwrap();
}

#[test]
fn a_grant_that_was_left_or_claimed_is_not_announced_any_more() {
    let mut core = writer(Mode::Byte, 10);
    let [first, second] = wait(&mut core, [5, 5]);
    core.leave(first);
    let reservation = core.claim(second).unwrap();
    assert_eq!(events(&mut core), []);
    core.release(reservation);
}

#[test]
fn a_ticket_cannot_be_claimed_before_its_turn() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 10]).unwrap();
    let [ticket] = wait(&mut core, [5]);
    let ticket = core.claim(ticket).unwrap_err();
    write(&mut core, 10);
    let reservation = core.claim(ticket).unwrap();
    send_reserved(&mut core, reservation, 5).unwrap();
}

#[test]
fn a_waiting_message_larger_than_the_capacity_gets_its_turn_when_nothing_waits() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 1]).unwrap();
    let [large, small] = wait(&mut core, [25, 1]);
    assert_eq!(events(&mut core), []);
    write(&mut core, 1);
    let expected = [Event::Granted(large.id()), Event::Written];
    assert_eq!(events(&mut core), expected);
    let reservation = core.claim(large).unwrap();
    send_reserved(&mut core, reservation, 25).unwrap();
    write(&mut core, 25);
    let expected = [Event::Granted(small.id()), Event::Written];
    assert_eq!(events(&mut core), expected);
    core.leave(small);
}

#[test]
fn who_was_refused_hears_once_that_there_is_room() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 10]).unwrap();
    for _ in 0..3 {
        assert_eq!(core.send_slice(&[2; 5]), Err(Refused::Full));
    }
    assert_eq!(events(&mut core), []);
    write(&mut core, 5);
    assert_eq!(events(&mut core), [Event::Written, Event::Space]);
    write(&mut core, 5);
    assert_eq!(events(&mut core), [Event::Written]);
}

#[test]
fn who_was_refused_because_of_the_line_hears_when_it_is_gone() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 5]).unwrap();
    let [ticket] = wait(&mut core, [8]);
    assert_eq!(core.send_slice(&[2; 5]), Err(Refused::Full));
    core.leave(ticket);
    assert_eq!(events(&mut core), [Event::Space]);
}

#[test]
fn room_that_a_reservation_gives_back_is_announced() {
    let mut core = writer(Mode::Byte, 10);
    let reservation = core.reserve(10).unwrap();
    assert_eq!(core.send_slice(&[2; 5]), Err(Refused::Full));
    core.release(reservation);
    assert_eq!(events(&mut core), [Event::Space]);

    let reservation = core.reserve(10).unwrap();
    assert_eq!(core.send_slice(&[2; 5]), Err(Refused::Full));
    send_reserved(&mut core, reservation, 9).unwrap();
    assert_eq!(events(&mut core), [Event::Space]);
}

#[test]
fn an_empty_send_of_byte_mode_needs_no_room_and_overtakes_nobody() {
    let mut core = writer(Mode::Byte, 10);
    core.send_slice(&[1; 10]).unwrap();
    let [ticket] = wait(&mut core, [5]);
    core.send_slice(b"").unwrap();
    core.send(&mut Bytes::new()).unwrap();
    let reservation = core.reserve(0).unwrap();
    send_reserved(&mut core, reservation, 0).unwrap();
    assert_eq!(core.progress().accepted, 10);
    core.leave(ticket);
}

fn writer(mode: Mode, capacity: u64) -> Core {
    let mut core = Core::new(Config {
        capacity: NonZeroU64::new(capacity).unwrap(),
        mode,
    });
    core.attach(Limits::default()).unwrap();
    core
}

fn write(core: &mut Core, written: usize) {
    let operation = core.poll_submit().unwrap();
    drop(core.handle_completed(operation, written));
}

fn wait<const COUNT: usize>(core: &mut Core, lens: [usize; COUNT]) -> [Ticket; COUNT] {
    lens.map(|len| core.wait_in_line(len).unwrap())
}

fn send_reserved(core: &mut Core, reservation: Reservation, len: usize) -> Result<(), Refused> {
    core.send_reserved(reservation, &mut Bytes::from(vec![9; len]))
        .map(drop)
}

/// All events, unless there is no end of them.
fn events(core: &mut Core) -> Vec<Event> {
    std::iter::from_fn(|| core.poll_event()).take(100).collect()
}
