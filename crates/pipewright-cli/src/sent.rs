//! What was handed on lately: a reader that dies leaves some of it unread.

use std::collections::VecDeque;

use bytes::Bytes;

/// The last bytes of a stream, as many as are asked for or a little more.
#[derive(Debug)]
pub(crate) struct Sent {
    limit: usize,
    pieces: VecDeque<Bytes>,
    len: usize,
}

impl Sent {
    /// Keeps at least the last `limit` bytes; with 0, nothing.
    pub(crate) fn new(limit: usize) -> Self {
        Sent {
            limit,
            pieces: VecDeque::new(),
            len: 0,
        }
    }

    pub(crate) fn push(&mut self, piece: &Bytes) {
        if self.limit == 0 {
            return;
        }
        self.len += piece.len();
        self.pieces.push_back(piece.clone());
        while let Some(first) = self.pieces.front()
            && self.len - first.len() >= self.limit
        {
            self.len -= first.len();
            self.pieces.pop_front();
        }
    }

    /// The last piece, of `len` bytes, was not sent after all.
    pub(crate) fn pop(&mut self, len: usize) {
        if self.pieces.pop_back().is_some() {
            self.len -= len;
        }
    }

    /// The `len` bytes before the last `skip`, as far as they are kept.
    pub(crate) fn before(mut self, skip: u64, len: u64) -> VecDeque<Bytes> {
        let as_len = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        let (mut skip, mut len) = (as_len(skip), as_len(len));
        let mut found = VecDeque::new();
        while len > 0
            && let Some(mut piece) = self.pieces.pop_back()
        {
            let skipped = skip.min(piece.len());
            skip -= skipped;
            piece.truncate(piece.len() - skipped);
            let wanted = piece.split_off(piece.len() - len.min(piece.len()));
            len -= wanted.len();
            if !wanted.is_empty() {
                found.push_front(wanted);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(limit: usize, pieces: &[&'static str]) -> Sent {
        let mut sent = Sent::new(limit);
        for piece in pieces {
            sent.push(&Bytes::from_static(piece.as_bytes()));
        }
        sent
    }

    fn before(sent: Sent, skip: u64, len: u64) -> String {
        let pieces = sent.before(skip, len);
        pieces
            .iter()
            .map(|piece| std::str::from_utf8(piece).unwrap())
            .collect()
    }

    #[test]
    fn any_part_of_what_is_kept_is_found() {
        let all = "abcdefgh";
        for skip in 0..=8 {
            for len in 0..=8 - skip {
                let sent = sent(8, &["ab", "c", "defg", "h"]);
                let expected = &all[8 - skip - len..8 - skip];
                assert_eq!(before(sent, skip as u64, len as u64), expected);
            }
        }
    }

    #[test]
    fn no_more_is_kept_than_has_to_be() {
        let kept = sent(3, &["abc", "d", "e", "fg"]);
        assert_eq!((kept.len, kept.pieces.len()), (3, 2));
        assert_eq!(before(kept, 0, 100), "efg");
        assert_eq!(before(sent(0, &["abc"]), 0, 3), "");
    }

    #[test]
    fn what_was_not_sent_is_forgotten() {
        let mut sent = sent(8, &["ab", "cd"]);
        sent.pop(2);
        assert_eq!(before(sent, 0, 8), "ab");
    }
}
