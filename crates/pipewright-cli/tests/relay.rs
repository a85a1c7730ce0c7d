//! `pipewright relay`, on real sockets and FIFOs.

#![cfg(unix)]

#[cfg(test)]
mod common;
#[cfg(test)]
mod relaying;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::thread;

use common::system::Process;
use common::{Folder, MIB, assert_same, random, read_all, watch};
use relaying::{REQUESTS, Relay, serve_requests};
use rustix::process::Signal;

#[test]
fn requests_are_answered_over_a_unix_socket() {
    let folder = Folder::new();
    let agent = UnixListener::bind(folder.path("agent")).unwrap();
    let mut relay = Relay::start(&folder, &["unix:agent"]);
    let (peer, _) = agent.accept().unwrap();
    let mut speaking = peer.try_clone().unwrap();
    let serving =
        thread::spawn(move || serve_requests(peer, |bytes| speaking.write_all(bytes).unwrap()));
    relay.asks_and_is_answered();
    drop(relay.stdin.take());
    assert_eq!(serving.join().unwrap(), REQUESTS.len());
    let ended = relay.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stats["ended_first"], "stdin");
    assert_eq!(ended.count("to_target", "written"), 70_326);
    assert_eq!(ended.count("to_stdout", "written"), 70_326);
}

#[test]
fn megabytes_go_both_ways_at_once_over_tcp() {
    let folder = Folder::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut relay = Relay::start(&folder, &[&format!("tcp:127.0.0.1:{port}")]);
    let (mut peer, _) = listener.accept().unwrap();
    // Both sides write everything before they read anything that matters: a relay
    // that did one after the other would stand still.
    let there = random(5 * MIB);
    let here: Vec<u8> = there.iter().rev().copied().collect();
    let mut speaking = peer.try_clone().unwrap();
    let said = there.clone();
    let speaker = thread::spawn(move || {
        speaking.write_all(&said).unwrap();
        speaking.shutdown(Shutdown::Write).unwrap();
    });
    let mut stdin = relay.stdin.take().unwrap();
    let typed = here.clone();
    let writer = thread::spawn(move || stdin.write_all(&typed).unwrap());
    let hearing = thread::spawn(move || read_all(&mut peer));
    let ended = relay.end();
    speaker.join().unwrap();
    writer.join().unwrap();
    assert_same(&ended.stdout, &there);
    assert_same(&hearing.join().unwrap(), &here);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn a_target_may_answer_after_the_input_has_ended() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let mut relay = Relay::start(&folder, &["unix:s"]);
    let (mut peer, _) = listener.accept().unwrap();
    relay.say(b"question");
    drop(relay.stdin.take());
    // The peer sees the end of the question, and only then begins.
    assert_eq!(read_all(&mut peer), b"question");
    peer.write_all(b"answer").unwrap();
    drop(peer);
    let ended = relay.end();
    assert_eq!(ended.stdout, b"answer");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn a_target_that_has_said_its_last_still_listens() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let mut relay = Relay::start(&folder, &["unix:s"]);
    let (mut peer, _) = listener.accept().unwrap();
    peer.write_all(b"all").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    // Standard output ends while the relay goes on.
    assert_eq!(read_all(&mut relay.stdout.take().unwrap()), b"all");
    relay.say(b"late");
    drop(relay.stdin.take());
    assert_eq!(read_all(&mut peer), b"late");
    let ended = relay.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stats["ended_first"], "target");
}

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
fn the_end_of_the_target_alone_ends_the_relay_if_asked() {
    for who in ["target", "either"] {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path("s")).unwrap();
        let relay = Relay::start(&folder, &["--exit-on-eof", who, "unix:s"]);
        let (mut peer, _) = listener.accept().unwrap();
        peer.write_all(b"bye").unwrap();
        // It would go on listening.
        peer.shutdown(Shutdown::Write).unwrap();
        let ended = relay.end();
        assert_eq!((ended.code, &ended.stdout[..]), (0, &b"bye"[..]), "{who}");
        assert_eq!(read_all(&mut peer), b"", "{who}");
    }
}

#[test]
fn the_end_of_the_input_alone_ends_the_relay_if_asked() {
    for who in ["stdin", "either"] {
        let folder = Folder::new();
        let listener = UnixListener::bind(folder.path("s")).unwrap();
        let mut relay = Relay::start(&folder, &["--exit-on-eof", who, "unix:s"]);
        let (mut peer, _) = listener.accept().unwrap();
        let question = random(MIB);
        relay.say(&question);
        drop(relay.stdin.take());
        // The relay winds down; nothing was heard until now.
        assert_eq!(read_all(&mut relay.stdout.take().unwrap()), b"");
        // It would go on speaking, but everything that it was told arrives.
        assert_same(&read_all(&mut peer), &question);
        let ended = relay.end();
        assert_eq!(ended.code, 0, "{who}: {}", ended.stderr);
        assert_eq!(ended.stats["to_stdout"]["end"], "stopped", "{who}");
        drop(peer);
    }
}

#[test]
fn a_relay_waits_for_a_target_that_is_not_there_yet() {
    let folder = Folder::new();
    let mut relay = Relay::start(&folder, &["--wait", "unix:s"]);
    relay.say(b"early");
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    drop(relay.stdin.take());
    assert_eq!(read_all(&mut peer), b"early");
    drop(peer);
    assert_eq!(relay.end().code, 0);
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
fn what_a_broken_target_did_not_take_is_counted() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let mut relay = Relay::start(&folder, &["unix:s"]);
    let (mut peer, _) = listener.accept().unwrap();
    let mut stdin = relay.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // It breaks when the relay has ended.
        let _ = stdin.write_all(&random(4 * MIB));
    });
    peer.read_exact(&mut [0; 1000]).unwrap();
    peer.shutdown(Shutdown::Read).unwrap();
    peer.write_all(b"enough").unwrap();
    drop(peer);
    let ended = relay.end();
    writer.join().unwrap();
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.count("to_target", "unsent") > 0, "{}", ended.stats);
    assert!(ended.stderr.contains("unix:s"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("more were read and not written"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_broken_standard_output_ends_the_relay() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let mut relay = Relay::start(&folder, &["unix:s"]);
    let (mut peer, _) = listener.accept().unwrap();
    drop(relay.stdout.take());
    peer.write_all(b"nobody hears this").unwrap();
    let ended = relay.end();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(ended.count("to_stdout", "unsent"), 17);
    assert!(ended.stderr.contains("standard output"), "{}", ended.stderr);
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

#[test]
fn a_target_that_takes_nothing_does_not_keep_the_relay_beyond_its_linger_time() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let args = ["--exit-on-eof", "target", "--linger", "0", "unix:s"];
    let mut relay = Relay::start(&folder, &args);
    let (peer, _) = listener.accept().unwrap();
    let mut stdin = relay.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // It breaks when the relay has ended.
        let _ = stdin.write_all(&random(8 * MIB));
    });
    peer.shutdown(Shutdown::Write).unwrap();
    let ended = relay.end();
    writer.join().unwrap();
    assert_eq!(ended.stats["to_target"]["end"], "stopped");
    let lost = ended.count("to_target", "unsent");
    assert_eq!(ended.code, i32::from(lost > 0), "{}", ended.stderr);
    drop(peer);
}

#[test]
fn a_relay_says_nothing_unless_asked() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_pipewright"))
        .args(["relay", "unix:s"])
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _watched = watch(Process::of(&child));
    drop(listener.accept().unwrap());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_target_with_one_direction_is_refused() {
    let folder = Folder::new();
    for target in ["-", "file", "exec:cat", "fifo:one", "tcp:host"] {
        let ended = Relay::start(&folder, &[target]).end();
        assert_eq!(ended.code, 2, "{target}: {}", ended.stderr);
    }
    assert!(!common::exists(&folder.path("file")));
}

#[test]
fn a_target_without_messages_is_not_told_of_the_end_by_one() {
    let folder = Folder::new();
    let _listener = UnixListener::bind(folder.path("s")).unwrap();
    let ended = Relay::start(&folder, &["--eof-message", "unix:s"]).end();
    assert_eq!(ended.code, 1);
    let start = "pipewright: unix:s: --eof-message is for pipes that keep messages";
    assert!(ended.stderr.starts_with(start), "{}", ended.stderr);
}

#[test]
fn relay_after_a_sink_is_a_file() {
    let folder = Folder::new();
    let ended = folder.run(&["other", "relay"], b"data");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(folder.read("relay"), b"data");
}
