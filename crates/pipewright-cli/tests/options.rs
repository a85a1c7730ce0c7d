//! What else can be asked for: another input, a rate, a required sink, and the
//! forms of the account.

#[cfg(test)]
mod common;

use std::io::Write;
use std::process::{Command, Stdio};

use common::system::Process;
use common::{Folder, MIB, assert_same, random};

#[test]
fn the_input_may_be_a_file() {
    let folder = Folder::new();
    folder.write("input", b"from a file");
    let ended = folder.run(&["--input=input", "-"], b"not this");
    assert_eq!((ended.code, &*ended.stdout), (0, &b"from a file"[..]));

    let ended = folder.run(&["--input=input", "input"], b"");
    assert_eq!(ended.code, 1);
    assert!(ended.complaint("input").contains("the input"));
    assert_eq!(folder.text("input"), "from a file");

    let ended = folder.run(&["--input=missing", "out"], b"");
    assert_eq!(ended.code, 3);
    let said = ended.complaint("cannot start");
    assert!(
        said.starts_with("missing: ") && said.ends_with("(os error 2)"),
        "{said}"
    );
    assert!(!common::exists(&folder.path("out")), "nothing was touched");
}

#[test]
#[cfg_attr(windows, ignore = "Wine has no Ctrl-Break; see docs/PLATFORM.md")]
fn a_rate_holds_the_input_back_and_a_signal_still_ends_it() {
    let folder = Folder::new();
    folder.write("input", &random(MIB));
    // In the time that the watchdog leaves, not a tenth can be read.
    let mut running = folder.start_with(&["--rate=1K", "-"], folder.open("input"), Stdio::piped());
    let mut got = running.read_exactly(10);
    running.process.interrupt();
    got.extend(running.read_stdout());
    let ended = running.end();
    assert_eq!(ended.code, 130);
    assert_eq!(ended.bytes_read(), got.len() as u64);
    assert!(got.len() < MIB / 10, "{}", got.len());
    assert_same(&got, &random(MIB)[..got.len()]);
}

#[test]
fn a_rate_that_is_high_enough_changes_nothing() {
    let folder = Folder::new();
    let input = random(MIB);
    let ended = folder.run(&["--rate=1G", "-"], &input);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_same(&ended.stdout, &input);
}

#[test]
fn no_more_is_read_once_a_required_sink_has_failed() {
    let folder = Folder::new();
    for required in ["required=yes@missing/file", "required=yes@exec:exit 3"] {
        let mut running = folder.start(&["-", required]);
        // The input has no end.
        let mut stdin = running.stdin.take().unwrap();
        let feeder = std::thread::spawn(move || while stdin.write_all(&[1; 1000]).is_ok() {});
        let got = running.read_stdout();
        let ended = running.end();
        feeder.join().unwrap();
        assert_eq!((ended.code, ended.outcome(1)), (1, "failed"));
        assert_eq!(ended.outcome(0), "complete", "it got what was read");
        assert_eq!(got.len() as u64, ended.bytes_read());
    }
    let ended = folder.run(&["-", "required=no@missing/file"], b"data");
    assert_eq!((ended.code, &*ended.stdout), (1, &b"data"[..]));
}

#[test]
fn the_account_may_be_in_words_and_in_a_file() {
    let folder = Folder::new();
    folder.write("input", b"hello");
    // What it says, on standard output and standard error, but for the account.
    let account = |format: &str, sinks: &[&str]| {
        let mut command = Command::new(common::binary());
        let options = ["--stats", format, "--stats-file", "account"];
        let command = command.args(options).args(sinks);
        let child = command
            .stdin(folder.open("input"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .current_dir(folder.path("."))
            .spawn()
            .unwrap();
        let _watched = common::watch(Process::of(&child));
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(output.stdout), text(output.stderr))
    };
    let (_, said) = account("text", &["copy", "missing/file"]);
    let written = folder.text("account");
    let lines: Vec<_> = written.lines().collect();
    assert!(
        lines[0].starts_with("copy: complete; 5 bytes written; "),
        "{written}"
    );
    assert!(
        lines[1].starts_with("missing/file: failed; 0 bytes written, 5 dropped; "),
        "{written}"
    );
    assert!(lines[2].starts_with("total: 5 bytes read in "), "{written}");
    assert_eq!(said.lines().count(), 1, "{said}");

    let (copied, said) = account("json", &["-"]);
    assert_eq!(copied, "hello");
    let written: serde_json::Value = serde_json::from_str(&folder.text("account")).unwrap();
    assert_eq!(written["sinks"][0]["retries"], 0);
    assert_eq!(written["sinks"][0]["unread"], 0);
    assert_eq!(written["sinks"][0]["stalled_seconds"], 0.0);
    assert_eq!(said, "");
}

#[test]
fn every_field_of_the_account_is_documented() {
    let manual = std::fs::read_to_string("../../docs/COMMAND.md").unwrap();
    let (_, manual) = manual.split_once("## Statistics").unwrap();
    let (sinks, total) = manual.split_once("| field of `total` |").unwrap();
    let ended = Folder::new().run(&["-"], b"data");
    for (part, fields) in [(sinks, ended.sink(0)), (total, &ended.stats["total"])] {
        for field in fields.as_object().unwrap().keys() {
            let rows = part.lines().filter(|line| line.starts_with('|'));
            let mut documented = rows.filter_map(|row| row.split('|').nth(1));
            let name = format!("`{field}`");
            assert!(documented.any(|names| names.contains(&name)), "{field}");
        }
    }
}

#[test]
fn an_account_that_cannot_be_written_is_noticed_before_anything_is_touched() {
    let folder = Folder::new();
    let ended = folder.run(&["--stats-file=missing/file", "out"], b"data");
    assert_eq!(ended.code, 3);
    let said = ended.complaint("cannot start");
    assert!(said.starts_with("missing/file: "), "{said}");
    assert!(!common::exists(&folder.path("out")));
}

#[test]
fn time_in_which_a_sink_takes_nothing_is_counted() {
    let folder = Folder::new();
    let args = ["--linger=1s", "-", &folder.tap("")];
    let (mut running, _reads_nothing) = folder.start_stalled(&args, Stdio::piped());
    let feeder = running.feed(random(MIB));
    running.read_stdout();
    let ended = running.end();
    feeder.join().unwrap();
    let stalled = |sink| ended.sink(sink)["stalled_seconds"].as_f64().unwrap();
    assert!(stalled(1) >= 0.5, "{}", ended.stats);
    assert!(stalled(0) <= stalled(1), "{}", ended.stats);
}
