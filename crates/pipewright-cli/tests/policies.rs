//! What each policy drops, and that it costs the other sinks nothing.

#[cfg(test)]
mod common;

use std::io::Write;
use std::process::Stdio;

use common::{Folder, MIB, PATIENT, assert_same, helper, random, read_all};

/// Numbered lines of very different lengths.
fn lines(count: usize) -> String {
    (0..count)
        .map(|number| format!("{number} {}\n", "x".repeat(number * 7919 % 300)))
        .collect()
}

#[test]
fn a_stalled_sink_among_four_costs_the_others_nothing() {
    let input = random(16 * MIB);
    for policy in ["detach", "drop-newest", "drop-oldest"] {
        let folder = Folder::new();
        folder.write("input", &input);
        let stalled = folder.tap(&format!("on-full={policy},buffer=128K"));
        let args = ["copy", &stalled, "-", &helper::exec("", "cat piped")];
        let (mut running, mut reader) = folder.start_stalled(&args, folder.open("input"));
        assert_same(&running.read_stdout(), &input);
        // Only now the stalled one is read.
        let got = read_all(&mut reader);
        let ended = running.end();
        assert_eq!(ended.code, 1, "{policy}: {}", ended.stderr);
        assert_same(&folder.read("copy"), &input);
        assert_same(&folder.read("piped"), &input);
        for sink in [0, 2, 3] {
            assert_eq!(ended.outcome(sink), "complete", "{policy}");
        }
        assert_eq!(ended.count(1, "written"), got.len() as u64, "{policy}");
        assert!(got.len() < input.len() / 2, "{policy}: {}", got.len());
    }
}

#[test]
fn under_wait_three_sinks_run_until_the_fourths_buffer_is_full() {
    let folder = Folder::new();
    let input = random(4 * MIB);
    folder.write("input", &input);
    let late = folder.tap("buffer=1M");
    let args = ["copy", &late, "-", &helper::exec("", "cat piped")];
    let mut running = folder.start_with(&args, folder.open("input"), Stdio::piped());
    // A buffer of 1 MiB that nobody reads from, and the block that does not fit.
    let mut got = running.read_exactly(MIB + 1);
    let mut reader = folder.open_tap();
    let late = std::thread::spawn(move || read_all(&mut reader));
    got.extend(running.read_stdout());
    assert_same(&got, &input);
    assert_same(&late.join().unwrap(), &input);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_same(&folder.read("copy"), &input);
    assert_same(&folder.read("piped"), &input);
}

#[test]
fn drop_oldest_keeps_the_end_and_drop_newest_the_beginning() {
    let input = random(MIB);
    for buffer in [1, 1000, 100_000] {
        for (policy, end) in [("drop-newest", false), ("drop-oldest", true)] {
            let folder = Folder::new();
            folder.write("input", &input);
            let late = folder.tap(&format!("{PATIENT},on-full={policy},buffer={buffer}"));
            let mut running =
                folder.start_with(&["-", &late], folder.open("input"), Stdio::piped());
            assert_same(&running.read_stdout(), &input);
            let got = read_all(&mut folder.open_tap());
            let ended = running.end();
            assert!(
                got.len() <= buffer && got.len() > buffer / 2,
                "{}",
                got.len()
            );
            let expected = if end {
                &input[input.len() - got.len()..]
            } else {
                &input[..got.len()]
            };
            assert_same(&got, expected);
            assert_eq!(ended.count(1, "dropped"), (input.len() - got.len()) as u64);
            assert_eq!(ended.outcome(1), "dropped");
        }
    }
}

#[test]
fn drop_oldest_keeps_the_order_and_counts_what_was_dropped_between_what_arrived() {
    let folder = Folder::new();
    // Every word says where it was.
    let input: Vec<u8> = (0..MIB as u64).flat_map(u64::to_le_bytes).collect();
    folder.write("input", &input);
    let args = ["-", &folder.tap("on-full=drop-oldest,buffer=256K")];
    let (mut running, mut stalled) = folder.start_stalled(&args, folder.open("input"));
    assert_same(&running.read_stdout(), &input);
    let got = read_all(&mut stalled);
    let ended = running.end();
    let words: Vec<u64> = got
        .chunks(8)
        .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
        .collect();
    assert!(words.is_sorted_by(|before, after| before < after));
    assert_eq!(words.last(), Some(&(MIB as u64 - 1)));
    assert!(got.len() > 128 << 10, "{}", got.len());
    assert_eq!(ended.count(1, "dropped"), (input.len() - got.len()) as u64);
}

#[test]
fn with_lines_what_arrives_are_whole_lines() {
    let input = lines(20_000);
    for policy in ["drop-newest", "drop-oldest"] {
        let folder = Folder::new();
        folder.write("input", input.as_bytes());
        let stalled = folder.tap(&format!("on-full={policy},buffer=100K"));
        let args = ["--lines", "-", &stalled];
        let (mut running, mut reader) = folder.start_stalled(&args, folder.open("input"));
        assert_same(&running.read_stdout(), input.as_bytes());
        let got = String::from_utf8(read_all(&mut reader)).unwrap();
        let ended = running.end();
        let mut all = input.split_inclusive('\n');
        for line in got.split_inclusive('\n') {
            assert!(all.any(|whole| whole == line), "{policy}: {line:?}");
        }
        assert_eq!(ended.count(1, "dropped"), (input.len() - got.len()) as u64);
        assert!(got.len() > 100_000, "{}", got.len());
        match policy {
            "drop-oldest" => {
                let last = input.split_inclusive('\n').next_back().unwrap();
                assert!(got.ends_with(last));
            }
            // Nothing is dropped before the buffer is full.
            _ => assert_same(&got.as_bytes()[..100_000], &input.as_bytes()[..100_000]),
        }
    }
}

#[test]
fn with_lines_a_line_larger_than_the_buffer_is_dropped_and_the_others_arrive() {
    for policy in ["drop-newest", "drop-oldest"] {
        let folder = Folder::new();
        let long = "y".repeat(100_000);
        let input = format!("before\n{long}\nafter\nwithout an end");
        let late = folder.tap(&format!("{PATIENT},on-full={policy},buffer=50K"));
        let mut running = folder.start(&["--lines", "-", &late, "copy"]);
        running.feed(input.clone().into_bytes()).join().unwrap();
        assert_same(&running.read_stdout(), input.as_bytes());
        let got = read_all(&mut folder.open_tap());
        let ended = running.end();
        let got = String::from_utf8(got).unwrap();
        // The line that was too long has pushed out the oldest.
        let expected = match policy {
            "drop-newest" => "before\nafter\nwithout an end",
            _ => "after\nwithout an end",
        };
        assert_eq!(got, expected, "{policy}");
        assert_eq!(ended.outcome(2), "complete");
        assert_same(&folder.read("copy"), input.as_bytes());
    }
}

#[test]
fn without_a_full_buffer_lines_change_nothing() {
    let folder = Folder::new();
    let input = random(3 * MIB);
    let args = [
        "--lines",
        "--on-full=drop-newest",
        "copy",
        "on-full=wait,buffer=5@-",
    ];
    let ended = folder.run(&args, &input[..200_000]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_same(&ended.stdout, &input[..200_000]);
    assert_same(&folder.read("copy"), &input[..200_000]);
}

#[test]
fn a_line_arrives_as_soon_as_it_has_its_end() {
    let folder = Folder::new();
    let mut running = folder.start(&["--lines", "on-full=drop-oldest@-"]);
    let mut stdin = running.stdin.take().unwrap();
    stdin.write_all(b"one\ntw").unwrap();
    assert_eq!(running.read_exactly(4), b"one\n");
    stdin.write_all(b"o\n").unwrap();
    assert_eq!(running.read_exactly(4), b"two\n");
    drop(stdin);
    assert_eq!(running.end().code, 0);
}
