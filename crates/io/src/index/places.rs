//! Places of records as parts of an index: distance from the record before, length, and the number of records between.

use super::bytes::{Broken, Get, Put};

/// Places of a part at most.
pub const RUN: usize = 1 << 16;
/// Bytes of such a part at most: a length has five at most, the others ten.
pub const MOST: usize = RUN * 25 + 20;

/// A record, or a run of blocks that are no packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in the capture.
    pub start: u64,
    /// Bytes.
    pub len: u32,
    /// Which record of the capture it is, from 0.
    pub number: u64,
    /// The tag of its flow.
    pub tag: u32,
}

/// From one record to the next one of its flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Bytes between the two. For the first one of a flow: from the begin of that of the flow before, see [`signed`].
    pub gap: u64,
    /// Bytes of the record.
    pub len: u32,
    /// Records between the two, of whatever flow. For the first one likewise.
    pub between: u64,
}

/// A distance that may be backwards.
pub fn signed(from: u64, to: u64) -> u64 {
    let distance = to.wrapping_sub(from) as i64;
    ((distance << 1) ^ (distance >> 63)) as u64
}

/// What lies at such a distance.
pub fn at_signed(from: u64, distance: u64) -> u64 {
    from.wrapping_add(((distance >> 1) as i64 ^ -((distance & 1) as i64)) as u64)
}

/// Writes at most [`RUN`] places in columns: like stands by like and packs better.
pub fn encode(steps: &[Step]) -> Vec<u8> {
    let (mut gaps, mut between, mut put) = (Put::default(), Put::default(), Put::default());
    for step in steps {
        gaps.number(step.gap);
        between.number(step.between);
    }
    put.bytes(&gaps.0);
    put.bytes(&between.0);
    for step in steps {
        put.number(step.len.into());
    }
    put.0
}

/// Reads places one after another, out of parts that are asked for when they are needed.
pub struct Reader<F> {
    next: F,
    left: u64,
    steps: Vec<Step>,
    at: usize,
}

impl<F: FnMut() -> Result<Vec<u8>, String>> Reader<F> {
    /// `places` in all.
    pub fn new(places: u64, next: F) -> Self {
        Self { next, left: places, steps: Vec::new(), at: 0 }
    }

    /// The next one.
    #[inline]
    pub fn step(&mut self) -> Result<Step, String> {
        if self.at == self.steps.len() {
            let n = self.left.min(RUN as u64) as usize;
            let bytes = (self.next)()?;
            self.fill(&bytes, n).map_err(|Broken(why)| format!("its places are broken: {why}"))?;
            self.left -= n as u64;
            self.at = 0;
        }
        let Some(&step) = self.steps.get(self.at) else {
            return Err("its places are broken: there are more records than places".to_owned());
        };
        self.at += 1;
        Ok(step)
    }

    fn fill(&mut self, bytes: &[u8], n: usize) -> Result<(), Broken> {
        let mut get = Get(bytes);
        let mut gaps = Get(get.bytes()?);
        let mut between = Get(get.bytes()?);
        self.steps.clear();
        for _ in 0..n {
            let step = Step { gap: gaps.number()?, len: get.small()?, between: between.number()? };
            self.steps.push(step);
        }
        gaps.end()?;
        between.end()?;
        get.end()
    }
}
