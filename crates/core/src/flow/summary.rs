//! Summaries that leave the process: in parts, and as entries that a file can hold.
//!
//! Whoever merges the summaries of many pieces on many machines needs two things besides the merge: a summary in parts
//! that can be merged apart ([`Tracker::part`]), and of a carry only what a piece can meet ([`Tracker::met_by`]).

use std::collections::{HashMap, HashSet};

use super::fragments::{orphan_key, At, Early, First, CAPACITY};
use super::session::{Flow, Rules, Side};
use super::table::{Left, BACK, NONE};
use super::tracker::{Silent, Tracker};
use super::wire::{Reader, Writer};
use crate::packet::{FragKey, Key, Seed};

/// Numbers of packets and bytes beyond which no summary is believed, so that sums stay below 2^63.
pub(super) const MOST_PACKETS: u64 = 1 << 48;
pub(super) const MOST_BYTES: u64 = 1 << 60;

/// What a ledger tells of one flow of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToldRow {
    /// The flow in the file; its `first` is the number of its first packet there.
    pub flow: Flow,
    /// The session began before the file.
    pub continues: bool,
    /// What it had come to before the file.
    pub before: [Side; 2],
}

/// What a ledger tells of the flows of its file. The tracker that goes with it saw what is left of them: the numbers of
/// flows in it are those of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The rows of the ledger.
    pub rows: Vec<ToldRow>,
    /// Packets and bytes before the last packet that is left; `None`: none is.
    pub last: Option<(u64, u64)>,
}

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
    /// A flow of a trimmed file, as its ledger tells; in the order of the ledger. A summary has either these or flows.
    Row = 5,
}

impl Entry {
    /// The entry of a number.
    pub fn of(number: u8) -> Option<Self> {
        [Self::Flow, Self::Known, Self::Waiting, Self::Head, Self::Undecided, Self::Row]
            .into_iter()
            .nth(number.into())
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
    /// It is of a trimmed file: [`Told::last`].
    pub told: Option<Option<(u64, u64)>>,
    /// Its last piece is a trimmed file that begins here.
    pub told_from: Option<u64>,
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
        self.subset(|_, flow| flow.key.is_of_part(i, n), |key| part_of(&key.src, &key.dst, n) == i, i == 0)
    }

    /// The same of a trimmed file.
    #[must_use]
    pub fn part_told(&self, told: &Told, i: u32, n: u32) -> (Self, Told) {
        if n <= 1 {
            return (self.clone(), told.clone());
        }
        let mut some = self.piece(i == 0);
        let (mut rows, mut numbers) = (Vec::new(), HashMap::new());
        for (n, row) in (0_u32..).zip(&told.rows).filter(|(_, row)| row.flow.key.is_of_part(i, n)) {
            numbers.insert(n, rows.len() as u32);
            rows.push(*row);
        }
        some.take_fragments(self, &numbers, |key| part_of(&key.src, &key.dst, n) == i);
        (some, Told { rows, last: told.last })
    }

    /// Whether a datagram in fragments went into a flow between other addresses, as out of a tunnel: then the summary has but
    /// one part. `told`: it is of a trimmed file.
    pub fn crosses(&self, told: Option<&Told>) -> bool {
        let key = |n: u32| match told {
            None => (n < self.table.len()).then(|| self.table.flow(n).key),
            Some(told) => told.rows.get(n as usize).map(|row| row.flow.key),
        };
        let other = |datagram: &FragKey, n: u32| {
            (n != NONE).then(|| key(n)).flatten().is_some_and(|key| {
                let ends = (datagram.src, datagram.dst);
                ends != (key.lo, key.hi) && ends != (key.hi, key.lo)
            })
        };
        self.fragments.known().any(|(key, first)| other(key, first.flow))
            || self.fragments.heads.iter().any(|(key, first)| other(key, first.flow))
    }

    /// Of this carry, what a piece that follows can meet: sessions of keys that occur in it, fragments, and the flows of
    /// these. A pass over the piece decides as from the whole carry. `told`: the piece is a trimmed file.
    #[must_use]
    pub fn met_by(&self, piece: &Self, told: Option<&Told>) -> Self {
        let mut kept = vec![false; self.table.len() as usize];
        // A packet goes on with the last session of its key, a row of a ledger with one of some.
        let back = if told.is_some() { BACK } else { 1 };
        let mut keep = |key: &Key| {
            let chain = std::iter::successors(self.table.latest(key), |&n| {
                Some(self.table.flow(n).older).filter(|&n| n != NONE)
            });
            for n in chain.take(back) {
                kept[n as usize] = true;
            }
        };
        piece.table.iter().for_each(|flow| keep(&flow.key));
        told.iter().flat_map(|told| &told.rows).for_each(|row| keep(&row.flow.key));
        let early = piece.fragments.waiting().chain(&piece.fragments.undecided);
        self.fragments.waiting().chain(early).for_each(|early| keep(&orphan_key(&early.facts.key)));
        let datagrams = piece.fragments_met();
        for (_, first) in self.fragments.known().filter(|(key, _)| datagrams.contains(key)) {
            if let Some(kept) = kept.get_mut(first.flow as usize) {
                *kept = true;
            }
        }
        let waiting: HashSet<FragKey> = self.fragments.waiting().map(|early| early.key).collect();
        let fragments = |key: &FragKey| datagrams.contains(key) || waiting.contains(key);
        self.subset(|n, _| kept[n as usize], fragments, true)
    }

    /// The datagrams of all fragments that are noted.
    fn fragments_met(&self) -> HashSet<FragKey> {
        let early = self.fragments.waiting().chain(&self.fragments.undecided).map(|early| early.key);
        let first = self.fragments.known().map(|(key, _)| *key);
        early.chain(first).chain(self.fragments.heads.keys().copied()).collect()
    }

    /// Joins another part of the same piece.
    pub fn join(&mut self, part: &Self) {
        self.join_parts(part, self.table.len());
    }

    /// The same of a trimmed file.
    pub fn join_told(&mut self, told: &mut Told, part: &Self, theirs: &Told) {
        self.join_parts(part, told.rows.len() as u32);
        told.rows.extend(&theirs.rows);
    }

    /// `base`: the number of the part's first flow.
    fn join_parts(&mut self, part: &Self, base: u32) {
        let number = |n: u32| if n == NONE { NONE } else { base.saturating_add(n) };
        for (n, flow) in part.table.iter().enumerate() {
            if self.append(*flow) != NONE {
                self.names.extend(part.names.get(n));
            }
        }
        self.table.add_untracked(part.table.untracked());
        self.fragments.overflow += part.fragments.overflow;
        let first = |first: &First| First { flow: number(first.flow), ..*first };
        let theirs = part.fragments.known().map(|(key, known)| (*key, first(known)));
        self.fragments.learn_all(theirs.collect());
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

    fn subset(
        &self,
        keep: impl Fn(u32, &Flow) -> bool,
        datagram: impl Fn(&FragKey) -> bool,
        counts: bool,
    ) -> Self {
        let mut some = self.piece(counts);
        let mut numbers: HashMap<u32, u32> = HashMap::new();
        for (n, flow) in (0_u32..).zip(self.table.iter()).filter(|(n, flow)| keep(*n, flow)) {
            numbers.insert(n, some.append(*flow));
            some.names.extend(self.names.get(n as usize));
        }
        some.take_fragments(self, &numbers, datagram);
        some
    }

    /// The same piece without its flows. `counts`: what is counted of it as a whole is counted here.
    fn piece(&self, counts: bool) -> Self {
        let mut some = Self::new(*self.table.rules(), self.table.left(), self.table.seed());
        if counts {
            some.fragments.overflow = self.fragments.overflow;
            some.table.add_untracked(self.table.untracked());
        }
        (some.packets, some.bytes, some.told_from) = (self.packets, self.bytes, self.told_from);
        some
    }

    fn take_fragments(
        &mut self,
        of: &Self,
        numbers: &HashMap<u32, u32>,
        datagram: impl Fn(&FragKey) -> bool,
    ) {
        let number = |n: u32| numbers.get(&n).copied().unwrap_or(NONE);
        for (key, first) in of.fragments.known().filter(|(key, _)| datagram(key)) {
            self.fragments.learn(*key, First { flow: number(first.flow), ..*first });
        }
        for (key, first) in of.fragments.heads.iter().filter(|(key, _)| datagram(key)) {
            self.fragments.heads.insert(*key, First { flow: number(first.flow), ..*first });
        }
        let renumbered = |early: &Early| Early { after: early.after.map(number), ..*early };
        for early in of.fragments.waiting().filter(|early| datagram(&early.key)) {
            self.fragments.wait(renumbered(early));
        }
        let undecided = of.fragments.undecided.iter().filter(|early| datagram(&early.key));
        self.fragments.undecided = undecided.map(renumbered).collect();
    }

    /// Gives the new flows of a carry their names: the number of the packet that was their first one when they became
    /// known. A fragment that waited long may move a flow's first packet, but never its name; and no two flows
    /// share a packet.
    pub fn name(&mut self) {
        if self.table.left() == Left::Start {
            let from = self.names.len() as u32;
            self.names.extend((from..self.table.len()).map(|n| self.table.flow(n).first));
        }
    }

    /// The names of flows, by their numbers.
    pub fn names(&self) -> &[u64] {
        &self.names
    }

    /// The traffic ends here, and all flows have names.
    pub fn end(&mut self) {
        self.name();
        if let Some(from) = self.told_from {
            self.fragments.forget(from);
        }
        self.finish(&mut Silent);
        self.name();
    }

    /// Appends a flow as the latest session of its key.
    fn append(&mut self, mut flow: Flow) -> u32 {
        let tag = (flow.key.hash(self.table.seed()) >> 32) as u32;
        let (slot, found) = self.table.find(tag, &flow.key);
        flow.older = found.unwrap_or(NONE);
        self.table.push(flow, tag, slot)
    }

    /// What it says of itself as a whole, to be saved. `told`: it is of a trimmed file.
    pub fn head(&self, told: Option<&Told>) -> Head {
        Head {
            rules: *self.table.rules(),
            left: self.table.left(),
            packets: self.packets,
            bytes: self.bytes,
            untracked: self.table.untracked(),
            overflow: self.fragments.overflow,
            told: told.map(|told| told.last),
            told_from: self.told_from,
        }
    }

    /// Gives its entries, to be saved: in the order in which [`Loading::entry`] takes them.
    pub fn save(&self, told: Option<&Told>, mut give: impl FnMut(Entry, &[u8])) {
        let mut out = Writer::default();
        for (n, flow) in self.table.iter().enumerate() {
            out.flow(flow);
            out.u64(self.names.get(n).copied().unwrap_or(flow.first));
            give(Entry::Flow, out.done());
        }
        for row in told.iter().flat_map(|told| &told.rows) {
            out.flow(&row.flow);
            out.flag(row.continues);
            row.before.iter().for_each(|side| out.counters(side));
            give(Entry::Row, out.done());
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
///
/// Fragments stand in order, one a packet: else what is written would depend on chance.
pub struct Loading {
    tracker: Tracker,
    told: Option<Told>,
    /// Position of the last head.
    head: Option<u64>,
}

type Taken<T> = Result<T, &'static str>;

impl Loading {
    /// Begins one.
    ///
    /// # Errors
    /// In words, when the head cannot be true.
    pub fn new(head: &Head, seed: Seed) -> Taken<Self> {
        if head.packets > MOST_PACKETS || head.bytes > MOST_BYTES || head.untracked > MOST_PACKETS {
            return Err("it tells of more packets or bytes than there can be");
        }
        if head.told.is_some() && head.left == Left::Start {
            return Err("a trimmed file is told of, and it begins at the start of the traffic");
        }
        if head.told.flatten().is_some_and(|(pos, bytes)| pos >= head.packets || bytes > head.bytes) {
            return Err("the last packet that is left stands behind its end");
        }
        let mut tracker = Tracker::new(head.rules, head.left, seed);
        tracker.table.add_untracked(head.untracked);
        tracker.fragments.overflow = head.overflow.min(MOST_PACKETS);
        (tracker.packets, tracker.bytes, tracker.told_from) = (head.packets, head.bytes, head.told_from);
        let told = head.told.map(|last| Told { rows: Vec::new(), last });
        Ok(Self { tracker, told, head: None })
    }

    /// Takes the next entry.
    ///
    /// # Errors
    /// In words, when it cannot be true.
    pub fn entry(&mut self, kind: Entry, bytes: &[u8]) -> Taken<()> {
        let mut input = Reader::new(bytes);
        match kind {
            Entry::Flow => self.add_flow(input.flow()?, input.u64()?)?,
            Entry::Row => {
                let row = ToldRow {
                    flow: input.flow()?,
                    continues: input.flag()?,
                    before: [input.counters()?, input.counters()?],
                };
                let told =
                    self.told.as_mut().ok_or("it is not of a trimmed file and has rows of a ledger")?;
                told.rows.push(row);
            }
            Entry::Known | Entry::Head => {
                let (key, at, flow) = (input.datagram()?, input.at()?, input.u32()?);
                let first = First { at: self.inside(at)?, flow: self.flow(flow)? };
                if kind == Entry::Known {
                    self.tracker.fragments.learn_next(key, first)?;
                } else {
                    if self.head.is_some_and(|last| last >= at.pos) {
                        return Err("its first fragments do not stand in order");
                    }
                    self.head = Some(at.pos);
                    if self.open()?.fragments.heads.insert(key, first).is_some() {
                        return Err("a datagram in it has two first fragments at its start");
                    }
                }
            }
            Entry::Waiting | Entry::Undecided => {
                let early = input.early()?;
                self.inside(early.at)?;
                if let Some(after) = early.after {
                    self.flow(after)?;
                }
                let ordered = |last: Option<&Early>| match last {
                    Some(last) if last.at.pos >= early.at.pos => Err("its fragments do not stand in order"),
                    _ => Ok(()),
                };
                if kind == Entry::Waiting {
                    ordered(self.tracker.fragments.waiting().next_back())?;
                    if self.tracker.fragments.wait(early).is_some() {
                        return Err("it holds more fragments than can wait");
                    }
                } else {
                    let undecided = &mut self.open()?.fragments.undecided;
                    ordered(undecided.last())?;
                    if undecided.len() == CAPACITY {
                        return Err("it holds more fragments than can be undecided");
                    }
                    undecided.push(early);
                }
            }
        }
        if input.is_at_end() {
            Ok(())
        } else {
            Err("an entry is longer than its kind")
        }
    }

    fn add_flow(&mut self, flow: Flow, name: u64) -> Taken<()> {
        let tracker = &mut self.tracker;
        if self.told.is_some() {
            return Err("it is of a trimmed file and has flows of its own");
        }
        if flow.first >= tracker.packets.max(1) || name >= tracker.packets.max(1) {
            return Err("a flow begins behind its end");
        }
        if tracker.append(flow) == NONE {
            return Err("it holds more flows than its limit");
        }
        if tracker.table.left() == Left::Start {
            tracker.names.push(name);
        }
        Ok(())
    }

    /// The summary, and what is told of a trimmed file.
    pub fn done(self) -> (Tracker, Option<Told>) {
        (self.tracker, self.told)
    }

    /// It must be of a piece with an open left side.
    fn open(&mut self) -> Taken<&mut Tracker> {
        match self.tracker.table.left() {
            Left::Open => Ok(&mut self.tracker),
            Left::Start => Err("it begins at the start of the traffic and tells of what may stand before"),
        }
    }

    fn inside(&self, at: At) -> Taken<At> {
        if at.pos >= self.tracker.packets || at.bytes > self.tracker.bytes {
            return Err("a fragment stands behind its end");
        }
        Ok(at)
    }

    fn flow(&self, n: u32) -> Taken<u32> {
        let flows = self.told.as_ref().map_or(self.tracker.table.len() as usize, |told| told.rows.len());
        if n != NONE && n as usize >= flows {
            return Err("a fragment belongs to no flow of it");
        }
        Ok(n)
    }
}
