//! Puts datagrams together that came in IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
//!
//! What was there first stays. Other bytes for the same place are noted: receivers differ in what they do
//! with them, and an attacker may count on it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::packet::FragKey;
use crate::stream::Origin;

/// Datagrams that are put together at once.
const DATAGRAMS: usize = 4096;
/// Bytes of all of them; pieces are counted with what they cost.
const BYTES: usize = 16 << 20;
/// What a piece costs besides its bytes.
const PIECE: usize = 96;
/// Fragments further apart in time are of another datagram (RFC 1122 section 3.3.2: 60 to 120 s).
const LIFETIME_NS: u64 = 120_000_000_000;
/// No datagram is longer.
const LONGEST: usize = 65_535;

/// One fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub tag: u32,
    pub dir: u8,
    /// Where it lies in the datagram.
    pub at: usize,
    /// Whether more follow.
    pub more: bool,
    /// Captured bytes.
    pub bytes: &'a [u8],
    /// Bytes on the wire.
    pub wire: usize,
    pub origin: Origin,
    /// The IP header, of the first fragment.
    pub head: &'a [u8],
    /// Protocol of what is inside, as the first fragment tells it.
    pub proto: u8,
}

/// A datagram in the making, or whole.
#[derive(Debug, Default)]
pub(super) struct Datagram {
    pub tag: u32,
    pub dir: u8,
    pub proto: u8,
    /// The first fragment's IP header.
    pub head: Vec<u8>,
    pub origin: Origin,
    /// The captured bytes from its begin on without a hole.
    pub bytes: Vec<u8>,
    /// Its length on the wire.
    pub wire: usize,
    /// Begin → (captured bytes, end on the wire); never overlapping.
    pieces: BTreeMap<usize, (Vec<u8>, usize)>,
    end: Option<usize>,
    /// Bytes that are there of those before the end.
    covered: usize,
    cost: usize,
    number: u64,
    first_ts: i64,
}

impl Datagram {
    fn captured(&self) -> u64 {
        self.pieces.values().map(|(bytes, _)| bytes.len() as u64).sum()
    }

    /// Puts the fragment in; gives whether it says something else than one before it.
    fn put(&mut self, f: &Fragment<'_>) -> bool {
        let stop = f.at + f.wire;
        let mut differs = false;
        if !f.more {
            differs |= self.end.is_some_and(|end| end != stop);
            if self.end.is_none() {
                self.end = Some(stop);
                self.covered =
                    self.pieces.iter().map(|(lo, (_, hi))| stop.min(*hi).saturating_sub(*lo)).sum();
            }
        }
        // The holes it fills; where something is, that is compared.
        let mut at = f.at;
        let from = self.pieces.range(..=f.at).next_back().map_or(f.at, |(begin, _)| *begin);
        let mut holes = Vec::new();
        for (&begin, (old, end)) in self.pieces.range(from..stop) {
            if *end <= f.at {
                continue;
            }
            if at < begin {
                holes.push((at, begin));
            }
            let (lo, hi) = (begin.max(f.at), (*end).min(stop));
            let known = hi.min(begin + old.len()).min(f.at + f.bytes.len());
            if lo < known {
                differs |= old[lo - begin..known - begin] != f.bytes[lo - f.at..known - f.at];
            }
            at = at.max(*end);
        }
        if at < stop {
            holes.push((at, stop));
        }
        for (lo, hi) in holes {
            let n = f.bytes.len();
            let bytes = f.bytes[(lo - f.at).min(n)..(hi - f.at).min(n)].to_vec();
            self.cost += PIECE + bytes.capacity();
            self.covered += hi.min(self.end.unwrap_or(hi)).saturating_sub(lo);
            self.pieces.insert(lo, (bytes, hi));
        }
        if f.at == 0 && self.head.is_empty() {
            self.head = f.head.to_vec();
            self.cost += self.head.capacity();
            (self.proto, self.dir) = (f.proto, f.dir);
        }
        self.origin = f.origin;
        differs
    }

    fn is_whole(&self) -> bool {
        !self.head.is_empty() && self.end.is_some_and(|end| self.covered >= end)
    }

    fn join(&mut self) {
        self.wire = self.end.unwrap_or(0);
        for (&at, (bytes, end)) in &self.pieces {
            if at >= self.wire {
                break;
            }
            let n = bytes.len().min(self.wire - at);
            self.bytes.extend_from_slice(&bytes[..n]);
            if bytes.len() < end - at {
                break; // the capture lacks the rest
            }
        }
    }
}

/// What was odd, or lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Odd {
    /// Fragments gave different bytes for one place.
    Differs(u32, u8, Origin),
    /// A datagram never became whole; so many captured bytes of it are not used.
    Incomplete(u32, u8, Origin, u64),
}

/// Datagrams in the making.
#[derive(Debug, Default)]
pub(super) struct Defrag {
    all: HashMap<FragKey, Datagram>,
    /// Oldest first, with the number of the datagram, for a key may come again.
    aged: VecDeque<(FragKey, u64)>,
    cost: usize,
    next: u64,
}

impl Defrag {
    /// Takes a fragment; gives the datagram when it is whole.
    pub fn take(&mut self, key: FragKey, f: &Fragment<'_>, odd: &mut Vec<Odd>) -> Option<Datagram> {
        if f.at + f.wire > LONGEST || f.wire == 0 {
            odd.push(Odd::Incomplete(f.tag, f.dir, f.origin, f.bytes.len() as u64));
            return None;
        }
        let stale = |d: &Datagram| d.first_ts.abs_diff(f.origin.ts) > LIFETIME_NS || d.tag != f.tag;
        if self.all.get(&key).is_some_and(stale) {
            self.drop_one(&key, odd);
        }
        let number = self.next;
        let datagram = self.all.entry(key).or_insert_with(|| Datagram {
            tag: f.tag,
            dir: f.dir,
            number,
            first_ts: f.origin.ts,
            ..Datagram::default()
        });
        if datagram.number == number {
            self.next += 1;
            self.aged.push_back((key, number));
        }
        let before = datagram.cost;
        if datagram.put(f) {
            odd.push(Odd::Differs(f.tag, datagram.dir, f.origin));
        }
        self.cost += datagram.cost - before;
        if datagram.is_whole() {
            let mut datagram = self.all.remove(&key)?;
            self.cost -= datagram.cost;
            datagram.join();
            return Some(datagram);
        }
        while self.cost > BYTES || self.all.len() > DATAGRAMS || self.aged.len() > 4 * DATAGRAMS {
            self.drop_oldest(odd);
        }
        None
    }

    /// No fragments come any more.
    pub fn finish(&mut self, odd: &mut Vec<Odd>) {
        while !self.aged.is_empty() {
            self.drop_oldest(odd);
        }
    }

    fn drop_oldest(&mut self, odd: &mut Vec<Odd>) {
        let Some((key, number)) = self.aged.pop_front() else { return };
        if self.all.get(&key).is_some_and(|d| d.number == number) {
            self.drop_one(&key, odd);
        }
    }

    fn drop_one(&mut self, key: &FragKey, odd: &mut Vec<Odd>) {
        if let Some(datagram) = self.all.remove(key) {
            self.cost -= datagram.cost;
            odd.push(Odd::Incomplete(datagram.tag, datagram.dir, datagram.origin, datagram.captured()));
        }
    }
}

/// Where a fragment lies in its datagram, whether more follow, where its bytes begin in `ip`, and the
/// protocol they are of.
pub(super) fn place(ip: &[u8]) -> Option<(usize, bool, usize, u8)> {
    match ip.first()? >> 4 {
        4 => {
            let field = u16::from_be_bytes([*ip.get(6)?, *ip.get(7)?]);
            let size = usize::from(ip[0] & 15) * 4;
            Some((usize::from(field & 0x1fff) * 8, field & 0x2000 != 0, size, *ip.get(9)?))
        }
        6 => {
            let (mut next, mut at) = (*ip.get(6)?, 40);
            while matches!(next, 0 | 43 | 51 | 60 | 135) {
                let units = usize::from(*ip.get(at + 1)?);
                let size = if next == 51 { (units + 2) * 4 } else { (units + 1) * 8 };
                next = *ip.get(at)?;
                at += size;
            }
            if next != 44 {
                return None;
            }
            let field = u16::from_be_bytes([*ip.get(at + 2)?, *ip.get(at + 3)?]);
            Some((usize::from(field & 0xfff8), field & 1 != 0, at + 8, *ip.get(at)?))
        }
        _ => None,
    }
}

/// Begin of the transport header in a whole IPv6 datagram that has more headers behind the fragment header.
pub(super) fn behind_headers(mut proto: u8, bytes: &[u8]) -> Option<(u8, usize)> {
    let mut at = 0;
    while matches!(proto, 0 | 43 | 51 | 60 | 135) {
        let units = usize::from(*bytes.get(at + 1)?);
        let size = if proto == 51 { (units + 2) * 4 } else { (units + 1) * 8 };
        proto = *bytes.get(at)?;
        at += size;
    }
    Some((proto, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fragment(bytes: &[u8], at: usize, more: bool) -> Fragment<'_> {
        let origin = Origin::default();
        Fragment { tag: 1, dir: 0, at, more, bytes, wire: bytes.len(), origin, head: &[0x45], proto: 6 }
    }

    #[test]
    fn what_never_becomes_whole_is_bounded_and_told() {
        for (size, count) in [(8, 10_000), (60_000, 1_000)] {
            let (mut defrag, mut odd) = (Defrag::default(), Vec::new());
            let bytes = vec![7; size];
            for id in 0..count {
                let key = FragKey { id, ..FragKey::default() };
                assert!(defrag.take(key, &fragment(&bytes, 0, true), &mut odd).is_none());
                assert!(defrag.all.len() <= DATAGRAMS && defrag.cost <= BYTES);
            }
            assert!(!odd.is_empty());
            defrag.finish(&mut odd);
            assert_eq!((odd.len(), defrag.cost), (count as usize, 0));
        }
    }

    #[test]
    fn bytes_behind_the_end_fill_no_hole() {
        let (mut defrag, mut odd) = (Defrag::default(), Vec::new());
        let key = FragKey::default();
        for (at, more) in [(80, true), (0, true), (16, false), (96, true)] {
            assert!(defrag.take(key, &fragment(b"aaaaaaaa", at, more), &mut odd).is_none(), "{at}");
        }
        let whole = defrag.take(key, &fragment(b"bbbbbbbb", 8, true), &mut odd).unwrap();
        assert_eq!((whole.bytes.as_slice(), whole.wire), (&b"aaaaaaaabbbbbbbbaaaaaaaa"[..], 24));
    }

    #[test]
    fn the_first_bytes_stay() {
        let (mut defrag, mut odd) = (Defrag::default(), Vec::new());
        let key = FragKey::default();
        assert!(defrag.take(key, &fragment(b"bbbbbbbb", 8, true), &mut odd).is_none());
        assert!(defrag.take(key, &fragment(b"cccccccc", 16, false), &mut odd).is_none());
        let whole = defrag.take(key, &fragment(b"aaaaaaaaXbbbbbbb", 0, true), &mut odd).unwrap();
        assert_eq!(whole.bytes, b"aaaaaaaabbbbbbbbcccccccc");
        assert_eq!(odd, [Odd::Differs(1, 0, Origin::default())]);
    }
}
