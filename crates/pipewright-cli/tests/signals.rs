//! Requests to end (SIGINT, Ctrl-Break): what was read is delivered, within the linger
//! time; a second one ends at once.

#[cfg(test)]
mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::system::{INTERRUPT, TERMINATED, Tap};
use common::{Folder, MIB, assert_same, helper, random, read_all};

#[test]
#[cfg_attr(windows, ignore = "Wine has no Ctrl-Break; see docs/PLATFORM.md")]
fn what_was_read_is_delivered_after_a_signal() {
    let (folder, input) = (Folder::new(), random(2 * MIB));
    let piped = helper::exec("", "cat piped");
    let args = ["--linger=50", "-", &folder.tap(""), &piped, "copy"];
    let (mut running, mut stalled) = folder.start_stalled(&args, Stdio::piped());
    let mut stdin = running.stdin.take().unwrap();
    let data = input.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(&data).map(|()| stdin));
    let got = running.read_exactly(input.len());
    let _still_open = feeder.join().unwrap().unwrap();

    running.process.interrupt();
    assert_eq!(running.read_stdout(), b"", "the others are closed at once");
    assert_same(&read_all(&mut stalled), &input);
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert_same(&got, &input);
    assert_same(&folder.read("piped"), &input);
    assert_same(&folder.read("copy"), &input);
    assert_eq!(ended.bytes_read(), input.len() as u64);
    assert_eq!(ended.stats["total"]["signal"], INTERRUPT);
    assert!(
        (0..4).all(|sink| ended.outcome(sink) == "complete"),
        "{}",
        ended.stats
    );
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Ctrl-Break; see docs/PLATFORM.md")]
fn what_waits_for_a_full_sink_is_delivered_as_well() {
    let (folder, input) = (Folder::new(), random(8 * MIB));
    let args = ["--linger=50", "--buffer=64K", "-", &folder.tap("")];
    let (mut running, mut stalled) = folder.start_stalled(&args, Stdio::piped());
    let feeder = running.feed(input.clone());
    let mut got = running.read_exactly(100_000);

    running.process.interrupt();
    running.wait_for(INTERRUPT);
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
#[cfg_attr(windows, ignore = "Wine has no Ctrl-Break; see docs/PLATFORM.md")]
fn a_second_signal_ends_at_once() {
    let (folder, unheard) = (Folder::new(), Folder::new());
    // Longer than the watchdog waits.
    let args = [
        "--linger=1h",
        &folder.tap(""),
        &unheard.tap("buffer=2M"),
        &helper::exec("", "until released"),
    ];
    let (mut running, mut stalled) = folder.start_stalled(&args, Stdio::piped());
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(&random(MIB)).unwrap();
    // The reader has got something, so something was read.
    stalled.read_exact(&mut [0; 1000]).unwrap();

    running.process.interrupt();
    running.wait_for(INTERRUPT);
    running.process.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert!(
        (0..3).all(|sink| ended.outcome(sink) == "stopped"),
        "{}",
        ended.stats
    );
    assert!(ended.count(1, "unsent") > 0, "{}", ended.stats);
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Ctrl-Break; see docs/PLATFORM.md")]
fn the_linger_time_ends_what_nobody_reads() {
    let folder = Folder::new();
    let args = [
        "--linger=100ms",
        "-",
        &folder.tap(""),
        &helper::exec("", "until released"),
    ];
    let (mut running, _reads_nothing) = folder.start_stalled(&args, Stdio::piped());
    let mut stdin = running.stdin.take().unwrap();
    let data = random(MIB);
    stdin.write_all(&data).unwrap();
    running.read_exactly(MIB);
    running.process.interrupt();
    let ended = running.end();
    assert_eq!(ended.code, 130);
    // Standard output, whether or not its end was seen within the time.
    assert_eq!(
        (ended.count(0, "written"), ended.count(0, "unsent")),
        (MIB as u64, 0)
    );
    assert_eq!(ended.outcome(1), "stopped");
    let unsent = ended.count(1, "unsent");
    assert!(unsent > 0);
    let complaint = ended.complaint("stalled");
    assert!(
        complaint.contains(&format!("{unsent} more were queued")),
        "{complaint}"
    );
    let (field, value) = TERMINATED;
    assert_eq!(ended.sink(2)[field], value, "{}", ended.stats);
}

#[test]
fn the_linger_time_also_counts_from_the_end_of_the_input() {
    let folder = Folder::new();
    let args = ["--linger=100ms", "-", &folder.tap("")];
    let (mut running, _reads_nothing) = folder.start_stalled(&args, Stdio::piped());
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(&random(MIB)).unwrap();
    running.read_exactly(MIB);
    // Not before does the time begin.
    drop(stdin);
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert_eq!(ended.outcome(1), "stopped");
}

#[test]
fn a_reader_that_never_comes_does_not_keep_the_run_after_the_end_of_the_input() {
    let folder = Folder::new();
    let patient = format!(
        "name=patient,on-full=detach,connect-timeout=7s@listen:{}",
        Tap::new(3000).name()
    );
    let ended = folder.run(&["-", &folder.tap("on-full=detach"), &patient], b"data");
    assert_eq!((ended.code, &ended.stdout[..]), (1, &b"data"[..]));
    let complaint = ended.complaint("stalled");
    assert!(complaint.contains("the input has ended"), "{complaint}");
    assert!(complaint.contains("it got 0 bytes, 4 more were queued"));
    assert_eq!((ended.outcome(1), ended.count(1, "unsent")), ("failed", 4));
    // Whoever said how long has that time.
    let complaint = ended.complaint("patient");
    assert!(!complaint.contains("the input has ended"), "{complaint}");
    assert_eq!(ended.outcome(2), "failed");
}

#[test]
fn a_sink_that_everything_waits_for_is_waited_for_after_the_end_of_the_input() {
    let folder = Folder::new();
    let hopeless = format!(
        "name=hopeless,on-full=detach@listen:{}",
        Tap::new(3001).name()
    );
    let mut running = folder.start(&[&folder.tap(""), &hopeless]);
    running.feed(b"data".to_vec()).join().unwrap();
    running.wait_for("the input has ended");
    assert_eq!(read_all(&mut folder.open_tap()), b"data");
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert_eq!(ended.outcome(0), "complete");
    assert_eq!(ended.outcome(1), "failed");
}

#[test]
fn the_linger_time_is_also_that_for_a_first_reader() {
    let folder = Folder::new();
    let ended = folder.run(&["--linger=100ms", "-", &folder.tap("")], b"data");
    assert_eq!((ended.code, ended.outcome(1)), (1, "failed"));
    let complaint = ended.complaint("stalled");
    assert!(complaint.contains("the input has ended"), "{complaint}");
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Ctrl-Break; see docs/PLATFORM.md")]
fn a_run_with_nothing_to_deliver_ends_with_the_signal() {
    let folder = Folder::new();
    let piped = helper::exec("", "cat piped");
    let args = ["--linger=1h", "copy", &folder.tap(""), &piped];
    let mut running = folder.start(&args);
    let _open = running.stdin.take();
    while !common::exists(&folder.path("piped")) {
        std::thread::yield_now();
    }
    running.process.interrupt();
    let ended = running.end();
    assert_eq!((ended.code, ended.bytes_read()), (130, 0));
}
