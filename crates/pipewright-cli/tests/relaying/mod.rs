//! Runs the relay, under a watchdog, with peers to talk to.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::Sender;

use serde_json::Value;

use crate::common::system::Process;
use crate::common::{Folder, assert_same, binary, random, read_all, watch};

/// How long the requests of [`Relay::asks_and_is_answered`] are.
pub(crate) const REQUESTS: [usize; 5] = [0, 1, 5, 300, 70_000];

/// A relay that runs.
pub(crate) struct Relay {
    child: Child,
    pub(crate) process: Process,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<ChildStdout>,
    /// Dropped at the end, which calls the watchdog off.
    _watched: Sender<()>,
}

/// A relay that has ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) stats: Value,
}

impl Relay {
    pub(crate) fn start(folder: &Folder, args: &[&str]) -> Relay {
        let mut child = Command::new(binary())
            .args(["relay", "--stats", "json"])
            .args(args)
            .current_dir(folder.path(""))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Process::of(&child);
        Relay {
            stdin: child.stdin.take(),
            stdout: child.stdout.take(),
            _watched: watch(process.clone()),
            process,
            child,
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.stdin.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn hear(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let stdout = self.stdout.as_mut().unwrap();
        stdout.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Asks things of several sizes of who [serves requests](serve_requests), and waits
    /// for each answer: nothing may be kept back until more comes.
    pub(crate) fn asks_and_is_answered(&mut self) {
        for len in REQUESTS {
            let request = random(len);
            let mut framed = u32::try_from(len).unwrap().to_be_bytes().to_vec();
            framed.extend(&request);
            self.say(&framed);
            let mut answer = self.hear(4 + len).split_off(4);
            answer.reverse();
            assert_same(&answer, &request);
        }
    }

    /// Waits for the end, with standard input as it is.
    pub(crate) fn end(mut self) -> Ended {
        let stdout = self.stdout.take().map(|mut out| read_all(&mut out));
        let mut stderr = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        errors.read_to_string(&mut stderr).unwrap();
        let status = self.child.wait().unwrap();
        assert!(!stderr.contains("panicked"), "{stderr}");
        let last = stderr.lines().last().unwrap_or_default();
        let stats: Value = serde_json::from_str(last).unwrap_or_default();
        let ended = Ended {
            code: status.code().expect("killed, by the watchdog?"),
            stdout: stdout.unwrap_or_default(),
            stderr,
            stats,
        };
        for way in ["to_target", "to_stdout"] {
            if ended.stats.is_object() {
                let sum = ["written", "unsent", "in_doubt"].map(|field| ended.count(way, field));
                assert_eq!(
                    ended.count(way, "read"),
                    sum.iter().sum::<u64>(),
                    "{}",
                    ended.stats
                );
            }
        }
        ended
    }
}

impl Ended {
    pub(crate) fn count(&self, way: &str, field: &str) -> u64 {
        self.stats[way][field].as_u64().unwrap()
    }
}

/// As an agent of ssh does: a length of 4 bytes and as much data, answered by a
/// message of the same form; until the other side has ended.
pub(crate) fn serve_requests(mut peer: impl Read, mut answer: impl FnMut(&[u8])) -> usize {
    let mut served = 0;
    loop {
        let mut len = [0; 4];
        if peer.read_exact(&mut len).is_err() {
            return served;
        }
        let mut request = vec![0; u32::from_be_bytes(len) as usize];
        peer.read_exact(&mut request).unwrap();
        request.reverse();
        answer(&len);
        answer(&request);
        served += 1;
    }
}
