//! SIGINT and SIGTERM: what was read is delivered, within the linger time; a
//! second signal ends at once.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::{Folder, MIB, assert_same, exists, random, read_all};
use rustix::process::Signal;

#[test]
fn what_was_read_is_delivered_after_sigint() {
    let (folder, input) = (Folder::new(), random(2 * MIB));
    let args = ["--linger=50", "-", "stalled", "exec:cat > piped", "copy"];
    let (mut running, mut stalled) = folder.start_stalled(&args, Stdio::piped());
    let mut stdin = running.stdin.take().unwrap();
    let data = input.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(&data).map(|()| stdin));
    let got = running.read_exactly(input.len());
    let _still_open = feeder.join().unwrap().unwrap();

    running.signal(Signal::INT);
    assert_eq!(running.read_stdout(), b"", "the others are closed at once");
    assert_same(&read_all(&mut stalled), &input);
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert_same(&got, &input);
    assert_same(&folder.read("piped"), &input);
    assert_same(&folder.read("copy"), &input);
    assert_eq!(ended.bytes_read(), input.len() as u64);
    assert_eq!(ended.stats["total"]["signal"], "SIGINT");
    assert!(
        (0..4).all(|sink| ended.outcome(sink) == "complete"),
        "{}",
        ended.stats
    );
}

#[test]
fn what_waits_for_a_full_sink_is_delivered_as_well() {
    let (folder, input) = (Folder::new(), random(8 * MIB));
    let args = ["--linger=50", "--buffer=64K", "-", "stalled"];
    let (mut running, mut stalled) = folder.start_stalled(&args, Stdio::piped());
    let feeder = running.feed(input.clone());
    let mut got = running.read_exactly(100_000);

    running.signal(Signal::INT);
    running.wait_for("SIGINT");
    let other = std::thread::spawn(move || read_all(&mut stalled));
    got.extend(running.read_stdout());
    let other = other.join().unwrap();
    let ended = running.end();
    feeder.join().unwrap();
    assert_eq!(ended.code, 130);
    assert_eq!(ended.bytes_read(), got.len() as u64);
    assert_same(&got, &input[..got.len()]);
    assert_same(&other, &got);
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = Folder::new();
    // Longer than the watchdog waits.
    let args = [
        "--linger=1h",
        "stalled",
        "listen:unheard",
        "exec:exec > /dev/null 2>&1; cat never",
    ];
    folder.fifo("never");
    let (mut running, mut stalled) = folder.start_stalled(&args, Stdio::piped());
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(&random(MIB)).unwrap();
    // The FIFO's reader has got something, so something was read.
    stalled.read_exact(&mut [0; 1000]).unwrap();

    running.signal(Signal::INT);
    running.wait_for("SIGINT");
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert!(
        (0..3).all(|sink| ended.outcome(sink) == "stopped"),
        "{}",
        ended.stats
    );
    assert!(ended.count(1, "unsent") > 0, "{}", ended.stats);
    assert!(!exists(&folder.path("unheard")));
}

#[test]
fn the_linger_time_ends_what_nobody_reads() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let folder = Folder::new();
        folder.fifo("never");
        let args = [
            "--linger=100ms",
            "-",
            "stalled",
            "exec:exec > /dev/null 2>&1; cat never",
        ];
        let (mut running, _reads_nothing) = folder.start_stalled(&args, Stdio::piped());
        let mut stdin = running.stdin.take().unwrap();
        let data = random(MIB);
        stdin.write_all(&data).unwrap();
        running.read_exactly(MIB);
        running.signal(signal);
        let ended = running.end();
        assert_eq!(ended.code, code);
        assert_eq!(
            (ended.outcome(0), ended.outcome(1)),
            ("complete", "stopped")
        );
        let unsent = ended.count(1, "unsent");
        assert!(unsent > 0);
        let complaint = ended.complaint("stalled");
        assert!(
            complaint.contains(&format!("{unsent} more were queued")),
            "{complaint}"
        );
        assert_eq!(ended.sink(2)["exit_signal"], 15, "{}", ended.stats);
    }
}

#[test]
fn the_linger_time_also_counts_from_the_end_of_the_input() {
    let folder = Folder::new();
    let args = ["--linger=100ms", "-", "stalled"];
    let (mut running, _reads_nothing) = folder.start_stalled(&args, Stdio::piped());
    let feeder = running.feed(random(MIB));
    let ended = running.end();
    feeder.join().unwrap();
    assert_eq!(ended.code, 1);
    assert_eq!(ended.stdout.len(), MIB);
    assert_eq!(ended.outcome(1), "stopped");
}

#[test]
fn a_run_with_nothing_to_deliver_ends_with_the_signal() {
    let folder = Folder::new();
    let mut running = folder.start(&["--linger=1h", "copy", "listen:tap", "exec:cat > piped"]);
    let _open = running.stdin.take();
    while !exists(&folder.path("tap")) {
        std::thread::yield_now();
    }
    running.signal(Signal::TERM);
    let ended = running.end();
    assert_eq!((ended.code, ended.bytes_read()), (143, 0));
    assert!(!exists(&folder.path("tap")));
}

#[test]
fn ctrl_c_leaves_the_commands_alone() {
    let folder = Folder::new();
    let mut running = folder.start(&["-", "exec:cat > piped"]);
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"data").unwrap();
    running.read_exactly(4);
    running.signal_group(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert_eq!(ended.outcome(1), "complete");
    assert_eq!(folder.text("piped"), "data");
}
