//! Counts of what stands where in example flows.

use std::collections::BTreeMap;

use super::sample::{Carrier, Sample, Token, POSITIONS, TURNS};

/// Examples that are kept, so that each can be held out when the threshold is found.
pub const EXAMPLES: usize = 32;
/// Thousandths of a bit that mean: nothing was scored.
pub const NO_SCORE: i32 = i32::MIN;

/// How often each value was seen.
pub type Tally<T> = BTreeMap<T, u64>;

/// What a name stands for, by carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The protocol.
    pub name: String,
    /// What was counted.
    pub parts: BTreeMap<Carrier, Part>,
}

/// What was counted over one carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Example flows.
    pub flows: u64,
    /// Bytes by position, of client and server.
    pub sides: [Vec<Tally<u8>>; 2],
    /// The first packets.
    pub turns: Vec<Tally<Token>>,
    /// Examples with their numbers: those with the lowest hashes, so that merging is the same in any grouping.
    pub examples: BTreeMap<(u64, Sample), u64>,
    /// Flows of other protocols that were scored.
    pub others: u64,
    /// The highest of their scores.
    pub highest: i32,
    /// What follows from all that, see [`super::learn::derive`].
    pub derived: Derived,
}

/// When a flow gets the name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// Thousandths of a bit it needs.
    pub threshold: i32,
    /// Thousandths of a bit that client and server need if they were heard.
    pub floors: [i32; 2],
    /// Of the first [`super::score::START`] bytes of client and server, if they were heard, so many must be as in an
    /// example.
    pub starts: [u8; 2],
    /// Examples that were recognised while they were held out.
    pub held: u32,
    /// Examples that were held out.
    pub of: u32,
}

impl Default for Part {
    fn default() -> Self {
        Self {
            flows: 0,
            sides: [Vec::new(), Vec::new()],
            turns: Vec::new(),
            examples: BTreeMap::new(),
            others: 0,
            highest: NO_SCORE,
            derived: Derived::default(),
        }
    }
}

fn bump<T: Ord>(list: &mut Vec<Tally<T>>, at: usize, value: T, by: u64) {
    if list.len() <= at {
        list.resize_with(at + 1, BTreeMap::new);
    }
    let count = list[at].entry(value).or_default();
    *count = count.saturating_add(by);
}

fn drop<T: Ord>(list: &mut [Tally<T>], at: usize, value: &T, by: u64) {
    if let Some(count) = list[at].get_mut(value) {
        *count = count.saturating_sub(by);
        if *count == 0 {
            list[at].remove(value);
        }
    }
}

impl Part {
    /// Counts a flow.
    pub fn add(&mut self, sample: &Sample) {
        self.flows = self.flows.saturating_add(1);
        for (tallies, bytes) in self.sides.iter_mut().zip(&sample.sides) {
            for (at, &byte) in bytes.iter().enumerate().take(POSITIONS) {
                bump(tallies, at, byte, 1);
            }
        }
        for (at, &token) in sample.turns.iter().enumerate().take(TURNS) {
            bump(&mut self.turns, at, token, 1);
        }
        self.keep(hash(sample), sample, 1);
    }

    fn keep(&mut self, hash: u64, sample: &Sample, count: u64) {
        let full = self.examples.len() >= EXAMPLES;
        let beyond =
            full && self.examples.last_key_value().is_some_and(|(last, _)| *last < (hash, sample.clone()));
        if beyond {
            return;
        }
        let kept = self.examples.entry((hash, sample.clone())).or_default();
        *kept = kept.saturating_add(count);
        if self.examples.len() > EXAMPLES {
            self.examples.pop_last();
        }
    }

    /// The same without an example, as often as it was seen.
    #[must_use]
    pub fn without(&self, sample: &Sample, count: u64) -> Self {
        let mut rest = self.clone();
        rest.flows = rest.flows.saturating_sub(count);
        for (tallies, bytes) in rest.sides.iter_mut().zip(&sample.sides) {
            for (at, byte) in bytes.iter().enumerate().take(tallies.len()) {
                drop(tallies, at, byte, count);
            }
        }
        for (at, token) in sample.turns.iter().enumerate().take(rest.turns.len()) {
            drop(&mut rest.turns, at, token, count);
        }
        rest
    }

    /// Adds what another was taught. What is derived is not kept: derive it anew.
    pub fn merge(&mut self, other: &Self) {
        self.flows = self.flows.saturating_add(other.flows);
        for (tallies, others) in self.sides.iter_mut().zip(&other.sides) {
            for (at, tally) in others.iter().enumerate() {
                for (&byte, &count) in tally {
                    bump(tallies, at, byte, count);
                }
            }
        }
        for (at, tally) in other.turns.iter().enumerate() {
            for (&token, &count) in tally {
                bump(&mut self.turns, at, token, count);
            }
        }
        for ((hash, sample), &count) in &other.examples {
            self.keep(*hash, sample, count);
        }
        self.others = self.others.saturating_add(other.others);
        self.highest = self.highest.max(other.highest);
        self.derived = Derived::default();
    }
}

/// FNV-1a over a sample, of a fixed form: it chooses which examples are kept.
pub fn hash(sample: &Sample) -> u64 {
    let turns = sample.turns.iter().flat_map(|t| [u8::from(t.server), t.len as u8, (t.len >> 8) as u8]);
    let sides =
        sample.sides.iter().flat_map(|side| [side.len() as u8].into_iter().chain(side.iter().copied()));
    turns.chain(sides).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
