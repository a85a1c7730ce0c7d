//! A wait that ends in the moment in which a client comes: the client is this
//! accept's, or the next one's, and never nobody's.

use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::os::windows::io::OwnedHandle;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use pipewright::named_pipe::Server;

use super::{LONG, next_handle, pipe, read, watched};

const ROUNDS: u32 = 3000;

/// What an accept that is given up came to, if anything.
type Accept = fn(&mut Server, Duration) -> Option<OwnedHandle>;

/// A client connects in each round, and reads its number from whoever accepts it.
/// Returns how often the accept that was given up had it, and how often not.
fn race(accept: Accept) -> (u32, u32) {
    let (options, name) = pipe();
    let mut server = options.create().unwrap();
    let (begin, begun) = mpsc::channel();
    let (got, gets) = mpsc::channel();
    let client = thread::spawn(move || {
        for delay in begun {
            spin(delay);
            let mut client = read(&name).unwrap();
            let mut number = [0; 4];
            let read = client.read_exact(&mut number);
            got.send(read.map(|()| u32::from_le_bytes(number))).unwrap();
        }
    });
    let before = next_handle();
    let mut had = 0;
    for round in 0..ROUNDS {
        // Somebody listens before the client comes.
        assert!(server.try_accept().unwrap().is_none());
        let (mine, theirs) = (round * 7 % 120, round * 13 % 120);
        begin.send(Duration::from_micros(theirs.into())).unwrap();
        let accepted = accept(&mut server, Duration::from_micros(mine.into()));
        had += u32::from(accepted.is_some());
        let accepted = accepted.unwrap_or_else(|| server.accept(LONG).unwrap());
        File::from(accepted)
            .write_all(&round.to_le_bytes())
            .unwrap();
        assert_eq!(gets.recv().unwrap().unwrap(), round);
    }
    drop(begin);
    client.join().unwrap();
    let left = next_handle().saturating_sub(before) / 4;
    assert!(left < 500, "{left} handles were left behind");
    (had, ROUNDS - had)
}

fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

#[test]
fn a_client_that_comes_when_the_time_is_over_is_not_lost() {
    watched(|| {
        let (had, had_not) = race(|server, wait| match server.accept(wait) {
            Ok(accepted) => Some(accepted),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                None
            }
        });
        assert!(had > 0 && had_not > 0, "no race: {had}, {had_not}");
    });
}

#[test]
fn a_client_that_comes_when_the_future_is_dropped_is_not_lost() {
    watched(|| {
        let (had, had_not) = race(|server, wait| {
            let mut cx = Context::from_waker(Waker::noop());
            let mut accepting = Box::pin(server.accept_async());
            match accepting.as_mut().poll(&mut cx) {
                Poll::Ready(accepted) => Some(accepted.unwrap()),
                Poll::Pending => {
                    spin(wait);
                    None
                }
            }
        });
        // Whether the client had come by then is for the next accept to find out.
        assert!(had_not > 0, "no race: {had}, {had_not}");
    });
}

#[test]
fn a_client_that_comes_when_the_wait_begins_is_seen() {
    watched(|| {
        let (had, had_not) = race(|server, wait| {
            spin(wait);
            Some(server.accept(LONG).unwrap())
        });
        assert_eq!((had, had_not), (ROUNDS, 0));
    });
}
