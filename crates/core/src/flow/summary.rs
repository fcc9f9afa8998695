//! Summaries that leave the process: in parts, and as entries that a file can hold.
//!
//! Whoever merges the summaries of many pieces on many machines needs two things besides the merge: a summary in parts
//! that can be merged apart ([`Tracker::part`]), and of a carry only what a piece can meet ([`Tracker::met_by`]).

use std::collections::{HashMap, HashSet};

use super::fragments::{orphan_key, At, Early, First};
use super::session::{Flow, Rules};
use super::table::{Left, NONE};
use super::tracker::Tracker;
use super::wire::{Reader, Writer};
use crate::packet::{FragKey, Key, Seed};

/// Sessions of one key that a carry holds at most: a packet goes on with the last one, a row of a ledger with one of these.
const SESSIONS: usize = 16;
/// Numbers of packets and bytes beyond which no summary is believed, so that sums stay below 2^63.
const MOST_PACKETS: u64 = 1 << 48;
const MOST_BYTES: u64 = 1 << 60;

/// What an entry of a saved summary is. The numbers are those of the file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Entry {
    /// A flow; in order of their numbers.
    Flow = 0,
    /// A first fragment that is remembered; oldest first.
    Known = 1,
    /// A later fragment that waits; oldest first.
    Waiting = 2,
    /// A first fragment near the start of a piece with an open left side.
    Head = 3,
    /// A later fragment whose first one may stand in the piece before.
    Undecided = 4,
}

impl Entry {
    /// The entry of a number.
    pub fn of(number: u8) -> Option<Self> {
        [Self::Flow, Self::Known, Self::Waiting, Self::Head, Self::Undecided].into_iter().nth(number.into())
    }
}

/// What a saved summary says of itself as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// When sessions end.
    pub rules: Rules,
    /// Whether traffic before it is unknown.
    pub left: Left,
    /// Packets of the piece.
    pub packets: u64,
    /// Their captured bytes.
    pub bytes: u64,
    /// Packets of flows that found no place.
    pub untracked: u64,
    /// Fragments that found no place.
    pub overflow: u64,
}

/// Which of `n` parts the traffic between two addresses belongs to, whichever of them sends.
fn part_of(a: &[u8; 16], b: &[u8; 16], n: u32) -> u32 {
    // FNV-1a: the same everywhere and for ever. Who chooses addresses can fill one part; parts bound memory, not time.
    let (low, high) = if a <= b { (a, b) } else { (b, a) };
    let hash = low.iter().chain(high).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    ((hash ^ hash >> 32) % u64::from(n.max(1))) as u32
}

impl Key {
    /// Whether flows of this key belong to the part number `i` of `n`, see [`Tracker::part`].
    pub fn is_of_part(&self, i: u32, n: u32) -> bool {
        n <= 1 || part_of(&self.lo, &self.hi, n) == i
    }
}

impl Tracker {
    /// The part number `i` of `n`: the flows and fragments between some pairs of addresses. Parts of the same number
    /// merge as their wholes do, when no summary [crosses](Self::crosses).
    #[must_use]
    pub fn part(&self, i: u32, n: u32) -> Self {
        if n <= 1 {
            return self.clone();
        }
        self.subset(|_, flow| flow.key.is_of_part(i, n), |key| part_of(&key.src, &key.dst, n) == i)
    }

    /// Whether a datagram in fragments went into a flow between other addresses, as out of a tunnel: then the summary has but
    /// one part.
    pub fn crosses(&self) -> bool {
        let other = |key: &FragKey, n: u32| {
            n != NONE && {
                let flow = &self.table.flow(n).key;
                (key.src, key.dst) != (flow.lo, flow.hi) && (key.src, key.dst) != (flow.hi, flow.lo)
            }
        };
        self.fragments.known().any(|(key, first)| other(key, first.flow))
            || self.fragments.heads.iter().any(|(key, first)| other(key, first.flow))
    }

    /// Of this carry, what a piece that follows can meet: sessions of keys that occur in it, fragments, and the flows of
    /// these. A pass over the piece decides as from the whole carry.
    #[must_use]
    pub fn met_by(&self, piece: &Self) -> Self {
        let mut keys: HashSet<Key> = piece.table.iter().map(|flow| flow.key).collect();
        let early =
            self.fragments.waiting().chain(piece.fragments.waiting()).chain(&piece.fragments.undecided);
        keys.extend(early.map(|early| orphan_key(&early.facts.key)));
        self.met(&keys, &piece.fragments_met())
    }

    /// The same for a piece of which the keys are known.
    #[must_use]
    pub fn met_by_keys(&self, keys: impl IntoIterator<Item = Key>) -> Self {
        let mut keys: HashSet<Key> = keys.into_iter().collect();
        keys.extend(self.fragments.waiting().map(|early| orphan_key(&early.facts.key)));
        // What fragments are left in the piece is not known: all that are remembered may be met.
        self.met(&keys, &self.fragments.known().map(|(key, _)| *key).collect())
    }

    fn met(&self, keys: &HashSet<Key>, datagrams: &HashSet<FragKey>) -> Self {
        let mut flows = HashSet::new();
        for key in keys {
            let chain = std::iter::successors(self.table.latest(key), |&n| {
                Some(self.table.flow(n).older).filter(|&n| n != NONE)
            });
            flows.extend(chain.take(SESSIONS));
        }
        let known = self.fragments.known().filter(|(key, _)| datagrams.contains(key));
        flows.extend(known.map(|(_, first)| first.flow));
        let waiting: HashSet<FragKey> = self.fragments.waiting().map(|early| early.key).collect();
        self.subset(|n, _| flows.contains(&n), |key| datagrams.contains(key) || waiting.contains(key))
    }

    /// The datagrams of all fragments that are noted.
    fn fragments_met(&self) -> HashSet<FragKey> {
        let early = self.fragments.waiting().chain(&self.fragments.undecided).map(|early| early.key);
        let first = self.fragments.known().map(|(key, _)| *key);
        early.chain(first).chain(self.fragments.heads.keys().copied()).collect()
    }

    /// Joins another part of the same piece. What is known of the piece as a whole stays.
    pub fn join(&mut self, part: &Self) {
        let base = self.table.len();
        let number = |n: u32| if n == NONE { NONE } else { base.saturating_add(n) };
        for flow in part.table.iter() {
            self.append(*flow);
        }
        let first = |first: &First| First { flow: number(first.flow), ..*first };
        for (key, known) in part.fragments.known() {
            self.fragments.learn(*key, first(known));
        }
        for (key, head) in &part.fragments.heads {
            self.fragments.heads.insert(*key, first(head));
        }
        let renumbered = |early: &Early| Early { after: early.after.map(number), ..*early };
        let mut waiting: Vec<Early> = part.fragments.waiting().map(renumbered).collect();
        while let Some(early) = self.fragments.pop() {
            waiting.push(early);
        }
        waiting.sort_by_key(|early| early.at.pos);
        for early in waiting {
            self.fragments.wait(early);
        }
        self.fragments.undecided.extend(part.fragments.undecided.iter().map(renumbered));
        self.fragments.undecided.sort_by_key(|early| early.at.pos);
    }

    fn subset(&self, keep: impl Fn(u32, &Flow) -> bool, datagram: impl Fn(&FragKey) -> bool) -> Self {
        let table = &self.table;
        let mut some = Self::new(*table.rules(), table.left(), table.seed());
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for (n, flow) in (0_u32..).zip(table.iter()).filter(|(n, flow)| keep(*n, flow)) {
            numbers.insert(n, some.append(*flow));
        }
        let number = |n: u32| numbers.get(&n).copied().unwrap_or(NONE);
        for (key, first) in self.fragments.known().filter(|(key, _)| datagram(key)) {
            some.fragments.learn(*key, First { flow: number(first.flow), ..*first });
        }
        for (key, first) in self.fragments.heads.iter().filter(|(key, _)| datagram(key)) {
            some.fragments.heads.insert(*key, First { flow: number(first.flow), ..*first });
        }
        let renumbered = |early: &Early| Early { after: early.after.map(number), ..*early };
        for early in self.fragments.waiting().filter(|early| datagram(&early.key)) {
            some.fragments.wait(renumbered(early));
        }
        let undecided = self.fragments.undecided.iter().filter(|early| datagram(&early.key));
        some.fragments.undecided = undecided.map(renumbered).collect();
        some.fragments.overflow = self.fragments.overflow;
        some.table.add_untracked(table.untracked());
        (some.packets, some.bytes) = (self.packets, self.bytes);
        some
    }

    /// Appends a flow as the latest session of its key.
    fn append(&mut self, mut flow: Flow) -> u32 {
        let tag = (flow.key.hash(self.table.seed()) >> 32) as u32;
        let (slot, found) = self.table.find(tag, &flow.key);
        flow.older = found.unwrap_or(NONE);
        self.table.push(flow, tag, slot)
    }

    /// What it says of itself as a whole, to be saved.
    pub fn head(&self) -> Head {
        Head {
            rules: *self.table.rules(),
            left: self.table.left(),
            packets: self.packets,
            bytes: self.bytes,
            untracked: self.table.untracked(),
            overflow: self.fragments.overflow,
        }
    }

    /// Gives its entries, to be saved: in the order in which [`Loading::entry`] takes them.
    pub fn save(&self, mut give: impl FnMut(Entry, &[u8])) {
        let mut out = Writer::default();
        for flow in self.table.iter() {
            out.flow(flow);
            give(Entry::Flow, out.done());
        }
        let first = |(key, first): (&FragKey, &First), out: &mut Writer| {
            out.datagram(key);
            out.at(first.at);
            out.u32(first.flow);
        };
        for known in self.fragments.known() {
            first(known, &mut out);
            give(Entry::Known, out.done());
        }
        let mut heads: Vec<_> = self.fragments.heads.iter().collect();
        heads.sort_by_key(|(_, first)| first.at.pos);
        for head in heads {
            first(head, &mut out);
            give(Entry::Head, out.done());
        }
        for (kind, early) in (self.fragments.waiting().map(|early| (Entry::Waiting, early)))
            .chain(self.fragments.undecided.iter().map(|early| (Entry::Undecided, early)))
        {
            out.early(early);
            give(kind, out.done());
        }
    }
}

/// A summary being loaded.
pub struct Loading(Tracker);

impl Loading {
    /// Begins one.
    ///
    /// # Errors
    /// In words, when the head cannot be true.
    pub fn new(head: &Head, seed: Seed) -> Result<Self, &'static str> {
        if head.packets > MOST_PACKETS || head.bytes > MOST_BYTES || head.untracked > MOST_PACKETS {
            return Err("it tells of more packets or bytes than there can be");
        }
        let mut tracker = Tracker::new(head.rules, head.left, seed);
        tracker.table.add_untracked(head.untracked);
        tracker.fragments.overflow = head.overflow.min(MOST_PACKETS);
        (tracker.packets, tracker.bytes) = (head.packets, head.bytes);
        Ok(Self(tracker))
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// In words, when it cannot be true.
    pub fn entry(&mut self, kind: Entry, bytes: &[u8]) -> Result<(), &'static str> {
        let mut input = Reader::new(bytes);
        let tracker = &mut self.0;
        match kind {
            Entry::Flow => {
                let flow = input.flow()?;
                if flow.first >= tracker.packets.max(1) {
                    return Err("a flow begins behind its end");
                }
                if tracker.append(flow) == NONE {
                    return Err("it holds more flows than its limit");
                }
            }
            Entry::Known | Entry::Head => {
                let (key, at, flow) = (input.datagram()?, input.at()?, input.u32()?);
                let first = First { at: self.inside(at)?, flow: self.flow(flow)? };
                if kind == Entry::Known {
                    self.0.fragments.learn(key, first);
                } else {
                    self.0.fragments.heads.insert(key, first);
                }
            }
            Entry::Waiting | Entry::Undecided => {
                let early = input.early()?;
                self.inside(early.at)?;
                if let Some(after) = early.after {
                    self.flow(after)?;
                }
                let fragments = &mut self.0.fragments;
                if kind == Entry::Waiting {
                    if fragments.waiting().last().is_some_and(|last| last.at.pos > early.at.pos) {
                        return Err("its fragments do not stand in order");
                    }
                    fragments.wait(early);
                } else {
                    fragments.undecided.push(early);
                }
            }
        }
        if input.is_at_end() {
            Ok(())
        } else {
            Err("an entry is longer than its kind")
        }
    }

    /// The summary.
    pub fn done(self) -> Tracker {
        self.0
    }

    fn inside(&self, at: At) -> Result<At, &'static str> {
        if at.pos > self.0.packets || at.bytes > self.0.bytes {
            return Err("a fragment stands behind its end");
        }
        Ok(at)
    }

    fn flow(&self, n: u32) -> Result<u32, &'static str> {
        if n != NONE && n >= self.0.table.len() {
            return Err("a fragment belongs to no flow of it");
        }
        Ok(n)
    }
}
