//! Named pipes and commands of Windows.

#![cfg(windows)]

#[cfg(test)]
mod common;

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use common::system::{Tap, open_pipe, said_of_an_absent_socket, serve, server};
use common::{Folder, MIB, assert_same, helper, random, read_all};

#[test]
fn a_named_pipe_gets_everything() {
    let (folder, input) = (Folder::new(), random(MIB));
    let (pipe, name) = server(1000);
    let reader = serve(pipe);
    let ended = folder.run(&["copy", &name], &input);
    assert_same(&reader.join().unwrap(), &input);
    assert_same(&folder.read("copy"), &input);
    assert_eq!((ended.code, &ended.sink(1)["kind"]), (0, &"pipe".into()));
}

#[test]
fn a_named_pipe_that_is_not_there_is_an_error_unless_there_is_time() {
    let folder = Folder::new();
    let name = format!(r"\\.\pipe\{}", Tap::new(1001).name());
    let ended = folder.run(&["copy", &name.replace('\\', "/")], b"data");
    assert_eq!((ended.code, ended.outcome(1)), (1, "failed"));
    assert_eq!(ended.sink(1)["os_error"], 2);

    let mut running = folder.start(&["--connect-timeout=50s", "-", &name]);
    let feeder = running.feed(b"data".to_vec());
    // Everything was read, and nobody serves yet.
    assert_eq!(running.read_stdout(), b"data");
    let (pipe, _) = server(1001);
    assert_eq!(serve(pipe).join().unwrap(), b"data");
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_named_pipe_that_is_busy_is_waited_for() {
    let folder = Folder::new();
    let (mut pipe, name) = server(1002);
    // Takes the only place.
    let other = File::options().write(true).open(&name).unwrap();
    let taken = pipe.accept(Duration::MAX).unwrap();
    let ended = folder.run(&["--connect-timeout=50ms", &name], b"data");
    assert_eq!((ended.code, ended.count(0, "written")), (1, 0));
    assert!(ended.complaint(&name).contains("busy"), "{}", ended.stderr);

    let mut running = folder.start(&["-", &name]);
    let feeder = running.feed(b"data".to_vec());
    assert_eq!(running.read_stdout(), b"data");
    drop((other, taken));
    assert_eq!(serve(pipe).join().unwrap(), b"data");
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
}

#[test]
fn a_named_pipe_is_connected_again_for_what_was_not_taken() {
    let (folder, input) = (Folder::new(), random(8 * MIB));
    let (mut pipe, name) = server(1004);
    let sink = format!("name=peer,retry=always@{name}");
    let mut running = folder.start(&[&sink, "copy"]);
    let feeder = running.feed(input.clone());
    let mut reader = File::from(pipe.accept(Duration::MAX).unwrap());
    let mut first = vec![0; 100_000];
    reader.read_exact(&mut first).unwrap();
    drop((reader, pipe));
    running.wait_for("'peer' will be opened again");
    let (pipe, _) = server(1004);
    let rest = serve(pipe).join().unwrap();
    feeder.join().unwrap();
    let ended = running.end();
    assert!(ended.count(0, "retries") >= 1);
    assert_same(&first, &input[..first.len()]);
    // What lay in the first pipe is gone, and nobody can say how much it was.
    assert_same(&rest, &input[input.len() - rest.len()..]);
    assert!(rest.len() > MIB, "{}", rest.len());
    let doubtful = ended.count(0, "in_doubt");
    assert_eq!(ended.count(0, "written") + doubtful, input.len() as u64);
    assert_same(&folder.read("copy"), &input);
}

#[test]
fn a_listening_sink_may_have_its_full_name_and_serves_one_reader() {
    let folder = Folder::new();
    let name = Tap::new(1003);
    let typed = format!(r"listen:\\.\pipe\{}", name.name());
    let mut running = folder.start(&[&typed]);
    let mut reader = open_pipe(name.name());
    let feeder = running.feed(b"data".to_vec());
    reader.read_exact(&mut [0; 4]).unwrap();
    let second = File::open(format!(r"\\.\pipe\{}", name.name()));
    assert!(second.is_err(), "there is nothing for a second one");
    assert_eq!(read_all(&mut reader), b"");
    feeder.join().unwrap();
    assert_eq!(running.end().code, 0);
}

#[test]
fn names_that_lead_nowhere_are_refused() {
    let folder = Folder::new();
    let too_long = format!("unix:{}", "x".repeat(200));
    for (bad, said) in [
        (r"listen:C:\tap", r"must begin with \\.\pipe\"),
        (r"listen:\\.\pipe\a\b", "backslash after the prefix"),
        (r"listen:\\host\pipe\x", "another computer"),
        (r"\\host\pipe\x", "another computer"),
        ("//./pipe/a/b", "slash"),
        (r"\\.\pipe\", "nothing follows"),
        ("unix:x", said_of_an_absent_socket()),
        (&*too_long, "at most 107 bytes"),
    ] {
        let ended = folder.run(&[bad, "copy"], b"data");
        assert_eq!((ended.code, ended.outcome(0)), (1, "failed"), "{bad}");
        assert!(ended.complaint(bad).contains(said), "{}", ended.stderr);
        assert_eq!(folder.text("copy"), "data");
    }
    let tap = folder.tap("");
    let ended = folder.run(
        &[
            "--connect-timeout=10ms",
            &tap,
            &tap.replace("stalled", "twice"),
        ],
        b"",
    );
    assert!(
        ended
            .complaint("twice")
            .contains("same file or pipe as 'stalled'")
    );
}

#[test]
fn what_is_in_the_way_of_a_file_is_named() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).unwrap();
    for (bad, code, said) in [
        ("folder", 5, "it is a folder"),
        (r"missing\file", 3, "(os error 3)"),
    ] {
        let ended = folder.run(&[bad, "copy"], b"data");
        assert_eq!(ended.sink(0)["os_error"], code, "{}", ended.stderr);
        assert!(ended.complaint(bad).contains(said), "{}", ended.stderr);
        assert_eq!(folder.text("copy"), "data");
    }
}

#[test]
fn a_command_keeps_its_quotes() {
    let folder = Folder::new();
    let ended = folder.run(&[r#"exec:findstr "ell" > "o ut@x=y,z""#], b"hello\r\n");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(folder.text("o ut@x=y,z"), "hello\r\n");
}

#[test]
fn commands_write_to_the_standard_output_of_the_run() {
    let ended = Folder::new().run(&["exec:findstr ell"], b"hello\r\n");
    assert_eq!(ended.stdout, b"hello\r\n", "{}", ended.stderr);
}

#[test]
fn a_command_of_two_lines_is_refused_and_not_cut() {
    let folder = Folder::new();
    let ended = folder.run(&["name=two@exec:echo 1 > one\necho 2 > two"], b"");
    assert_eq!((ended.code, ended.outcome(0)), (1, "failed"));
    assert!(
        ended.complaint("two").contains("first line"),
        "{}",
        ended.stderr
    );
    assert!(!common::exists(&folder.path("one")));
}

#[test]
fn commands_that_are_stopped_end_with_all_that_they_started() {
    let folder = Folder::new();
    // The shell starts the helper, which would wait for a minute.
    let stuck = helper::exec("name=stuck", "until released");
    let ended = folder.run(&["--linger=100ms", &stuck], b"data");
    // Its standard error, which they all share, has ended by now.
    assert_eq!((ended.code, ended.outcome(0)), (1, "stopped"));
    assert_eq!(ended.sink(0)["exit_status"], 143);
}
