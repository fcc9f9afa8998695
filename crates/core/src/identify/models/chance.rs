//! What is to be expected of bytes and lengths when nothing is known: the distributions a model is held against.
//!
//! A score is a likelihood ratio against the one of them that explains the flow best. So noise of each of these
//! kinds reaches a score of t bits less often than once in 2^t, whatever the model says.

use super::sample::{Token, LONG};

/// How many there are: random, text, small numbers.
pub const KINDS: usize = 3;

/// Probabilities of bytes.
pub struct Chance {
    bytes: [[f64; 256]; KINDS],
    /// Sum of 1 / (len + 8) over the lengths below [`LONG`].
    lengths: f64,
}

impl Default for Chance {
    fn default() -> Self {
        let lengths = (1..u32::from(LONG)).map(|len| 1.0 / f64::from(len + 8)).sum();
        Self { bytes: [[1.0 / 256.0; 256], normal(text), normal(small)], lengths }
    }
}

impl Chance {
    /// Probability of a byte.
    pub fn byte(&self, kind: usize, byte: u8) -> f64 {
        self.bytes[kind][usize::from(byte)]
    }

    /// Probability of a packet from this end with this length: short ones are more common, and full ones.
    pub fn token(&self, token: Token) -> f64 {
        let len = if token.len >= LONG { 0.1 } else { 0.9 / (f64::from(token.len) + 8.0) / self.lengths };
        len / 2.0
    }
}

fn normal(weight: fn(u8) -> f64) -> [f64; 256] {
    let mut all = [0.0; 256];
    let sum: f64 = (0..=255).map(weight).sum();
    for (byte, slot) in (0..=255).zip(&mut all) {
        *slot = weight(byte) / sum;
    }
    all
}

/// Letters of Western languages by their rough frequency, figures, and what stands between them in protocols.
fn text(byte: u8) -> f64 {
    match byte {
        b'e' | b't' | b'a' | b'o' | b'i' | b'n' | b's' | b'r' => 5.0,
        b'h' | b'l' | b'd' | b'c' | b'u' | b'm' | b'p' => 2.5,
        b'a'..=b'z' => 1.2,
        b'A'..=b'Z' => 0.9,
        b'0' | b'1' | b'2' => 1.8,
        b'0'..=b'9' => 1.2,
        b' ' => 9.0,
        b'\r' | b'\n' => 1.5,
        b'/' | b'.' | b':' | b'-' | b',' | b'=' | b';' | b'"' | b'_' => 1.2,
        b'!'..=b'~' | b'\t' => 0.3,
        _ => 0.01,
    }
}

/// Fields of small numbers: many zeros, few large bytes.
fn small(byte: u8) -> f64 {
    match byte {
        0 => 80.0,
        1..=4 => 8.0,
        5..=15 => 2.5,
        16..=31 => 1.0,
        0xff => 10.0,
        32 | 64 | 128 => 1.5,
        _ => 0.4,
    }
}

/// Logarithm of the probability of bytes when each repeats one shortly before: runs and counters. In thousandths
/// of a bit, for the positions that `counts` says.
pub fn repeats(bytes: &[u8], counts: impl Fn(usize) -> bool) -> i32 {
    let mut sum = 0;
    for (at, &byte) in bytes.iter().enumerate().filter(|(at, _)| counts(*at)) {
        let before = |back: usize| at >= back && bytes[at - back] == byte;
        let mut p = 0.3 / 256.0;
        for (back, share) in [(1, 0.4), (2, 0.15), (4, 0.15)] {
            if before(back) {
                p += share;
            }
        }
        sum += super::weigh::millibits(p);
    }
    sum
}
