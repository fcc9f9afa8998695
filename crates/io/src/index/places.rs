//! Places of records as parts of an index: distance from the record before, and length.

use super::bytes::{Broken, Get, Put};

/// Places of a part at most.
pub const RUN: usize = 1 << 16;
/// Bytes of such a part at most: a length has five at most, a distance ten.
pub const MOST: usize = RUN * 15 + 10;

/// A record, or a run of blocks that are no packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset in the capture.
    pub start: u64,
    /// Bytes.
    pub len: u32,
    /// The tag of its flow.
    pub tag: u32,
}

/// Writes at most [`RUN`] places, distances first: like stands by like and packs better.
pub fn encode(steps: &[(u64, u32)]) -> Vec<u8> {
    let mut gaps = Put::default();
    let mut put = Put::default();
    for &(gap, _) in steps {
        gaps.number(gap);
    }
    put.bytes(&gaps.0);
    for &(_, len) in steps {
        put.number(len.into());
    }
    put.0
}

/// Reads places one after another, out of parts that are asked for when they are needed.
pub struct Reader<F> {
    next: F,
    left: u64,
    gaps: Vec<u64>,
    lens: Vec<u32>,
    at: usize,
}

impl<F: FnMut() -> Result<Vec<u8>, String>> Reader<F> {
    /// `places` in all.
    pub fn new(places: u64, next: F) -> Self {
        Self { next, left: places, gaps: Vec::new(), lens: Vec::new(), at: 0 }
    }

    /// The next distance and length.
    #[inline]
    pub fn step(&mut self) -> Result<(u64, u32), String> {
        if self.at == self.gaps.len() {
            let n = self.left.min(RUN as u64) as usize;
            let bytes = (self.next)()?;
            self.fill(&bytes, n).map_err(|Broken(why)| format!("its places are broken: {why}"))?;
            self.left -= n as u64;
            self.at = 0;
        }
        let (Some(&gap), Some(&len)) = (self.gaps.get(self.at), self.lens.get(self.at)) else {
            return Err("its places are broken: there are more records than places".to_owned());
        };
        self.at += 1;
        Ok((gap, len))
    }

    fn fill(&mut self, bytes: &[u8], n: usize) -> Result<(), Broken> {
        let mut get = Get(bytes);
        let mut gaps = Get(get.bytes()?);
        self.gaps.clear();
        self.lens.clear();
        for _ in 0..n {
            self.gaps.push(gaps.number()?);
            self.lens.push(get.small()?);
        }
        gaps.end()?;
        get.end()
    }
}
