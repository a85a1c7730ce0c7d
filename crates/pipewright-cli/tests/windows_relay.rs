//! `pipewright relay`, on named pipes.

#![cfg(windows)]

#[cfg(test)]
mod common;
#[cfg(test)]
mod relaying;

use std::fs::File;
use std::io::{Read, Write};
use std::os::windows::io::OwnedHandle;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use common::system::{PipeReader, Process, Tap, said_of_an_absent_socket};
use common::{Folder, MIB, assert_same, binary, random, read_all, watch};
use pipewright::named_pipe::{Server, ServerOptions};
use pipewright::{PipeWriter, Summary};
use relaying::{REQUESTS, Relay, serve_requests};

const LONG: Duration = Duration::from_secs(50);

/// Both directions of a pipe, as its server has them.
#[cfg(test)]
struct Peer {
    hears: PipeReader,
    says: PipeWriter,
}

#[cfg(test)]
impl Peer {
    fn accept(server: &mut Server) -> Peer {
        let pipe: OwnedHandle = server.accept(LONG).unwrap();
        Peer {
            hears: PipeReader::new(pipe.try_clone().unwrap()),
            says: PipeWriter::new(pipe).unwrap(),
        }
    }

    fn say(&self, bytes: &[u8]) {
        say(&self.says, bytes);
    }

    /// In reads that hold whatever the relay sends as one message.
    fn hear(&mut self, len: usize) -> Vec<u8> {
        let (mut heard, mut block) = (Vec::new(), vec![0; 64 * 1024]);
        while heard.len() < len {
            let got = self.hears.read(&mut block).unwrap();
            assert_ne!(got, 0, "the end after {} bytes of {len}", heard.len());
            heard.extend(&block[..got]);
        }
        heard
    }

    /// What was said arrives, and then the pipe is closed.
    fn close(self) -> Summary {
        self.says.close_timeout(LONG).unwrap()
    }
}

#[cfg(test)]
fn say(writer: &PipeWriter, bytes: &[u8]) {
    let sent = writer.send_timeout(bytes.to_vec(), LONG);
    assert!(sent.is_ok(), "{:?}", writer.progress());
}

/// A pipe of this name, for one client.
#[cfg(test)]
fn serve(name: &str, messages: bool) -> Server {
    let options = ServerOptions::new(name).duplex(true).messages(messages);
    options.max_instances(1).create().unwrap()
}

#[cfg(test)]
fn name(number: u32) -> String {
    format!(r"\\.\pipe\{}", Tap::new(number).name())
}

#[test]
fn requests_are_answered_over_a_named_pipe() {
    let (folder, name) = (Folder::new(), name(2000));
    let mut server = serve(&name, false);
    let mut relay = Relay::start(&folder, &["--exit-on-eof", "stdin", &name]);
    let Peer { hears, says } = Peer::accept(&mut server);
    let serving = thread::spawn(move || serve_requests(hears, |bytes| say(&says, bytes)));
    relay.asks_and_is_answered();
    drop(relay.stdin.take());
    let ended = relay.end();
    assert_eq!(serving.join().unwrap(), REQUESTS.len());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stats["ended_first"], "stdin");
    assert_eq!(ended.count("to_target", "written"), 70_326);
    assert_eq!(ended.count("to_stdout", "written"), 70_326);
}

#[test]
fn megabytes_go_both_ways_at_once_over_a_named_pipe() {
    for (number, messages) in [(2001, false), (2002, true)] {
        let (folder, name) = (Folder::new(), name(number));
        let mut server = serve(&name, messages);
        let mut relay = Relay::start(&folder, &[&name]);
        let mut peer = Peer::accept(&mut server);
        // Both sides write everything before they read anything that matters: a relay
        // that did one after the other would stand still.
        let there = random(5 * MIB);
        let here: Vec<u8> = there.iter().rev().copied().collect();
        let (says, said) = (peer.says.clone(), there.clone());
        let speaker = thread::spawn(move || {
            // A message of more than the relay reads at once comes in parts.
            for part in said.chunks(200_000) {
                say(&says, part);
            }
        });
        let mut stdin = relay.stdin.take().unwrap();
        let typed = here.clone();
        let writer = thread::spawn(move || {
            stdin.write_all(&typed).unwrap();
            stdin
        });
        let hearing = thread::spawn(move || (peer.hear(5 * MIB), peer));
        assert_same(&relay.hear(5 * MIB), &there);
        let (heard, peer) = hearing.join().unwrap();
        assert_same(&heard, &here);
        speaker.join().unwrap();
        peer.close();
        // Its end is that of the relay, though the input stays open.
        let ended = relay.end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(ended.stats["ended_first"], "target");
        drop(writer.join().unwrap());
    }
}

#[test]
fn an_empty_message_tells_the_target_that_the_input_has_ended() {
    let (folder, name) = (Folder::new(), name(2004));
    let mut server = serve(&name, true);
    let mut relay = Relay::start(&folder, &["--eof-message", &name]);
    let mut peer = Peer::accept(&mut server);
    relay.say(b"question");
    assert_eq!(peer.hear(8), b"question");
    drop(relay.stdin.take());
    // The end of the question, and the target may still answer.
    assert_eq!(peer.hears.read(&mut [0]).unwrap(), 0);
    peer.say(b"answer");
    peer.close();
    let ended = relay.end();
    assert_eq!(ended.stdout, b"answer");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stats["ended_first"], "stdin");
}

#[test]
fn a_pipe_of_bytes_is_not_told_of_the_end_by_an_empty_message() {
    let (folder, name) = (Folder::new(), name(2005));
    let _server = serve(&name, false);
    let ended = Relay::start(&folder, &["--eof-message", &name]).end();
    assert_eq!(ended.code, 1);
    let said = "--eof-message is for pipes that keep messages";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn a_target_that_has_said_its_last_by_an_empty_message_still_listens() {
    let (folder, name) = (Folder::new(), name(2006));
    let mut server = serve(&name, true);
    let mut relay = Relay::start(&folder, &["--buffer", "1K", &name]);
    let mut peer = Peer::accept(&mut server);
    // Nobody reads standard output yet, so what it does not hold waits in the pipe, the
    // empty message among it, and may not be read together with the others.
    let all = random(100_000);
    for message in all.chunks(1000) {
        peer.say(message);
    }
    peer.say(b"");
    // This comes after the end.
    peer.say(b"forgotten");
    peer.says.flush_timeout(LONG).unwrap();
    // Standard output ends while the relay goes on.
    assert_same(&read_all(&mut relay.stdout.take().unwrap()), &all);
    relay.say(b"late");
    assert_eq!(peer.hear(4), b"late");
    peer.close();
    let ended = relay.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stats["to_stdout"]["end"], "eof");
    assert_eq!(ended.stats["to_target"]["end"], "stopped");
}

#[test]
fn a_pipe_that_is_closed_ends_the_relay_though_the_input_stays_open() {
    let (folder, name) = (Folder::new(), name(2007));
    let mut server = serve(&name, false);
    let relay = Relay::start(&folder, &[&name]);
    let peer = Peer::accept(&mut server);
    peer.say(b"bye");
    peer.close();
    let ended = relay.end();
    assert_eq!((ended.code, &ended.stdout[..]), (0, &b"bye"[..]));
}

#[test]
fn the_end_of_either_side_alone_ends_the_relay_if_asked() {
    for (number, who) in [(2008, "target"), (2009, "either")] {
        let (folder, name) = (Folder::new(), name(number));
        let mut server = serve(&name, true);
        let relay = Relay::start(&folder, &["--exit-on-eof", who, &name]);
        let mut peer = Peer::accept(&mut server);
        peer.say(b"bye");
        peer.say(b"");
        // It would go on listening.
        let ended = relay.end();
        assert_eq!((ended.code, &ended.stdout[..]), (0, &b"bye"[..]), "{who}");
        assert_eq!(read_all(&mut peer.hears), b"", "{who}");
    }
    for (number, who) in [(2010, "stdin"), (2011, "either")] {
        let (folder, name) = (Folder::new(), name(number));
        let mut server = serve(&name, false);
        let mut relay = Relay::start(&folder, &["--exit-on-eof", who, &name]);
        let mut peer = Peer::accept(&mut server);
        let question = random(MIB);
        relay.say(&question);
        drop(relay.stdin.take());
        // It would go on speaking, but everything that it was told arrives.
        assert_same(&read_all(&mut peer.hears), &question);
        let ended = relay.end();
        assert_eq!(ended.code, 0, "{who}: {}", ended.stderr);
        assert_eq!(ended.stats["to_stdout"]["end"], "stopped", "{who}");
    }
}

#[test]
fn a_relay_waits_for_a_pipe_that_is_not_there_yet() {
    let (folder, name) = (Folder::new(), name(2012));
    // As shells want it for which a backslash is something else.
    let typed = name.replace('\\', "/");
    let mut relay = Relay::start(&folder, &["--wait", "--exit-on-eof", "stdin", &typed]);
    relay.say(b"early");
    let mut server = serve(&name, false);
    let mut peer = Peer::accept(&mut server);
    assert_eq!(peer.hear(5), b"early");
    drop(relay.stdin.take());
    assert_eq!(relay.end().code, 0);
}

#[test]
fn a_pipe_that_is_busy_is_waited_for() {
    let (folder, name) = (Folder::new(), name(2013));
    let mut server = serve(&name, false);
    // Takes the only place.
    let other = File::options().write(true).open(&name).unwrap();
    let taken = server.accept(LONG).unwrap();
    let ended = Relay::start(&folder, &["--wait=50ms", &name]).end();
    assert_eq!(ended.code, 1);
    assert!(ended.stderr.contains("busy"), "{}", ended.stderr);

    let mut relay = Relay::start(&folder, &["--exit-on-eof", "stdin", &name]);
    relay.say(b"data");
    drop((other, taken));
    assert_eq!(Peer::accept(&mut server).hear(4), b"data");
    drop(relay.stdin.take());
    assert_eq!(relay.end().code, 0);
}

#[test]
fn a_target_that_cannot_be_joined_is_named_with_the_reason() {
    let folder = Folder::new();
    let absent = name(2014);
    for (args, said) in [
        (&[&*absent][..], "(os error 2)"),
        (&["--wait=10ms", &absent], "there is no such pipe"),
        (&["unix:s"], said_of_an_absent_socket()),
        (&["fifo:to,from"], "no FIFOs"),
        (&[r"\\host\pipe\x"], "another computer"),
        (&["//./pipe/a/b"], "slash"),
    ] {
        let ended = Relay::start(&folder, args).end();
        let target = args.last().unwrap();
        assert_eq!(ended.code, 1, "{target}");
        let start = format!("pipewright: {target}: ");
        assert!(ended.stderr.starts_with(&start), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn what_a_broken_pipe_did_not_take_is_counted() {
    let (folder, name) = (Folder::new(), name(2015));
    let mut server = serve(&name, false);
    let mut relay = Relay::start(&folder, &[&name]);
    let mut peer = Peer::accept(&mut server);
    let mut stdin = relay.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // It breaks when the relay has ended.
        let _ = stdin.write_all(&random(4 * MIB));
    });
    peer.hear(1000);
    drop(server);
    peer.say(b"enough");
    drop(peer.hears);
    peer.says.close_timeout(LONG).unwrap();
    let ended = relay.end();
    writer.join().unwrap();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    let lost = ended.count("to_target", "unsent") + ended.count("to_target", "in_doubt");
    assert!(lost > 0, "{}", ended.stats);
    assert!(ended.stderr.contains(&name), "{}", ended.stderr);
    assert_eq!(ended.stdout, b"enough");
}

#[test]
fn a_broken_standard_output_ends_the_relay_to_a_pipe() {
    let (folder, name) = (Folder::new(), name(2016));
    let mut server = serve(&name, false);
    let mut relay = Relay::start(&folder, &[&name]);
    let peer = Peer::accept(&mut server);
    drop(relay.stdout.take());
    peer.say(b"nobody hears this");
    let ended = relay.end();
    assert_eq!(ended.code, 1, "{}", ended.stderr);
    assert_eq!(ended.count("to_stdout", "written"), 0);
    assert!(ended.stderr.contains("standard output"), "{}", ended.stderr);
}

#[test]
fn a_pipe_that_takes_nothing_does_not_keep_the_relay_beyond_its_linger_time() {
    let (folder, name) = (Folder::new(), name(2017));
    let mut server = serve(&name, true);
    let args = ["--exit-on-eof", "target", "--linger", "0", &name];
    let mut relay = Relay::start(&folder, &args);
    let peer = Peer::accept(&mut server);
    let mut stdin = relay.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // It breaks when the relay has ended.
        let _ = stdin.write_all(&random(8 * MIB));
    });
    peer.say(b"");
    let ended = relay.end();
    writer.join().unwrap();
    assert_eq!(ended.stats["to_target"]["end"], "stopped");
    let lost = ended.count("to_target", "unsent") + ended.count("to_target", "in_doubt");
    assert_eq!(ended.code, i32::from(lost > 0), "{}", ended.stderr);
}

#[test]
fn a_relay_to_a_pipe_says_nothing_unless_asked() {
    let name = name(2018);
    let mut server = serve(&name, false);
    let child = Command::new(binary())
        .args(["relay", &name])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _watched = watch(Process::of(&child));
    drop(Peer::accept(&mut server));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}
