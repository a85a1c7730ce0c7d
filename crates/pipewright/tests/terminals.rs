//! Terminals, written from either side: all of it arrives, and whoever hangs up, and
//! however long nobody reads, the writer can be stopped.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod common;

use std::fs::File;
use std::io::Read;
use std::thread;

use common::accounts::until_stalled;
use common::data::{assert_stream, read_exact, stream};
use common::ends::{duplicate, terminal};
use common::{LONG, rounds, until, watched};
use pipewright::PipeWriter;

#[test]
fn the_master_of_a_terminal_delivers_what_its_slave_reads() {
    watched(|| {
        for sole_owner in [false, true] {
            let (master, slave) = terminal();
            let writer = PipeWriter::builder()
                .sole_owner(sole_owner)
                .build(duplicate(&master))
                .unwrap();
            writer.try_send(stream(0, 50_000)).unwrap();
            let mut slave = File::from(slave);
            assert_stream(0, &read_exact(&mut slave, 50_000));
            writer.close_timeout(LONG).unwrap();
            drop(master);
        }
    });
}

/// Waits until a writer has begun and gets no further: nobody reads.
fn stalled(writer: &PipeWriter) {
    until(|| writer.progress().written > 0);
    until_stalled(writer);
}

#[test]
fn the_master_of_a_terminal_that_nobody_reads_can_be_stopped() {
    watched(|| {
        for sole_owner in [false, true] {
            let (master, _slave) = terminal();
            let builder = PipeWriter::builder().sole_owner(sole_owner);
            let writer = builder.build(master).unwrap();
            writer.try_send(stream(0, 1_000_000)).unwrap();
            stalled(&writer);
            let unsent = writer.stop();
            assert_eq!(unsent.len() + unsent.written(), 1_000_000);
        }
    });
}

/// A terminal's slave goes while its master is full. The writer may fail then, or
/// go on for a while: the system takes what nobody will ever read.
fn slave_goes(sole_owner: bool) -> PipeWriter {
    let (master, slave) = terminal();
    let builder = PipeWriter::builder().sole_owner(sole_owner);
    let writer = builder.build(master).unwrap();
    writer.try_send(stream(0, 1_000_000)).unwrap();
    stalled(&writer);
    drop(slave);
    stalled(&writer);
    writer
}

#[test]
fn the_master_of_a_terminal_whose_slave_has_gone_can_be_stopped() {
    watched(|| {
        for sole_owner in [true, false] {
            let unsent = slave_goes(sole_owner).stop();
            assert_eq!(unsent.len() + unsent.written(), 1_000_000);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_master_of_a_terminal_whose_slave_has_gone_does_not_keep_the_writing_side_busy() {
    common::alone(|| {
        let writer = slave_goes(true);
        let thread = common::process::threads_named("pipewright").remove(0);
        let before = common::process::cpu_time(&thread);
        let begun = std::time::Instant::now();
        until(|| begun.elapsed().as_millis() > 300);
        let used = common::process::cpu_time(&thread) - before;
        assert!(used < begun.elapsed() / 4, "busy for {used:?}");
        drop(writer.stop());
    });
}

#[test]
fn a_task_and_a_thread_compete_for_a_terminal_that_is_nearly_always_full() {
    watched(|| {
        rounds(4, |random| {
            let (master, slave) = terminal();
            // The master stays open, or what the slave has not read is lost.
            let end = slave.try_clone().unwrap();
            let writer = PipeWriter::builder().capacity(5_000).build(slave).unwrap();
            let longest = random.between(1, 3_000);
            let lens: Vec<_> = (0..100).map(|_| random.between(1, longest)).collect();
            let total: usize = lens.iter().sum();
            let sending = thread::spawn(move || {
                let mut sent = 0;
                for len in lens {
                    sent = writer.send_timeout(stream(sent, len), LONG).unwrap().get();
                }
                writer.close_timeout(LONG).unwrap().written
            });
            let mut reader = File::from(master);
            let mut heard = 0;
            while heard < total as u64 {
                let mut piece = vec![0; random.between(1, 700)];
                let n = reader.read(&mut piece).unwrap();
                assert_stream(heard, &piece[..n]);
                heard += n as u64;
            }
            assert_eq!(heard, sending.join().unwrap());
            drop(end);
        });
    });
}
