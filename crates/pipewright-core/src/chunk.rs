//! A piece of the stream, and where to cut.

use alloc::vec::Vec;

use bytes::{Buf, Bytes};

/// A piece of the stream.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) bytes: Bytes,
    /// Made here by joining small messages: its memory can be used again.
    pub(crate) joined: bool,
}

/// Splits `chunks` after `written` bytes, and keeps in `chunks` what comes after.
pub(crate) fn split_written(chunks: &mut Vec<Chunk>, mut written: usize) -> Vec<Chunk> {
    let whole = chunks
        .iter()
        .take_while(|chunk| {
            let fits = chunk.bytes.len() <= written;
            if fits {
                written -= chunk.bytes.len();
            }
            fits
        })
        .count();
    let rest = chunks.split_off(whole);
    let spent = core::mem::replace(chunks, rest);
    if let Some(first) = chunks.first_mut() {
        first.bytes.advance(written);
    }
    spent
}

/// Cuts the first `len` bytes off `chunks`, without copying any. An empty message
/// at the cut comes off with them.
pub(crate) fn split_front(chunks: &mut Vec<Chunk>, len: usize) -> Vec<Bytes> {
    let mut front = Vec::new();
    let mut left = len;
    while let Some(chunk) = chunks.first_mut() {
        if chunk.bytes.len() > left {
            if left > 0 {
                front.push(chunk.bytes.split_to(left));
            }
            break;
        }
        left -= chunk.bytes.len();
        front.push(chunks.remove(0).bytes);
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way to cut up to three chunks of up to three bytes.
    #[test]
    fn every_cut_keeps_every_byte_in_its_place() {
        let shapes = (0..64_usize).map(|shape| [shape % 4, shape / 4 % 4, shape / 16]);
        for lens in shapes {
            let total: usize = lens.iter().sum();
            let stream: Vec<u8> = (0..9).take(total).collect();
            for cut in 0..=total {
                let mut rest = chunks(&lens, &stream);
                let mut front = chunks(&lens, &stream);
                let spent = split_written(&mut rest, cut);
                let split = split_front(&mut front, cut);
                assert!(bytes(&spent).concat().len() <= cut);
                assert_eq!(bytes(&rest).concat(), stream[cut..]);
                assert_eq!(split.concat(), stream[..cut]);
                assert_eq!(bytes(&front).concat(), stream[cut..]);
            }
        }
    }

    #[test]
    fn a_chunk_is_spent_when_its_last_byte_is_written() {
        let stream = [0, 1, 2, 3];
        for (cut, spent) in [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2)] {
            let mut rest = chunks(&[2, 2], &stream);
            assert_eq!(split_written(&mut rest, cut).len(), spent);
            assert_eq!(rest.len(), 2 - spent);
        }
    }

    fn chunks(lens: &[usize], stream: &[u8]) -> Vec<Chunk> {
        let mut stream = Bytes::copy_from_slice(stream);
        let cut = |len: &usize| Chunk {
            bytes: stream.split_to(*len),
            joined: false,
        };
        lens.iter().map(cut).collect()
    }

    fn bytes(chunks: &[Chunk]) -> Vec<Bytes> {
        chunks.iter().map(|chunk| chunk.bytes.clone()).collect()
    }
}
