//! A piece of the stream, and where to cut.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::{Buf, Bytes};

/// A piece of the stream.
#[derive(Debug)]
pub(crate) enum Chunk {
    /// A message that stays the caller's own memory.
    Message(Bytes),
    /// Small messages, copied together. In a box, because a queue may hold very many
    /// of the others, and few of these.
    Block(Box<Block>),
}

/// Memory of ours, which can be used again when it was written.
#[derive(Debug)]
pub(crate) struct Block {
    memory: Vec<u8>,
    /// What comes before was written.
    start: usize,
}

impl Block {
    pub(crate) fn new(memory: Vec<u8>) -> Box<Self> {
        Box::new(Block { memory, start: 0 })
    }

    pub(crate) fn into_memory(self) -> Vec<u8> {
        self.memory
    }

    fn into_bytes(self) -> Bytes {
        let mut bytes = Bytes::from(self.memory);
        bytes.advance(self.start);
        bytes
    }
}

impl Chunk {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Chunk::Message(bytes) => bytes,
            Chunk::Block(block) => &block.memory[block.start..],
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Chunk::Message(bytes) => bytes,
            Chunk::Block(block) => block.into_bytes(),
        }
    }

    /// Leaves out the first `len` bytes.
    fn advance(&mut self, len: usize) {
        match self {
            Chunk::Message(bytes) => bytes.advance(len),
            Chunk::Block(block) => block.start += len,
        }
    }
}

/// Splits `chunks` after `written` bytes, and keeps in `chunks` what comes after.
pub(crate) fn split_written(chunks: &mut Vec<Chunk>, mut written: usize) -> Vec<Chunk> {
    let whole = chunks
        .iter()
        .take_while(|chunk| {
            let fits = chunk.len() <= written;
            if fits {
                written -= chunk.len();
            }
            fits
        })
        .count();
    let rest = chunks.split_off(whole);
    let spent = core::mem::replace(chunks, rest);
    if let Some(first) = chunks.first_mut() {
        first.advance(written);
    }
    spent
}

/// Cuts the first `len` bytes off `chunks`, without copying any. An empty message
/// at the cut comes off with them.
pub(crate) fn split_front(chunks: Vec<Chunk>, len: usize) -> (Vec<Bytes>, Vec<Chunk>) {
    let (mut front, mut rest) = (Vec::new(), Vec::new());
    let mut left = len;
    for chunk in chunks {
        if chunk.len() <= left && rest.is_empty() {
            left -= chunk.len();
            front.push(chunk.into_bytes());
        } else if left == 0 {
            rest.push(chunk);
        } else {
            let mut bytes = chunk.into_bytes();
            front.push(bytes.split_to(left));
            rest.push(Chunk::Message(bytes));
            left = 0;
        }
    }
    (front, rest)
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
                let front = chunks(&lens, &stream);
                let spent = split_written(&mut rest, cut);
                let (split, front) = split_front(front, cut);
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

    /// Every other one a block.
    fn chunks(lens: &[usize], stream: &[u8]) -> Vec<Chunk> {
        let mut stream = Bytes::copy_from_slice(stream);
        let cut = |(n, len): (usize, &usize)| {
            let bytes = stream.split_to(*len);
            if n % 2 == 0 {
                Chunk::Message(bytes)
            } else {
                Chunk::Block(Block::new(bytes.into()))
            }
        };
        lens.iter().enumerate().map(cut).collect()
    }

    fn bytes(chunks: &[Chunk]) -> Vec<&[u8]> {
        chunks.iter().map(Chunk::as_slice).collect()
    }
}
