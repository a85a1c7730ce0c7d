//! What a process can see of itself, on Linux.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// A thread: its folder in /proc.
pub(crate) type Thread = String;

/// How many threads there are.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// How many of them the system makes for so many waits: it needs none.
pub(crate) fn pool_for(_waits: usize) -> usize {
    0
}

/// How many descriptors are open.
pub(crate) fn handles() -> usize {
    // One of them lists the others.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// The threads with this name.
pub(crate) fn threads_named(name: &str) -> Vec<Thread> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| {
            let task = task.unwrap().path().to_str().unwrap().to_owned();
            let comm = fs::read_to_string(format!("{task}/comm")).ok()?;
            (comm.trim_end() == name).then_some(task)
        })
        .collect()
}

/// How many threads of ours there are.
pub(crate) fn our_threads() -> usize {
    threads_named("pipewright").len() + threads_named("pipewright-file").len()
}

/// What a child finds open, beside its standard streams.
pub(crate) fn inherited() -> String {
    let listed = Command::new("sh")
        .args(["-c", "cd /proc/self/fd; for fd in *; do readlink $fd; done"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // The pipe that the list comes through is another one each time.
    listed
        .lines()
        .filter(|line| !line.starts_with("pipe:"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A line of the status of the thread in that folder.
pub(crate) fn status(task: &str, key: &str) -> String {
    let status = fs::read_to_string(format!("{task}/status")).unwrap();
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .unwrap()
        .trim()
        .to_owned()
}

/// The folder of the thread that asks.
pub(crate) fn this_thread() -> String {
    let link = fs::read_link("/proc/thread-self").unwrap();
    format!("/proc/{}", link.to_str().unwrap())
}

/// How often a thread has gone to sleep by itself.
pub(crate) fn naps(task: &str) -> u64 {
    status(task, "voluntary_ctxt_switches").parse().unwrap()
}

/// Lets this process have so many descriptors, if it may; tells how many it has.
pub(crate) fn raise_handle_limit(wanted: u64) -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let had = getrlimit(Resource::Nofile);
    for maximum in [had.maximum.map(|maximum| maximum.max(wanted)), had.maximum] {
        let limit = Rlimit {
            current: Some(maximum.map_or(wanted, |maximum| maximum.min(wanted))),
            maximum,
        };
        if setrlimit(Resource::Nofile, limit).is_ok() {
            break;
        }
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How long a thread has been running on a processor.
pub(crate) fn cpu_time(task: &str) -> Duration {
    let times = fs::read_to_string(format!("{task}/schedstat")).unwrap();
    let running = times.split_ascii_whitespace().next().unwrap();
    Duration::from_nanos(running.parse().unwrap())
}

/// How long all threads of the process have been.
pub(crate) fn cpu_time_of_all() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|task| cpu_time(task.unwrap().path().to_str().unwrap()))
        .sum()
}

/// How much memory the process has that is its own, in bytes.
pub(crate) fn memory() -> usize {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let kilobytes = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}
