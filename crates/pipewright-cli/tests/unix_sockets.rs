//! Sockets: they get everything, are waited for, and are connected again.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;

use common::{Folder, MIB, assert_same, random, read_all};

#[test]
fn a_tcp_connection_gets_everything() {
    let (folder, input) = (Folder::new(), random(2 * MIB));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // Its other address, if it has one, is refused first or last.
    let mut running = folder.start(&[&format!("tcp:localhost:{port}")]);
    let feeder = running.feed(input.clone());
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(0)["kind"]), (0, &"tcp".into()));
}

#[test]
fn a_tcp_port_that_nobody_listens_on_is_refused_or_waited_for() {
    let (folder, input) = (Folder::new(), random(MIB));
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let sink = format!("tcp:127.0.0.1:{port}");
    let ended = folder.run(&[&sink, "-"], &input);
    assert_eq!(ended.code, 1);
    assert_same(&ended.stdout, &input);
    let refused = rustix::io::Errno::CONNREFUSED.raw_os_error();
    assert_eq!(ended.sink(0)["os_error"], refused, "{}", ended.stderr);

    let patient = format!("connect-timeout=50s@{sink}");
    let mut running = folder.start(&["-", &patient]);
    let feeder = running.feed(input.clone());
    assert_same(&running.read_stdout(), &input);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    assert_same(&read_all(&mut peer), &input);
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
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

#[test]
fn a_port_that_nobody_listens_on_yet_is_tried_again() {
    let (folder, input) = (Folder::new(), random(MIB));
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let sink = format!("name=peer,retry=always@tcp:127.0.0.1:{port}");
    let mut running = folder.start(&[&sink]);
    let feeder = running.feed(input.clone());
    running.wait_for("'peer' will be opened again: Connection refused");
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
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
