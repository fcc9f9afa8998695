//! What was handed on lately, to compare bytes that come again, and where gaps were declared.

use std::collections::{BTreeMap, VecDeque};

use super::budget::Budget;
use super::store::Piece;

/// At most so many gaps of a stream are remembered.
const GAPS: usize = 4096;
/// What one costs, in bytes.
const GAP: usize = 64;

/// What is known of a range that lies before the next byte.
pub(super) enum Known<'a> {
    /// These bytes were handed on; the piece and where it begins.
    Bytes(&'a Piece, i64),
    /// It was declared a gap.
    Gap,
    /// Too long ago.
    Forgotten,
}

/// The last pieces in order, and the last gaps. Gaps are few and kept longer, because late bytes for
/// them exist nowhere else in the output.
#[derive(Debug, Default)]
pub(super) struct History {
    pieces: VecDeque<(i64, Piece)>,
    cost: usize,
    gaps: BTreeMap<i64, i64>,
}

impl History {
    /// Notes what was handed on, and forgets the oldest over the bounds.
    pub fn push(&mut self, at: i64, piece: Piece, max: usize, budget: &Budget) {
        let cost = piece.cost();
        while self.cost + cost > max || !budget.take_history(cost) {
            if !self.forget(budget) {
                return;
            }
        }
        self.cost += cost;
        self.pieces.push_back((at, piece));
    }

    fn forget(&mut self, budget: &Budget) -> bool {
        let Some((_, piece)) = self.pieces.pop_front() else { return false };
        self.cost -= piece.cost();
        budget.give_history(piece.cost());
        true
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

    /// Forgets everything.
    pub fn clear(&mut self, budget: &Budget) {
        while self.forget(budget) {}
        budget.give_history(self.gaps.len() * GAP);
        self.gaps.clear();
    }

    /// What is known of `[a, b)`, which lies before the next byte, part by part.
    pub fn parts(&self, a: i64, b: i64) -> Vec<(i64, i64, Known<'_>)> {
        let mut parts = Vec::new();
        let mut at = a;
        let from = self.pieces.partition_point(|(at, piece)| at + piece.len() as i64 <= a);
        for (begin, piece) in self.pieces.range(from..) {
            if *begin >= b {
                break;
            }
            self.gap_parts(at, *begin, &mut parts);
            let from = at.max(*begin);
            at = b.min(begin + piece.len() as i64);
            parts.push((from, at, Known::Bytes(piece, *begin)));
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
