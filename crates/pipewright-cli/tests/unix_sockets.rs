//! What TCP and Unix sockets do not share with other systems, or cannot be shown there.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::io::Read;
use std::os::unix::net::UnixListener;

use common::{Folder, MIB, assert_same, listen_on_tcp, random, read_all};

/// The system in which Wine runs may know no names, not even this one.
#[test]
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
fn a_socket_is_connected_again() {
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
