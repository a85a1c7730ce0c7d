//! What sending costs, in system calls and allocations: counts, which are the same on
//! every machine, and not time. Each test has a process of its own.

#![cfg(all(target_os = "linux", not(pipewright_portable)))]
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::data::{assert_stream, read_exact, stream};
use common::ends::{full_pipe, pipe};
use common::{LONG, alone};
use pipewright::{JOIN_MAX, PipeWriter};

/// Longer than what makes two messages follow each other closely.
const APART: Duration = Duration::from_micros(50);

const MESSAGE: usize = 64;
/// What small messages are joined to, and the system is offered at once.
const BLOCK: usize = 64 * 1024;

/// The writing system calls so far, of the process or of the thread, whether they wrote
/// something or not (man page `proc_pid_io`(5), "syscw").
fn writes_of(whose: &str) -> u64 {
    let io = fs::read_to_string(format!("/proc/{whose}/io")).unwrap();
    let count = io.lines().find_map(|line| line.strip_prefix("syscw: "));
    count.unwrap().parse().unwrap()
}

/// What `body` allocates on its own thread: the threads of the test (its watchdog, the
/// test's runner) allocate when they please.
fn allocations_in(body: impl FnOnce()) -> u64 {
    allocation_counter::measure(body).count_total
}

/// What it allocates once is allocated from now on.
fn wake_the_writing_side() {
    let (mut reader, pipe, filling) = full_pipe();
    let writer = PipeWriter::new(pipe).unwrap();
    writer.try_send_slice(b"more").unwrap();
    let _ = read_exact(&mut reader, filling);
    writer.close_timeout(LONG).unwrap();
}

#[test]
fn a_message_into_an_idle_pipe_costs_its_thread_one_write_and_no_allocation() {
    alone(|| {
        for len in [MESSAGE, JOIN_MAX + 1] {
            let (mut reader, pipe) = pipe();
            let writer = PipeWriter::new(pipe).unwrap();
            let message = stream(0, len);
            let mut read = vec![0; len];
            let mut ping = || {
                writer.try_send_slice(&message).unwrap();
                reader.read_exact(&mut read).unwrap();
                let begun = Instant::now();
                while begun.elapsed() < APART {}
            };
            ping();
            wake_the_writing_side();
            let (threads, process) = (writes_of("thread-self"), writes_of("self"));
            let made = allocations_in(|| (0..100).for_each(|_| ping()));
            assert_eq!(made, 0, "{len} bytes");
            assert_eq!(writes_of("thread-self") - threads, 100, "{len} bytes");
            assert_eq!(writes_of("self") - process, 100, "{len} bytes");
        }
    });
}

#[test]
fn small_messages_that_wait_cost_allocations_and_writes_by_the_block() {
    alone(|| {
        let (mut reader, pipe, filling) = full_pipe();
        let writer = PipeWriter::builder().capacity(4 << 20).build(pipe).unwrap();
        let blocks = 32;
        let all = stream(0, blocks * BLOCK);
        // The first finds out that the pipe is full.
        let (first, others) = all.split_at(MESSAGE);
        writer.try_send_slice(first).unwrap();
        let made = allocations_in(|| {
            for message in others.chunks(MESSAGE) {
                writer.try_send_slice(message).unwrap();
            }
        });
        // A block, its box, and now and then a longer list of them.
        assert!(made <= 4 * blocks as u64, "{made} allocations");

        let before = writes_of("self");
        let _ = read_exact(&mut reader, filling);
        assert_stream(0, &read_exact(&mut reader, all.len()));
        writer.flush_timeout(LONG).unwrap();
        let writes = writes_of("self") - before;
        // A part of the block, the rest of it, and the one that finds the pipe full; twice
        // as many, for a reader that is interrupted.
        assert!(writes <= 6 * blocks as u64, "{writes} writes");
    });
}

#[test]
fn large_messages_that_wait_cost_little_memory_beside_their_own() {
    alone(|| {
        let message = Bytes::from(stream(0, 2 * JOIN_MAX));
        // Lists that grow to the double would hold up to twice as much.
        for count in [40, 63, 70, 1000] {
            let (_reader, pipe, _) = full_pipe();
            let writer = PipeWriter::builder().capacity(4 << 20).build(pipe).unwrap();
            // Finds out that the pipe is full.
            writer.try_send(message.clone()).unwrap();
            let held = allocation_counter::measure(|| {
                for _ in 0..count {
                    writer.try_send(message.clone()).unwrap();
                }
            })
            .bytes_max;
            let (each, list) = (size_of::<Bytes>() as u64, 16 * size_of::<Bytes>() as u64);
            let most = count * each + count * each / 4 + list;
            assert!(held <= most, "{count} messages: {held} bytes");
            drop(writer.stop());
        }
    });
}

/// A device whose blocks are a file's.
struct LoopDevice(String);

impl LoopDevice {
    fn of(file: &Path) -> LoopDevice {
        let mut losetup = Command::new("losetup");
        let output = losetup
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        LoopDevice(String::from_utf8(output.stdout).unwrap().trim().into())
    }
}

impl Drop for LoopDevice {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
#[ignore = "needs root, and losetup, for a device that may be written"]
fn a_block_device_costs_a_write_for_what_is_sent_at_once() {
    alone(|| {
        let blocks = 32;
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len((blocks * BLOCK) as u64).unwrap();
        let device = LoopDevice::of(file.path());
        let pipe = File::options().write(true).open(&device.0).unwrap();
        let writer = PipeWriter::builder().capacity(4 << 20).build(pipe).unwrap();
        let before = writes_of("self");
        writer.try_send(stream(0, blocks * BLOCK)).unwrap();
        writer.close_timeout(LONG).unwrap();
        let writes = writes_of("self") - before;
        assert!(writes <= 2 * blocks as u64, "{writes} writes");
        let mut device = File::open(&device.0).unwrap();
        assert_stream(0, &read_exact(&mut device, blocks * BLOCK));
    });
}
