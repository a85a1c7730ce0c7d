//! Named pipes that are not like others: without a client yet, in non-blocking mode,
//! with messages.

#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod common;

use std::io::Read;
use std::thread;

use pipewright::{Outcome, PipeWriter};
use windows_sys::Win32::System::Pipes::PIPE_NOWAIT;

use common::data::{assert_stream, read_stream, slow_reader, stream};
use common::ends::{Named, set_mode};
use common::{LONG, until, watched};

#[test]
fn a_pipe_without_a_client_yet_is_written_when_one_comes() {
    watched(|| {
        let named = Named::DEFAULT;
        let (name, server) = named.server();
        let writer = PipeWriter::new(server).unwrap();
        writer.try_send(stream(0, 50_000)).unwrap();
        let finishing = writer.clone();
        let closing = thread::spawn(move || finishing.close_timeout(LONG).unwrap());
        until(|| writer.progress().in_flight == 0);
        let mut client = named.client(&name);
        assert_eq!(read_stream(&mut client, 0), 50_000);
        closing.join().unwrap();
    });
}

#[test]
fn a_pipe_without_a_client_can_be_stopped_and_nothing_is_in_doubt() {
    watched(|| {
        let (_, server) = Named::DEFAULT.server();
        let writer = PipeWriter::new(server).unwrap();
        writer.try_send(stream(0, 50_000)).unwrap();
        let unsent = writer.stop();
        assert_eq!(unsent.len(), 50_000);
        assert!(unsent.in_doubt().is_empty());
    });
}

#[test]
fn a_pipe_in_non_blocking_mode_is_written_bit_by_bit() {
    watched(|| {
        for overlapped in [true, false] {
            let (name, server) = Named {
                // Less than one operation holds.
                buffer: 512,
                overlapped,
                ..Named::DEFAULT
            }
            .server();
            let reader = Named::DEFAULT.client(&name);
            set_mode(&server, PIPE_NOWAIT);
            let writer = PipeWriter::new(server).unwrap();
            writer.try_send(stream(0, 20_000)).unwrap();
            let reading = slow_reader(reader);
            writer.close_timeout(LONG).unwrap();
            assert_eq!(reading.join().unwrap(), 20_000);
        }
    });
}

#[test]
fn a_message_that_a_non_blocking_pipe_can_never_hold_is_reported() {
    watched(|| {
        for overlapped in [true, false] {
            let named = Named {
                messages: true,
                overlapped,
                ..Named::DEFAULT
            };
            let (name, server) = named.server();
            let _reader = named.client(&name);
            set_mode(&server, PIPE_NOWAIT);
            let writer = PipeWriter::new(server).unwrap();
            writer.try_send(stream(0, 100_000)).unwrap();
            let summary = writer.wait_ended(LONG).unwrap();
            assert!(matches!(summary.outcome, Outcome::Failed(_)), "{summary}");
            assert_eq!(summary.unsent, 100_000);
        }
    });
}

#[test]
fn messages_keep_their_boundaries_and_empty_ones_arrive() {
    watched(|| {
        let named = Named {
            messages: true,
            buffer: 65_536,
            ..Named::DEFAULT
        };
        let (mut reader, pipe) = named.pair();
        let writer = PipeWriter::new(pipe).unwrap();
        let lens = [3, 0, 1, 40_000, 0, 0, 200_000, 5];
        let sending = thread::spawn(move || {
            let mut position = 0;
            for len in lens {
                writer.try_send(stream(position, len)).unwrap();
                position += len as u64;
            }
            writer.close_timeout(LONG).unwrap();
        });
        let mut position = 0;
        for len in lens {
            let mut message = vec![0; 300_000];
            assert_eq!(reader.read(&mut message).unwrap(), len);
            assert_stream(position, &message[..len]);
            position += len as u64;
        }
        sending.join().unwrap();
    });
}
