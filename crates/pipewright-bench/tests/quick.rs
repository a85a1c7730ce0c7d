//! Every scenario, in a quick run: it ends, every contender delivers what was sent
//! (otherwise the run fails), and the table has a row for each. No time is asserted.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A run that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(600);

#[cfg(unix)]
const CONTENDERS: &[&str] = &[
    "raw",
    "pipewright",
    "tokio",
    "async-io",
    "mio",
    #[cfg(target_os = "linux")]
    "libuv",
    #[cfg(target_os = "linux")]
    "io_uring",
    "channel",
    "joining",
    "BufWriter",
];
#[cfg(windows)]
const CONTENDERS: &[&str] = &[
    "raw",
    "pipewright",
    "tokio",
    "port",
    "channel",
    "joining",
    "BufWriter",
];

/// The benchmark. It lies beside the tests; where that is has another name under Wine
/// than it had for the compiler.
fn program() -> PathBuf {
    let this = env::current_exe().unwrap();
    let folder = this.parent().and_then(Path::parent).unwrap();
    folder
        .join("pipewright-bench")
        .with_extension(env::consts::EXE_EXTENSION)
}

/// What a run prints.
fn run(scenario: &str, expect_pictures: bool) -> String {
    run_with(&[], scenario, expect_pictures)
}

/// With more options.
fn run_with(options: &[&OsStr], scenario: &str, expect_pictures: bool) -> String {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let mut command = Command::new(program());
    command
        .args([scenario, "--quick", "--svg"])
        .arg(folder.path());
    command.arg("--json").arg(&json).args(options);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = child.stdout.take().unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut printed = String::new();
        let read = said.read_to_string(&mut printed);
        tell.send(read.map(|_| printed))
    });
    let printed = told.recv_timeout(LIMIT);
    if printed.is_err() {
        child.kill().unwrap();
    }
    let printed = printed.expect("the run ends").unwrap();
    assert!(child.wait().unwrap().success(), "{printed}");

    let figures: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
    assert_eq!(figures["scenario"], scenario);
    assert!(!figures["figures"].as_array().unwrap().is_empty());
    assert_eq!(has_picture(folder.path()), expect_pictures);
    printed
}

fn has_picture(folder: &Path) -> bool {
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    files.any(|file| {
        let is_svg = file.extension().is_some_and(|ending| ending == "svg");
        is_svg && fs::read_to_string(file).unwrap().contains("</svg>")
    })
}

fn has_row(printed: &str, name: &str) -> bool {
    let cell = |line: &str| line.split('|').nth(1).map(|cell| cell.trim() == name);
    printed.lines().any(|line| cell(line) == Some(true))
}

/// Containers often refuse io_uring, and libuv need not be installed. Then the output
/// says so.
fn is_left_out(printed: &str, name: &str) -> bool {
    let why = match name {
        "io_uring" => "io_uring is left out: the kernel refuses a ring",
        "libuv" => "libuv is left out: libuv.so.1: cannot open shared object file: No such file",
        _ => return false,
    };
    printed.contains(why)
}

fn assert_rows(printed: &str, names: &[&str]) {
    for name in names {
        let shown = has_row(printed, name) || is_left_out(printed, name);
        assert!(shown, "{name} has no row:\n{printed}");
    }
}

#[test]
fn every_contender_delivers_small_messages() {
    assert_rows(&run("small", false), CONTENDERS);
}

#[test]
#[cfg_attr(windows, ignore = "takes minutes on Wine")]
fn every_contender_delivers_messages_of_all_sizes() {
    let printed = run("sizes", true);
    assert_rows(&printed, &["16 B", "64 KiB", "1 MiB"]);
}

#[test]
fn every_contender_delivers_chunks() {
    assert_rows(&run("bulk", false), CONTENDERS);
}

#[test]
fn single_messages_arrive_without_a_next_one() {
    let printed = run("latency", true);
    let prompt: Vec<_> = CONTENDERS
        .iter()
        .filter(|name| **name != "BufWriter")
        .copied()
        .collect();
    assert_rows(&printed, &prompt);
    assert!(!has_row(&printed, "BufWriter"));
}

#[test]
fn all_calls_to_a_stalled_reader_are_delivered_later() {
    let callers = [
        "raw",
        "pipewright",
        "tokio",
        "channel",
        "joining",
        "BufWriter",
    ];
    assert_rows(&run("caller", false), &callers);
}

#[test]
fn many_pipes_get_all_that_was_sent_to_each() {
    let printed = run("many", true);
    assert_rows(&printed, &["raw", "pipewright", "tokio", "channel"]);
    #[cfg(target_os = "linux")]
    assert_rows(&printed, &["libuv", "io_uring"]);
    #[cfg(windows)]
    assert_rows(&printed, &["port"]);
}

#[cfg(unix)]
#[test]
fn the_command_copies_to_four_sinks_and_treats_a_slow_one_as_asked() {
    let policies = [
        "loop by hand",
        #[cfg(target_os = "linux")]
        "tee(2) by hand",
        "tee",
        "pipewright",
        "pipewright, wait",
        "pipewright, drop-newest",
        "pipewright, detach",
    ];
    assert_rows(&run("fanout", true), &policies);
}

#[cfg(unix)]
#[test]
fn the_command_copies_from_input_to_output() {
    assert_rows(
        &run("copy", false),
        &["no tool", "pipewright", "cat", "tee"],
    );
}

#[test]
fn a_scenario_that_does_not_exist_is_refused_with_the_names_of_those_that_do() {
    let refused = Command::new(program()).arg("none").output().unwrap();
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("latency"));
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_kernel_refuses_it_io_uring_is_left_out_and_the_output_says_so() {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};
    // The filter is the thread's, and of the processes that it starts.
    let refused = thread::spawn(|| {
        let setup = [(libc::SYS_io_uring_setup, Vec::new())].into();
        let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
        let arch = env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(setup, SeccompAction::Allow, refuse, arch).unwrap();
        apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
        run("bulk", false)
    });
    let printed = refused.join().unwrap();
    let why = "io_uring is left out: the kernel refuses a ring: Operation not permitted";
    assert!(printed.contains(why), "{printed}");
    assert!(!has_row(&printed, "io_uring"), "{printed}");
    let others: Vec<_> = CONTENDERS
        .iter()
        .filter(|name| **name != "io_uring")
        .copied()
        .collect();
    assert_rows(&printed, &others);
}

#[cfg(windows)]
#[test]
fn without_its_library_qt_is_left_out_and_the_output_says_so() {
    let printed = run("bulk", false);
    assert!(printed.contains("Qt is left out"), "{printed}");
    assert!(!has_row(&printed, "Qt"), "{printed}");
}

/// The library is not a part of this project: docs/performance.md says where it is had.
#[cfg(windows)]
#[test]
#[ignore = "needs PIPEWRIGHT_BENCH_QT6CORE, the path of a Qt6Core.dll"]
fn qt_delivers_what_the_others_deliver() {
    let path = env::var_os("PIPEWRIGHT_BENCH_QT6CORE").expect("PIPEWRIGHT_BENCH_QT6CORE is set");
    for (scenario, has_pictures) in [
        ("small", false),
        ("bulk", false),
        ("latency", true),
        ("caller", false),
        ("many", true),
    ] {
        let printed = run_with(&["--qt6core".as_ref(), &path], scenario, has_pictures);
        assert_rows(&printed, &["Qt"]);
        assert!(!printed.contains("left out"), "{printed}");
    }
}

#[cfg(windows)]
#[test]
fn a_library_that_is_not_there_is_refused_before_anything_is_measured() {
    let refused = refusal(Path::new(r"C:\no\such\Qt6Core.dll"));
    assert!(
        refused.contains(r"C:\no\such\Qt6Core.dll") && refused.contains("(os error "),
        "{refused}"
    );
}

#[cfg(windows)]
#[test]
fn a_library_that_is_not_qts_is_refused_with_what_it_lacks() {
    let system = PathBuf::from(env::var_os("SystemRoot").unwrap());
    let refused = refusal(&system.join(r"System32\kernel32.dll"));
    assert!(
        refused.contains("kernel32.dll") && refused.contains("QWindowsPipeWriter"),
        "{refused}"
    );
}

/// What is said about a library that cannot be used.
#[cfg(windows)]
fn refusal(library: &Path) -> String {
    let refused = Command::new(program())
        .args(["bulk", "--quick", "--qt6core"])
        .arg(library)
        .output()
        .unwrap();
    assert!(!refused.status.success());
    assert!(refused.stdout.is_empty(), "something was measured");
    String::from_utf8(refused.stderr).unwrap()
}
