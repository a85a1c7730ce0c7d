//! Unix sockets, as sinks and as targets of a relay, on all systems that have them.

#[cfg(test)]
mod common;
#[cfg(test)]
mod relaying;

use std::io::{Read, Write};

use common::system::UnixListener;
use common::{Folder, MIB, assert_same, random, read_all};
use relaying::Relay;

#[test]
#[cfg_attr(windows, ignore = "Wine has no Unix sockets; see docs/PLATFORM.md")]
fn a_unix_socket_gets_everything() {
    let (folder, input) = (Folder::new(), random(4 * MIB));
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    let mut running = folder.start(&["unix:socket"]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(0)["kind"]), (0, &"unix".into()));
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Unix sockets; see docs/PLATFORM.md")]
fn a_unix_socket_is_waited_for_when_there_is_time() {
    let (folder, input) = (Folder::new(), random(MIB));
    let mut running = folder.start(&["--connect-timeout=50s", "-", "unix:socket"]);
    let feeder = running.feed(input.clone());
    // Everything was read, and nobody listens yet.
    assert_same(&running.read_stdout(), &input);
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Unix sockets; see docs/PLATFORM.md")]
fn a_unix_socket_is_connected_again() {
    let (folder, input) = (Folder::new(), random(8 * MIB));
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    let mut running = folder.start(&["--retry=3", "unix:socket", "copy"]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    let mut first = vec![0; 100_000];
    peer.read_exact(&mut first).unwrap();
    drop(peer);
    let (mut peer, _) = listener.accept().unwrap();
    let rest = read_all(&mut peer);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.count(0, "retries"), 1);
    assert_same(&first, &input[..first.len()]);
    // What lay in the first socket is gone, and nobody can say how much it was.
    assert_same(&rest, &input[input.len() - rest.len()..]);
    assert_eq!(ended.count(0, "written"), input.len() as u64);
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Unix sockets; see docs/PLATFORM.md")]
fn a_relay_waits_for_a_unix_socket_and_joins_it_both_ways() {
    let folder = Folder::new();
    let mut relay = Relay::start(&folder, &["--wait", "unix:s"]);
    relay.say(b"early");
    let listener = UnixListener::bind(folder.path("s")).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    drop(relay.stdin.take());
    assert_eq!(read_all(&mut peer), b"early");
    peer.write_all(b"answer").unwrap();
    drop(peer);
    let ended = relay.end();
    assert_eq!((ended.code, &ended.stdout[..]), (0, &b"answer"[..]));
}
