//! Message mode: one send is one message, whole, on every kind of descriptor that
//! keeps message boundaries, and an empty send is an empty message.

#![cfg(any(target_os = "linux", windows))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::thread;

use common::accounts::in_doubt;
use common::data::stream;
use common::ends::pipe;
use common::{LONG, Random, rounds, watched};
use pipewright::{Mode, PipeWriter};

use kinds::{KINDS, message_pipe, receive};

#[cfg(target_os = "linux")]
mod kinds {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixDatagram;

    use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socketpair};

    /// What keeps messages apart: the reader, and the end that is written to.
    pub(crate) const KINDS: [fn() -> (OwnedFd, OwnedFd); 2] = [message_pipe, datagrams];

    /// A sequenced socket.
    pub(crate) fn message_pipe() -> (OwnedFd, OwnedFd) {
        let flags = SocketFlags::CLOEXEC;
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
    }

    fn datagrams() -> (OwnedFd, OwnedFd) {
        let (reader, writer) = UnixDatagram::pair().unwrap();
        (reader.into(), writer.into())
    }

    /// The next message.
    pub(crate) fn receive(socket: &mut OwnedFd) -> Vec<u8> {
        let mut message = vec![0; 100_000];
        let (n, _) = recv(socket, &mut message[..], RecvFlags::empty()).unwrap();
        message.truncate(n);
        message
    }
}

#[cfg(windows)]
mod kinds {
    use std::fs::File;
    use std::io::Read;
    use std::os::windows::io::OwnedHandle;

    use super::common::ends::Named;

    /// What keeps messages apart: the reader, and the end that is written to.
    pub(crate) const KINDS: [fn() -> (File, OwnedHandle); 2] = [message_pipe, synchronous];

    const MESSAGES: Named = Named {
        messages: true,
        ..Named::DEFAULT
    };

    /// A named pipe, opened for overlapped I/O.
    pub(crate) fn message_pipe() -> (File, OwnedHandle) {
        MESSAGES.pair()
    }

    fn synchronous() -> (File, OwnedHandle) {
        let overlapped = false;
        Named {
            overlapped,
            ..MESSAGES
        }
        .pair()
    }

    /// The next message.
    pub(crate) fn receive(pipe: &mut File) -> Vec<u8> {
        let mut message = vec![0; 100_000];
        let n = pipe.read(&mut message).unwrap();
        message.truncate(n);
        message
    }
}

fn message(n: usize, random: &mut Random) -> Vec<u8> {
    let len = [0, 1, 100, 2_048, 2_049, 60_000][random.below(6)];
    stream(n as u64, len)
}

#[test]
fn messages_arrive_one_by_one_and_whole() {
    watched(|| {
        for make in KINDS {
            let (mut reader, socket) = make();
            // The mode follows the handle.
            let writer = PipeWriter::builder()
                .capacity(200_000)
                .build(socket)
                .unwrap();
            let sending = thread::spawn(move || {
                let mut random = Random::new(3);
                for n in 0..400 {
                    writer.send_timeout(message(n, &mut random), LONG).unwrap();
                }
                writer.close_timeout(LONG).unwrap()
            });
            let mut random = Random::new(3);
            for n in 0..400 {
                assert_eq!(receive(&mut reader), message(n, &mut random), "message {n}");
            }
            let summary = sending.join().unwrap();
            assert_eq!(summary.accepted, summary.written);
        }
    });
}

#[test]
fn messages_of_many_threads_stay_whole() {
    watched(|| {
        let (mut reader, socket) = message_pipe();
        let writer = PipeWriter::builder()
            .capacity(50_000)
            .build(socket)
            .unwrap();
        let senders: Vec<_> = (0..4_u8)
            .map(|sender| {
                let writer = writer.clone();
                thread::spawn(move || {
                    for len in 1..300 {
                        writer.send_timeout(vec![sender; len * 10], LONG).unwrap();
                    }
                })
            })
            .collect();
        let mut next = [10; 4];
        for _ in 0..4 * 299 {
            let message = receive(&mut reader);
            let sender = usize::from(message[0]);
            assert_eq!(message, vec![message[0]; next[sender]]);
            next[sender] += 10;
        }
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn unsent_messages_come_back_one_by_one() {
    watched(|| {
        rounds(20, |random| {
            let (mut reader, socket) = message_pipe();
            let writer = PipeWriter::builder()
                .capacity(u64::MAX)
                .build(socket)
                .unwrap();
            let sent: Vec<_> = (0..100).map(|n| message(n, random)).collect();
            for message in &sent {
                writer.try_send(message.clone()).unwrap();
            }
            let received: Vec<_> = (0..random.below(20))
                .map(|_| receive(&mut reader))
                .collect();
            let unsent = writer.stop();
            drop(writer);
            let mut all = received;
            // What lies in the pipe, then what was given back. The end of the stream is
            // as long as an empty message, so it is counted.
            let given_back = unsent.in_doubt().len() + unsent.pieces().len();
            while all.len() < sent.len() - given_back {
                all.push(receive(&mut reader));
            }
            let given_back = unsent.in_doubt().iter().chain(unsent.pieces());
            all.extend(given_back.map(|message| message.to_vec()));
            assert_eq!(all, sent);
            assert!(in_doubt(&unsent) <= 60_000, "more than one message");
        });
    });
}

#[test]
fn small_messages_are_not_joined() {
    watched(|| {
        let writer = PipeWriter::builder()
            .mode(Mode::Message)
            .unattached()
            .unwrap();
        for message in ["", "a", "", "bc"] {
            writer.try_send(message).unwrap();
        }
        let permit = writer.try_reserve(5).unwrap();
        permit.send("de").unwrap();
        writer.try_send_slice(b"").unwrap();
        let (mut reader, socket) = message_pipe();
        writer.attach(socket).unwrap();
        for message in ["", "a", "", "bc", "de", ""] {
            assert_eq!(receive(&mut reader), message.as_bytes());
        }
        let summary = writer.close_timeout(LONG).unwrap();
        assert_eq!((summary.accepted, summary.written), (5, 5));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_message_that_the_socket_cannot_take_whole_is_an_error_and_not_cut() {
    watched(|| {
        let (mut reader, socket) = message_pipe();
        let writer = PipeWriter::builder()
            .capacity(1 << 30)
            .build(socket)
            .unwrap();
        writer.try_send("fits").unwrap();
        let too_large = stream(0, 50_000_000);
        let start = too_large.as_ptr();
        writer.try_send(too_large).unwrap();
        match futures_lite::future::block_on(writer.ended()).outcome {
            pipewright::Outcome::Failed(error) => {
                let expected = rustix::io::Errno::MSGSIZE.raw_os_error();
                assert_eq!(error.raw_os_error(), Some(expected));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(receive(&mut reader), b"fits");
        let unsent = writer.take_unsent().unwrap();
        assert_eq!(unsent.pieces().len(), 1);
        assert_eq!(unsent.pieces()[0].as_ptr(), start);
    });
}

#[cfg(all(target_os = "linux", not(pipewright_portable)))]
fn packet_pipe() -> (common::ends::Pipe, common::ends::Pipe) {
    use rustix::pipe::{PipeFlags, pipe_with};
    pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap()
}

#[cfg(all(target_os = "linux", not(pipewright_portable)))]
#[test]
fn a_packet_pipe_keeps_the_boundaries_of_its_packets() {
    watched(|| {
        let (reader, pipe) = packet_pipe();
        let builder = PipeWriter::builder().sole_owner(true);
        let writer = match builder.build(pipe) {
            Ok(writer) => writer,
            Err(error) => panic!("{error}"),
        };
        for len in [1, 10, 4_096, 3, 4_000] {
            writer.try_send(stream(7, len)).unwrap();
        }
        let mut packet = vec![0; 10_000];
        for len in [1, 10, 4_096, 3, 4_000] {
            let n = rustix::io::read(&reader, &mut packet).unwrap();
            assert_eq!(n, len);
            assert!(packet[..n] == stream(7, len));
        }
    });
}

/// Packet pipes that were not made by `pipe2`: a FIFO, and a pipe that was opened by its
/// path.
#[cfg(all(target_os = "linux", not(pipewright_portable)))]
fn packet_pipes_by_path() -> [(std::fs::File, std::fs::File); 2] {
    use std::fs::OpenOptions;
    use std::os::fd::AsRawFd;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fifo");
    pipewright::fifo::create(&path).unwrap();
    let both = OpenOptions::new().read(true).write(true).open(&path);
    let fifo = (both.unwrap(), OpenOptions::new().write(true).open(&path));
    let (reader, pipe) = packet_pipe();
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let opened = (reader.into(), OpenOptions::new().write(true).open(path));
    [fifo, opened].map(|(reader, pipe)| {
        let pipe = pipe.unwrap();
        let flags = rustix::fs::fcntl_getfl(&pipe).unwrap();
        rustix::fs::fcntl_setfl(&pipe, flags | rustix::fs::OFlags::DIRECT).unwrap();
        (reader, pipe)
    })
}

#[cfg(all(target_os = "linux", not(pipewright_portable)))]
#[test]
fn packets_stay_whole_and_apart_however_the_pipe_was_opened() {
    watched(|| {
        for sole_owner in [false, true] {
            for (reader, pipe) in packet_pipes_by_path() {
                let builder = PipeWriter::builder().sole_owner(sole_owner);
                let writer = builder.build(pipe).unwrap();
                for len in [1, 10, 4_096, 3, 4_000] {
                    writer.try_send(stream(7, len)).unwrap();
                }
                writer.flush_timeout(LONG).unwrap();
                let mut packet = vec![0; 10_000];
                for len in [1, 10, 4_096, 3, 4_000] {
                    let n = rustix::io::read(&reader, &mut packet).unwrap();
                    assert_eq!(n, len);
                    assert!(packet[..n] == stream(7, len));
                }
            }
        }
    });
}

#[cfg(all(target_os = "linux", not(pipewright_portable)))] // Elsewhere such pipes carry bytes.
#[test]
fn a_message_that_does_not_fit_into_one_packet_is_an_error_and_not_cut() {
    watched(|| {
        let (reader, pipe) = packet_pipe();
        let writer = PipeWriter::builder()
            .mode(Mode::Message)
            .build(pipe)
            .unwrap();
        writer.try_send(stream(0, 10_000)).unwrap();
        drop(writer.close_timeout(LONG));
        drop(writer);
        let mut packet = vec![0; 20_000];
        let n = rustix::io::read(&reader, &mut packet).unwrap();
        assert!(n == 0 || n == 10_000, "a part of {n} bytes");
    });
}

#[cfg(all(target_os = "linux", not(pipewright_portable)))]
#[test]
fn an_empty_message_that_a_packet_pipe_cannot_carry_is_an_error() {
    watched(|| {
        let (reader, pipe) = packet_pipe();
        let writer = PipeWriter::new(pipe).unwrap();
        for message in ["before", "", "after"] {
            // The last one may come after the end.
            drop(writer.try_send(message));
        }
        match &writer.close_timeout(LONG).unwrap_err().summary().outcome {
            pipewright::Outcome::Failed(error) => {
                let expected = rustix::io::Errno::INVAL.raw_os_error();
                assert_eq!(error.raw_os_error(), Some(expected));
            }
            other => panic!("{other:?}"),
        }
        let mut packet = [0; 100];
        let n = rustix::io::read(&reader, &mut packet).unwrap();
        assert_eq!(packet[..n], *b"before");
        assert_eq!(rustix::io::read(&reader, &mut packet), Ok(0));
    });
}

#[test]
fn the_mode_and_the_handle_must_agree() {
    watched(|| {
        let (_reader, socket) = message_pipe();
        let refused = PipeWriter::builder()
            .mode(Mode::Byte)
            .build(socket)
            .unwrap_err();
        assert_eq!(refused.error().kind(), std::io::ErrorKind::InvalidInput);
        // As it is, it is good for messages.
        PipeWriter::new(refused.into_pipe()).unwrap();

        let (_reader, pipe) = pipe();
        let refused = PipeWriter::builder()
            .mode(Mode::Message)
            .build(pipe)
            .unwrap_err();
        assert_eq!(refused.error().kind(), std::io::ErrorKind::InvalidInput);
        PipeWriter::new(refused.into_pipe()).unwrap();

        let (_reader, socket) = KINDS[1]();
        let writer = PipeWriter::unattached();
        let refused = writer.attach(socket).unwrap_err();
        let late = PipeWriter::builder()
            .mode(Mode::Message)
            .unattached()
            .unwrap();
        late.attach(refused.into_pipe()).unwrap();
    });
}

#[test]
fn every_setting_counts_in_whatever_order_it_is_made() {
    watched(|| {
        let set: [fn(pipewright::Builder) -> pipewright::Builder; 4] = [
            |builder| builder.capacity(3),
            |builder| builder.mode(Mode::Message),
            |builder| builder.name("the name"),
            |builder| builder.linger(std::time::Duration::ZERO),
        ];
        for first in 0..4 {
            for second in (0..4).filter(|n| *n != first) {
                let rest = (0..4).filter(|n| *n != first && *n != second);
                let order = [first, second].into_iter().chain(rest);
                let builder = order.fold(PipeWriter::builder(), |b, n| set[n](b));
                let writer = builder.unattached().unwrap();
                for _ in 0..3 {
                    writer.try_send("").unwrap();
                }
                assert!(writer.try_send("").is_err());
                assert!(format!("{writer:?}").contains("the name"));
            }
        }
    });
}
