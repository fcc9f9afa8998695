//! All packets in the order of time: a list through their headers.
//!
//! Packets nearly always come in order and are appended. One that comes late is put in its place: from where the last one was put
//! in, or from the nearest *anchor*. Anchors are packets by which places in the list are found; there is one for
//! about a hundred packets, and a long walk leaves some behind.

use std::collections::BTreeMap;

use super::packets::Header;
use super::pool::Pool;

/// Packets from anchor to anchor.
const GAP: u32 = 96;
/// Steps from the last place before an anchor is looked for.
const NEAR: u32 = 24;
/// Bytes that an anchor takes in its tree, at most.
pub(super) const ANCHOR_BYTES: u64 = 48;

#[derive(Default)]
pub(super) struct Order {
    first: u32,
    last: u32,
    /// Where the last packet was put in.
    finger: u32,
    since_anchor: u32,
    anchors: BTreeMap<(i64, u32), u32>,
    most_anchors: usize,
}

impl Order {
    pub fn new(most_anchors: usize) -> Self {
        Self { most_anchors, ..Self::default() }
    }

    pub fn first(&self) -> u32 {
        self.first
    }

    pub fn last(&self) -> u32 {
        self.last
    }

    /// Bytes of the anchors.
    pub fn bytes(&self) -> u64 {
        self.anchors.len() as u64 * ANCHOR_BYTES
    }

    /// The last packet of which it is certain that it is before this time; 0: the list's first.
    pub fn before(&self, time: i64) -> u32 {
        self.anchors.range(..(time, 0)).next_back().map_or(0, |(_, &place)| place)
    }

    /// Behind which packet one of this time belongs; 0: before the first.
    pub fn find(&mut self, pool: &mut Pool, time: i64) -> u32 {
        if self.last == 0 || pool.time(self.last) <= time {
            return self.last;
        }
        if self.finger != 0 {
            if let Some(place) = near(pool, self.finger, time) {
                return place;
            }
        }
        let from = self.anchors.range(..=(time, u32::MAX)).next_back().map(|(_, &place)| place);
        let (mut at, mut steps) = (from.unwrap_or(0), 0);
        loop {
            let next = if at == 0 { self.first } else { pool.order_next(at) };
            if next == 0 || pool.time(next) > time {
                return at;
            }
            (at, steps) = (next, steps + 1);
            if steps % GAP == 0 {
                self.anchor(pool, at);
            }
        }
    }

    fn anchor(&mut self, pool: &mut Pool, place: u32) {
        let header = pool.header(place);
        if !header.anchor && self.anchors.len() < self.most_anchors {
            pool.set_anchor(place);
            self.anchors.insert(header.key(), place);
        }
    }

    /// Links a packet in behind `prev`. Its header holds the links already.
    pub fn insert(&mut self, pool: &mut Pool, place: u32, prev: u32, next: u32) {
        if prev == 0 {
            self.first = place;
        } else {
            pool.set_order_next(prev, place);
        }
        if next == 0 {
            self.last = place;
        } else {
            pool.set_order_prev(next, place);
        }
        self.finger = place;
        self.since_anchor += 1;
        if self.since_anchor >= GAP {
            self.since_anchor = 0;
            self.anchor(pool, place);
        }
    }

    /// The packet behind `prev`, or the first.
    pub fn after(&self, pool: &Pool, prev: u32) -> u32 {
        if prev == 0 {
            self.first
        } else {
            pool.order_next(prev)
        }
    }

    /// Takes a packet out.
    #[inline]
    pub fn remove(&mut self, pool: &mut Pool, place: u32, header: &Header) {
        if header.prev == 0 {
            self.first = header.next;
        } else {
            pool.set_order_next(header.prev, header.next);
        }
        if header.next == 0 {
            self.last = header.prev;
        } else {
            pool.set_order_prev(header.next, header.prev);
        }
        if self.finger == place {
            self.finger = header.prev;
        }
        if header.anchor && self.anchors.get(&header.key()) == Some(&place) {
            self.anchors.remove(&header.key());
        }
    }
}

/// A few steps from a place.
fn near(pool: &Pool, mut at: u32, time: i64) -> Option<u32> {
    if pool.time(at) <= time {
        for _ in 0..NEAR {
            let next = pool.order_next(at);
            if next == 0 || pool.time(next) > time {
                return Some(at);
            }
            at = next;
        }
    } else {
        for _ in 0..NEAR {
            at = pool.order_prev(at);
            if at == 0 || pool.time(at) <= time {
                return Some(at);
            }
        }
    }
    None
}
