//! Chunks of 64 KiB that their owner gives away.

use std::io;

use super::{rates, seconds, stream};
use crate::args::Options;
use crate::contenders::names;
use crate::report::{Findings, bytes};
use crate::rounds::interleaved;

const SIZE: usize = 64 << 10;
const PIPE: usize = 1 << 20;

pub(super) fn run(options: &Options) -> io::Result<Findings> {
    let chunks: u64 = options.load(32 << 10, 256);
    let total = chunks * SIZE as u64;
    let trial = |name| stream(name, SIZE, chunks, PIPE);
    let all = interleaved(&names(|_| true), options.rounds(), trial)?;
    let title = format!(
        "{} in chunks of {}, pipe of {}",
        bytes(total),
        bytes(SIZE as u64),
        bytes(PIPE as u64)
    );
    Ok(Findings {
        tables: vec![rates(title, &all, total as f64 / 1e9, "GB/s")],
        figures: seconds("bulk", &all),
        pictures: Vec::new(),
    })
}
