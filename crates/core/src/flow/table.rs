//! The flow table: an open-addressed index over a slab of flows.
//!
//! The slab grows in blocks that never move, so that growing costs neither a copy nor
//! twice the memory. The index holds 8 bytes a slot: the upper half of the hash, by
//! which it is also grown without looking at a single key, and the flow's number.
//! One slot stands for one key and names its latest session; older ones hang on it.

use std::hint::black_box;

use super::session::{Boundary, Flow, Packet, Rules, Side};
use crate::packet::{Key, Seed};

/// "No flow" in links and results.
pub const NONE: u32 = u32::MAX;

/// Flows in a block of the slab.
const BLOCK: usize = 1 << 15;
const BLOCK_BITS: u32 = BLOCK.trailing_zeros();
/// How many sessions of its key a ledger's row looks back.
pub(crate) const BACK: usize = 16;
/// Blocks that are prepared ahead.
const AHEAD: u32 = 2;

/// What is known of the traffic before the first packet of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// There is none.
    Start,
    /// There may be some: a summary of a piece in the middle.
    Open,
}

/// The flows of a consecutive piece of traffic.
#[derive(Clone)]
pub struct Table {
    rules: Rules,
    left: Left,
    seed: Seed,
    blocks: Vec<Vec<Flow>>,
    len: u32,
    /// Upper 32 bits: upper half of the key's hash. Lower: number of the flow + 1; 0 is empty.
    slots: Vec<u64>,
    bits: u32,
    keys: usize,
    untracked: u64,
    stock: Block,
    /// Blocks that somebody was asked to prepare and has not brought yet.
    asked: u32,
}

/// Room for flows. The operating system gives memory only when it is first written to, and
/// that takes longer than writing: whoever has time writes to a block before the table needs it.
#[derive(Clone, Debug, Default)]
pub struct Block(Vec<Flow>);

impl Block {
    /// Makes the room, if it is not there yet.
    pub fn prepare(&mut self) {
        if self.0.capacity() == 0 {
            self.0.resize(BLOCK, Flow::NOTHING);
            self.0.clear();
        }
    }
}

impl Table {
    /// An empty table. `seed` keys the hash, so that nobody can write a capture whose
    /// flows all fall into one slot; results do not depend on it.
    pub fn new(rules: Rules, left: Left, seed: Seed) -> Self {
        let bits = 10;
        Self {
            rules,
            left,
            seed,
            blocks: Vec::new(),
            len: 0,
            slots: vec![0; 1 << bits],
            bits,
            keys: 0,
            untracked: 0,
            stock: Block::default(),
            asked: 0,
        }
    }

    /// A table of flows that were listed before, in the order in which they were begun. It is there to be
    /// read: no packet can be counted to it, for its sessions do not go on.
    pub fn listed(rules: Rules, flows: impl IntoIterator<Item = Flow>) -> Self {
        let mut table = Self::new(rules, Left::Start, Seed::default());
        for flow in flows {
            if table.len == NONE - 1 {
                break;
            }
            match table.blocks.last_mut() {
                Some(block) if block.len() < BLOCK => block.push(flow),
                _ => {
                    let mut block = Vec::with_capacity(BLOCK);
                    block.push(flow);
                    table.blocks.push(block);
                }
            }
            table.len += 1;
        }
        table
    }

    /// Takes a prepared block if there is none in stock. True: prepare another one, there will be more flows.
    pub fn restock(&mut self, block: &mut Block) -> bool {
        if block.0.capacity() != 0 {
            if self.stock.0.capacity() == 0 {
                std::mem::swap(&mut self.stock, block);
                self.asked = self.asked.saturating_sub(1);
            }
            return false;
        }
        let wants = self.len as usize >= BLOCK / 2 && self.asked < AHEAD;
        self.asked += u32::from(wants);
        wants
    }

    /// Number of flows.
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is no flow.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The rules by which sessions are told apart.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Whether traffic before this piece is unknown.
    pub fn left(&self) -> Left {
        self.left
    }

    /// The key of the hash.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// Packets of flows that found no place.
    pub fn untracked(&self) -> u64 {
        self.untracked
    }

    pub(crate) fn add_untracked(&mut self, packets: u64) {
        self.untracked += packets;
    }

    /// The flow of a number below [`Table::len`].
    #[inline]
    pub fn flow(&self, n: u32) -> &Flow {
        &self.blocks[(n >> BLOCK_BITS) as usize][n as usize & (BLOCK - 1)]
    }

    #[inline]
    pub(crate) fn flow_mut(&mut self, n: u32) -> &mut Flow {
        &mut self.blocks[(n >> BLOCK_BITS) as usize][n as usize & (BLOCK - 1)]
    }

    /// All flows, in the order in which they were begun.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.blocks.iter().flatten()
    }

    /// Flow numbers in order of the flows' first packets: what `flow_id` counts.
    pub fn order(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.len).collect();
        // Nearly always sorted already; only early fragments and ledgers disturb it.
        if !self.iter().is_sorted_by_key(|f| f.first) {
            order.sort_by_key(|&n| self.flow(n).first);
        }
        order
    }

    /// Reads the slots and flows of keys that are about to be looked up, so that the
    /// cache misses of a whole batch overlap instead of following one another.
    pub fn warm(&self, hashes: &[u64]) {
        let mut numbers = [0_u32; 32];
        for batch in hashes.chunks(numbers.len()) {
            for (n, hash) in numbers.iter_mut().zip(batch) {
                *n = self.slots[self.home((hash >> 32) as u32)] as u32;
            }
            let mut sum = 0_u64;
            for &n in &numbers[..batch.len()] {
                if n != 0 {
                    let f = self.flow(n - 1);
                    // At most 64 bytes apart, however the fields are laid out: all cache lines of the flow.
                    sum ^= u64::from(f.key.lo[0]) ^ u64::from(f.key.proto) ^ f.first;
                    sum ^= f.side[0].packets ^ f.side[1].packets;
                }
            }
            black_box(sum);
        }
    }

    /// Finds or begins the session of a packet and counts the packet.
    ///
    /// Returns its number, or [`NONE`] when the table is full (then the packet is
    /// counted as untracked).
    #[inline]
    pub fn place(&mut self, p: &Packet<'_>, hash: u64) -> u32 {
        let tag = (hash >> 32) as u32;
        let (slot, found) = self.find(tag, &p.facts.key);
        let older = match found {
            Some(n) => {
                let rules = self.rules;
                let flow = self.flow_mut(n);
                match flow.boundary(p, &rules) {
                    Boundary::Same => {
                        flow.count(p);
                        return n;
                    }
                    Boundary::New => return self.begin(p, tag, slot, n, false),
                    Boundary::Undecided => return self.begin(p, tag, slot, n, true),
                }
            }
            None => NONE,
        };
        self.begin(p, tag, slot, older, self.left == Left::Open)
    }

    fn begin(&mut self, p: &Packet<'_>, tag: u32, slot: usize, older: u32, undecided: bool) -> u32 {
        let mut flow = Flow::begin(p, older, undecided);
        flow.count(p);
        let n = self.push(flow, tag, slot);
        if n == NONE {
            self.untracked += 1;
        }
        n
    }

    /// Appends a flow as the latest session of its key, whose slot is known.
    pub(crate) fn push(&mut self, flow: Flow, tag: u32, slot: usize) -> u32 {
        if self.len >= self.rules.max_flows {
            return NONE;
        }
        let n = self.len;
        if n as usize & (BLOCK - 1) == 0 {
            let mut block = std::mem::take(&mut self.stock.0);
            block.reserve_exact(BLOCK);
            self.blocks.push(block);
        }
        let fresh = self.slots[slot] == 0;
        if let Some(block) = self.blocks.last_mut() {
            block.push(flow);
        }
        self.len += 1;
        self.slots[slot] = u64::from(tag) << 32 | u64::from(n + 1);
        if fresh {
            self.keys += 1;
            if self.keys * 8 > self.slots.len() * 5 {
                self.grow();
            }
        }
        n
    }

    /// Adds a flow that is known from a ledger: to the session of its key that it goes on with, if there is
    /// one, else as a new one. `first`: it is the first one of its key in the file, so that it may go on with one of
    /// the file before even if that was not known when the ledger was made.
    ///
    /// Returns its number and what had been counted before.
    fn adopt(&mut self, mut flow: Flow, continues: bool, first: bool) -> (u32, [Side; 2]) {
        let tag = (flow.key.hash(self.seed) >> 32) as u32;
        let (slot, found) = self.find(tag, &flow.key);
        let joined = match found {
            Some(n) if continues => Some(self.session_of(n, &flow)),
            Some(n) if first && self.flow(n).boundary_before(&flow, &self.rules) == Boundary::Same => Some(n),
            _ => None,
        };
        if let Some(n) = joined {
            let before = self.flow(n).side;
            self.flow_mut(n).absorb(&flow);
            return (n, before);
        }
        flow.older = found.unwrap_or(NONE);
        let packets = flow.packets();
        let n = self.push(flow, tag, slot);
        if n == NONE {
            self.untracked += packets;
        }
        (n, [Side::default(); 2])
    }

    /// Adds a row of a ledger whose file begins at this position. `carried`: what the session had come to before the file,
    /// as the row says, for whoever cuts. The rest as [`adopt`](Self::adopt); also the flow, at its place in all traffic.
    pub(crate) fn take_row(
        &mut self,
        start: u64,
        row: &Flow,
        continues: bool,
        first: bool,
        carried: Option<&[Side; 2]>,
    ) -> (u32, [Side; 2], Flow) {
        let flow = Flow { first: start.saturating_add(row.first), ..*row };
        let (n, before) = self.adopt(flow, continues, first);
        match carried {
            Some(least) if n != NONE => (n, self.raise(n, least, &before), flow),
            _ => (n, before, flow),
        }
    }

    /// A session had come to at least this before, of which so much was known: the rest is counted, too.
    /// Gives what had been counted before then.
    fn raise(&mut self, n: u32, least: &[Side; 2], known: &[Side; 2]) -> [Side; 2] {
        let mut before = *known;
        for (dir, side) in self.flow_mut(n).side.iter_mut().enumerate() {
            let (least, before) = (&least[dir], &mut before[dir]);
            for (now, had, least) in [
                (&mut side.packets, &mut before.packets, least.packets),
                (&mut side.bytes, &mut before.bytes, least.bytes),
                (&mut side.wire, &mut before.wire, least.wire),
                (&mut side.payload, &mut before.payload, least.payload),
            ] {
                let missing = least.saturating_sub(*had);
                (*now, *had) = (now.saturating_add(missing), had.saturating_add(missing));
            }
        }
        before
    }

    /// Of the latest sessions of a key, the one that began as `flow` did; a late fragment may go on with an older one.
    fn session_of(&self, latest: u32, flow: &Flow) -> u32 {
        let same = |n: u32| {
            let f = self.flow(n);
            (f.head_ts, f.head_seq) == (flow.head_ts, flow.head_seq)
        };
        let chain = std::iter::successors(Some(latest), |&n| Some(self.flow(n).older).filter(|&n| n != NONE));
        chain.take(BACK).find(|&n| same(n)).unwrap_or(latest)
    }

    /// The slot of a key, and its latest session if it has one.
    #[inline]
    pub(crate) fn find(&self, tag: u32, key: &Key) -> (usize, Option<u32>) {
        let mask = self.slots.len() - 1;
        let mut at = self.home(tag);
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return (at, None);
            }
            if (slot >> 32) as u32 == tag {
                let n = slot as u32 - 1;
                if self.flow(n).key == *key {
                    return (at, Some(n));
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// The latest session of a key.
    pub fn latest(&self, key: &Key) -> Option<u32> {
        self.find((key.hash(self.seed) >> 32) as u32, key).1
    }

    #[inline]
    fn home(&self, tag: u32) -> usize {
        (tag >> (32 - self.bits)) as usize
    }

    fn grow(&mut self) {
        if self.bits >= 32 {
            return; // 2^32 slots: more than flows can be numbered
        }
        self.bits += 1;
        let old = std::mem::replace(&mut self.slots, vec![0; 1 << self.bits]);
        let mask = self.slots.len() - 1;
        for slot in old.into_iter().filter(|&s| s != 0) {
            let mut at = self.home((slot >> 32) as u32);
            while self.slots[at] != 0 {
                at = (at + 1) & mask;
            }
            self.slots[at] = slot;
        }
    }

    /// Takes the flows out block by block, so that a merge frees as it goes.
    pub(crate) fn into_blocks(self) -> Vec<Vec<Flow>> {
        self.blocks
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("left", &self.left).field("flows", &self.len).finish_non_exhaustive()
    }
}

/// Equal when they hold the same flows in the same order, whatever their seeds.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.left == other.left
            && self.untracked == other.untracked
            && self.len == other.len
            && self.iter().eq(other.iter())
    }
}
