//! `listen:unix:`: a socket that is made for whoever comes first.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::fs::metadata;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use common::{Folder, MIB, assert_same, exists, random, read_all};
use rustix::process::Signal;

/// Connects as soon as it is there.
fn come(folder: &Folder) -> UnixStream {
    loop {
        match UnixStream::connect(folder.path("socket")) {
            Ok(stream) => return stream,
            Err(_) => thread::yield_now(),
        }
    }
}

#[test]
fn who_comes_first_gets_everything_and_nobody_else_can_come() {
    let (folder, input) = (Folder::new(), random(4 * MIB));
    let mut running = folder.start(&["listen:unix:socket", "-"]);
    let feeder = running.feed(input.clone());
    // The other sink has got everything before anybody comes.
    assert_same(&running.read_stdout(), &input);
    let mut peer = come(&folder);
    let mut got = vec![0];
    peer.read_exact(&mut got).unwrap();
    assert!(!exists(&folder.path("socket")));
    got.extend(read_all(&mut peer));
    assert_same(&got, &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(0)["kind"]), (0, &"listen".into()));
}

#[test]
fn only_the_owner_may_come_and_the_socket_goes_with_the_run() {
    let folder = Folder::new();
    let mut running = folder.start(&["--linger=1h", "-", "listen:unix:socket"]);
    let stdin = running.stdin.take().unwrap();
    let path = folder.path("socket");
    // It may be there for a moment before its permissions are set, and refuses then.
    let mode = || metadata(&path).map(|found| found.permissions().mode() & 0o777);
    while mode().ok() != Some(0o600) {
        thread::yield_now();
    }
    running.process.signal(Signal::TERM);
    let ended = running.end();
    drop(stdin);
    assert_eq!(ended.code, 143);
    assert!(!exists(&path));
}

#[test]
fn what_is_there_already_is_left_alone() {
    let folder = Folder::new();
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    folder.write("file", b"data");
    for name in ["socket", "file"] {
        let sink = format!("listen:unix:{name}");
        let ended = folder.run(&[&sink, "-"], b"data");
        assert_eq!((ended.code, ended.outcome(0)), (1, "failed"));
        let complaint = ended.complaint(&sink);
        assert!(complaint.contains("something of this name"), "{complaint}");
        assert!(exists(&folder.path(name)));
    }
    drop(listener);
    assert_eq!(folder.text("file"), "data");
}

#[test]
fn who_never_comes_is_given_up_in_time() {
    let (folder, input) = (Folder::new(), random(MIB));
    let args = ["--connect-timeout=50ms", "-", "listen:unix:socket"];
    let ended = folder.run(&args, &input);
    assert_eq!((ended.code, ended.outcome(1)), (1, "failed"));
    assert_same(&ended.stdout, &input);
    assert_eq!(ended.count(1, "written"), 0);
    let complaint = ended.complaint("listen:unix:socket");
    assert!(complaint.contains("nobody has connected"), "{complaint}");
    assert!(!exists(&folder.path("socket")));
}

#[test]
fn it_is_there_again_for_the_next() {
    let (folder, input) = (Folder::new(), random(8 * MIB));
    let mut running = folder.start(&["retry=1@listen:unix:socket", "copy"]);
    let feeder = running.feed(input.clone());
    let mut peer = come(&folder);
    let mut first = vec![0; 100_000];
    peer.read_exact(&mut first).unwrap();
    drop(peer);
    running.wait_for("will be opened again");
    let rest = read_all(&mut come(&folder));
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(
        (ended.code, ended.count(0, "retries")),
        (0, 1),
        "{}",
        ended.stderr
    );
    assert_same(&first, &input[..first.len()]);
    assert_same(&rest, &input[input.len() - rest.len()..]);
    assert!(rest.len() > MIB, "{}", rest.len());
    assert_same(&folder.read("copy"), &input);
}

#[test]
fn it_is_there_again_after_nobody_came_in_time() {
    let (folder, input) = (Folder::new(), random(MIB));
    let sink = "retry=always,connect-timeout=50ms@listen:unix:socket";
    let mut running = folder.start(&[sink]);
    let feeder = running.feed(input.clone());
    running.wait_for("nobody has connected");
    // Each time that it is there is short.
    let got = loop {
        let got = UnixStream::connect(folder.path("socket"))
            .and_then(|mut peer| {
                let mut got = Vec::new();
                peer.read_to_end(&mut got).map(|_| got)
            })
            .unwrap_or_default();
        if !got.is_empty() {
            break got;
        }
    };
    assert_same(&got, &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn a_name_that_is_somebody_elses_by_the_end_is_left_to_them() {
    let folder = Folder::new();
    let mut running = folder.start(&["listen:unix:socket", "-"]);
    let mut stdin = running.stdin.take().unwrap();
    let mut peer = come(&folder);
    stdin.write_all(b"data").unwrap();
    peer.read_exact(&mut [0; 4]).unwrap();
    drop(peer);
    // The sink is over when this was written, and its file is forgotten by the system.
    stdin.write_all(b"more").unwrap();
    running.wait_for("Broken pipe");
    let listener = UnixListener::bind(folder.path("socket")).unwrap();
    drop(stdin);
    assert_eq!(running.end().code, 1);
    assert!(exists(&folder.path("socket")));
    drop(listener);
}
