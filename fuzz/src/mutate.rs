//! Random changes to bytes. The same seed gives the same changes.

/// A xorshift generator (Marsaglia, "Xorshift RNGs", 2003; the 64-bit one with the shifts 13, 7, 17).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for any seed.
    pub fn new(seed: u64) -> Self {
        // Spread, so that seeds that are near give sequences that are not; 0 would stay 0.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A generator for an input: the choices of a target depend on nothing else.
    pub fn of(data: &[u8]) -> Self {
        Self::new(hash(data))
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`, 0 when there is none.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit.max(1)
    }

    /// One of some.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// FNV-1a.
pub fn hash(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}

/// The longest input.
pub const LONGEST: usize = 1 << 17;

/// Numbers at the borders of fields, lengths and limits.
const NUMBERS: [u64; 30] = [
    0,
    1,
    2,
    3,
    4,
    8,
    12,
    16,
    20,
    28,
    32,
    40,
    60,
    64,
    0x7f,
    0x80,
    0xff,
    0x100,
    0x5ff,
    0x600,
    0x7fff,
    0x8000,
    0xffff,
    0x1_0000,
    262_144,
    262_145,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffc,
    0xffff_ffff,
];

/// Changes `data` in a few random ways; `other` is spliced in.
pub fn mutate(data: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..1 + rng.below(4) * rng.below(3) {
        once(data, other, rng);
    }
    data.truncate(LONGEST);
}

fn once(data: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.below(data.len());
    let piece = at..(at + 1 + rng.below(64)).min(data.len());
    match rng.below(12) {
        0 | 1 => flip(data, at, rng),
        2..=4 => number(data, at, rng),
        5 => drop(data.splice(at..at, random(rng))),
        6 => drop(data.drain(piece)),
        7 => {
            let copy = data[piece].to_vec();
            let to = rng.below(data.len() + 1);
            data.splice(to..to, copy);
        }
        8 => {
            // A long piece, as long as whole records: duplicated in place.
            let copy = data[at..(at + rng.below(2000)).min(data.len())].to_vec();
            data.splice(at..at, copy);
        }
        9 => {
            let from = rng.below(other.len());
            let to = (from + rng.below(other.len())).min(other.len());
            data.splice(piece, other[from..to].iter().copied());
        }
        10 => {
            data.truncate(at);
            data.extend_from_slice(&other[rng.below(other.len())..]);
        }
        _ => {
            let most = data.len().min(1 + rng.below(100));
            data.truncate(data.len() - rng.below(most));
        }
    }
}

fn flip(data: &mut [u8], at: usize, rng: &mut Rng) {
    if let Some(byte) = data.get_mut(at) {
        *byte = if rng.below(2) == 0 { *byte ^ (1 << rng.below(8)) } else { rng.next() as u8 };
    }
}

/// Writes, or adds to what is there, a number of one to eight bytes in either byte order.
fn number(data: &mut [u8], at: usize, rng: &mut Rng) {
    let size = 1 << rng.below(4);
    let Some(field) = data.get_mut(at..at + size) else { return };
    let big = rng.below(2) == 0;
    let mut raw = [0; 8];
    raw[..size].copy_from_slice(field);
    if big {
        raw[..size].reverse();
    }
    let step = rng.below(9) as u64;
    let value = match rng.below(3) {
        0 => u64::from_le_bytes(raw).wrapping_add(step).wrapping_sub(4),
        1 => rng.pick(&NUMBERS).wrapping_add(step).wrapping_sub(4),
        _ => *rng.pick(&NUMBERS),
    };
    raw = value.to_le_bytes();
    if big {
        raw[..size].reverse();
    }
    field.copy_from_slice(&raw[..size]);
}

fn random(rng: &mut Rng) -> Vec<u8> {
    let len = 1 + rng.below(16);
    let fill = rng.below(3);
    (0..len).map(|_| [0, 0xff, rng.next() as u8][fill]).collect()
}
