//! What was handed on lately, to compare bytes that come again.

use std::collections::VecDeque;

use super::budget::{Budget, PIECE};
use super::store::Piece;

/// One range that was handed on.
#[derive(Debug)]
struct Entry {
    at: i64,
    end: i64,
    /// None: a gap.
    piece: Option<Piece>,
}

impl Entry {
    fn cost(&self) -> usize {
        self.piece.as_ref().map_or(PIECE, Piece::cost)
    }
}

/// What is known of a range that lies before the next byte.
pub(super) enum Known<'a> {
    /// These bytes were handed on.
    Bytes(&'a Piece, i64),
    /// It was declared a gap.
    Gap,
    /// Too long ago.
    Forgotten,
}

/// The last ranges without a break between them: each byte before the end lies in one or was forgotten.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<Entry>,
    cost: usize,
}

impl History {
    /// Notes what was handed on, and forgets the oldest over the bounds.
    pub fn push(&mut self, at: i64, end: i64, piece: Option<Piece>, max: usize, budget: &Budget) {
        let entry = Entry { at, end, piece };
        let cost = entry.cost();
        while self.cost + cost > max || !budget.take_history(cost) {
            if !self.forget(budget) {
                return;
            }
        }
        self.cost += cost;
        self.entries.push_back(entry);
    }

    fn forget(&mut self, budget: &Budget) -> bool {
        let Some(entry) = self.entries.pop_front() else { return false };
        self.cost -= entry.cost();
        budget.give_history(entry.cost());
        true
    }

    /// Forgets everything.
    pub fn clear(&mut self, budget: &Budget) {
        while self.forget(budget) {}
    }

    /// What is known of `[a, b)`, which lies before the next byte, part by part.
    pub fn parts(&self, a: i64, b: i64) -> impl Iterator<Item = (i64, i64, Known<'_>)> {
        let first = self.entries.front().map_or(b, |e| e.at).min(b);
        let old = (a < first).then_some((a, first, Known::Forgotten));
        let from = self.entries.partition_point(|e| e.end <= a);
        // A range that did not fit into the bounds leaves a break, so the entries are not taken for granted.
        let mut at = a.max(first);
        let mut next = self.entries.range(from..).take_while(move |e| e.at < b).peekable();
        let known = std::iter::from_fn(move || {
            if at >= b {
                return None;
            }
            let start = next.peek().map_or(b, |e| e.at);
            if at < start {
                let part = (at, start, Known::Forgotten);
                at = start;
                return Some(part);
            }
            let e = next.next()?;
            let part = (at, e.end.min(b));
            at = part.1;
            Some((part.0, part.1, e.piece.as_ref().map_or(Known::Gap, |piece| Known::Bytes(piece, e.at))))
        });
        old.into_iter().chain(known)
    }
}
