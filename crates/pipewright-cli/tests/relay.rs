//! `pipewright relay`, on real sockets.

#[cfg(test)]
mod common;
#[cfg(test)]
mod relaying;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::process::{Command, Stdio};
use std::thread;

use common::system::{Process, REFUSED, listen};
use common::{Folder, MIB, assert_same, binary, listen_on_tcp, random, read_all, watch};
use relaying::{REQUESTS, Relay, serve_requests};

#[test]
fn requests_are_answered_over_a_socket() {
    let folder = Folder::new();
    let (agent, target) = listen(&folder);
    let mut relay = Relay::start(&folder, &[&target]);
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
    let (listener, target) = listen_on_tcp();
    let mut relay = Relay::start(&folder, &[&target]);
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
    let (listener, target) = listen(&folder);
    let mut relay = Relay::start(&folder, &[&target]);
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
    let (listener, target) = listen(&folder);
    let mut relay = Relay::start(&folder, &[&target]);
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
fn the_end_of_the_target_alone_ends_the_relay_if_asked() {
    for who in ["target", "either"] {
        let folder = Folder::new();
        let (listener, target) = listen(&folder);
        let relay = Relay::start(&folder, &["--exit-on-eof", who, &target]);
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
        let (listener, target) = listen(&folder);
        let mut relay = Relay::start(&folder, &["--exit-on-eof", who, &target]);
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
fn what_a_broken_target_did_not_take_is_counted() {
    let folder = Folder::new();
    let (listener, target) = listen(&folder);
    let mut relay = Relay::start(&folder, &[&target]);
    let (mut peer, _) = listener.accept().unwrap();
    let mut stdin = relay.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // It breaks when the relay has ended.
        let _ = stdin.write_all(&random(16 * MIB));
    });
    peer.read_exact(&mut [0; 1000]).unwrap();
    peer.shutdown(Shutdown::Read).unwrap();
    peer.write_all(b"enough").unwrap();
    drop(peer);
    let ended = relay.end();
    writer.join().unwrap();
    assert_ne!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.count("to_target", "unsent") > 0, "{}", ended.stats);
    assert!(ended.stderr.contains(&target), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("more were read and not written"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_broken_standard_output_ends_the_relay() {
    let folder = Folder::new();
    let (listener, target) = listen(&folder);
    let mut relay = Relay::start(&folder, &[&target]);
    let (mut peer, _) = listener.accept().unwrap();
    drop(relay.stdout.take());
    peer.write_all(b"nobody hears this").unwrap();
    let ended = relay.end();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let lost = ["unsent", "in_doubt"].map(|field| ended.count("to_stdout", field));
    assert_eq!(lost.iter().sum::<u64>(), 17);
    assert!(ended.stderr.contains("standard output"), "{}", ended.stderr);
}

#[test]
fn a_relay_waits_for_a_port_that_nobody_listens_on_yet() {
    let folder = Folder::new();
    let (listener, target) = listen_on_tcp();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ended = Relay::start(&folder, &[&target]).end();
    assert_eq!(ended.code, 1);
    let said = format!("(os error {REFUSED})");
    assert!(ended.stderr.contains(&target), "{}", ended.stderr);
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);

    let mut relay = Relay::start(&folder, &["--wait", &target]);
    relay.say(b"early");
    let listener = TcpListener::bind(address).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    drop(relay.stdin.take());
    assert_eq!(read_all(&mut peer), b"early");
    drop(peer);
    assert_eq!(relay.end().code, 0);
}

#[test]
fn a_target_that_takes_nothing_does_not_keep_the_relay_beyond_its_linger_time() {
    let folder = Folder::new();
    let (listener, target) = listen(&folder);
    let args = ["--exit-on-eof", "target", "--linger", "0", &target];
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
    let (listener, target) = listen(&folder);
    let child = Command::new(binary())
        .args(["relay", &target])
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
    let (_listener, target) = listen(&folder);
    let ended = Relay::start(&folder, &["--eof-message", &target]).end();
    assert_eq!(ended.code, 1);
    let start = format!("pipewright: {target}: --eof-message is for pipes that keep messages");
    assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
}

#[test]
fn relay_after_a_sink_is_a_file() {
    let folder = Folder::new();
    let ended = folder.run(&["other", "relay"], b"data");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(folder.read("relay"), b"data");
}
