//! A sink that fails is opened again, and goes on where the last one stopped:
//! nothing is lost that the system did not take, and nothing is sent twice.

#[cfg(test)]
mod common;

use std::io::Read;

use common::system::{BROKEN_PIPES, NOT_THERE_YET};
use common::{Folder, MIB, assert_same, helper, random, read_all};

#[test]
fn a_sink_that_fails_too_often_has_failed() {
    let (folder, input) = (Folder::new(), random(MIB));
    let command = helper::command("head 1000 part");
    let sink = format!("name=dying,retry=2@exec:echo opened>> openings && {command}");
    let ended = folder.run(&[&sink, "copy"], &input);
    assert_eq!(
        (ended.code, ended.outcome(0)),
        (1, "failed"),
        "{}",
        ended.stderr
    );
    assert_same(&folder.read("copy"), &input);
    assert_eq!(ended.count(0, "retries"), 2);
    assert_eq!(folder.text("openings").lines().count(), 3);
    let complaint = ended.complaint("dying");
    assert!(
        BROKEN_PIPES.iter().any(|pipe| complaint.contains(pipe)),
        "{complaint}"
    );
    assert!(complaint.contains("it was opened 3 times"), "{complaint}");
    let said = ended.stderr.matches("'dying' will be opened again: ");
    assert_eq!(said.count(), 2, "{}", ended.stderr);
}

/// What the first reader left unread waits for the next one on some systems, and is
/// gone on others; and some do not say what became of a write that failed.
#[test]
fn a_pipe_that_is_listened_on_is_there_again_for_the_next_reader() {
    let input = random(8 * MIB);
    for in_doubt in ["skip", "resend"] {
        let folder = Folder::new();
        let tap = folder.tap(&format!("retry=1,in-doubt={in_doubt}"));
        let (mut running, mut reader) = folder.start_stalled_on(&[&tap, "copy"], &input);
        let mut first = vec![0; 100_000];
        reader.read_exact(&mut first).unwrap();
        drop(reader);
        running.wait_for("'stalled' will be opened again");
        let rest = read_all(&mut folder.open_tap());
        let ended = running.end();
        assert_same(&first, &input[1..=first.len()]);
        assert_same(&rest, &input[input.len() - rest.len()..]);
        assert!(rest.len() > MIB, "{}", rest.len());
        assert_same(&folder.read("copy"), &input);
        assert_eq!(ended.count(0, "retries"), 1);
        let doubtful = ended.count(0, "in_doubt");
        assert_eq!(ended.count(0, "written") + doubtful, input.len() as u64);
        let expected = match (in_doubt, doubtful) {
            ("skip", 1..) => (1, "lost"),
            (_, 0) => (0, "complete"),
            _ => panic!("{doubtful} bytes are still in doubt"),
        };
        assert_eq!((ended.code, ended.outcome(0)), expected, "{}", ended.stderr);
    }
}

#[test]
fn a_command_that_ends_badly_after_everything_is_not_run_again() {
    let folder = Folder::new();
    let command = helper::command("fail 3 all");
    let sink = format!("exec:echo opened>> openings && {command}");
    let ended = folder.run(&["--retry", &sink], b"data");
    assert_eq!((ended.code, ended.outcome(0)), (1, "failed"));
    assert_eq!(ended.sink(0)["exit_status"], 3);
    assert_eq!(ended.count(0, "retries"), 0);
    assert_eq!(folder.text("openings").lines().count(), 1);
    assert_eq!(folder.text("all"), "data");
}

#[test]
fn a_sink_that_cannot_be_opened_again_fails_at_once() {
    let folder = Folder::new();
    let mut running = folder.start(&["--retry", "-", "copy"]);
    drop(running.stdout.take());
    running.feed(random(MIB)).join().unwrap();
    let ended = running.end();
    assert_eq!((ended.outcome(0), ended.count(0, "retries")), ("failed", 0));
    assert_same(&folder.read("copy"), &random(MIB));
}

#[test]
fn the_linger_time_ends_retries_too() {
    let folder = Folder::new();
    let ended = folder.run(&["--linger=300ms", "--retry", "-", NOT_THERE_YET], b"data");
    assert_eq!(
        (ended.code, ended.outcome(1)),
        (1, "stopped"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.count(1, "unsent"), 4);
}
