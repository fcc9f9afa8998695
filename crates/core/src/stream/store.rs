//! Pieces that wait for a hole before them to be filled. They never overlap.

use std::collections::BTreeMap;

use super::budget::PIECE;
use super::segment::Origin;

/// Where a segment's bytes came from, and how far the segment reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub origin: Origin,
    /// Begin and end of the whole segment; policies compare these.
    pub span: (i64, i64),
}

/// Bytes of one segment.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    lo: usize,
    hi: usize,
    pub source: Source,
}

impl Piece {
    pub fn new(bytes: &[u8], source: Source) -> Self {
        Self { bytes: bytes.to_vec(), lo: 0, hi: bytes.len(), source }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.lo..self.hi]
    }

    pub fn len(&self) -> usize {
        self.hi - self.lo
    }

    pub fn cost(&self) -> usize {
        PIECE + self.bytes.capacity()
    }

    /// Forgets all but `[a, b)` of the bytes. Memory is given back once less than half is left,
    /// so that the copying stays in proportion to what is forgotten.
    pub fn narrow(&mut self, a: usize, b: usize) {
        self.hi = self.lo + b;
        self.lo += a;
        if self.len() * 2 < self.bytes.capacity() {
            self.bytes = self.bytes[self.lo..self.hi].to_vec();
            (self.lo, self.hi) = (0, self.bytes.len());
        }
    }
}

/// The pieces of one stream by their begin.
#[derive(Debug, Default)]
pub(super) struct Store {
    pieces: BTreeMap<i64, Piece>,
    cost: usize,
    len: usize,
}

impl Store {
    /// What the pieces cost.
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Bytes in them.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    pub fn first(&self) -> Option<i64> {
        self.pieces.first_key_value().map(|(at, _)| *at)
    }

    pub fn pop_first(&mut self) -> Option<(i64, Piece)> {
        let (at, piece) = self.pieces.pop_first()?;
        self.cost -= piece.cost();
        self.len -= piece.len();
        Some((at, piece))
    }

    /// Puts a piece into a hole.
    pub fn put(&mut self, at: i64, piece: Piece) {
        self.cost += piece.cost();
        self.len += piece.len();
        let before = self.pieces.insert(at, piece);
        debug_assert!(before.is_none());
    }

    /// What is there of `[a, b)`: begin, bytes and source of each part.
    pub fn parts(&self, a: i64, b: i64) -> impl Iterator<Item = (i64, &[u8], Source)> {
        let head = self.pieces.range(..a).next_back().filter(|_| a < b);
        let rest = (a < b).then(|| self.pieces.range(a..b)).into_iter().flatten();
        head.into_iter().chain(rest).filter_map(move |(at, piece)| {
            let (from, to) = ((*at).max(a), (at + piece.len() as i64).min(b));
            (from < to)
                .then(|| (from, &piece.bytes()[(from - at) as usize..(to - at) as usize], piece.source))
        })
    }

    /// What is not there of `[a, b)`.
    pub fn holes(&self, a: i64, b: i64) -> Vec<(i64, i64)> {
        let mut holes = Vec::new();
        let mut at = a;
        for (from, bytes, _) in self.parts(a, b) {
            if at < from {
                holes.push((at, from));
            }
            at = from + bytes.len() as i64;
        }
        if at < b {
            holes.push((at, b));
        }
        holes
    }

    /// Takes out `[a, b)`, which lies in one piece.
    pub fn remove(&mut self, a: i64, b: i64) {
        let Some((at, mut piece)) = self.pieces.range(..=a).next_back().map(|(at, _)| *at).and_then(|at| {
            let piece = self.pieces.remove(&at)?;
            Some((at, piece))
        }) else {
            return;
        };
        self.cost -= piece.cost();
        self.len -= piece.len();
        let (x, y, end) = ((a - at) as usize, (b - at) as usize, piece.len());
        // The smaller side is copied, the larger one keeps the memory.
        let source = piece.source;
        if x > 0 && y < end {
            if x < end - y {
                self.put(at, Piece::new(&piece.bytes()[..x], source));
                piece.narrow(y, end);
                self.put(b, piece);
            } else {
                self.put(b, Piece::new(&piece.bytes()[y..], source));
                piece.narrow(0, x);
                self.put(at, piece);
            }
        } else if x > 0 {
            piece.narrow(0, x);
            self.put(at, piece);
        } else if y < end {
            piece.narrow(y, end);
            self.put(b, piece);
        }
    }
}
