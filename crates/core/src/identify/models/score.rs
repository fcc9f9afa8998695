//! How well a model explains the start of a flow.

use super::chance::{repeats, Chance, KINDS};
use super::counts::{Derived, Part};
use super::sample::{Seen, Token, POSITIONS};
use super::weigh::weigh;

/// Bytes must tell at least so much, in thousandths of a bit: lengths alone name nothing.
pub const BYTES: i32 = 24_000;
/// Lengths tell at most so much.
const LENGTHS: i32 = 16_000;
/// First bytes of an end that must be like those of the examples, some of them: most flows are told by that.
pub const START: usize = 8;
/// From this score on an answer is [`HIGH`], else [`LOW`].
const CLEAR: i32 = 56_000;
const HIGH: u8 = 90;
const LOW: u8 = 80;

/// A part of a model, ready to be asked.
#[derive(Clone, Debug)]
pub struct Scorer {
    sides: [Vec<Position>; 2],
    /// Positions whose hits are in `table`.
    turns: Vec<(Vec<(Token, i32)>, i32)>,
    /// When a flow gets the name.
    pub derived: Derived,
    cap: u8,
}

#[derive(Clone, Debug)]
struct Position {
    miss: [i32; KINDS],
    hits: Vec<(u8, [i32; KINDS])>,
    /// The most that this position and all behind it add against random bytes.
    rest: i32,
}

/// What a flow reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Score {
    /// Of client and server; `None` of silence.
    pub sides: [Option<i32>; 2],
    /// Of the first packets' lengths and directions.
    pub turns: i32,
}

impl Score {
    /// Of the bytes.
    pub fn bytes(&self) -> i32 {
        self.sides.iter().flatten().sum()
    }

    /// Of all.
    pub fn total(&self) -> i32 {
        self.bytes() + self.turns
    }
}

/// Before anything was counted, how likely a position is the protocol's own: the earlier the more.
fn own(at: usize) -> f64 {
    match at {
        0..4 => 0.5,
        4..16 => 0.35,
        16..32 => 0.2,
        _ => 0.1,
    }
}

impl Scorer {
    /// Weighs all counts.
    pub fn new(part: &Part, chance: &Chance) -> Self {
        let side = |tallies: &[super::counts::Tally<u8>]| {
            let mut positions: Vec<Position> = tallies
                .iter()
                .enumerate()
                .take(POSITIONS)
                .map(|(at, tally)| {
                    let counts: Vec<(u8, u64)> = tally.iter().map(|(&b, &n)| (b, n)).collect();
                    let kinds: [_; KINDS] =
                        std::array::from_fn(|kind| weigh(&counts, own(at), |byte| chance.byte(kind, byte)));
                    let hits =
                        (0..counts.len()).map(|i| (counts[i].0, [0, 1, 2].map(|k| kinds[k].hits[i].1)));
                    Position { miss: [0, 1, 2].map(|k| kinds[k].miss), hits: hits.collect(), rest: 0 }
                })
                .collect();
            let mut rest = 0;
            for position in positions.iter_mut().rev() {
                rest += position.hits.iter().map(|hit| hit.1[0]).max().unwrap_or(0).max(0);
                position.rest = rest;
            }
            positions
        };
        let turns = part.turns.iter().enumerate().map(|(at, tally)| {
            let counts: Vec<(Token, u64)> = tally.iter().map(|(&t, &n)| (t, n)).collect();
            let bits = weigh(&counts, if at == 0 { 0.5 } else { 0.3 }, |token| chance.token(token));
            (bits.hits, bits.miss)
        });
        Self {
            sides: [side(&part.sides[0]), side(&part.sides[1])],
            turns: turns.collect(),
            derived: part.derived,
            cap: cap(&part.derived),
        }
    }

    /// Scores a flow.
    pub fn score(&self, seen: &Seen<'_>) -> Score {
        let sides = [0, 1].map(|end| self.side(end, seen.sides[end]));
        let turns: i32 = self
            .turns
            .iter()
            .zip(seen.turns())
            .map(|((hits, miss), token)| {
                hits.binary_search_by_key(token, |hit| hit.0).map_or(*miss, |at| hits[at].1)
            })
            .sum();
        Score { sides, turns: turns.clamp(-LENGTHS, LENGTHS) }
    }

    /// Against what explains the bytes best.
    fn side(&self, end: usize, bytes: &[u8]) -> Option<i32> {
        let positions = &self.sides[end];
        if bytes.is_empty() {
            return None;
        }
        let mut sums = [0; KINDS];
        for (position, &byte) in positions.iter().zip(bytes) {
            let bits = position.bits(byte);
            for (sum, bits) in sums.iter_mut().zip(bits) {
                *sum += bits;
            }
        }
        let told = positions.len().min(bytes.len());
        let random = sums[0] - 8000 * told as i32;
        let repeats = random - repeats(&bytes[..told], |_| true);
        sums.iter().copied().chain([repeats]).min()
    }

    /// How many of an end's first bytes are as in an example.
    #[inline]
    pub fn start(&self, end: usize, bytes: &[u8]) -> usize {
        let pairs = self.sides[end].iter().zip(bytes).take(START);
        pairs.filter(|(position, &byte)| position.hits.iter().any(|hit| hit.0 == byte)).count()
    }

    /// The places among an end's first bytes, with the bytes of examples there.
    pub fn starting(&self, end: usize) -> impl Iterator<Item = (usize, u8)> + '_ {
        let places = self.sides[end].iter().enumerate().take(START);
        places.flat_map(|(at, position)| position.hits.iter().map(move |hit| (at, hit.0)))
    }

    /// Whether a flow may still get the name: each end that was heard begins like examples, and passes its floor
    /// against random bytes.
    #[inline]
    pub fn may(&self, seen: &Seen<'_>) -> bool {
        (0..2).all(|end| {
            let (floor, bytes) = (self.derived.floors[end], seen.sides[end]);
            if self.start(end, bytes) < usize::from(self.derived.starts[end]).min(bytes.len()) {
                return false;
            }
            let mut sum = 0;
            for (position, &byte) in self.sides[end].iter().zip(bytes) {
                if sum + position.rest < floor {
                    return false;
                }
                sum += position.bits(byte)[0];
            }
            bytes.is_empty() || sum >= floor
        })
    }

    /// The score, if the flow gets the name.
    pub fn accepts(&self, seen: &Seen<'_>) -> Option<Score> {
        if !self.may(seen) {
            return None;
        }
        let score = self.score(seen);
        let passes =
            score.sides.iter().zip(self.derived.floors).all(|(side, floor)| side.is_none_or(|s| s >= floor));
        (passes && score.bytes() >= BYTES && score.total() >= self.derived.threshold).then_some(score)
    }

    /// How sure that makes: never more than the examples that were held out justify.
    pub fn confidence(&self, score: &Score) -> u8 {
        self.cap.min(if score.total() >= CLEAR { HIGH } else { LOW })
    }

    /// Where in an end's bytes the eight begin that told most.
    pub fn telling(&self, end: usize, bytes: &[u8]) -> usize {
        let gains: Vec<i32> =
            self.sides[end].iter().zip(bytes).map(|(p, &byte)| p.bits(byte)[0].max(0)).collect();
        let sums = gains.windows(8.min(gains.len().max(1))).map(|window| window.iter().sum::<i32>());
        // The first of the best.
        sums.enumerate().max_by_key(|&(at, sum)| (sum, usize::MAX - at)).map_or(0, |(at, _)| at)
    }

    /// Of each of the first packets: what is most likely, and how many bits it tells, in thousandths.
    pub fn lengths(&self) -> impl Iterator<Item = (Token, i32)> + '_ {
        self.turns
            .iter()
            .filter_map(|(hits, _)| hits.iter().copied().max_by_key(|&(token, bits)| (bits, token)))
    }

    /// Positions of an end and how many bits the best byte of each tells, in thousandths, against random bytes.
    pub fn weights(&self, end: usize) -> impl Iterator<Item = i32> + '_ {
        self.sides[end].iter().map(|p| p.hits.iter().map(|hit| hit.1[0]).max().unwrap_or(0))
    }
}

impl Position {
    #[inline]
    fn bits(&self, byte: u8) -> &[i32; KINDS] {
        if let [(only, bits)] = &self.hits[..] {
            return if *only == byte { bits } else { &self.miss };
        }
        self.hits.binary_search_by_key(&byte, |hit| hit.0).map_or(&self.miss, |at| &self.hits[at].1)
    }
}

/// Rule of succession: of `of` held out examples `held` were recognised, so the next one is with (held + 1) / (of + 2).
pub fn cap(derived: &Derived) -> u8 {
    let percent = 100 * (u64::from(derived.held) + 1) / (u64::from(derived.of) + 2);
    percent.min(u64::from(HIGH)) as u8
}
