//! Runs the real binary, under a watchdog.
//!
//! What differs between systems is in `unix` and `windows`, with one face; commands
//! that are the same on all are run by `helper`.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod helper;
#[cfg(unix)]
#[path = "unix.rs"]
pub(crate) mod system;
#[cfg(windows)]
#[path = "windows.rs"]
pub(crate) mod system;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::Value;
use system::{Group, Process};

/// Of a tap whose reader comes when everything else is over: for as long as that takes.
pub(crate) const PATIENT: &str = "connect-timeout=1h";

/// No test takes nearly as long. One that does hangs, and is ended as failed.
const WATCHDOG: Duration = Duration::from_secs(60);

pub(crate) const MIB: usize = 1 << 20;

/// Bytes without a pattern that a lost or repeated block could hide in.
pub(crate) fn random(len: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A folder for one test, in which the command runs.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
    tap: system::Tap,
}

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Folder {
            folder: tempfile::tempdir().unwrap(),
            tap: system::Tap::new(COUNT.fetch_add(1, Ordering::Relaxed)),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    pub(crate) fn open(&self, name: &str) -> Stdio {
        File::open(self.path(name)).unwrap().into()
    }

    /// A sink, called `stalled`, that waits for a reader.
    pub(crate) fn tap(&self, options: &str) -> String {
        let comma = if options.is_empty() { "" } else { "," };
        format!("{options}{comma}name=stalled@listen:{}", self.tap.name())
    }

    /// Opens the reader's end of [`tap`](Self::tap), as soon as it is there.
    pub(crate) fn open_tap(&self) -> File {
        self.tap.open(self.folder.path())
    }

    /// Starts a copy to, among others, a [`tap`](Self::tap), whose reader reads
    /// nothing until the test says so.
    pub(crate) fn start_stalled(&self, args: &[&str], stdin: Stdio) -> (Running, File) {
        let running = self.start_with(args, stdin, Stdio::piped());
        let reader = self.open_tap();
        (running, reader)
    }

    /// The same, on an input of which the reader has read the first byte, so that it
    /// is known to be there.
    pub(crate) fn start_stalled_on(&self, args: &[&str], input: &[u8]) -> (Running, File) {
        let (mut running, mut reader) = self.start_stalled(args, Stdio::piped());
        let mut stdin = running.stdin.take().unwrap();
        let (first, rest) = (input[..1].to_vec(), input[1..].to_vec());
        stdin.write_all(&first).unwrap();
        reader.read_exact(&mut [0]).unwrap();
        thread::spawn(move || stdin.write_all(&rest));
        (running, reader)
    }

    /// Starts `pipewright` with an input that the test writes.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.start_with(args, Stdio::piped(), Stdio::piped())
    }

    /// Runs `pipewright` on an input.
    pub(crate) fn run(&self, args: &[&str], input: &[u8]) -> Ended {
        let mut running = self.start(args);
        let writer = running.feed(input.to_vec());
        let ended = running.end();
        writer.join().unwrap();
        ended
    }

    pub(crate) fn start_with(&self, args: &[&str], stdin: Stdio, stdout: Stdio) -> Running {
        let mut command = Command::new(binary());
        command
            .args(["--stats", "json"])
            .args(args)
            .current_dir(self.folder.path())
            .env("RUST_BACKTRACE", "0")
            .in_own_group();
        Running::start(command.stdin(stdin).stdout(stdout).stderr(Stdio::piped()))
    }
}

/// The command, which is built beside the folder of the tests. Cargo says where that
/// is, but as the machine that builds sees it, which need not be the one that runs.
pub(crate) fn binary() -> PathBuf {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    path.push(format!("pipewright{}", std::env::consts::EXE_SUFFIX));
    path
}

/// A `pipewright` that runs.
pub(crate) struct Running {
    child: Child,
    pub(crate) process: Process,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    /// The lines of standard error, as they come.
    lines: Receiver<String>,
    seen: String,
    /// Dropped at the end, which calls the watchdog off.
    _watched: Sender<()>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.spawn().unwrap();
        let process = Process::of(&child);
        let watched = watch(process.clone());
        let stderr = child.stderr.take().unwrap();
        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            use std::io::BufRead;
            for text in std::io::BufReader::new(stderr).lines() {
                let _ = line.send(text.unwrap());
            }
        });
        Running {
            process,
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            child,
            lines,
            seen: String::new(),
            _watched: watched,
        }
    }

    /// Writes the input from a thread, then ends it. That nobody wants all of it
    /// is a matter of the test.
    pub(crate) fn feed(&mut self, input: Vec<u8>) -> JoinHandle<()> {
        let mut stdin = self.stdin.take().unwrap();
        thread::spawn(move || {
            let _ = stdin.write_all(&input);
        })
    }

    /// Reads standard output until it ends.
    pub(crate) fn read_stdout(&mut self) -> Vec<u8> {
        read_all(self.stdout.as_mut().unwrap())
    }

    /// Reads this much of standard output.
    pub(crate) fn read_exactly(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.stdout
            .as_mut()
            .unwrap()
            .read_exact(&mut bytes)
            .unwrap();
        bytes
    }

    /// Waits until standard error has a line with this text.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_for_times(text, 1);
    }

    /// Waits until standard error has had this text so many times.
    pub(crate) fn wait_for_times(&mut self, text: &str, times: usize) {
        while self.seen.matches(text).count() < times {
            let line = self.lines.recv();
            assert!(line.is_ok(), "ended without '{text}': {}", self.seen);
            self.seen += &(line.unwrap() + "\n");
        }
    }

    /// The most memory that it has had so far, in bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn peak_memory(&self) -> usize {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<usize>().unwrap() * 1024
    }

    /// Waits for the end, and checks what holds for every run.
    pub(crate) fn end(mut self) -> Ended {
        drop(self.stdin.take());
        let stdout = self
            .stdout
            .take()
            .map(|mut out| read_all(&mut out))
            .unwrap_or_default();
        let status = self.child.wait().unwrap();
        let mut stderr = std::mem::take(&mut self.seen);
        for line in self.lines.iter() {
            stderr += &(line + "\n");
        }
        assert!(
            status.code().is_some(),
            "killed ({status}), by the watchdog? {stderr}"
        );
        assert!(!stderr.contains("panicked"), "{stderr}");
        let stats = stderr
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .unwrap_or(Value::Null);
        let ended = Ended {
            code: status.code().unwrap(),
            stdout,
            stderr,
            stats,
        };
        ended.check_ledger();
        ended
    }
}

/// Ends the process if it runs for too long, unless what is returned is dropped
/// before.
pub(crate) fn watch(process: Process) -> Sender<()> {
    let (watched, watchdog) = mpsc::channel();
    thread::spawn(move || {
        let timed_out = Err(RecvTimeoutError::Timeout);
        if watchdog.recv_timeout(WATCHDOG) == timed_out {
            process.kill();
            // A command that it started may hold the test up by itself.
            if watchdog.recv_timeout(WATCHDOG) == timed_out {
                eprintln!("a test hangs");
                std::process::abort();
            }
        }
    });
    watched
}

pub(crate) fn read_all(from: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).unwrap();
    bytes
}

/// A `pipewright` that has ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) stats: Value,
}

impl Ended {
    /// The statistics of one sink.
    pub(crate) fn sink(&self, index: usize) -> &Value {
        let sink = &self.stats["sinks"][index];
        assert!(
            sink.is_object(),
            "no statistics of sink {index}: {}",
            self.stderr
        );
        sink
    }

    pub(crate) fn count(&self, index: usize, field: &str) -> u64 {
        self.sink(index)[field].as_u64().unwrap()
    }

    pub(crate) fn outcome(&self, index: usize) -> &str {
        self.sink(index)["outcome"].as_str().unwrap()
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.stats["total"]["read"].as_u64().unwrap()
    }

    /// The line of standard error that complains of this sink.
    pub(crate) fn complaint(&self, sink: &str) -> &str {
        let start = format!("pipewright: {sink}: ");
        let line = self
            .stderr
            .lines()
            .find_map(|line| line.strip_prefix(&start));
        assert!(line.is_some(), "no complaint of {sink}: {}", self.stderr);
        line.unwrap()
    }

    fn check_ledger(&self) {
        let Some(sinks) = self.stats["sinks"].as_array() else {
            return;
        };
        let total = &self.stats["total"];
        assert_eq!(total["exit_status"].as_i64(), Some(self.code.into()));
        for field in ["accepted", "written", "dropped", "unsent", "in_doubt"] {
            let sum: u64 = sinks.iter().map(|sink| sink[field].as_u64().unwrap()).sum();
            assert_eq!(total[field].as_u64(), Some(sum), "{field}: {}", self.stats);
        }
        for sink in sinks {
            let count = |field: &str| sink[field].as_u64().unwrap();
            let accepted = count("accepted");
            assert_eq!(
                accepted,
                count("written") + count("unsent") + count("in_doubt"),
                "{sink}"
            );
            assert_eq!(self.bytes_read(), accepted + count("dropped"), "{sink}");
            let complete = sink["outcome"] == "complete";
            assert_eq!(
                complete,
                self.complaint_of(sink).is_none(),
                "{}",
                self.stderr
            );
            assert!(!complete || count("written") == self.bytes_read(), "{sink}");
        }
    }

    fn complaint_of(&self, sink: &Value) -> Option<&str> {
        let start = format!("pipewright: {}: ", sink["name"].as_str().unwrap());
        self.stderr.lines().find(|line| line.starts_with(&start))
    }
}

/// Somebody who listens on a port, and the sink or the target of a relay that leads there.
pub(crate) fn listen_on_tcp() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("tcp:127.0.0.1:{port}"))
}

/// Whether the bytes are the same, without printing megabytes if not.
pub(crate) fn assert_same(got: &[u8], expected: &[u8]) {
    assert_eq!(got.len(), expected.len(), "length");
    let differs = got.iter().zip(expected).position(|(a, b)| a != b);
    assert_eq!(differs, None, "first byte that differs");
}

pub(crate) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
