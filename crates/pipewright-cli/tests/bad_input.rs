//! What is wrong is named, with the system's error, and the others go on.

#[cfg(test)]
mod common;

use common::system::BROKEN_PIPES;
use common::{Folder, MIB, assert_same, helper, random};

fn is_broken_pipe(complaint: &str) -> bool {
    BROKEN_PIPES.iter().any(|error| complaint.contains(error))
}

#[test]
fn a_command_that_fails() {
    let (folder, input) = (Folder::new(), random(MIB));
    let failing = helper::exec("name=failing", "fail 3 all");
    let ended = folder.run(&["before", &failing, "-"], &input);
    assert_eq!((ended.code, ended.outcome(1)), (1, "failed"));
    assert_eq!(ended.sink(1)["exit_status"], 3);
    let complaint = ended.complaint("failing");
    assert!(complaint.contains("exited with status 3"), "{complaint}");
    for got in [&folder.read("before"), &folder.read("all"), &ended.stdout] {
        assert_same(got, &input);
    }
}

#[test]
fn a_reader_that_dies_at_any_byte() {
    for len in [0, 1, 4095, 65_536, 65_537, 300_000, 1_000_003] {
        let folder = Folder::new();
        let input = random(3 * MIB);
        let dying = helper::exec("name=dying,buffer=64K", &format!("head {len} part"));
        let ended = folder.run(&["copy", &dying, "-"], &input);
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        assert_same(&folder.read("copy"), &input);
        assert_same(&ended.stdout, &input);
        assert_same(&folder.read("part"), &input[..len]);
        let complaint = ended.complaint("dying");
        assert!(is_broken_pipe(complaint), "{complaint}");
        let written = ended.count(1, "written");
        let at_most = written + ended.count(1, "in_doubt");
        assert!(
            at_most >= len as u64 && written < input.len() as u64,
            "{written}, {at_most}"
        );
    }
}

#[test]
fn a_reader_of_standard_output_that_dies_kills_nobody() {
    let (folder, input) = (Folder::new(), random(2 * MIB));
    let mut running = folder.start(&["-", "copy"]);
    drop(running.stdout.take());
    running.feed(input.clone()).join().unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert!(is_broken_pipe(ended.complaint("-")), "{}", ended.stderr);
    assert_same(&folder.read("copy"), &input);
}

#[test]
fn nothing_is_read_when_every_sink_has_failed() {
    // The input never ends.
    let folder = Folder::new();
    let ended = {
        let mut running = folder.start(&["missing/file", "."]);
        let _open = running.stdin.take();
        running.end()
    };
    assert_eq!((ended.code, ended.bytes_read()), (1, 0));

    let mut running = folder.start(&["-"]);
    drop(running.stdout.take());
    let mut stdin = running.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"data").unwrap();
    let ended = running.end();
    assert_eq!((ended.code, ended.bytes_read()), (1, 4));
}

#[test]
fn a_command_line_that_makes_no_sense_touches_nothing() {
    let folder = Folder::new();
    for (args, said) in [
        (&[][..], "required"),
        (&["out", "gopher:x"], "no kind of sink 'gopher:'"),
        (&["out", "tcp:localhost:http"], "a port is a number"),
        (&["out", "retry=1@-"], "cannot be opened again"),
        (&["out", "buffr=1M@x"], "no option 'buffr'"),
        (
            &["out", "buffer=0@x"],
            "'buffer=0@x': a buffer of 0 bytes could hold nothing",
        ),
        (
            &["out", "on-full=explode@x"],
            "'explode' is not one of: wait, drop-newest",
        ),
        (&["out", "buffer=1M"], "no target"),
        (&["out", "exec:"], "nothing follows 'exec:'"),
        (&["out", ""], "no target"),
        (
            &["--buffer=0", "out"],
            "a buffer of 0 bytes could hold nothing",
        ),
        (&["--buffer=x", "out"], "'--buffer <SIZE>'"),
        (&["--linger=-1", "out"], "'--linger <TIME>'"),
        (&["--on-full=never", "out"], "'--on-full <POLICY>'"),
        (&["--no-such-option", "out"], "--no-such-option"),
        (&["relay", "out"], "'relay' comes before"),
    ] {
        let ended = folder.run(args, b"data");
        assert_eq!(ended.code, 2, "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
    assert!(!common::exists(&folder.path("out")));
}
