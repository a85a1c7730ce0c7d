//! `pipewright relay`, on Unix sockets and FIFOs.

#![cfg(unix)]

#[cfg(test)]
mod common;
#[cfg(test)]
mod relaying;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;

use common::{Folder, read_all};
use relaying::Relay;
use rustix::process::Signal;

#[test]
fn a_target_that_has_gone_ends_the_relay_though_the_input_stays_open() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let relay = Relay::start(&folder, &["unix:s"]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"bye").unwrap();
    drop(peer);
    let ended = relay.end();
    assert_eq!((ended.code, &ended.stdout[..]), (0, &b"bye"[..]));
}

#[test]
fn a_target_that_is_not_there_is_named() {
    let folder = Folder::new();
    for (args, name) in [
        (&["unix:absent"][..], "unix:absent: "),
        (&["--wait=10ms", "unix:absent"], "unix:absent: "),
        (&["fifo:to,from"], "fifo:to,from: from: "),
    ] {
        let ended = Relay::start(&folder, args).end();
        assert_eq!(ended.code, 1);
        let start = format!("pipewright: {name}No such file or directory");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
    }
}

#[test]
fn two_fifos_are_joined_whatever_the_order_in_which_the_other_side_opens_them() {
    for is_to_first in [true, false] {
        let folder = Folder::new();
        folder.fifo("to");
        folder.fifo("from");
        let mut relay = Relay::start(&folder, &["--wait", "fifo:to,from"]);
        let open_to = || File::open(folder.path("to")).unwrap();
        let open_from = || {
            File::options()
                .write(true)
                .open(folder.path("from"))
                .unwrap()
        };
        let (mut to, mut from);
        if is_to_first {
            to = open_to();
            from = open_from();
        } else {
            from = open_from();
            to = open_to();
        }
        relay.say(b"there");
        drop(relay.stdin.take());
        assert_eq!(read_all(&mut to), b"there");
        from.write_all(b"back").unwrap();
        drop(from);
        let ended = relay.end();
        assert_eq!((ended.code, &ended.stdout[..]), (0, &b"back"[..]));
    }
}

#[test]
fn a_signal_ends_the_relay_and_what_was_read_is_written() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let mut relay = Relay::start(&folder, &["unix:s"]);
    let (mut peer, _) = listener.accept().unwrap();
    relay.say(b"before");
    peer.read_exact(&mut [0; 6]).unwrap();
    relay.process.signal(Signal::TERM);
    assert_eq!(read_all(&mut peer), b"");
    let ended = relay.end();
    assert_eq!(ended.code, 143);
    assert_eq!(ended.stats["signal"], "SIGTERM");
    assert_eq!(ended.count("to_target", "written"), 6);
}
