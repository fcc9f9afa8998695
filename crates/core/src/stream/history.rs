//! What was handed on lately, to compare bytes that come again, and where gaps were declared.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use super::budget::{Budget, PIECE};
use super::segment::Origin;

/// At most so many gaps of a stream are remembered.
const GAPS: usize = 4096;
/// What one costs, in bytes.
const GAP: usize = 64;

/// Room for bytes at first.
const ROOM: usize = 256;

/// What is known of a range that lies before the next byte.
pub(super) enum Known<'a> {
    /// These bytes were handed on, and came from there.
    Bytes(Cow<'a, [u8]>, Origin),
    /// It was declared a gap.
    Gap,
    /// Too long ago.
    Forgotten,
}

/// A piece that was handed on.
#[derive(Debug)]
struct Given {
    at: i64,
    /// Its place among all bytes that were ever noted. It ends where the next one begins.
    place: u64,
    origin: Origin,
}

/// The last pieces in order, and the last gaps. Gaps are few and kept longer, because late bytes for
/// them exist nowhere else in the output.
///
/// This is done for every segment and seldom looked at, so the bytes stand in one ring.
#[derive(Debug, Default)]
pub(super) struct History {
    pieces: VecDeque<Given>,
    bytes: VecDeque<u8>,
    /// Place of the byte behind the last one.
    end: u64,
    gaps: BTreeMap<i64, i64>,
}

impl History {
    /// Notes what was handed on, and forgets the oldest over the bounds.
    pub fn push(&mut self, at: i64, bytes: &[u8], origin: Origin, max: usize, budget: &Budget) {
        let cost = PIECE + bytes.len();
        let mut freed = 0;
        while self.cost() + cost > max || (freed < cost && !budget.take_history(cost - freed)) {
            match self.forget() {
                Some(n) => freed += n,
                None => return budget.give_history(freed),
            }
        }
        if freed > cost {
            budget.give_history(freed - cost);
        }
        // By half, not to twice as much: of many streams this is most of the memory.
        if self.pieces.len() == self.pieces.capacity() {
            self.pieces.reserve_exact((self.pieces.len() / 2).max(4));
        }
        if self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.bytes.reserve_exact((self.bytes.len() / 2).max(bytes.len()).max(ROOM));
        }
        self.pieces.push_back(Given { at, place: self.end, origin });
        self.bytes.extend(bytes);
        self.end += bytes.len() as u64;
    }

    fn cost(&self) -> usize {
        self.pieces.len() * PIECE + self.bytes.len()
    }

    /// Forgets the oldest piece and gives what it cost.
    fn forget(&mut self) -> Option<usize> {
        let piece = self.pieces.pop_front()?;
        let len = (self.pieces.front().map_or(self.end, |next| next.place) - piece.place) as usize;
        self.bytes.drain(..len);
        Some(PIECE + len)
    }

    /// The bytes from one place to another.
    fn slice(&self, from: u64, to: u64) -> Cow<'_, [u8]> {
        let first = self.end - self.bytes.len() as u64;
        let (from, to) = ((from - first) as usize, (to - first) as usize);
        let (head, tail) = self.bytes.as_slices();
        if to <= head.len() {
            Cow::Borrowed(&head[from..to])
        } else if from >= head.len() {
            Cow::Borrowed(&tail[from - head.len()..to - head.len()])
        } else {
            Cow::Owned(self.bytes.range(from..to).copied().collect())
        }
    }

    /// Notes a gap.
    pub fn gap(&mut self, at: i64, end: i64, budget: &Budget) {
        if let Some(mut last) = self.gaps.last_entry().filter(|e| *e.get() == at) {
            *last.get_mut() = end;
            return;
        }
        // Room that cannot be had is taken from the oldest gap.
        let room = self.gaps.len() < GAPS && budget.take_history(GAP);
        if room || self.gaps.pop_first().is_some() {
            self.gaps.insert(at, end);
        }
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.gaps.is_empty()
    }

    /// In no more memory than it needs.
    pub fn at_rest(mut self) -> Self {
        self.pieces.shrink_to_fit();
        self.bytes.shrink_to_fit();
        self
    }

    /// Forgets everything.
    pub fn clear(&mut self, budget: &Budget) {
        budget.give_history(self.cost() + self.gaps.len() * GAP);
        *self = Self::default();
    }

    /// What is known of `[a, b)`, which lies before the next byte, part by part.
    pub fn parts(&self, a: i64, b: i64) -> Vec<(i64, i64, Known<'_>)> {
        let mut parts = Vec::new();
        let mut at = a;
        let ends = |i: usize| self.pieces.get(i + 1).map_or(self.end, |next| next.place);
        // Pieces are in order and begin at or behind the end of the one before.
        let from = self.pieces.partition_point(|piece| piece.at <= a).saturating_sub(1);
        for (i, piece) in self.pieces.range(from..).enumerate() {
            let end = piece.at + (ends(from + i) - piece.place) as i64;
            if piece.at >= b {
                break;
            }
            if end <= a {
                continue;
            }
            self.gap_parts(at, piece.at, &mut parts);
            let begin = at.max(piece.at);
            at = b.min(end);
            let place = |x: i64| piece.place + (x - piece.at) as u64;
            parts.push((begin, at, Known::Bytes(self.slice(place(begin), place(at)), piece.origin)));
        }
        self.gap_parts(at, b, &mut parts);
        parts
    }

    /// The same for a range without pieces.
    fn gap_parts(&self, a: i64, b: i64, parts: &mut Vec<(i64, i64, Known<'_>)>) {
        if a >= b {
            return;
        }
        let mut at = a;
        let before = self.gaps.range(..a).next_back();
        for (&from, &to) in before.into_iter().chain(self.gaps.range(a..b)) {
            let (from, to) = (from.max(at), to.min(b));
            if from >= to {
                continue;
            }
            if at < from {
                parts.push((at, from, Known::Forgotten));
            }
            parts.push((from, to, Known::Gap));
            at = to;
        }
        if at < b {
            parts.push((at, b, Known::Forgotten));
        }
    }
}
