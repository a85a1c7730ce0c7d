//! The kinds of sinks that every system has, each as it is meant to be used.

#[cfg(test)]
mod common;

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use common::{Folder, MIB, assert_same, helper, random, read_all};

#[test]
fn a_run_ends_after_its_commands() {
    let folder = Folder::new();
    let mut running = folder.start(&["-", &helper::exec("", "cat-until piped released")]);
    let feeder = running.feed(b"data".to_vec());
    // The other sink has got everything.
    assert_eq!(running.read_exactly(4), b"data");
    folder.write("released", b"");
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.sink(1)["exit_status"], 0);
    assert_eq!(folder.text("piped"), "data");
}

#[test]
fn a_listening_sink_gets_everything_however_late_its_reader_comes() {
    let (folder, input) = (Folder::new(), random(MIB));
    let mut running = folder.start(&["-", &folder.tap("")]);
    let feeder = running.feed(input.clone());
    // The other sink has got everything before the reader comes.
    assert_same(&running.read_stdout(), &input);
    assert_same(&read_all(&mut folder.open_tap()), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!((ended.code, &ended.sink(1)["kind"]), (0, &"listen".into()));
}

#[test]
fn an_empty_input_ends_what_a_late_reader_reads() {
    let folder = Folder::new();
    let mut running = folder.start(&["-", &folder.tap("")]);
    drop(running.stdin.take());
    assert_eq!(running.read_stdout(), b"");
    assert_eq!(read_all(&mut folder.open_tap()), b"");
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_listening_sink_whose_reader_never_comes_is_given_up_in_time() {
    let (folder, input) = (Folder::new(), random(MIB));
    let tap = folder.tap("");
    let ended = folder.run(&["--connect-timeout=50ms", "-", &tap], &input);
    assert_eq!(ended.code, 1);
    assert_same(&ended.stdout, &input);
    assert_eq!(ended.outcome(1), "failed");
    assert_eq!(ended.count(1, "written"), 0);
}

#[test]
fn a_file_that_has_two_names_is_written_once() {
    let folder = Folder::new();
    folder.write("out", b"");
    std::fs::hard_link(folder.path("out"), folder.path("hard")).unwrap();
    let ended = folder.run(&["out", "hard", "./out", "-", "name=again@-"], b"data");
    assert_eq!(ended.code, 1);
    for (name, same) in [("hard", "'out'"), ("./out", "'out'"), ("again", "'-'")] {
        let same = format!("same file or pipe as {same}");
        assert!(ended.complaint(name).contains(&same), "{}", ended.stderr);
    }
    assert_eq!(folder.text("out"), "data");
    assert_eq!(ended.stdout, b"data");
}

#[test]
fn a_file_is_emptied_first() {
    let folder = Folder::new();
    folder.write("out", b"what was there before");
    assert_eq!(folder.run(&["out"], b"new").code, 0);
    assert_eq!(folder.text("out"), "new");
}

#[test]
fn a_file_that_is_the_input_keeps_its_contents() {
    let folder = Folder::new();
    folder.write("precious", b"data");
    let args = ["precious", "copy"];
    let ended = folder
        .start_with(&args, folder.open("precious"), Stdio::piped())
        .end();
    assert_eq!(ended.code, 1);
    assert!(
        ended.complaint("precious").contains("the input"),
        "{}",
        ended.stderr
    );
    assert_eq!(folder.text("precious"), "data");
    assert_eq!(folder.text("copy"), "data");

    let appended = File::options()
        .append(true)
        .open(folder.path("precious"))
        .unwrap();
    let ended = folder
        .start_with(&["-"], folder.open("precious"), appended.into())
        .end();
    assert_eq!(ended.code, 1);
    assert_eq!(folder.text("precious"), "data");
}

#[test]
fn standard_output_may_be_a_file_or_nothing() {
    let folder = Folder::new();
    let out = File::create(folder.path("out")).unwrap();
    folder.write("input", b"data");
    let ended = folder
        .start_with(&["-"], folder.open("input"), out.into())
        .end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(folder.text("out"), "data");

    let null = File::options()
        .write(true)
        .open(common::system::NULL)
        .unwrap();
    let ended = folder
        .start_with(&["-"], folder.open("input"), null.into())
        .end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn help_and_version_are_printed() {
    let folder = Folder::new();
    for (arg, text) in [
        ("--help", "exec:COMMAND"),
        ("-h", "exec:COMMAND"),
        ("-V", "pipewright 0"),
    ] {
        let mut running = folder.start(&[arg]);
        let mut out = String::new();
        running
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut out)
            .unwrap();
        assert!(out.contains(text), "{out}");
        assert_eq!(running.end().code, 0);
    }
}
