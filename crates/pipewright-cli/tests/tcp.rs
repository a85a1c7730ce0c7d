//! TCP: a sink gets everything, is waited for, dies, stalls and is connected again, and
//! its account is right to the byte.

#[cfg(test)]
mod common;

use std::io::{Read, Write};
use std::net::TcpListener;

use common::system::{DIES_WITH_PROCESS, REFUSED, RESETS};
use common::{Ended, Folder, MIB, assert_same, listen_on_tcp, random, read_all};

/// More than systems keep of a connection whose peer reads nothing.
const TOO_MUCH: usize = 24 * MIB;

#[test]
fn a_tcp_connection_gets_everything() {
    let (folder, input) = (Folder::new(), random(2 * MIB));
    let (listener, sink) = listen_on_tcp();
    let mut running = folder.start(&[&sink]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(0)["kind"]), (0, &"tcp".into()));
}

#[test]
#[cfg_attr(
    windows,
    ignore = "where Wine runs, not even localhost need have a name"
)]
fn a_host_with_a_name_is_tried_at_all_its_addresses() {
    let folder = Folder::new();
    let (listener, sink) = listen_on_tcp();
    // Its other address, if it has one, is refused first or last.
    let running = folder.start(&[&sink.replace("127.0.0.1", "localhost")]);
    let (mut peer, _) = listener.accept().unwrap();
    assert_eq!(running.end().code, 0);
    assert_eq!(read_all(&mut peer), b"");
}

#[test]
fn a_tcp_connection_gets_what_is_there_without_a_wait_for_more() {
    let folder = Folder::new();
    let (listener, sink) = listen_on_tcp();
    let mut running = folder.start(&[&sink]);
    let (mut peer, _) = listener.accept().unwrap();
    for message in [&b"one"[..], b"two"] {
        running.stdin.as_mut().unwrap().write_all(message).unwrap();
        let mut got = [0; 3];
        peer.read_exact(&mut got).unwrap();
        assert_eq!(got, message);
    }
    drop(running.stdin.take());
    assert_eq!(read_all(&mut peer), b"");
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_tcp_port_that_nobody_listens_on_is_refused_or_waited_for() {
    let (folder, input) = (Folder::new(), random(MIB));
    let (listener, sink) = listen_on_tcp();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ended = folder.run(&[&sink, "-"], &input);
    assert_eq!(ended.code, 1);
    assert_same(&ended.stdout, &input);
    assert_eq!(ended.sink(0)["os_error"], REFUSED, "{}", ended.stderr);

    let patient = format!("connect-timeout=50s@{sink}");
    let mut running = folder.start(&["-", &patient]);
    let feeder = running.feed(input.clone());
    assert_same(&running.read_stdout(), &input);
    let listener = TcpListener::bind(address).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_port_that_nobody_listens_on_yet_is_tried_again() {
    let (folder, input) = (Folder::new(), random(MIB));
    let (listener, sink) = listen_on_tcp();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let sink = format!("name=peer,retry=always@{sink}");
    let mut running = folder.start(&[&sink]);
    let feeder = running.feed(input.clone());
    running.wait_for("'peer' will be opened again");
    running.wait_for(&format!("(os error {REFUSED})"));
    let listener = TcpListener::bind(address).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(
        (ended.code, ended.outcome(0)),
        (0, "complete"),
        "{}",
        ended.stderr
    );
    assert!(ended.count(0, "retries") >= 1);
}

#[test]
fn a_peer_that_dies_half_way_is_named_with_the_reason_and_the_others_go_on() {
    let (folder, input) = (Folder::new(), random(TOO_MUCH));
    let (listener, sink) = listen_on_tcp();
    let mut running = folder.start(&[&sink, "copy"]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    let mut got = vec![0; 300_000];
    peer.read_exact(&mut got).unwrap();
    // With data that nobody has read: the connection is reset.
    drop(peer);
    feeder.join().unwrap();
    let ended = running.end();
    assert_same(&got, &input[..got.len()]);
    assert_same(&folder.read("copy"), &input);
    assert_eq!((ended.code, ended.outcome(0)), (1, "failed"));
    let code = ended.sink(0)["os_error"].as_i64().unwrap();
    assert!(RESETS.contains(&code), "{}", ended.stderr);
    let said = format!("(os error {code})");
    assert!(ended.complaint(&sink).contains(&said), "{}", ended.stderr);
    // What the system took, and no more.
    let written = ended.count(0, "written");
    assert!(written >= got.len() as u64, "{}", ended.stats);
    assert_eq!(ended.count(0, "in_doubt"), 0, "{}", ended.stats);
}

#[test]
fn a_peer_that_takes_nothing_is_detached_and_gets_exactly_what_is_reported() {
    let (folder, input) = (Folder::new(), random(TOO_MUCH));
    let (listener, sink) = listen_on_tcp();
    let sink = format!("name=slow,on-full=detach,buffer=64K@{sink}");
    let mut running = folder.start(&[&sink, "copy"]);
    let (mut peer, _) = listener.accept().unwrap();
    running.feed(input.clone()).join().unwrap();
    running.wait_for("slow: detached");
    let ended = running.end();
    assert_same(&folder.read("copy"), &input);
    assert_eq!((ended.code, ended.outcome(0)), (1, "detached"));
    gets_what_is_reported(&mut peer, &input, &ended);
}

#[test]
fn a_slow_peer_loses_what_is_dropped_and_nothing_else() {
    let (folder, input) = (Folder::new(), random(TOO_MUCH));
    let (listener, sink) = listen_on_tcp();
    let sink = format!("name=slow,on-full=drop-newest,buffer=64K@{sink}");
    let mut running = folder.start(&[&sink, "-"]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&running.read_stdout(), &input);
    // It begins when everything was read, and is waited for.
    let got = read_all(&mut peer);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, ended.outcome(0)), (1, "dropped"));
    assert!(ended.count(0, "dropped") > 0, "{}", ended.stats);
    assert_eq!(ended.count(0, "written"), got.len() as u64);
    // Nothing was dropped before the buffer had no room for another block, of which the
    // largest is an eighth of it: reads come in part, so blocks need not fill it.
    assert_same(&got[..56 * 1024], &input[..56 * 1024]);
}

#[test]
fn a_peer_that_takes_nothing_does_not_keep_the_run_beyond_its_linger_time() {
    let (folder, input) = (Folder::new(), random(TOO_MUCH));
    let (listener, sink) = listen_on_tcp();
    let sink = format!("name=slow,buffer=32M@{sink}");
    let mut running = folder.start(&["--linger=100ms", &sink]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, ended.outcome(0)), (1, "stopped"));
    assert!(ended.count(0, "unsent") > 0, "{}", ended.stats);
    gets_what_is_reported(&mut peer, &input, &ended);
}

/// The peer of a sink that was broken off reads, and finds the beginning of the input up
/// to what the sink is said to have got.
#[cfg(test)]
fn gets_what_is_reported(peer: &mut impl Read, input: &[u8], ended: &Ended) {
    let written = usize::try_from(ended.count(0, "written")).unwrap();
    assert_eq!(ended.count(0, "in_doubt"), 0, "{}", ended.stats);
    let got = read_all(peer);
    assert!(got.len() <= written && got.len() + DIES_WITH_PROCESS >= written);
    assert_same(&got, &input[..got.len()]);
}

/// What lay in a connection when its peer died is gone, and nobody can say how much it
/// was.
#[test]
fn a_peer_that_comes_back_gets_what_the_system_had_not_taken_and_nothing_twice() {
    for buffer in ["4K", "1M"] {
        let (folder, input) = (Folder::new(), random(TOO_MUCH));
        let (listener, sink) = listen_on_tcp();
        let sink = format!("name=peer,retry=3,buffer={buffer}@{sink}");
        let mut running = folder.start(&[&sink, "copy"]);
        let feeder = running.feed(input.clone());
        let (mut at, mut lost) = (0, 0);
        for len in [1, 100_000, 300_001] {
            let (mut peer, _) = listener.accept().unwrap();
            let mut got = vec![0; len];
            peer.read_exact(&mut got).unwrap();
            drop(peer);
            let found = position(&input[at..], &got);
            lost += found;
            at += found + len;
        }
        let (mut peer, _) = listener.accept().unwrap();
        let rest = read_all(&mut peer);
        feeder.join().unwrap();
        let ended = running.end();
        assert_same(&rest, &input[input.len() - rest.len()..]);
        assert!(at + rest.len() <= input.len(), "something came twice");
        assert!(lost < TOO_MUCH && rest.len() > MIB, "{}", rest.len());
        assert_same(&folder.read("copy"), &input);
        assert_eq!((ended.code, ended.count(0, "retries")), (0, 3));
        assert_eq!(ended.count(0, "written"), input.len() as u64);
    }
}

/// Where the first bytes of `what` are in `all`, all of which must follow there.
#[cfg(test)]
fn position(all: &[u8], what: &[u8]) -> usize {
    let found = all.windows(what.len()).position(|window| window == what);
    assert!(found.is_some(), "it did not come from what is left");
    found.unwrap()
}
