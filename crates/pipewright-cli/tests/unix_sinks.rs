//! The kinds of sinks that Unix has, and shell commands as its shell runs them.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use common::{Folder, MIB, assert_same, exists, random, read_all};

#[test]
fn a_command_is_run_as_the_shell_would() {
    let folder = Folder::new();
    let ended = folder.run(&["exec:tr a-z A-Z > 'o ut@x=y,z:1'"], b"hello");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(folder.text("o ut@x=y,z:1"), "HELLO");
    assert_eq!(ended.sink(0)["exit_status"], 0);
}

#[test]
fn commands_write_to_the_standard_output_of_the_run() {
    let ended = Folder::new().run(&["exec:wc -c"], b"hello");
    assert_eq!(String::from_utf8(ended.stdout).unwrap().trim(), "5");
}

#[test]
fn a_run_ends_after_its_commands() {
    let folder = Folder::new();
    folder.fifo("gate");
    let mut running = folder.start(&["exec:cat > /dev/null; cat gate > late"]);
    drop(running.stdin.take());
    // Until somebody writes here, the command cannot end.
    File::options()
        .write(true)
        .open(folder.path("gate"))
        .unwrap()
        .write_all(b"done")
        .unwrap();
    assert_eq!(running.end().code, 0);
    assert_eq!(folder.text("late"), "done");
}

#[test]
fn names_that_look_like_something_else_are_files_when_asked_for() {
    let folder = Folder::new();
    let args = [
        "file:-",
        "./a=b@c",
        "./exec:x",
        "file:tcp:y",
        "12:30",
        "a:b",
    ];
    assert_eq!(folder.run(&args, b"data").code, 0);
    for name in ["-", "a=b@c", "exec:x", "tcp:y", "12:30", "a:b"] {
        assert_eq!(folder.text(name), "data", "{name}");
    }
}

#[test]
fn a_device_takes_everything() {
    let ended = Folder::new().run(&["/dev/null", "/dev/null"], &random(MIB));
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.sink(0)["kind"], "device");
}

/// As in `pipewright >(sha256sum)`, where the shell says `/dev/fd/63`.
#[cfg(target_os = "linux")]
#[test]
fn a_path_may_lead_to_a_pipe_that_is_open() {
    let input = random(MIB);
    let ended = Folder::new().run(&["/dev/stdout"], &input);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_same(&ended.stdout, &input);
}

#[test]
fn a_fifo_gets_everything_from_the_first_byte_however_late_its_reader_comes() {
    let (folder, input) = (Folder::new(), random(MIB));
    folder.fifo("late");
    let mut running = folder.start(&["-", "late"]);
    let feeder = running.feed(input.clone());
    // The other sink has got everything before the reader comes.
    assert_same(&running.read_stdout(), &input);
    let mut reader = File::open(folder.path("late")).unwrap();
    assert_same(&read_all(&mut reader), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(1)["kind"]), (0, &"fifo".into()));
    assert!(exists(&folder.path("late")), "it was not ours to remove");
}

#[test]
fn an_empty_input_ends_what_a_fifos_reader_reads() {
    let folder = Folder::new();
    folder.fifo("fifo");
    let mut running = folder.start(&["-", "fifo"]);
    drop(running.stdin.take());
    assert_eq!(running.read_stdout(), b"");
    // The end was seen before the reader comes.
    assert_eq!(read_all(&mut File::open(folder.path("fifo")).unwrap()), b"");
    assert_eq!(running.end().code, 0);
}

#[test]
fn listen_makes_a_private_fifo_and_removes_it() {
    let (folder, input) = (Folder::new(), random(MIB));
    let mut running = folder.start(&["copy", "listen:tap"]);
    let feeder = running.feed(input.clone());
    while !exists(&folder.path("tap")) {
        std::thread::yield_now();
    }
    let mode = folder.path("tap").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert_same(
        &read_all(&mut File::open(folder.path("tap")).unwrap()),
        &input,
    );
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(1)["kind"]), (0, &"listen".into()));
    assert!(!exists(&folder.path("tap")));
}

#[test]
fn listen_leaves_alone_what_it_did_not_make() {
    let folder = Folder::new();
    folder.fifo("mine");
    let reader = folder.reader("mine");
    let mut running = folder.start(&["listen:mine"]);
    let feeder = running.feed(b"data".to_vec());
    assert_eq!(read_all(&mut reader.join().unwrap()), b"data");
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
    assert!(exists(&folder.path("mine")));

    let mut running = folder.start(&["--connect-timeout=30", "listen:other"]);
    while !exists(&folder.path("other")) {
        std::thread::yield_now();
    }
    let reader = folder.reader("other");
    let mut reader = reader.join().unwrap();
    std::fs::remove_file(folder.path("other")).unwrap();
    folder.write("other", b"somebody else's");
    drop(running.stdin.take());
    read_all(&mut reader);
    assert_eq!(running.end().code, 0);
    assert_eq!(folder.text("other"), "somebody else's");
}

#[test]
fn the_reader_of_standard_output_sees_its_end_before_the_others_are_done() {
    let folder = Folder::new();
    folder.fifo("gate");
    let mut running = folder.start(&["-", "exec:exec > /dev/null 2>&1; cat gate"]);
    let feeder = running.feed(b"all of it".to_vec());
    assert_eq!(running.read_stdout(), b"all of it");
    drop(
        File::options()
            .write(true)
            .open(folder.path("gate"))
            .unwrap(),
    );
    feeder.join().unwrap();
    running.end();
}

#[test]
fn a_file_that_is_named_twice_is_written_once() {
    let folder = Folder::new();
    folder.write("out", b"");
    std::os::unix::fs::symlink("out", folder.path("link")).unwrap();
    std::fs::hard_link(folder.path("out"), folder.path("hard")).unwrap();
    let ended = folder.run(
        &["out", "link", "./out", "hard", "-", "name=again@-"],
        b"data",
    );
    assert_eq!(ended.code, 1);
    for (name, same) in [
        ("link", "'out'"),
        ("./out", "'out'"),
        ("hard", "'out'"),
        ("again", "'-'"),
    ] {
        let same = format!("same file or pipe as {same}");
        assert!(ended.complaint(name).contains(&same), "{}", ended.stderr);
    }
    assert_eq!(folder.text("out"), "data");
    assert_eq!(ended.stdout, b"data");
}
