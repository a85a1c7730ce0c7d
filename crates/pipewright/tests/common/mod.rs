//! What the tests share: a watchdog over each of them, a process of its own for
//! what concerns a whole process, ends of pipes of every kind, and data that tells
//! where in the stream it belongs.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test file uses its part of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "helpers of tests fail by panicking, like the tests"
)]

pub(crate) mod accounts;
pub(crate) mod data;
pub(crate) mod ends;
pub(crate) mod news;
pub(crate) mod outcomes;
#[cfg(any(target_os = "linux", windows))]
pub(crate) mod process;
pub(crate) mod wakers;

use std::io::Write;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// A time that no test waits for to its end: the watchdog comes first.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// The variable that names the only test a process was started for.
const ALONE: &str = "PIPEWRIGHT_TEST_ALONE";

/// Runs a test under a watchdog: if it hangs, the process ends with its name.
pub(crate) fn watched<T>(body: impl FnOnce() -> T) -> T {
    let _watchdog = Watchdog::over(test_name(&body));
    body()
}

/// Runs a test in a process of its own, under a watchdog: for what other tests
/// would disturb, or be disturbed by.
pub(crate) fn alone(body: impl FnOnce()) {
    let name = test_name(&body);
    if std::env::var_os(ALONE).is_some_and(|alone| alone == name) {
        return watched(body);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--include-ignored", "--nocapture"])
        .arg("--test-threads=1")
        .env(ALONE, name)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name} in a process of its own: {}\n{said}\n{complained}",
        output.status
    );
}

/// The path of the test function that `body` was written in.
fn test_name<T>(_: &T) -> &'static str {
    let name = std::any::type_name::<T>();
    let name = name.split_once("::").map_or(name, |(_, rest)| rest);
    name.trim_end_matches("::{{closure}}")
}

struct Watchdog(#[allow(dead_code, reason = "its drop ends the watch")] Sender<()>);

impl Watchdog {
    fn over(test: &'static str) -> Self {
        let limit = std::env::var("PIPEWRIGHT_WATCHDOG_SECONDS")
            .map_or(120, |seconds| seconds.parse().unwrap());
        let (alive, watch) = mpsc::channel();
        thread::spawn(move || {
            if watch.recv_timeout(Duration::from_secs(limit)) == Err(RecvTimeoutError::Timeout) {
                // Not `eprintln`: what it prints is captured, and lost in an abort.
                let _ = writeln!(
                    std::io::stderr(),
                    "\n{test} hangs: not over after {limit} seconds (seed {})",
                    seed()
                );
                std::process::abort();
            }
        });
        Watchdog(alive)
    }
}

/// Calls everything that promises not to wait, but for what ends the writer.
pub(crate) fn use_it(writer: &pipewright::PipeWriter) {
    let _ = writer.try_send("small");
    let _ = writer.try_send(vec![0; 10_000]);
    let _ = writer.try_send_slice(b"borrowed");
    let _ = writer.try_reserve(10).map(drop);
    let _ = writer.progress();
    let _ = writer.position();
    let _ = writer.take_progress();
    let _ = writer.waitable().unwrap();
    let _ = writer.take_unsent();
    let _ = format!("{writer:?}");
    let weak = writer.downgrade();
    drop((writer.clone(), weak.upgrade()));
}

/// Waits until it is so. The watchdog sets the limit.
pub(crate) fn until(mut it_is_so: impl FnMut() -> bool) {
    while !it_is_so() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the random choices of a test begin with; `PIPEWRIGHT_SEED` sets another.
pub(crate) fn seed() -> u64 {
    std::env::var("PIPEWRIGHT_SEED").map_or(0x5eed, |seed| seed.parse().unwrap())
}

/// Runs `rounds` rounds with random choices, and names the round that fails.
pub(crate) fn rounds(rounds: u64, mut round: impl FnMut(&mut Random)) {
    struct Round(u64);
    impl Drop for Round {
        fn drop(&mut self) {
            if thread::panicking() {
                eprintln!("in round {} of PIPEWRIGHT_SEED={}", self.0, seed());
            }
        }
    }
    for n in 0..rounds {
        let _round = Round(n);
        round(&mut Random::new(seed().wrapping_add(n)));
    }
}

/// Marsaglia's xorshift64*: the same choices from the same seed.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random((seed ^ 0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..4 {
            random.next();
        }
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 to `limit` - 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from((self.next() >> 16) % (limit as u64)).unwrap()
    }

    /// From `first` to `last`.
    pub(crate) fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    /// True once in `n` times.
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// The length of a message: small, around the limits of the queue, or large.
    pub(crate) fn message_len(&mut self) -> usize {
        const JOIN: usize = pipewright::JOIN_MAX;
        match self.below(8) {
            0 => self.between(1, 8),
            1..=3 => self.between(1, 300),
            4 => self.between(JOIN - 2, JOIN + 2),
            5 => self.between(4094, 4098),
            6 => self.between(65_530, 65_540),
            _ => self.between(1, 30_000),
        }
    }

    /// A generator of its own, for another thread.
    pub(crate) fn fork(&mut self) -> Random {
        Random::new(self.next())
    }
}
