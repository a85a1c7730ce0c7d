//! What the systems' ways to write to many pipes must do.

#![cfg(any(target_os = "linux", windows))]

use std::fs::File;
use std::io::{self, Read};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::Completions;

const PIPES: usize = 16;

/// A test that takes longer hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the test, unless the kernel refuses a ring, as it often does in containers.
fn watched(test: impl FnOnce() + Send + 'static) {
    #[cfg(target_os = "linux")]
    if let Err(refused) = Completions::new(Vec::new()) {
        // It is said where the output of tests is shown.
        eprintln!("not tested: the kernel refuses a ring: {refused}");
        return;
    }
    let (tell, told) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        tell.send(())
    });
    let ended = told.recv_timeout(LIMIT);
    assert_ne!(ended, Err(mpsc::RecvTimeoutError::Timeout), "it hangs");
    thread.join().unwrap().unwrap();
}

#[cfg(unix)]
fn pair() -> (File, std::os::fd::OwnedFd) {
    let (reader, writer) = io::pipe().unwrap();
    (std::os::fd::OwnedFd::from(reader).into(), writer.into())
}

#[cfg(windows)]
fn pair() -> (File, std::os::windows::io::OwnedHandle) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let (process, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let name = format!(r"\\.\pipe\pipewright-bench-test-{process}-{n}");
    let options = pipewright::named_pipe::ServerOptions::new(&name).out_buffer(64 * 1024);
    let mut server = options.create().unwrap();
    let reader = File::open(&name).unwrap();
    (reader, server.accept(LIMIT).unwrap())
}

fn open(pipes: usize) -> (Completions, Vec<File>) {
    let (readers, writers): (Vec<_>, Vec<_>) = (0..pipes).map(|_| pair()).unzip();
    (Completions::new(writers).unwrap(), readers)
}

/// All until the end, as Unix and Windows tell it.
fn read_all(mut reader: File) -> Vec<u8> {
    let mut all = Vec::new();
    match reader.read_to_end(&mut all) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        read => drop(read.unwrap()),
    }
    all
}

/// All that is in a pipe whose other end is closed. Never waits.
#[cfg(unix)]
fn read_what_is_left(reader: File) -> Vec<u8> {
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
    read_all(reader)
}

#[cfg(windows)]
fn read_what_is_left(reader: File) -> Vec<u8> {
    read_all(reader)
}

/// Bytes that differ from those of any other place and of any other pipe.
fn chunk(pipe: usize, at: usize, size: usize) -> Bytes {
    let byte = |n: usize| (n.wrapping_mul(2_654_435_761 + 2 * pipe) >> 13).to_le_bytes()[0];
    (at..at + size).map(byte).collect()
}

#[test]
fn each_pipe_gets_its_own_bytes_in_order_when_they_do_not_fit_at_once() {
    watched(|| {
        let (mut completions, readers) = open(3);
        let readings = readers.into_iter();
        let readings: Vec<_> = readings
            .map(|reader| thread::spawn(|| read_all(reader)))
            .collect();
        for n in 0..3 {
            completions.queue(n, [Bytes::new()]).unwrap();
        }
        let sizes = [0, 1, 5_000, 70_000, 200_000]
            .into_iter()
            .chain([3_000; 100]);
        let sizes: Vec<_> = sizes.collect();
        let total: usize = sizes.iter().sum();
        for n in 0..3 {
            let mut at = 0;
            let chunks = sizes.iter().map(|size| {
                at += size;
                chunk(n, at - size, *size)
            });
            completions.queue(n, chunks).unwrap();
            completions.submit().unwrap();
        }
        completions.flush().unwrap();
        assert_eq!(completions.left(0), 0);
        drop(completions);
        for (n, reading) in readings.into_iter().enumerate() {
            let read = reading.join().unwrap();
            assert_eq!(read.len(), total);
            assert!(read == chunk(n, 0, total), "pipe {n}");
        }
    });
}

#[test]
fn what_is_dropped_ends_its_writes_before_their_memory_and_pipe_go() {
    watched(|| {
        let (mut completions, readers) = open(PIPES);
        let data = chunk(0, 0, 1 << 20);
        for n in 0..PIPES {
            completions.queue(n, [data.clone()]).unwrap();
        }
        completions.submit().unwrap();
        drop(completions);
        assert!(data.is_unique());
        for reader in readers {
            // At once: a write in flight would hold its pipe open, or go on.
            let read = read_what_is_left(reader);
            assert!(read.len() < data.len(), "it was not cancelled");
            assert!(read == data[..read.len()]);
        }
    });
}

#[test]
fn a_write_that_fails_is_reported_with_its_pipe_and_the_systems_error() {
    watched(|| {
        let (mut completions, mut readers) = open(2);
        drop(readers.pop());
        let queued = completions.queue(1, [chunk(1, 0, 64)]);
        let error = queued.and_then(|()| completions.flush()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let text = error.to_string();
        assert!(
            text.contains("pipe 1") && text.contains("os error"),
            "{text}"
        );
    });
}

/// What speaks for a port: without one the system cancels it.
#[cfg(windows)]
#[test]
fn a_write_goes_on_when_the_thread_that_started_it_has_ended() {
    watched(|| {
        let (reader, writer) = pair();
        let data = chunk(0, 0, 200_000);
        let sent = data.clone();
        let started = thread::spawn(move || {
            let mut completions = Completions::new(vec![writer]).unwrap();
            completions.queue(0, [sent]).unwrap();
            let left = completions.left(0);
            // As if another thread went on with it.
            Box::leak(Box::new(completions));
            left
        });
        let left = started.join().unwrap();
        assert!(left > 0, "the pipe takes it all");
        // All that was written at once, and all of the one in flight.
        let given = data.len() - left + left.min(64 * 1024);
        let mut read = vec![0; given];
        (&reader).read_exact(&mut read).unwrap();
        assert!(read == data[..given]);
    });
}
