//! Feeds whose pipe ends at a carrier, which knows what the target took.

use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};

use socket2::Socket;

use super::*;
use crate::os::Carrier;

/// The two ends of a connection.
fn connection() -> (Arc<Socket>, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Arc::new(socket.into()), listener.accept().unwrap().0)
}

fn attach_to(feed: &Arc<Feed>, socket: &Arc<Socket>) {
    let way_out = Carrier::to(Arc::clone(socket)).unwrap();
    assert!(feed.attach("socket", way_out, true, None).is_ok());
}

fn read_from(mut peer: TcpStream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// The first peer sees an end in order, so nothing that its side took is lost.
#[test]
fn what_one_socket_did_not_take_goes_through_the_next_to_the_byte() {
    watched(|| {
        let all: Vec<u8> = (0..=250).cycle().take(1_000_000).collect();
        for round in 0..40 {
            let (feed, events) = feed(OnFull::Wait, 1 << 20);
            let (socket, peer) = connection();
            attach_to(&feed, &socket);
            let first = read_from(peer);
            for (count, piece) in all.chunks(10_000).enumerate() {
                if count == round * 2 {
                    socket.shutdown(Shutdown::Write).unwrap();
                }
                assert!(feed.offer_patiently(Bytes::copy_from_slice(piece)));
            }
            ended(&events);
            let first = first.join().unwrap();
            let accounts = feed.accounts();
            assert!(matches!(accounts.end, Some(End::Failed(_))));
            assert_eq!(accounts.written, first.len() as u64);
            assert_eq!(accounts.unsent, (all.len() - first.len()) as u64);
            let (socket, peer) = connection();
            let rest = read_from(peer);
            attach_to(&feed, &socket);
            feed.finish(Waits::ForReader);
            ended(&events);
            assert!([first, rest.join().unwrap()].concat() == all, "{round}");
            let accounts = feed.accounts();
            assert!(matches!(accounts.end, Some(End::Closed)));
            assert_eq!((accounts.written, accounts.unread), (1_000_000, 0));
        }
    });
}

/// The pipe took it, so the writer has nothing to complain of.
#[test]
fn what_the_socket_refuses_is_heard_of_though_nothing_more_is_written() {
    watched(|| {
        let (feed, events) = feed(OnFull::Wait, 10);
        let (socket, _peer) = connection();
        socket.shutdown(Shutdown::Write).unwrap();
        attach_to(&feed, &socket);
        assert!(feed.offer_patiently(vec![1; 8].into()));
        ended(&events);
        let accounts = feed.accounts();
        assert_eq!((accounts.written, accounts.unsent), (0, 8));
        let Some(End::Failed(cause)) = accounts.end else {
            panic!("{:?}", accounts.end);
        };
        assert_eq!(cause.trouble().os_error, Some(10058), "{cause:?}");
    });
}

#[test]
fn a_socket_that_takes_nothing_is_not_waited_for_once_the_feed_was_stopped() {
    watched(|| {
        let (feed, events) = feed(OnFull::DropNewest, 64 << 20);
        let (socket, peer) = connection();
        attach_to(&feed, &socket);
        for _ in 0..32 {
            assert!(feed.offer_patiently(vec![7; 1 << 20].into()));
        }
        // So that the carrier stands still, and what is written is what fits.
        let still = Duration::from_millis(50);
        while feed.accounts().stalled_for.is_none_or(|time| time < still) {
            thread::yield_now();
        }
        feed.stop();
        ended(&events);
        drop(socket);
        let accounts = feed.accounts();
        assert!(matches!(accounts.end, Some(End::Stopped)));
        assert_eq!(accounts.written + accounts.unsent, 32 << 20);
        assert_eq!(accounts.in_doubt, 0);
        let got = read_from(peer).join().unwrap();
        assert_eq!(got.len() as u64, accounts.written);
    });
}

/// Wine calls a write done that it goes on with in the process (seen on Wine 10), and what
/// is left of it would go with the process.
#[test]
fn a_feed_has_ended_only_when_the_system_needs_the_process_no_more() {
    watched(|| {
        let (feed, events) = feed(OnFull::Wait, 1 << 20);
        let (socket, peer) = connection();
        attach_to(&feed, &socket);
        let would_block = || {
            let tried = (&*socket).write(&[]);
            tried.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        };
        // Until the system has taken all and is not done with it, or takes no more.
        let mut offered = 0;
        while feed.accounts().written == offered && !would_block() {
            assert!(feed.offer_patiently(vec![7; 4000].into()));
            offered += 4000;
            let still = Duration::from_millis(50);
            let stands_still = || {
                feed.accounts()
                    .stalled_for
                    .is_some_and(|time| time >= still)
            };
            while feed.accounts().written < offered && !stands_still() {
                thread::yield_now();
            }
        }
        feed.finish(Waits::ForReader);
        let too_early = events.recv_timeout(Duration::from_millis(200));
        assert!(too_early.is_err(), "ended before the peer made room");
        drop(socket);
        assert_eq!(read_from(peer).join().unwrap().len() as u64, offered);
        ended(&events);
    });
}
