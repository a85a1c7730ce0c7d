//! A block of more than 32 bits can count. Run by hand: see CONTRIBUTING.md.

#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod common;

use std::fs::File;
use std::io::Read;
use std::os::windows::io::OwnedHandle;
use std::thread;

use bytes::Bytes;
use pipewright::PipeWriter;

use common::LONG;
use common::ends::{Named, anonymous};

const LEN: usize = (4 << 30) + 10;

/// Where the block is not 0: around each GiB, so that what is cut or repeated shows.
fn marks() -> Vec<usize> {
    let mut marks: Vec<usize> = (0..=4)
        .flat_map(|n| [n << 30, (n << 30) + 7])
        .chain([(4 << 30) - 1, LEN - 1])
        .collect();
    marks.sort_unstable();
    marks
}

fn arrives((mut reader, pipe): (File, OwnedHandle)) {
    let mut block = vec![0_u8; LEN];
    for mark in marks() {
        block[mark] = 1;
    }
    let writer = PipeWriter::new(pipe).unwrap();
    let end = writer.try_send(Bytes::from(block)).unwrap();
    assert_eq!(end.get(), LEN as u64);
    let reading = thread::spawn(move || {
        let zeros = vec![0; 1 << 16];
        let mut buffer = zeros.clone();
        let (mut position, mut seen) = (0, Vec::new());
        loop {
            let len = reader.read(&mut buffer).unwrap();
            if len == 0 {
                return (position, seen);
            }
            // All at once where there is nothing: 4 billion single looks take long.
            if buffer[..len] != zeros[..len] {
                let here = buffer[..len].iter().enumerate();
                seen.extend(here.filter(|(_, b)| **b != 0).map(|(at, _)| position + at));
            }
            position += len;
        }
    });
    let summary = writer.close_timeout(LONG).unwrap();
    assert_eq!(summary.written, LEN as u64);
    assert_eq!(reading.join().unwrap(), (LEN, marks()));
}

#[test]
#[ignore = "moves 4 GiB: run by hand"]
fn a_block_of_more_than_4_gib_arrives_overlapped() {
    let wide = Named {
        buffer: 1 << 16,
        ..Named::DEFAULT
    };
    arrives(wide.pair());
}

#[test]
#[ignore = "moves 4 GiB: run by hand"]
fn a_block_of_more_than_4_gib_arrives_blocking() {
    arrives(anonymous());
}
