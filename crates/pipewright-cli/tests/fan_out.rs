//! Every sink gets everything, and a slow one costs the others nothing until its
//! buffer is full; then its policy says what happens.

#[cfg(test)]
mod common;

use std::fs::File;
use std::process::Stdio;

use common::{Folder, MIB, PATIENT, assert_same, helper, random, read_all};

/// A folder with an input file of this many bytes.
fn with_input(len: usize) -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    let input = random(len);
    folder.write("input", &input);
    (folder, input)
}

/// Reads to the end; how much of the input that was, from its beginning.
fn read_all_of(reader: &mut File, input: &[u8]) -> usize {
    let got = read_all(reader);
    assert_same(&got, &input[..got.len()]);
    got.len()
}

/// Reads to the end; how much of the input that was, in order. Parts may be missing: while
/// the pipe takes the first bytes, there may be room again after something was dropped.
fn read_some_of(reader: &mut File, input: &[u8]) -> usize {
    /// So many random bytes are found nowhere else.
    const ENOUGH: usize = 32;
    let got = read_all(reader);
    let (mut heard, mut left) = (&got[..], input);
    while !heard.is_empty() {
        let same = heard.iter().zip(left).take_while(|(a, b)| a == b).count();
        (heard, left) = (&heard[same..], &left[same..]);
        if !heard.is_empty() {
            let next = &heard[..ENOUGH.min(heard.len())];
            let goes_on = left.windows(next.len()).position(|place| place == next);
            left = &left[goes_on.expect("it is not of the input")..];
        }
    }
    got.len()
}

#[test]
fn three_sinks_get_byte_identical_data() {
    let (folder, input) = with_input(5 * MIB + 12_345);
    let piped = helper::exec("", "cat piped");
    let short = helper::exec("buffer=64K", "cat short");
    let args = ["copy", &piped, &short];
    let ended = folder
        .start_with(&args, folder.open("input"), Stdio::piped())
        .end();
    assert_eq!(
        (ended.code, &*ended.stderr.lines().count().to_string()),
        (0, "1"),
        "{}",
        ended.stderr
    );
    assert_same(&folder.read("copy"), &input);
    assert_same(&folder.read("piped"), &input);
    assert_same(&folder.read("short"), &input);
    assert_eq!(ended.bytes_read(), input.len() as u64);
}

#[test]
fn an_input_in_pieces_of_any_size_arrives_whole() {
    use std::io::Write;
    let folder = Folder::new();
    let input = random(3 * MIB);
    let mut running = folder.start(&["copy", "-", &helper::exec("", "cat piped")]);
    let mut stdin = running.stdin.take().unwrap();
    let pieces = input.clone();
    let feeder = std::thread::spawn(move || {
        let mut rest = &pieces[..];
        for len in [1, 2047, 2048, 2049, 5, 65_536, 40_000, 100_000]
            .into_iter()
            .cycle()
        {
            let (now, later) = rest.split_at(len.min(rest.len()));
            stdin.write_all(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
    });
    assert_same(&running.read_stdout(), &input);
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
    assert_same(&folder.read("copy"), &input);
    assert_same(&folder.read("piped"), &input);
}

#[test]
fn a_stalled_sink_that_drops_does_not_hold_up_a_fast_one() {
    let (folder, input) = (Folder::new(), random(32 * MIB));
    let args = ["-", &folder.tap("on-full=drop-newest,buffer=256K")];
    let (mut running, mut stalled) = folder.start_stalled_on(&args, &input);
    assert_same(&running.read_stdout(), &input);
    // Only now the other begins to read.
    let got = 1 + read_some_of(&mut stalled, &input[1..]);
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert_eq!(
        (ended.outcome(0), ended.outcome(1)),
        ("complete", "dropped")
    );
    assert_eq!(ended.count(1, "written"), got as u64);
    assert_eq!(ended.count(1, "dropped"), (input.len() - got) as u64);
    assert!(got >= 256 << 10, "its buffer was used: {got}");
    assert!(
        ended.complaint("stalled").contains("bytes dropped"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_stalled_sink_that_is_detached_does_not_hold_up_a_fast_one() {
    let (folder, input) = (Folder::new(), random(32 * MIB));
    let args = ["-", &folder.tap("on-full=detach,buffer=256K")];
    let (mut running, mut stalled) = folder.start_stalled_on(&args, &input);
    assert_same(&running.read_stdout(), &input);
    let got = 1 + read_all_of(&mut stalled, &input[1..]);
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert_eq!(
        (ended.outcome(0), ended.outcome(1)),
        ("complete", "detached")
    );
    assert_eq!(ended.count(1, "written"), got as u64);
    let complaint = format!("it got {got} bytes");
    assert!(
        ended.complaint("stalled").contains(&complaint),
        "{}",
        ended.stderr
    );
}

#[test]
fn under_wait_a_large_enough_buffer_does_not_hold_up_a_fast_one() {
    let (folder, input) = with_input(32 * MIB);
    let args = ["-", &folder.tap("buffer=32M")];
    let (mut running, mut stalled) = folder.start_stalled(&args, folder.open("input"));
    assert_same(&running.read_stdout(), &input);
    assert_same(&read_all(&mut stalled), &input);
    assert_eq!(running.end().code, 0);
}

#[test]
fn under_wait_a_fast_sink_runs_until_the_stalled_ones_buffer_is_full() {
    let (folder, input) = with_input(8 * MIB);
    let args = ["-", &folder.tap("buffer=1M")];
    let (mut running, mut stalled) = folder.start_stalled(&args, folder.open("input"));
    let mut got = running.read_exactly(MIB);
    // From here on it goes only as fast as the other.
    let other = std::thread::spawn(move || read_all(&mut stalled));
    got.extend(running.read_stdout());
    assert_same(&got, &input);
    assert_same(&other.join().unwrap(), &input);
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_block_goes_to_all_that_have_room_before_any_is_waited_for() {
    let (folder, input) = with_input(MIB);
    let args = [&folder.tap("buffer=64K"), "-"];
    let mut running = folder.start_with(&args, folder.open("input"), Stdio::piped());
    // More than the other, which comes first and has no reader yet, can hold.
    let mut got = running.read_exactly((64 << 10) + 1);
    let mut reader = folder.open_tap();
    let other = std::thread::spawn(move || read_all(&mut reader));
    got.extend(running.read_stdout());
    assert_same(&got, &input);
    assert_same(&other.join().unwrap(), &input);
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_sink_without_a_reader_holds_no_more_than_its_buffer() {
    let (folder, input) = with_input(MIB);
    for buffer in [1, 1000, 100_000] {
        let late = folder.tap(&format!("{PATIENT},on-full=drop-newest,buffer={buffer}"));
        let mut running = folder.start_with(&["-", &late], folder.open("input"), Stdio::piped());
        assert_same(&running.read_stdout(), &input);
        let got = read_all(&mut folder.open_tap());
        let ended = running.end();
        assert!(
            got.len() <= buffer && got.len() > buffer / 2,
            "{buffer}: {}",
            got.len()
        );
        assert_same(&got, &input[..got.len()]);
        assert_eq!(ended.count(1, "dropped"), (input.len() - got.len()) as u64);
    }
}

#[test]
fn a_detached_command_is_not_waited_for() {
    let (folder, input) = with_input(MIB);
    // It reads nothing, and ends only when it is told to.
    let stuck = helper::exec("name=stuck,on-full=detach,buffer=64K", "until released");
    let mut running = folder.start_with(&["-", &stuck], folder.open("input"), Stdio::piped());
    // Not to its end, which the command has open too.
    assert_same(&running.read_exactly(MIB), &input);
    // The statistics are the last that is said.
    running.wait_for("duration_seconds");
    folder.write("released", b"");
    let ended = running.end();
    assert_eq!((ended.code, ended.outcome(1)), (1, "detached"));
    assert!(ended.sink(1)["exit_status"].is_null());
}

#[test]
fn buffers_smaller_than_a_read_work() {
    let (folder, input) = with_input(20_000);
    for policy in ["wait", "drop-newest", "detach"] {
        let args = [
            "--on-full",
            policy,
            "copy",
            "buffer=1@one",
            &helper::exec("buffer=4095", "cat three"),
        ];
        let ended = folder
            .start_with(&args, folder.open("input"), Stdio::piped())
            .end();
        let one = folder.read("one");
        assert_eq!(ended.count(1, "written"), one.len() as u64);
        if policy == "wait" {
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            assert_same(&folder.read("copy"), &input);
            assert_same(&one, &input);
            assert_same(&folder.read("three"), &input);
        }
    }
}

#[test]
fn policies_of_one_sink_leave_the_others_theirs() {
    let (folder, input) = (Folder::new(), random(4 * MIB));
    let args = [
        "--on-full=drop-newest",
        "--buffer=4M",
        "-",
        &folder.tap("buffer=64K,on-full=detach"),
    ];
    let (mut running, stalled) = folder.start_stalled_on(&args, &input);
    assert_same(&running.read_stdout(), &input);
    let ended = running.end();
    drop(stalled);
    assert_eq!(
        (ended.outcome(0), ended.outcome(1)),
        ("complete", "detached")
    );
}

#[cfg(target_os = "linux")]
mod memory {
    use super::*;

    const BUFFERS: usize = 2 * 4 * MIB;
    /// The program itself, and what allocators keep.
    const OVERHEAD: usize = 8 * MIB;

    fn start(folder: &Folder) -> (common::Running, std::fs::File) {
        let args = ["--buffer=4M", "-", &folder.tap("on-full=drop-newest")];
        folder.start_stalled(&args, Stdio::piped())
    }

    #[test]
    fn memory_stays_within_the_buffers_however_large_the_input() {
        let (folder, block) = with_input(MIB);
        let (mut running, mut stalled) = start(&folder);
        let feeder = running.feed(block.repeat(128));
        assert_eq!(running.read_stdout().len(), 128 * MIB);
        feeder.join().unwrap();
        let peak = running.peak_memory();
        assert_eq!(read_all(&mut stalled)[..MIB], block);
        assert_eq!(running.end().outcome(1), "dropped");
        assert!(peak < BUFFERS + OVERHEAD, "{peak} bytes");
    }

    #[test]
    fn memory_stays_within_the_buffers_however_small_the_pieces_of_the_input() {
        use std::io::Write;
        for piece in [2_100, 6_000, 20_000] {
            let (folder, block) = with_input(piece);
            let (mut running, mut stalled) = start(&folder);
            let mut stdin = running.stdin.take().unwrap();
            for _ in 0..6 * MIB / piece {
                stdin.write_all(&block).unwrap();
                // One by one: the next comes when this one is through.
                assert_eq!(running.read_exactly(piece), block);
            }
            let peak = running.peak_memory();
            drop(stdin);
            running.read_stdout();
            assert_same(&read_all(&mut stalled)[..piece], &block);
            assert_eq!(running.end().outcome(1), "dropped");
            assert!(peak < BUFFERS + OVERHEAD, "{peak} bytes, pieces of {piece}");
        }
    }
}
