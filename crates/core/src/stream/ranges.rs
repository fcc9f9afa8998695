//! A set of ranges that touch or overlap no other.

use std::collections::BTreeMap;

/// Ranges by their begin.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<i64, i64>);

impl Ranges {
    /// What one range costs, in bytes.
    pub const COST: usize = 64;

    /// What all of them cost.
    pub fn cost(&self) -> usize {
        self.0.len() * Self::COST
    }

    /// Adds `[a, b)`.
    pub fn add(&mut self, mut a: i64, mut b: i64) {
        if a >= b {
            return;
        }
        while let Some((&from, &to)) = self.0.range(..=b).next_back().filter(|(_, to)| **to >= a) {
            self.0.remove(&from);
            (a, b) = (a.min(from), b.max(to));
        }
        self.0.insert(a, b);
    }

    /// Cuts `[a, b)` into parts that are in the set (true) and parts that are not, and forgets all before `b`.
    pub fn split(&mut self, a: i64, b: i64) -> Vec<(i64, i64, bool)> {
        let mut parts = Vec::new();
        let mut at = a;
        while let Some((&from, &to)) = self.0.first_key_value().filter(|(from, _)| **from < b) {
            self.0.remove(&from);
            if to > b {
                self.0.insert(b, to);
            }
            let (from, to) = (from.max(at), to.min(b));
            if from < to {
                if at < from {
                    parts.push((at, from, false));
                }
                parts.push((from, to, true));
                at = to;
            }
        }
        if at < b {
            parts.push((at, b, false));
        }
        parts
    }

    /// Forgets all before `a`.
    pub fn forget_before(&mut self, a: i64) {
        while let Some((&from, &to)) = self.0.first_key_value().filter(|(from, _)| **from < a) {
            self.0.remove(&from);
            if to > a {
                self.0.insert(a, to);
            }
        }
    }
}
