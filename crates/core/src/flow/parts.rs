//! Summaries taken apart and put together: for files, for shards, and for what a piece needs of its carry.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use super::fragments::{orphan_key, Early, First, AFTER_PACKETS, CAPACITY};
use super::session::{Flow, Rules};
use super::summary::{Summary, Told, MOST};
use super::table::{Left, Table, BACK, NONE};
use super::tracker::{Silent, Tracker};
use crate::packet::{FragKey, Key, Seed};

/// What is known of fragments, each list by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// In an open piece: the first of the first fragments near its start.
    pub heads: Vec<(FragKey, First)>,
    /// First fragments that are remembered.
    pub known: Vec<(FragKey, First)>,
    /// In an open piece: later fragments whose first one may stand before it.
    pub undecided: Vec<Early>,
    /// Later fragments that wait for their first one.
    pub waiting: Vec<Early>,
}

/// All of a summary but its flows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Where sessions end.
    pub rules: Rules,
    /// Whether traffic before it is unknown.
    pub left: Left,
    /// Packets of the piece, and if it begins at the start of all before.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Packets of flows that found no place.
    pub untracked: u64,
    /// Fragments that found no place.
    pub overflow: u64,
    /// The next id.
    pub next_id: u64,
    /// By how much ids grow.
    pub step: u64,
    /// The fragments.
    pub fragments: Lists,
    /// What a ledger told, if it did.
    pub told: Option<Told>,
}

impl Lists {
    fn named(mut self, numbers: &[u32]) -> Self {
        for (_, first) in self.heads.iter_mut().chain(&mut self.known) {
            first.flow = renumber(numbers, first.flow);
        }
        for early in self.undecided.iter_mut().chain(&mut self.waiting) {
            early.after = early.after.map(|n| renumber(numbers, n));
        }
        self
    }

    fn append(&mut self, mut other: Self) {
        self.heads.append(&mut other.heads);
        self.known.append(&mut other.known);
        self.undecided.append(&mut other.undecided);
        self.waiting.append(&mut other.waiting);
    }

    fn filter(&self, mut which: impl FnMut(&FragKey) -> bool) -> Self {
        Self {
            heads: self.heads.iter().filter(|(key, _)| which(key)).copied().collect(),
            known: self.known.iter().filter(|(key, _)| which(key)).copied().collect(),
            undecided: self.undecided.iter().filter(|early| which(&early.key)).copied().collect(),
            waiting: self.waiting.iter().filter(|early| which(&early.key)).copied().collect(),
        }
    }

    /// Whether they can be of a piece of so many packets, bytes and flows.
    fn check(&self, parts: &Parts, flows: u32) -> Result<(), String> {
        for (name, count) in [
            ("first fragments near the start", self.heads.len()),
            ("first fragments", self.known.len()),
            ("undecided fragments", self.undecided.len()),
            ("waiting fragments", self.waiting.len()),
        ] {
            let most =
                if name == "first fragments near the start" { AFTER_PACKETS as usize } else { CAPACITY };
            if count > most {
                return Err(format!("it holds {count} {name}, {most} is the most"));
            }
        }
        let firsts = self.heads.iter().chain(&self.known).map(|(_, first)| (first.at, Some(first.flow)));
        let earlies = self.undecided.iter().chain(&self.waiting).map(|early| (early.at, early.after));
        for (at, flow) in firsts.chain(earlies) {
            if at.pos >= parts.packets || at.bytes > parts.bytes {
                return Err(format!(
                    "a fragment in it is packet {} behind {} bytes, of {} packets and {} bytes",
                    at.pos, at.bytes, parts.packets, parts.bytes
                ));
            }
            if flow.is_some_and(|n| n != NONE && n >= flows) {
                return Err(format!("a fragment in it names flow {flow:?} of {flows}"));
            }
        }
        Ok(())
    }
}

fn renumber(numbers: &[u32], n: u32) -> u32 {
    numbers.get(n as usize).copied().unwrap_or(NONE)
}

/// A number of a pair of addresses that is the same everywhere and whichever comes first.
fn pair(one: &[u8; 16], other: &[u8; 16]) -> u64 {
    let key = Key { lo: *one.min(other), hi: *one.max(other), version: 6, ..Key::default() };
    key.hash(Seed(0, 0))
}

impl Summary {
    /// All but the flows.
    pub fn parts(&self) -> Parts {
        let tracker = &self.tracker;
        Parts {
            rules: *self.table().rules(),
            left: self.table().left(),
            packets: tracker.packets,
            bytes: tracker.bytes,
            untracked: self.table().untracked(),
            overflow: tracker.fragments.overflow,
            next_id: self.next_id,
            step: self.step,
            fragments: tracker.fragments.lists(),
            told: self.told.clone(),
        }
    }

    /// The flows in the order of their numbers, each with its id (0 in an open piece).
    pub fn flows(&self) -> impl Iterator<Item = (Flow, u64)> + '_ {
        let ids = self.ids.iter().copied().chain(std::iter::repeat(0));
        self.table().iter().copied().zip(ids)
    }

    /// Puts a summary together. The error says in words why that cannot be one.
    pub fn assemble(
        parts: Parts,
        flows: impl IntoIterator<Item = (Flow, u64)>,
        seed: Seed,
    ) -> Result<Self, String> {
        let mut assembly = Assembly::new(parts, seed)?;
        for (flow, id) in flows {
            assembly.push(flow, id)?;
        }
        assembly.finish()
    }

    /// `n` summaries, each of the flows between some pairs of addresses, whatever their ports, so that fragments are
    /// where their flows are. All tell of the whole piece's packets and bytes, so that positions stay true.
    pub fn split(&self, n: u32) -> Result<Vec<Self>, String> {
        let n = n.max(1);
        let place = |one: &[u8; 16], other: &[u8; 16]| (pair(one, other) % u64::from(n)) as u32;
        let whole = self.parts();
        let mut counts = vec![0; n as usize];
        let mut numbers = Vec::with_capacity(self.table().len() as usize);
        let mut places = Vec::with_capacity(self.table().len() as usize);
        for flow in self.table().iter() {
            let at = place(&flow.key.lo, &flow.key.hi);
            places.push(at);
            numbers.push(counts[at as usize]);
            counts[at as usize] += 1;
        }
        let part = |at: u32| {
            let mut part = Parts {
                fragments: whole.fragments.filter(|key| place(&key.src, &key.dst) == at).named(&numbers),
                next_id: whole.next_id.saturating_add(u64::from(at).saturating_mul(whole.step)),
                step: whole.step.saturating_mul(u64::from(n)),
                ..whole.clone()
            };
            if at > 0 {
                (part.untracked, part.overflow) = (0, 0);
            }
            let own = |all: &mut dyn Iterator<Item = super::ToldRow>| {
                all.zip(&places).filter(|(_, &of)| of == at).map(|(row, _)| row).collect()
            };
            part.told =
                whole.told.as_ref().map(|told| Told { rows: own(&mut told.rows.iter().copied()), ..*told });
            let flows = self.flows().zip(&places).filter(|(_, &of)| of == at).map(|(flow, _)| flow);
            Self::assemble(part, flows, self.table().seed())
        };
        (0..n).map(part).collect()
    }

    /// What [`Summary::split`] took apart, put together again: the flows by their first packets, those of one key
    /// in their order.
    pub fn join(all: &[Self]) -> Result<Self, String> {
        let Some(first) = all.first() else { return Err("there is nothing to join".to_owned()) };
        let mut whole = Parts { fragments: Lists::default(), step: 1, ..first.parts() };
        (whole.untracked, whole.overflow) = (0, 0);
        let mut next = vec![0_u32; all.len()];
        let mut numbers: Vec<Vec<u32>> = vec![Vec::new(); all.len()];
        let first_of = |at: usize, n: u32| {
            (n < all[at].table().len()).then(|| Reverse((all[at].table().flow(n).first, at)))
        };
        let mut heap: BinaryHeap<_> = (0..all.len()).filter_map(|at| first_of(at, 0)).collect();
        let mut order: Vec<u32> = Vec::new();
        while let Some(Reverse((_, at))) = heap.pop() {
            numbers[at].push(order.len() as u32);
            order.push(at as u32);
            next[at] += 1;
            heap.extend(first_of(at, next[at]));
        }
        for (part, numbers) in all.iter().zip(&numbers) {
            let own = part.parts();
            let fits = (own.rules, own.left, own.packets, own.bytes, own.told.is_some())
                == (whole.rules, whole.left, whole.packets, whole.bytes, whole.told.is_some());
            if !fits {
                return Err(
                    "they are not the parts of one summary: they tell of other packets or rules".to_owned()
                );
            }
            whole.untracked += own.untracked;
            whole.overflow += own.overflow;
            whole.next_id = whole.next_id.max(own.next_id);
            whole.fragments.append(own.fragments.named(numbers));
        }
        if let Some(told) = &mut whole.told {
            let mut rows: Vec<_> =
                all.iter().map(|part| part.told.iter().flat_map(|told| &told.rows)).collect();
            told.rows = order.iter().filter_map(|&at| rows[at as usize].next().copied()).collect();
        }
        let mut flows: Vec<_> = all.iter().map(Self::flows).collect();
        let flows = order.iter().filter_map(|&at| flows[at as usize].next());
        Self::assemble(whole, flows, first.table().seed())
    }

    /// Of a carry what a piece can meet: the latest sessions of its keys, the flows that fragments may join, and the
    /// fragments. To begin a pass over the piece from it, or to merge the piece into it, is to do so with all of it, as
    /// far as the piece goes.
    pub fn restrict(&self, piece: &Self) -> Result<Self, String> {
        if !self.begins() || piece.begins() {
            return Err("a carry, which begins at the start, is restricted to what a piece needs".to_owned());
        }
        let (table, mut parts) = (self.table(), self.parts());
        let (own, theirs) = (std::mem::take(&mut parts.fragments), piece.tracker.fragments.lists());
        let mut kept = vec![false; table.len() as usize];
        // A row of a ledger looks back further than a packet.
        let back = if piece.told.is_some() { BACK } else { 1 };
        let mut keep = |key: &Key| {
            let chain = std::iter::successors(table.latest(key), |&n| {
                Some(table.flow(n).older).filter(|&n| n != NONE)
            });
            chain.take(back).for_each(|n| kept[n as usize] = true);
        };
        piece.table().iter().for_each(|flow| keep(&flow.key));
        for early in own.waiting.iter().chain(&theirs.undecided).chain(&theirs.waiting) {
            keep(&orphan_key(&early.facts.key));
        }
        let met: HashSet<&FragKey> = theirs.undecided.iter().map(|early| &early.key).collect();
        let fragments = Lists {
            known: own.filter(|key| met.contains(key)).known,
            waiting: own.waiting,
            ..Lists::default()
        };
        for (_, first) in fragments.known.iter().filter(|(_, first)| first.flow != NONE) {
            kept[first.flow as usize] = true;
        }
        let mut numbers = vec![NONE; kept.len()];
        for ((number, _), new) in numbers.iter_mut().zip(&kept).filter(|(_, &kept)| kept).zip(0..) {
            *number = new;
        }
        parts.fragments = fragments.named(&numbers);
        let flows = self.flows().zip(&kept).filter(|(_, &kept)| kept).map(|(flow, _)| flow);
        Self::assemble(parts, flows, table.seed())
    }

    /// The same flows with the counters that they have come to in `whole`, where it has them (by their ids).
    pub fn grown(&self, whole: &Self) -> Result<Self, String> {
        if !self.begins() || !whole.begins() {
            return Err("flows have ids only in summaries that begin at the start".to_owned());
        }
        let last: HashMap<u64, u32> = (0_u32..).zip(&whole.ids).map(|(n, &id)| (id, n)).collect();
        let flows = self.flows().map(|(flow, id)| {
            let side = last.get(&id).map_or(flow.side, |&n| whole.table().flow(n).side);
            (Flow { side, ..flow }, id)
        });
        Self::assemble(self.parts(), flows, self.table().seed())
    }
}

/// A summary being put together, flow by flow.
#[derive(Debug)]
pub struct Assembly {
    /// All but the flows; what a ledger told and the fragments may be added until the end.
    pub parts: Parts,
    table: Table,
    /// The rows of a ledger.
    rows: Vec<Flow>,
    ids: Vec<u64>,
}

impl Assembly {
    /// No flow is there yet.
    pub fn new(parts: Parts, seed: Seed) -> Result<Self, String> {
        let Parts { packets, bytes, untracked, overflow, .. } = parts;
        if [packets, bytes, untracked, overflow].iter().any(|&count| count > MOST) {
            return Err(format!("it tells of {packets} packets and {bytes} bytes; {MOST} is the most"));
        }
        if parts.step == 0 {
            return Err("its ids do not grow".to_owned());
        }
        let table = Table::new(parts.rules, parts.left, seed);
        Ok(Self { parts, table, rows: Vec::new(), ids: Vec::new() })
    }

    /// Appends a flow and its id.
    pub fn push(&mut self, flow: Flow, id: u64) -> Result<(), String> {
        let Parts { left, packets, next_id, rules, .. } = self.parts;
        let sides = flow.side.iter().flat_map(|side| [side.packets, side.bytes, side.wire, side.payload]);
        if let Some(count) = sides.max().filter(|&count| count > MOST) {
            return Err(format!("a flow in it has come to {count}; {MOST} is the most"));
        }
        if self.parts.told.is_some() {
            self.rows.push(flow);
            return Ok(());
        }
        if left == Left::Open && flow.first >= packets {
            return Err(format!("a flow in it begins with packet {} of {packets}", flow.first));
        }
        if left == Left::Start && id >= next_id {
            return Err(format!("a flow in it has id {id}; the next one is {next_id}"));
        }
        if !self.table.append(flow) {
            return Err(format!("it holds more flows than {}, which is the limit", rules.max_flows));
        }
        self.ids.extend((left == Left::Start).then_some(id));
        Ok(())
    }

    /// All flows are there.
    pub fn finish(self) -> Result<Summary, String> {
        let Self { mut parts, mut table, rows, ids } = self;
        let told = parts.told.take();
        if let Some(told) = &told {
            if told.rows.len() != rows.len() {
                return Err(format!(
                    "{} rows of a ledger are told, for {} flows",
                    told.rows.len(),
                    rows.len()
                ));
            }
            table = Table::listed(parts.rules, rows).opened();
        }
        let lists = &parts.fragments;
        if parts.left == Left::Start
            && (told.is_some() || !lists.heads.is_empty() || !lists.undecided.is_empty())
        {
            return Err("it begins at the start and tells of what may be before".to_owned());
        }
        lists.check(&parts, table.len())?;
        let mut tracker = Tracker::new(parts.rules, parts.left, table.seed());
        table.add_untracked(parts.untracked);
        tracker.table = table;
        (tracker.packets, tracker.bytes) = (parts.packets, parts.bytes);
        tracker.fragments.overflow = parts.overflow;
        tracker.fill(parts.fragments);
        let mut made = Summary { tracker, told, ids, next_id: parts.next_id, step: parts.step };
        made.name_new();
        Ok(made)
    }
}

impl Tracker {
    /// Takes in fragments, oldest first.
    fn fill(&mut self, mut lists: Lists) {
        lists.known.sort_by_key(|(_, first)| first.at.pos);
        lists.undecided.sort_by_key(|early| early.at.pos);
        lists.waiting.sort_by_key(|early| early.at.pos);
        self.fragments.heads = lists.heads.into_iter().collect();
        self.fragments.undecided = lists.undecided;
        for (key, first) in lists.known {
            self.fragments.learn(key, first);
        }
        for early in lists.waiting {
            if let Some(bumped) = self.fragments.wait(early) {
                self.orphan(&bumped, true, &mut Silent);
            }
        }
    }
}
