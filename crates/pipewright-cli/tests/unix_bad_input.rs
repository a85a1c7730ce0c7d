//! What can be wrong on Unix is named, with the system's error, and the others go on.

#![cfg(unix)]

#[cfg(test)]
mod common;

use std::fs::File;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Stdio;

use common::{Folder, MIB, assert_same, random, read_all};

/// Runs a bad sink between two good ones. What is said of it, and its error number.
fn among_good_ones(folder: &Folder, bad: &str) -> (String, Option<i64>) {
    let input = random(MIB);
    let name = bad.rsplit_once('@').map_or(bad, |(_, name)| name);
    let ended = folder.run(&["--connect-timeout=50ms", "before", bad, "-"], &input);
    assert_eq!(ended.code, 1, "{bad}: {}", ended.stderr);
    assert_same(&folder.read("before"), &input);
    assert_same(&ended.stdout, &input);
    assert_eq!(ended.outcome(1), "failed", "{bad}");
    let complaint = ended.complaint(name).to_owned();
    let got = format!("it got {} bytes", ended.count(1, "written"));
    assert!(complaint.contains(&got), "{bad}: {complaint}");
    let os_error = ended.sink(1)["os_error"].as_i64();
    if let Some(code) = os_error {
        assert!(
            complaint.contains(&format!("(os error {code})")),
            "{bad}: {complaint}"
        );
    }
    (complaint, os_error)
}

fn os_error(error: rustix::io::Errno) -> Option<i64> {
    Some(error.raw_os_error().into())
}

#[test]
fn sinks_that_cannot_be_opened() {
    use rustix::io::Errno;
    let folder = Folder::new();
    folder.write("file", b"");
    folder.fifo("nobody-reads");
    let _socket = UnixListener::bind(folder.path("socket")).unwrap();
    let _datagrams = UnixDatagram::bind(folder.path("datagrams")).unwrap();
    std::os::unix::fs::symlink("loop", folder.path("loop")).unwrap();
    for (bad, error) in [
        (".", Errno::ISDIR),
        ("missing/file", Errno::NOENT),
        ("file/file", Errno::NOTDIR),
        ("loop", Errno::LOOP),
        ("socket", Errno::NXIO),
        ("unix:missing", Errno::NOENT),
        ("unix:file", Errno::CONNREFUSED),
        ("unix:datagrams", Errno::PROTOTYPE),
        ("listen:file", Errno::EXIST),
        ("listen:missing/fifo", Errno::NOENT),
    ] {
        let (complaint, code) = among_good_ones(&folder, bad);
        assert_eq!(code, os_error(error), "{bad}: {complaint}");
    }
    let too_long = format!("unix:{}", "x".repeat(200));
    assert_eq!(
        among_good_ones(&folder, &too_long).1,
        os_error(Errno::NAMETOOLONG)
    );
    for fifo in ["nobody-reads", "listen:new", "buffer=2M@nobody-reads"] {
        let (complaint, _) = among_good_ones(&folder, fifo);
        assert!(
            complaint.contains("nobody has opened the FIFO"),
            "{complaint}"
        );
    }
    assert!(
        !common::exists(&folder.path("new")),
        "what was made is removed"
    );
}

#[test]
fn a_file_without_permission_to_write() {
    use std::os::unix::fs::PermissionsExt;
    if rustix::process::geteuid().is_root() {
        return; // Root may write everything.
    }
    let folder = Folder::new();
    folder.write("locked", b"");
    let read_only = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(folder.path("locked"), read_only).unwrap();
    let (_, code) = among_good_ones(&folder, "locked");
    assert_eq!(code, os_error(rustix::io::Errno::ACCESS));
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full() {
    let (complaint, code) = among_good_ones(&Folder::new(), "/dev/full");
    assert_eq!(code, os_error(rustix::io::Errno::NOSPC), "{complaint}");
}

#[test]
fn a_command_that_does_not_exist() {
    let (complaint, _) = among_good_ones(&Folder::new(), "exec:no-such-command-here");
    assert!(complaint.contains("not found (status 127)"), "{complaint}");
}

#[test]
fn a_command_that_fails() {
    let folder = Folder::new();
    for (bad, said) in [
        ("exec:cat > all; exit 3", "exited with status 3"),
        ("exec:exit 4", "exited with status 4"),
        ("exec:cat > /dev/null; kill -9 $$", "killed by signal 9"),
        ("exec:./before", "cannot be executed (status 126)"),
    ] {
        let (complaint, _) = among_good_ones(&folder, bad);
        assert!(complaint.contains(said), "{bad}: {complaint}");
    }
    assert_same(&folder.read("all"), &random(MIB));
}

#[test]
fn a_fifo_reader_that_dies() {
    let (folder, input) = (Folder::new(), random(2 * MIB));
    folder.fifo("fifo");
    let reader = folder.reader("fifo");
    let mut running = folder.start(&["fifo", "-"]);
    let feeder = running.feed(input.clone());
    drop(reader.join().unwrap());
    assert_same(&running.read_stdout(), &input);
    feeder.join().unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 1);
    assert!(
        ended.complaint("fifo").contains("(os error 32)"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_standard_output_that_cannot_be_written() {
    let folder = Folder::new();
    folder.write("input", b"data");
    let read_only = File::open(folder.path("input")).unwrap();
    let ended = folder
        .start_with(&["-"], Stdio::null(), read_only.into())
        .end();
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.sink(0)["os_error"].as_i64(),
        os_error(rustix::io::Errno::BADF)
    );
}

#[test]
fn a_standard_output_that_is_closed() {
    let folder = Folder::new();
    let command = format!(
        "echo data | '{}' - copy >&- 2> said; echo $?",
        common::binary().display()
    );
    assert_eq!(folder.shell(&command), "1\n");
    assert_eq!(folder.text("copy"), "data\n");
    assert!(
        folder.text("said").contains("Bad file descriptor"),
        "{}",
        folder.text("said")
    );
}

#[test]
fn an_input_that_cannot_be_read() {
    let folder = Folder::new();
    let ended = folder
        .start_with(&["copy"], folder.open("."), Stdio::piped())
        .end();
    assert_eq!(ended.code, 3);
    assert!(
        ended
            .stderr
            .contains("the input cannot be read: Is a directory (os error 21)")
    );
    assert_eq!(folder.read("copy"), b"");
}

#[test]
fn names_cannot_steer_a_terminal() {
    let ended = Folder::new().run(&["missing/\x1b[2J\n"], b"data");
    assert!(
        ended.stderr.contains("missing/\\u{1b}[2J\\n: No such file"),
        "{}",
        ended.stderr
    );
}

#[test]
fn standard_error_that_nobody_reads_is_no_reason_to_end() {
    let folder = Folder::new();
    folder.write("input", &random(MIB));
    let command = format!(
        "'{}' missing/file copy --stats json < input 2>&1 >&- | true; cat copy",
        common::binary().display()
    );
    let mut shell = std::process::Command::new("sh")
        .args(["-c", &command])
        .current_dir(folder.path("."))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_same(&read_all(shell.stdout.as_mut().unwrap()), &random(MIB));
    shell.wait().unwrap();
}
