//! Retries where the system says what a pipe still holds when its reader has died:
//! every byte is accounted for, or sent again.

#![cfg(target_os = "linux")]

#[cfg(test)]
mod common;

use std::io::{Read, Write};
use std::process::Stdio;

use common::{Ended, Folder, MIB, assert_same, random, read_all};

/// What the parts that the openings of a command have left come to.
fn parts(folder: &Folder, count: usize) -> Vec<u8> {
    (1..=count)
        .flat_map(|part| folder.read(&format!("part{part}")))
        .collect()
}

/// A command that takes `len` bytes in its first openings, of which there are
/// `deaths`, and everything in the next.
fn dying(len: usize, deaths: usize) -> String {
    format!(
        "echo >> openings; n=$(($(wc -l < openings))); \
         if [ $n -le {deaths} ]; then head -c {len} > part$n; else cat > part$n; fi"
    )
}

fn run_dying(options: &str, len: usize, deaths: usize, input: &[u8]) -> (Folder, Ended) {
    let folder = Folder::new();
    folder.write("input", input);
    let sink = format!("name=dying,{options}@exec:{}", dying(len, deaths));
    let args = [&*sink, "copy"];
    let ended = folder
        .start_with(&args, folder.open("input"), Stdio::piped())
        .end();
    assert_same(&folder.read("copy"), input);
    (folder, ended)
}

#[test]
fn a_command_that_dies_is_started_again_and_what_it_left_unread_is_counted() {
    let input = random(2 * MIB);
    for len in [0, 1, 70_000, 300_001] {
        let (folder, ended) = run_dying("retry=5", len, 2, &input);
        assert_eq!(ended.outcome(0), "lost", "{}", ended.stderr);
        assert_eq!(ended.code, 1);
        assert_eq!(ended.count(0, "retries"), 2);
        let unread = ended.count(0, "unread");
        let got = parts(&folder, 3);
        assert_eq!(got.len() as u64 + unread, input.len() as u64, "{len}");
        assert_eq!(ended.count(0, "written"), input.len() as u64);
        // Nothing twice, and nothing in the wrong order: the last opening got the
        // end of the input.
        assert_same(&folder.read("part1"), &input[..len]);
        let last = folder.read("part3");
        assert_same(&last, &input[input.len() - last.len()..]);
        let complaint = ended.complaint("dying");
        assert!(
            complaint.contains(&format!("{unread} of them died unread")),
            "{complaint}"
        );
    }
}

#[test]
fn what_died_unread_is_sent_again_when_asked_for() {
    let input = random(2 * MIB);
    for (len, deaths) in [(0, 1), (1, 3), (70_000, 2), (300_001, 3)] {
        for buffer in ["4K", "100K", "16M"] {
            let options = format!("retry=always,in-doubt=resend,buffer={buffer}");
            let (folder, ended) = run_dying(&options, len, deaths, &input);
            assert_eq!(ended.code, 0, "{}", ended.stderr);
            assert_eq!(ended.outcome(0), "complete");
            assert_eq!(ended.count(0, "retries"), deaths as u64);
            assert_eq!(ended.count(0, "unread"), 0);
            assert_same(&parts(&folder, deaths + 1), &input);
        }
    }
}

/// While this process has the FIFO open, nothing in it is lost.
#[test]
fn the_next_reader_of_a_fifo_goes_on_at_the_very_byte() {
    let (folder, input) = (Folder::new(), random(4 * MIB));
    folder.fifo("fifo");
    let reader = folder.reader("fifo");
    let mut running = folder.start(&["retry=2@fifo", "copy"]);
    let feeder = running.feed(input.clone());
    let mut got = vec![0; 100_001];
    let mut reader = reader.join().unwrap();
    reader.read_exact(&mut got).unwrap();
    drop(reader);
    running.wait_for("'fifo' will be opened again");
    let mut reader = folder.reader("fifo").join().unwrap();
    got.extend(read_all(&mut reader));
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(
        (ended.code, ended.outcome(0)),
        (0, "complete"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.count(0, "retries"), 1);
    assert_same(&got, &input);
}

#[test]
fn what_comes_meanwhile_waits_in_the_buffer_or_is_dropped() {
    let (folder, input) = (Folder::new(), random(8 * MIB));
    folder.fifo("gate");
    // The first opening ends at once but for the command, which holds the next up.
    let command = "echo >> openings; [ $(wc -l < openings) -gt 1 ] && exec cat > got; \
                   exec < /dev/null > /dev/null 2>&1; cat gate";
    let sink = format!("name=late,retry=1,on-full=drop-oldest,buffer=1M@exec:{command}");
    let mut running = folder.start(&["-", &sink]);
    let mut stdin = running.stdin.take().unwrap();
    let data = input.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(&data).map(|()| stdin));
    assert_same(&running.read_exactly(input.len()), &input);
    running.wait_for("'late' will be opened again");
    let open = feeder.join().unwrap().unwrap();
    drop(
        std::fs::File::options()
            .write(true)
            .open(folder.path("gate"))
            .unwrap(),
    );
    drop(open);
    let ended = running.end();
    let got = folder.read("got");
    assert!(got.len() <= MIB && got.len() > MIB / 2, "{}", got.len());
    // All but what the first opening had been given, and has given back, is new.
    assert_same(&got[got.len() - MIB / 2..], &input[input.len() - MIB / 2..]);
    let lost = ended.count(1, "unread") + ended.count(1, "dropped");
    assert_eq!(
        got.len() as u64 + lost,
        input.len() as u64,
        "{}",
        ended.stats
    );
    assert_eq!(ended.count(1, "retries"), 1);
}
