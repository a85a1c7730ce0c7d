//! Accepting clients: one after the other, at the same time, with a limit, as a
//! task.

use std::fs::File;
use std::future::Future;
use std::io::{ErrorKind, Read, Write};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use pipewright::named_pipe::{self, ServerOptions};

use super::{LONG, name, next_handle, pipe, read, watched};

/// Sends `text` through the accepted end and sees it arrive.
#[track_caller]
fn carries(accepted: impl Into<File>, mut client: File, text: &str) {
    let mut accepted = accepted.into();
    accepted.write_all(text.as_bytes()).unwrap();
    drop(accepted);
    let mut got = String::new();
    // The system reports the end of a pipe as an error, and std as the end.
    client.read_to_string(&mut got).unwrap();
    assert_eq!(got, text);
}

#[test]
fn a_client_that_was_there_first_is_accepted_at_once() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let client = read(&name).unwrap();
        carries(server.accept(Duration::ZERO).unwrap(), client, "first");
    });
}

#[test]
fn a_client_that_comes_later_ends_the_wait() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let (accepting, begun) = mpsc::channel();
        let client = thread::spawn(move || {
            begun.recv().unwrap();
            read(&name).unwrap()
        });
        accepting.send(()).unwrap();
        let accepted = server.accept(LONG).unwrap();
        carries(accepted, client.join().unwrap(), "later");
    });
}

#[test]
fn there_is_always_an_instance_to_connect_to() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let mut client = read(&name).unwrap();
        for n in 0..100 {
            let accepted = server.accept(LONG).unwrap();
            // The next client does not have to wait for the next accept.
            let next = read(&name).unwrap();
            carries(accepted, client, &format!("client {n}"));
            client = next;
        }
        carries(server.try_accept().unwrap().unwrap(), client, "the last");
        assert!(server.try_accept().unwrap().is_none());
    });
}

#[test]
fn a_single_client_is_alone() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.max_instances(1).create().unwrap();
        for n in 0..100 {
            let client = read(&name).unwrap();
            let accepted = server.accept(LONG).unwrap();
            assert!(read(&name).is_err(), "nobody else has an instance");
            carries(accepted, client, &format!("client {n}"));
            assert!(server.try_accept().unwrap().is_none());
        }
    });
}

#[test]
fn several_instances_serve_several_clients_at_once() {
    watched(|| {
        let (options, name) = pipe();
        let first = options.create().unwrap();
        let mut servers = vec![first];
        for _ in 1..16 {
            let next = servers[0].next_instance().unwrap();
            servers.push(next);
        }
        let clients: Vec<File> = servers.iter().map(|_| read(&name).unwrap()).collect();
        let accepted: Vec<_> = servers
            .iter_mut()
            .map(|s| s.accept(LONG).unwrap())
            .collect();
        for mut accepted in accepted.into_iter().map(File::from) {
            accepted.write_all(b"to each").unwrap();
        }
        for mut client in clients {
            let mut got = String::new();
            client.read_to_string(&mut got).unwrap();
            assert_eq!(got, "to each");
        }
    });
}

#[test]
#[ignore = "Wine does not refuse it"]
fn a_name_that_is_taken_is_refused() {
    const ERROR_ACCESS_DENIED: i32 = 5;
    let (options, _) = pipe();
    let _server = options.create().unwrap();
    let error = options.create().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(ERROR_ACCESS_DENIED));
    options.first_instance(false).create().unwrap();
}

#[test]
fn no_more_instances_than_allowed() {
    const ERROR_PIPE_BUSY: i32 = 231;
    watched(|| {
        let name = name();
        let options = ServerOptions::new(&name).max_instances(2);
        let server = options.create().unwrap();
        let _second = server.next_instance().unwrap();
        let error = server.next_instance().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ERROR_PIPE_BUSY));
        let error = ServerOptions::new(&name)
            .max_instances(0)
            .create()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn an_accept_waits_until_an_instance_may_be_made() {
    watched(|| {
        let name = name();
        let mut server = ServerOptions::new(&name).max_instances(1).create().unwrap();
        let client = read(&name).unwrap();
        let accepted = server.accept(LONG).unwrap();
        let error = server.accept(Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let (waits, waiting) = mpsc::channel();
        let accepting = thread::spawn(move || {
            waits.send(()).unwrap();
            server.accept(LONG).unwrap()
        });
        waiting.recv().unwrap();
        drop(accepted);
        drop(client);
        // Now there may be one: the client finds it once it is there.
        let client = loop {
            match read(&name) {
                Ok(client) => break client,
                Err(_) => thread::yield_now(),
            }
        };
        carries(accepting.join().unwrap(), client, "the second");
    });
}

#[test]
fn a_client_that_left_before_it_was_accepted_is_passed_over() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        for _ in 0..100 {
            drop(read(&name).unwrap());
            assert!(server.try_accept().unwrap().is_none());
        }
        let client = read(&name).unwrap();
        carries(server.accept(LONG).unwrap(), client, "who stayed");
    });
}

#[test]
fn what_a_client_wrote_before_it_left_is_still_read() {
    watched(|| {
        let name = name();
        let mut server = ServerOptions::new(&name).duplex(true).create().unwrap();
        let mut client = File::from(named_pipe::open(&name, LONG).unwrap());
        client.write_all(b"in passing").unwrap();
        drop(client);
        let mut got = String::new();
        let mut accepted = File::from(server.accept(LONG).unwrap());
        accepted.read_to_string(&mut got).unwrap();
        assert_eq!(got, "in passing");
    });
}

#[test]
fn a_wait_that_is_over_leaves_nothing_behind() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let before = next_handle();
        for round in 0..10_000 {
            let limit = Duration::from_micros(round % 4 * 10);
            let error = server.accept(limit).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
        // The pool's callbacks of the last rounds may still hold their events.
        let left = next_handle().saturating_sub(before) / 4;
        assert!(left < 500, "{left} handles were left behind");
        let client = read(&name).unwrap();
        carries(server.accept(LONG).unwrap(), client, "still served");
    });
}

#[test]
fn a_future_that_is_dropped_leaves_nothing_behind() {
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let before = next_handle();
        for _ in 0..10_000 {
            let accepted = block_on(poll_once(server.accept_async()));
            assert!(accepted.is_none());
        }
        let left = next_handle().saturating_sub(before) / 4;
        assert!(left < 500, "{left} handles were left behind");
        let client = read(&name).unwrap();
        carries(
            block_on(server.accept_async()).unwrap(),
            client,
            "still served",
        );
    });
}

#[test]
fn a_dropped_server_gives_its_name_back_at_once() {
    watched(|| {
        let (options, _) = pipe();
        // A second instance would be refused.
        let options = options.max_instances(1);
        let before = next_handle();
        for _ in 0..10_000 {
            let mut server = options.create().unwrap();
            // With a wait under way, and with one that was given up.
            let mut accepting = Box::pin(server.accept_async());
            assert!(block_on(poll_once(&mut accepting)).is_none());
            drop(accepting);
            drop(server);
        }
        let left = next_handle().saturating_sub(before) / 4;
        assert!(left < 500, "{left} handles were left behind");
    });
}

#[test]
fn a_wait_survives_the_thread_that_began_it() {
    watched(|| {
        // The system cancels what a thread has begun when it ends.
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let mut accepting = Box::pin(server.accept_async());
        for _ in 0..10 {
            thread::scope(|scope| {
                let begin = || assert!(block_on(poll_once(&mut accepting)).is_none());
                scope.spawn(begin);
            });
        }
        let client = thread::spawn(move || read(&name).unwrap());
        let accepted = block_on(accepting).unwrap();
        carries(accepted, client.join().unwrap(), "all the same");
    });
}

#[test]
fn a_future_wakes_who_polled_it_last() {
    struct Told(mpsc::Sender<&'static str>, &'static str);
    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.send(self.1).unwrap();
        }
    }
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let (tell, told) = mpsc::channel();
        let mut accepting = pin!(server.accept_async());
        for who in ["first", "last"] {
            let waker = Waker::from(Arc::new(Told(tell.clone(), who)));
            let polled = accepting.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        let client = read(&name).unwrap();
        assert_eq!(told.recv().unwrap(), "last");
        carries(block_on(accepting).unwrap(), client, "woken");
        drop(tell);
        assert!(told.recv().is_err(), "only the last, and only once");
    });
}

#[test]
fn who_waited_with_a_future_that_is_dropped_is_let_be() {
    struct Counts(AtomicU32);
    impl Wake for Counts {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let wakes = Arc::new(Counts(AtomicU32::new(0)));
        for _ in 0..1000 {
            let waker = Waker::from(Arc::clone(&wakes));
            let mut accepting = Box::pin(server.accept_async());
            let polled = accepting.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        // The pool may be about to wake it when it is dropped.
        while Arc::strong_count(&wakes) > 1 {
            thread::yield_now();
        }
        let client = read(&name).unwrap();
        carries(server.accept(LONG).unwrap(), client, "somebody else");
        let wakes = wakes.0.load(Ordering::Relaxed);
        assert!(wakes < 100, "woken {wakes} times");
    });
}

#[test]
fn servers_may_be_dropped_by_the_wake_up_of_one_of_them() {
    type Accepting = Pin<Box<dyn Future<Output = ()> + Send>>;
    struct Drops(Mutex<Vec<Accepting>>, mpsc::Sender<()>);
    impl Wake for Drops {
        fn wake(self: Arc<Self>) {
            let all = std::mem::take(&mut *self.0.lock().unwrap());
            drop(all);
            let _ = self.1.send(());
        }
    }
    watched(|| {
        let (options, name) = pipe();
        let options = options.max_instances(2);
        let before = next_handle();
        for _ in 0..500 {
            let server = options.create().unwrap();
            let other = server.next_instance().unwrap();
            let (tell, told) = mpsc::channel();
            let drops = Arc::new(Drops(Mutex::default(), tell));
            let waker = Waker::from(Arc::clone(&drops));
            let mut all = drops.0.lock().unwrap();
            for mut server in [server, other] {
                let mut accepting: Accepting = Box::pin(async move {
                    let _ = server.accept_async().await;
                });
                let polled = accepting.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
                all.push(accepting);
            }
            drop(all);
            // One of them is connected, in whose wake-up both are dropped.
            let client = read(&name).unwrap();
            told.recv().unwrap();
            assert!(read(&name).is_err(), "both are gone");
            drop(client);
        }
        let left = next_handle().saturating_sub(before) / 4;
        assert!(left < 500, "{left} handles were left behind");
    });
}

#[test]
fn a_panic_of_a_waker_is_its_own() {
    struct Panics(mpsc::Sender<()>);
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            self.0.send(()).unwrap();
            panic!("as intended");
        }
    }
    watched(|| {
        let (options, name) = pipe();
        let mut server = options.create().unwrap();
        let (tell, told) = mpsc::channel();
        let waker = Waker::from(Arc::new(Panics(tell)));
        let mut accepting = pin!(server.accept_async());
        let polled = accepting.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(matches!(polled, Poll::Pending));
        let client = read(&name).unwrap();
        told.recv().unwrap();
        carries(block_on(accepting).unwrap(), client, "all the same");
    });
}
