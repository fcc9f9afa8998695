//! Flows by age: a calendar of buckets, each a ring of flows linked through their records.
//!
//! A flow stands under the tick at which it was put in, which may be older than the truth: whoever takes the oldest looks at it
//! again and puts it back under its true tick. So a packet of a flow that is in a queue costs nothing here.
//!
//! The buckets cover a span of time that begins with the oldest flow. When a span is too short they are made twice as wide.

use super::pool::Pool;

/// Buckets: the order of flows is exact to this part of the span.
const BUCKETS: u32 = 1 << 10;

pub(super) struct Queue {
    /// The first flow of each bucket's ring; the bucket of number `n` stands at `n % BUCKETS`.
    buckets: Vec<u32>,
    full: [u64; BUCKETS as usize / 64],
    /// Number of the first bucket of the span.
    base: u32,
    /// Ticks in a bucket, as a power of two.
    shift: u32,
    len: u32,
}

impl Queue {
    pub fn new() -> Self {
        Self { buckets: vec![0; BUCKETS as usize], full: [0; 16], base: 0, shift: 0, len: 0 }
    }

    /// Bytes that a queue takes.
    pub const BYTES: u64 = 4 * BUCKETS as u64 + 256;

    /// Puts a flow in, under a tick.
    pub fn insert(&mut self, pool: &mut Pool, flow: u32, tick: u32) {
        if self.len == 0 {
            self.shift = 0;
            self.base = tick;
        }
        let mut number = (tick >> self.shift).max(self.base);
        while number - self.base >= BUCKETS {
            let lowest = self.lowest();
            if number - lowest < BUCKETS {
                self.base = lowest;
            } else {
                self.widen(pool);
                number = (tick >> self.shift).max(self.base);
            }
        }
        let at = (number % BUCKETS) as usize;
        let first = self.buckets[at];
        if first == 0 {
            self.buckets[at] = flow;
            self.full[at / 64] |= 1 << (at % 64);
            pool.set_queue_prev(flow, flow);
            pool.set_queue_next(flow, flow);
        } else {
            let last = pool.queue_links(first).0;
            pool.set_queue_next(last, flow);
            pool.set_queue_prev(flow, last);
            pool.set_queue_next(flow, first);
            pool.set_queue_prev(first, flow);
        }
        pool.set_queue_key(flow, tick.max(number << self.shift));
        self.len += 1;
    }

    /// Takes a flow out that is in it.
    pub fn remove(&mut self, pool: &mut Pool, flow: u32) {
        let (prev, next, key) = pool.queue_links(flow);
        let at = ((key >> self.shift) % BUCKETS) as usize;
        self.len -= 1;
        if next == flow {
            self.buckets[at] = 0;
            self.full[at / 64] &= !(1 << (at % 64));
            return;
        }
        pool.set_queue_next(prev, next);
        pool.set_queue_prev(next, prev);
        if self.buckets[at] == flow {
            self.buckets[at] = next;
        }
    }

    /// The oldest flow, and its tick here.
    pub fn front(&mut self, pool: &Pool) -> Option<(u32, u32)> {
        if self.len == 0 {
            return None;
        }
        self.base = self.lowest();
        let flow = self.buckets[(self.base % BUCKETS) as usize];
        Some((flow, pool.queue_links(flow).2))
    }

    /// Whether a tick belongs into a later bucket than another.
    pub fn is_later(&self, tick: u32, than: u32) -> bool {
        tick >> self.shift > than >> self.shift
    }

    /// Number of the first bucket that is not empty. There must be a flow.
    fn lowest(&self) -> u32 {
        let from = self.base % BUCKETS;
        let words = self.full.len();
        for i in 0..=words {
            let at = (from as usize / 64 + i) % words;
            let mut word = self.full[at];
            if i == 0 {
                word &= u64::MAX << (from % 64);
            } else if i == words {
                word &= !(u64::MAX << (from % 64));
            }
            if word != 0 {
                let found = at as u32 * 64 + word.trailing_zeros();
                return self.base + (found + BUCKETS - from) % BUCKETS;
            }
        }
        self.base
    }

    /// Joins each two buckets.
    fn widen(&mut self, pool: &mut Pool) {
        let mut wider = vec![0_u32; BUCKETS as usize];
        let mut full = [0_u64; BUCKETS as usize / 64];
        for number in self.base..self.base.saturating_add(BUCKETS) {
            let first = self.buckets[(number % BUCKETS) as usize];
            if first == 0 {
                continue;
            }
            let at = (number / 2 % BUCKETS) as usize;
            full[at / 64] |= 1 << (at % 64);
            let other = wider[at];
            if other == 0 {
                wider[at] = first;
                continue;
            }
            let (last, other_last) = (pool.queue_links(first).0, pool.queue_links(other).0);
            pool.set_queue_next(other_last, first);
            pool.set_queue_prev(first, other_last);
            pool.set_queue_next(last, other);
            pool.set_queue_prev(other, last);
        }
        (self.buckets, self.full) = (wider, full);
        self.base /= 2;
        self.shift += 1;
    }
}
