//! What `--progress` shows where there is no terminal.

#[cfg(test)]
mod common;

use std::thread;

use common::{Folder, MIB, assert_same, random, read_all};

#[test]
fn plain_lines_come_now_and_then_also_while_everything_is_stalled() {
    for option in ["--progress=plain", "--progress=always"] {
        let folder = Folder::new();
        let args = [option, "--size=8M", "-", &folder.tap("buffer=1M")];
        folder.write("input", &random(4 * MIB));
        let (mut running, mut stalled) = folder.start_stalled(&args, folder.open("input"));
        let mut got = running.read_exactly(MIB);
        running.wait_for_times("  stalled 0:", 2);
        let other = thread::spawn(move || read_all(&mut stalled));
        got.extend(running.read_stdout());
        assert_same(&other.join().unwrap(), &got);
        let ended = running.end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(ended.stderr.contains("50%  of 8.0 MiB"), "{}", ended.stderr);
        assert!(!ended.stderr.contains('\x1b'), "{}", ended.stderr);
    }
}

#[test]
fn without_a_terminal_nothing_is_shown_unless_asked_for() {
    let folder = Folder::new();
    let ended = folder.run(&["--linger=1s", "-", &folder.tap("")], b"data");
    assert!(!ended.stderr.contains("total "), "{}", ended.stderr);
}
