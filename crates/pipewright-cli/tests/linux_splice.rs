//! `--splice`: bytes go from pipe to pipe without a copy, and every promise holds as it
//! does without.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod common;

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use common::{Ended, Folder, MIB, assert_same, random, read_all};
use rustix::pipe::{PipeFlags, pipe_with};

/// What the command makes each pipe hold.
const PIPE: usize = MIB;
/// The most that it reads at once.
const BLOCK: u64 = 64 * 1024;

fn spliced(ended: &Ended) -> u64 {
    ended.count(0, "spliced")
}

#[test]
fn what_goes_from_pipe_to_pipe_is_spliced_and_arrives_unchanged() {
    for piece in [1, 4097, 3 * MIB] {
        let (folder, input) = (Folder::new(), random(3 * MIB));
        let input = &input[..input.len().min(piece * 1000)];
        let mut running = folder.start(&["--splice", "-"]);
        let mut stdin = running.stdin.take().unwrap();
        let got = thread::scope(|threads| {
            threads.spawn(move || {
                for piece in input.chunks(piece) {
                    stdin.write_all(piece).unwrap();
                }
            });
            running.read_stdout()
        });
        assert_same(&got, input);
        let ended = running.end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(ended.count(0, "written"), input.len() as u64);
        assert!(spliced(&ended) > 0, "{piece}");
    }
}

#[test]
fn an_input_without_an_end_is_read_ahead_while_the_reader_stalls() {
    let (folder, input) = (Folder::new(), random(2 * PIPE + MIB / 2));
    let mut running = folder.start(&["--splice", "--buffer=4M", "-"]);
    let mut stdin = running.stdin.take().unwrap();
    // It returns only when what neither pipe holds is in the buffer.
    stdin.write_all(&input).unwrap();
    let mut got = running.read_exactly(input.len());
    // The way is free again.
    stdin.write_all(&input).unwrap();
    got.extend(running.read_exactly(input.len()));
    drop(stdin);
    assert_same(&got, &[&input[..], &input].concat());
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let spliced = spliced(&ended);
    assert!(spliced > 0 && spliced < got.len() as u64, "{spliced}");
}

/// It never stands for long, and is much slower than the input.
#[test]
fn an_input_is_read_ahead_while_the_reader_takes_a_little_now_and_then() {
    let (folder, input) = (Folder::new(), random(14 * PIPE));
    let mut running = folder.start(&["--splice", "-"]);
    let feeder = running.feed(input.clone());
    let mut got = Vec::new();
    while !feeder.is_finished() {
        got.extend(running.read_exactly(4096));
        thread::sleep(Duration::from_millis(2));
    }
    // Most of it is in the buffer.
    assert!(got.len() < input.len() / 2, "{}", got.len());
    got.extend(running.read_stdout());
    assert_same(&got, &input);
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_reader_that_reads_less_than_a_packet_loses_nothing_of_it() {
    let folder = Folder::new();
    let (stdin, packets) = pipe_with(PipeFlags::DIRECT | PipeFlags::CLOEXEC).unwrap();
    let mut running = folder.start_with(&["--splice", "-"], stdin.into(), Stdio::piped());
    let mut packets = File::from(packets);
    let packet = random(1000);
    for _ in 0..10 {
        packets.write_all(&packet).unwrap();
    }
    let mut byte = [0];
    let got: Vec<u8> = (0..10 * packet.len())
        .map(|_| {
            running
                .stdout
                .as_mut()
                .unwrap()
                .read_exact(&mut byte)
                .unwrap();
            byte[0]
        })
        .collect();
    assert_same(&got, &packet.repeat(10));
    drop(packets);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(spliced(&ended) > 0);
}

#[test]
fn a_reader_that_dies_is_told_of_with_every_byte_accounted_for() {
    let folder = Folder::new();
    let mut running = folder.start(&["--splice", "-"]);
    let feeder = running.feed(random(4 * MIB));
    running.read_exactly(300_001);
    drop(running.stdout.take());
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, ended.outcome(0)), (1, "failed"));
    assert!(
        ended.complaint("-").contains("Broken pipe"),
        "{}",
        ended.stderr
    );
    assert!(ended.count(0, "written") >= 300_001);
    // What was read when it was over already.
    assert!(ended.count(0, "dropped") <= BLOCK);
    assert!(spliced(&ended) > 0);
}

#[test]
fn what_a_command_that_died_left_unread_is_counted() {
    let (folder, input) = (Folder::new(), random(4 * MIB));
    let dying = "echo >> openings; n=$(($(wc -l < openings))); \
                 if [ $n -le 2 ]; then head -c 300001 > part$n; else cat > part$n; fi";
    let mut running = folder.start(&["--splice", &format!("name=dying,retry=5@exec:{dying}")]);
    running.feed(input.clone()).join().unwrap();
    let ended = running.end();
    assert_eq!(
        (ended.code, ended.outcome(0)),
        (1, "lost"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.count(0, "retries"), 2);
    let got: usize = (1..=3)
        .map(|n| folder.read(&format!("part{n}")).len())
        .sum();
    assert_eq!(got as u64 + ended.count(0, "unread"), input.len() as u64);
    let last = folder.read("part3");
    assert_same(&last, &input[input.len() - last.len()..]);
    assert!(spliced(&ended) > 0);
}

#[test]
fn what_was_taken_before_a_signal_is_still_given() {
    let (folder, input) = (Folder::new(), random(4 * MIB));
    let mut running = folder.start(&["--splice", "--linger=1h", "-"]);
    let _feeder = running.feed(input.clone());
    // It runs, and the rest of what it has taken stands.
    let mut got = running.read_exactly(1);
    running.process.interrupt();
    running.wait_for("no more is read");
    got.extend(read_all(running.stdout.as_mut().unwrap()));
    let ended = running.end();
    assert_eq!((ended.code, ended.outcome(0)), (130, "complete"));
    assert_eq!(got.len() as u64, ended.bytes_read());
    assert_same(&got, &input[..got.len()]);
}

#[test]
fn what_must_be_seen_is_copied() {
    let input = random(MIB);
    for options in [
        &["-", "file"][..],
        &["--rate=1G", "-"],
        &["--on-full=drop-newest", "-"],
        &["--on-full=detach", "-"],
        &["--retry", "--in-doubt=resend", "-"],
        &["file"],
        &["unix:socket"],
    ] {
        let folder = Folder::new();
        let socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
        let reader = thread::spawn(move || socket.accept().map(|(mut it, _)| read_all(&mut it)));
        let args = [&["--splice"], options].concat();
        let ended = folder.run(&args, &input);
        assert_eq!(ended.code, 0, "{options:?}: {}", ended.stderr);
        assert_eq!(spliced(&ended), 0, "{options:?}");
        if options.contains(&"-") {
            assert_same(&ended.stdout, &input);
        }
        if options == ["unix:socket"] {
            assert_same(&reader.join().unwrap().unwrap(), &input);
        }
    }
    let folder = Folder::new();
    folder.write("input", &input);
    let running = folder.start_with(&["--splice", "-"], folder.open("input"), Stdio::piped());
    let ended = running.end();
    assert_same(&ended.stdout, &input);
    assert_eq!(spliced(&ended), 0);
}
