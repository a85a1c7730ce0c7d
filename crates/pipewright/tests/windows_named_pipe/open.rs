//! Opening the client's end: when it is busy, when there is none, and whose it is.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use pipewright::PipeWriter;
use pipewright::named_pipe::{self, ClientOptions, ServerOptions, ServerOwner, Sid};

use super::{LONG, alone, name, next_handle, pipe, until, watched};

/// Serves clients that write.
fn reading_server() -> (ServerOptions, String) {
    let name = name();
    (ServerOptions::new(&name).duplex(true), name)
}

#[test]
fn what_a_client_writes_arrives() {
    watched(|| {
        let (options, name) = reading_server();
        let mut server = options.create().unwrap();
        let mut client = File::from(named_pipe::open(&name, LONG).unwrap());
        let mut accepted = File::from(server.accept(LONG).unwrap());
        client.write_all(b"from the client").unwrap();
        drop(client);
        let mut got = String::new();
        accepted.read_to_string(&mut got).unwrap();
        assert_eq!(got, "from the client");
    });
}

#[test]
fn a_writer_takes_what_was_accepted_and_what_was_opened() {
    watched(|| {
        let (options, name) = reading_server();
        for messages in [false, true] {
            let mut server = options.clone().messages(messages).create().unwrap();
            let client = ClientOptions::new().duplex(true).read_messages(messages);
            let mut client = File::from(client.open(&name, LONG).unwrap());
            let writer = PipeWriter::new(server.accept(LONG).unwrap()).unwrap();
            writer.try_send("from the server").unwrap();
            let mut got = [0; 15];
            client.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"from the server");
            writer.close_timeout(LONG).unwrap();
            drop(client);

            let writer = PipeWriter::new(named_pipe::open(&name, LONG).unwrap()).unwrap();
            let mut accepted = File::from(server.accept(LONG).unwrap());
            writer.try_send("from the client").unwrap();
            writer.close_timeout(LONG).unwrap();
            let mut got = String::new();
            accepted.read_to_string(&mut got).unwrap();
            assert_eq!(got, "from the client");
        }
    });
}

#[test]
fn a_client_only_writes_unless_it_asked_to_read() {
    watched(|| {
        let (options, name) = reading_server();
        let _server = options.create().unwrap();
        let mut client = File::from(named_pipe::open(&name, LONG).unwrap());
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    });
}

#[test]
#[ignore = "Wine refuses generic rights only, and GENERIC_WRITE would be too many"]
fn a_server_that_does_not_read_lets_no_writer_in() {
    const ERROR_ACCESS_DENIED: i32 = 5;
    watched(|| {
        let (options, name) = pipe();
        let _server = options.create().unwrap();
        let error = named_pipe::open(&name, LONG).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ERROR_ACCESS_DENIED));
    });
}

#[test]
fn a_busy_pipe_is_opened_when_it_is_free() {
    watched(|| {
        let (options, name) = reading_server();
        let mut server = options.max_instances(1).create().unwrap();
        let first = named_pipe::open(&name, LONG).unwrap();
        let accepted = server.accept(LONG).unwrap();
        let client = ClientOptions::new();
        assert!(client.try_open(&name).unwrap().is_none());
        let error = client.open(&name, Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("busy"), "{error}");

        let (waits, waiting) = mpsc::channel();
        // Between the two instances, there is none for a moment.
        let patient = client.wait_for_server(true);
        let opening = thread::spawn(move || {
            waits.send(()).unwrap();
            patient.open(&name, LONG).unwrap()
        });
        waiting.recv().unwrap();
        drop(first);
        drop(accepted);
        let mut accepted = File::from(server.accept(LONG).unwrap());
        let mut client = File::from(opening.join().unwrap());
        client.write_all(b"!").unwrap();
        accepted.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn a_pipe_that_does_not_exist_is_not_found_unless_it_is_waited_for() {
    const ERROR_FILE_NOT_FOUND: i32 = 2;
    watched(|| {
        let (options, name) = reading_server();
        let error = named_pipe::open(&name, LONG).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ERROR_FILE_NOT_FOUND));

        let patient = ClientOptions::new().wait_for_server(true);
        assert!(patient.try_open(&name).unwrap().is_none());
        let error = patient.open(&name, Duration::from_millis(5)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("no such pipe"), "{error}");

        let (waits, waiting) = mpsc::channel();
        let opening = thread::spawn(move || {
            waits.send(()).unwrap();
            patient.open(&name, LONG).unwrap()
        });
        waiting.recv().unwrap();
        let mut server = options.create().unwrap();
        server.accept(LONG).unwrap();
        opening.join().unwrap();
    });
}

#[test]
fn a_server_that_goes_while_it_is_busy_is_not_found() {
    const ERROR_FILE_NOT_FOUND: i32 = 2;
    watched(|| {
        let (options, name) = reading_server();
        let mut server = options.max_instances(1).create().unwrap();
        let first = named_pipe::open(&name, LONG).unwrap();
        let accepted = server.accept(LONG).unwrap();
        let mut opening = Box::pin(async { ClientOptions::new().open_async(&name).await });
        assert!(block_on(poll_once(&mut opening)).is_none());
        drop((first, accepted, server));
        let error = block_on(opening).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(ERROR_FILE_NOT_FOUND));
    });
}

#[test]
fn a_task_opens_a_pipe_when_it_is_free() {
    watched(|| {
        let (options, name) = reading_server();
        let client = ClientOptions::new().wait_for_server(true);
        let mut opening = Box::pin(client.open_async(&name));
        assert!(block_on(poll_once(&mut opening)).is_none());
        let mut server = options.create().unwrap();
        let mut client = File::from(block_on(opening).unwrap());
        let mut accepted = File::from(block_on(server.accept_async()).unwrap());
        client.write_all(b"!").unwrap();
        accepted.read_exact(&mut [0]).unwrap();
    });
}

#[test]
fn an_open_that_is_given_up_leaves_nothing_behind() {
    alone(|| {
        let (options, name) = reading_server();
        let _server = options.max_instances(1).create().unwrap();
        let _first = named_pipe::open(&name, LONG).unwrap();
        let before = next_handle();
        for _ in 0..1000 {
            let opened = block_on(poll_once(ClientOptions::new().open_async(&name)));
            assert!(opened.is_none());
        }
        // The system's pool may be behind with the last of them.
        until(|| next_handle().saturating_sub(before) / 4 < 20);
    });
}

#[test]
fn a_pipe_of_somebody_else_is_refused() {
    watched(|| {
        let (options, name) = reading_server();
        let mut server = options.create().unwrap();
        let owned_by = |sid| ClientOptions::new().server_owner(ServerOwner::Only(sid));
        let system: Sid = "S-1-5-18".parse().unwrap();
        let error = owned_by(system).open(&name, LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert_eq!(error.raw_os_error(), None);
        let me = Sid::current_user().unwrap();
        assert!(error.to_string().contains(&me.to_string()), "{error}");
        // The handle was closed: the server finds that the client has left.
        drop(server.accept(LONG).unwrap());

        for options in [
            owned_by(me),
            ClientOptions::new().server_owner(ServerOwner::Any),
        ] {
            let client = thread::spawn({
                let name = name.clone();
                move || options.wait_for_server(true).open(name, LONG).unwrap()
            });
            server.accept(LONG).unwrap();
            client.join().unwrap();
        }
    });
}

#[test]
fn messages_keep_their_boundaries() {
    watched(|| {
        let (options, name) = reading_server();
        let mut server = options.messages(true).create().unwrap();
        let client = ClientOptions::new().duplex(true).read_messages(true);
        let mut client = File::from(client.open(&name, LONG).unwrap());
        let mut accepted = File::from(server.accept(LONG).unwrap());
        for message in [&b"one"[..], b"", b"three"] {
            // Not `write_all`, which leaves out the empty one.
            assert_eq!(accepted.write(message).unwrap(), message.len());
            assert_eq!(client.write(message).unwrap(), message.len());
        }
        for end in [&mut client, &mut accepted] {
            let mut room = [0; 64];
            for message in [&b"one"[..], b"", b"three"] {
                let length = end.read(&mut room).unwrap();
                assert_eq!(&room[..length], message);
            }
        }
    });
}

#[test]
fn a_pipe_of_bytes_is_read_as_it_is_by_a_client_that_would_keep_messages() {
    watched(|| {
        let (options, name) = reading_server();
        let mut server = options.create().unwrap();
        let client = ClientOptions::new().duplex(true).read_messages(true);
        let mut client = File::from(client.open(&name, LONG).unwrap());
        let mut accepted = File::from(server.accept(LONG).unwrap());
        for part in ["one", "two"] {
            accepted.write_all(part.as_bytes()).unwrap();
        }
        let mut got = [0; 6];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"onetwo");
    });
}

#[test]
fn reading_messages_without_reading_is_refused() {
    let error = ClientOptions::new()
        .read_messages(true)
        .try_open(name())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
