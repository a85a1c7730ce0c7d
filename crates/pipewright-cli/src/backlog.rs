//! What a sink has not been given yet: a bounded queue that can drop from either
//! end, and drops whole lines if told to. It does nothing but keep count.
//!
//! ```text
//! offer ──▶ queue ── next ──▶ outside: handed on, and not written yet
//!            ▲  └─ drop-oldest     │
//!            └──── put_back ◀──────┘
//! ```

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::spec::OnFull;

/// Pieces up to this are copied together: an input may come in pieces of a few
/// bytes, and the memory of each would be many times that.
const SMALL: usize = 2 * 1024;
/// How much is copied together at most.
const JOINED: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Backlog {
    capacity: u64,
    lines: bool,
    /// Goes on first and is never dropped: the rest of a line that was begun, and
    /// lines that came back. Empty unless `lines`.
    begun: VecDeque<Bytes>,
    queue: VecDeque<Bytes>,
    /// The end of the queue, as long as small pieces come.
    joined: BytesMut,
    most_joined: usize,
    /// Bytes in `begun`, `queue` and `joined`.
    len: u64,
    /// Bytes at the end of the queue that are a line without its end yet. 0 unless
    /// `lines`.
    open: u64,
    /// The line that comes in is being dropped, up to its end.
    skipping: bool,
    /// Bytes that were handed on and still take up room.
    outside: u64,
}

impl Backlog {
    /// With `lines`, what is dropped and what is handed on are whole lines. A line
    /// that does not fit an empty backlog is always dropped.
    pub(crate) fn new(capacity: u64, lines: bool) -> Self {
        Backlog {
            capacity,
            lines,
            begun: VecDeque::new(),
            queue: VecDeque::new(),
            joined: BytesMut::new(),
            // A small part of the buffer, because it may be dropped as a whole.
            most_joined: usize::try_from(capacity / 8).map_or(JOINED, |part| part.min(JOINED)),
            len: 0,
            open: 0,
            skipping: false,
            outside: 0,
        }
    }

    /// Bytes that are here, and neither handed on nor dropped.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn outside(&self) -> u64 {
        self.outside
    }

    /// So many bytes of what was handed on do not take up room any more.
    pub(crate) fn gone(&mut self, bytes: u64) {
        self.outside -= bytes;
    }

    pub(crate) fn fits(&self, len: usize) -> bool {
        len as u64 <= self.capacity.saturating_sub(self.len + self.outside)
    }
}

/// What comes in.
impl Backlog {
    /// Takes a piece, or what the policy lets it take. Gives back what it has no
    /// room for, if the policy is not to drop.
    pub(crate) fn offer(&mut self, piece: Bytes, on_full: OnFull) -> Result<(), Bytes> {
        if !self.skipping && self.fits(piece.len()) {
            self.push(piece);
            return Ok(());
        }
        match on_full {
            OnFull::Wait | OnFull::Detach => return Err(piece),
            OnFull::DropNewest | OnFull::DropOldest if self.lines => {
                self.offer_lines(&piece, on_full);
            }
            OnFull::DropNewest => {}
            OnFull::DropOldest => {
                while !self.fits(piece.len()) && self.drop_oldest_piece() {}
                if self.fits(piece.len()) {
                    self.push(piece);
                }
            }
        }
        Ok(())
    }

    /// Line by line, because not all of them fit. What is kept is copied together,
    /// so that a short line does not keep the memory of the long block it came in.
    fn offer_lines(&mut self, block: &[u8], on_full: OnFull) {
        let mut kept = BytesMut::new();
        for line in block.split_inclusive(|&byte| byte == b'\n') {
            let ends = line.ends_with(b"\n");
            if self.skipping {
                self.skipping = !ends;
                continue;
            }
            let fits = |backlog: &Self, kept: &BytesMut| backlog.fits(kept.len() + line.len());
            if on_full == OnFull::DropOldest {
                while !fits(self, &kept) {
                    self.push(kept.split().freeze());
                    if !self.drop_oldest_line() {
                        break;
                    }
                }
            }
            if fits(self, &kept) {
                kept.extend_from_slice(line);
            } else {
                self.push(kept.split().freeze());
                self.drop_open_line();
                self.skipping = !ends;
            }
        }
        self.push(kept.freeze());
    }

    fn push(&mut self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let len = piece.len() as u64;
        self.len += len;
        if self.lines {
            self.open = match piece.iter().rposition(|&byte| byte == b'\n') {
                Some(end) => (piece.len() - end - 1) as u64,
                None => self.open + len,
            };
        }
        if piece.len() <= SMALL.min(self.most_joined) {
            if self.joined.len() + piece.len() > self.most_joined {
                self.seal();
            }
            if self.joined.capacity() - self.joined.len() < piece.len() {
                self.seal();
                self.joined = BytesMut::with_capacity(self.most_joined);
            }
            self.joined.extend_from_slice(&piece);
        } else {
            self.seal();
            self.queue.push_back(piece);
        }
    }

    /// Nothing more is joined to the end of the queue.
    fn seal(&mut self) {
        if !self.joined.is_empty() {
            self.queue.push_back(self.joined.split().freeze());
        }
    }

    /// The input has ended: the last line is whole as it is.
    pub(crate) fn end(&mut self) {
        self.open = 0;
    }

    fn drop_oldest_piece(&mut self) -> bool {
        if self.queue.is_empty() {
            self.seal();
        }
        let dropped = self.queue.pop_front();
        self.len -= dropped.as_ref().map_or(0, |piece| piece.len() as u64);
        dropped.is_some()
    }

    /// False if there is no line that has its end.
    fn drop_oldest_line(&mut self) -> bool {
        if self.queued() == self.open {
            return false;
        }
        self.seal();
        while let Some(piece) = self.queue.front_mut() {
            let line = line_of(piece);
            let (len, ends) = (line.len(), line.ends_with(b"\n"));
            let _ = piece.split_to(len);
            self.len -= len as u64;
            if piece.is_empty() {
                self.queue.pop_front();
            }
            if ends {
                break;
            }
        }
        true
    }

    fn drop_open_line(&mut self) {
        self.seal();
        while self.open > 0
            && let Some(last) = self.queue.back_mut()
        {
            let len = last
                .len()
                .min(usize::try_from(self.open).unwrap_or(usize::MAX));
            last.truncate(last.len() - len);
            if last.is_empty() {
                self.queue.pop_back();
            }
            self.open -= len as u64;
            self.len -= len as u64;
        }
    }

    fn queued(&self) -> u64 {
        let begun: u64 = self.begun.iter().map(|piece| piece.len() as u64).sum();
        self.len - begun
    }
}

/// What goes on.
impl Backlog {
    /// The next piece to hand on, of at most `max` bytes, if no more than `max` will
    /// be outside then. From now on it is outside.
    pub(crate) fn next(&mut self, max: usize) -> Option<Bytes> {
        if self.queue.is_empty() {
            self.seal();
        }
        let wanted = self.next_len(max)?;
        if self.outside > 0 && self.outside + wanted as u64 > max as u64 {
            return None;
        }
        let from_begun = !self.begun.is_empty();
        let source = if from_begun {
            &mut self.begun
        } else {
            &mut self.queue
        };
        let front = source.front_mut()?;
        let piece = front.split_to(wanted);
        if front.is_empty() {
            source.pop_front();
        }
        self.len -= wanted as u64;
        self.outside += wanted as u64;
        if self.lines && !from_begun && !piece.ends_with(b"\n") {
            self.begin_rest_of_line();
        }
        Some(piece)
    }

    /// The length of what goes next: whole lines if possible.
    fn next_len(&self, max: usize) -> Option<usize> {
        if let Some(front) = self.begun.front() {
            return Some(front.len().min(max));
        }
        let front = self.queue.front()?;
        if !self.lines {
            return Some(front.len().min(max));
        }
        let whole = usize::try_from(self.len - self.open).unwrap_or(usize::MAX);
        let len = front.len().min(max).min(whole);
        let end = front[..len].iter().rposition(|&byte| byte == b'\n');
        (len > 0).then(|| end.map_or(len, |end| end + 1))
    }

    /// A part of a line was handed on, so the rest has to follow.
    fn begin_rest_of_line(&mut self) {
        self.seal();
        while self.queued() > self.open
            && let Some(mut piece) = self.queue.pop_front()
        {
            let rest = piece.split_to(line_of(&piece).len());
            let ends = rest.ends_with(b"\n");
            self.begun.push_back(rest);
            if !piece.is_empty() {
                self.queue.push_front(piece);
            }
            if ends {
                break;
            }
        }
    }

    /// What was handed on and is not gone comes back, in its order, and goes next.
    /// Of a line a part may have gone on, so lines that come back are not dropped.
    pub(crate) fn put_back(&mut self, pieces: impl DoubleEndedIterator<Item = Bytes>) {
        let place = if self.lines {
            &mut self.begun
        } else {
            &mut self.queue
        };
        for piece in pieces.rev() {
            self.len += piece.len() as u64;
            place.push_front(piece);
        }
    }
}

/// Up to and with the first end of a line, or everything.
fn line_of(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&byte| byte == b'\n');
    &bytes[..end.map_or(bytes.len(), |end| end + 1)]
}

#[cfg(test)]
mod tests;
