//! Fragments follow their datagram.
//!
//! Only the first fragment of a datagram carries ports. A later one (`offset > 0`) belongs
//! to the flow of the *nearest first fragment before it* with the same addresses, protocol and
//! identification; if there is none, to that of the *next one after it*; if there is
//! none either, it is an **orphan** and belongs to a flow of its two addresses
//! and protocol that is made of orphans only.
//!
//! "Near" is bounded: [`BEFORE_NS`] (the reassembly time of RFC 8200 section 4.5 is 60 s, that of
//! common systems 30 s) and [`BEFORE_PACKETS`] backwards; the same time, [`AFTER_PACKETS`] and
//! [`AFTER_BYTES`] forwards, because whoever cuts has to hold the capture back for so long.
//! Both tables hold [`CAPACITY`] entries; what does not fit is counted.

use std::collections::{HashMap, VecDeque};

use super::session::Packet;
use super::table::NONE;
use crate::packet::{Facts, FragKey, Key};

/// How long after its first fragment a later one is still taken for the same datagram.
pub const BEFORE_NS: i64 = 30_000_000_000;
/// How many packets after its first fragment a later one may come.
pub const BEFORE_PACKETS: u64 = 1 << 20;
/// How many packets before its first fragment a later one may come.
pub const AFTER_PACKETS: u64 = 1 << 13;
/// How many captured bytes before its first fragment a later one may come.
pub const AFTER_BYTES: u64 = 16 << 20;
/// Entries in each of the two tables.
pub const CAPACITY: usize = 1 << 16;

/// A point in the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub pos: u64,
    pub bytes: u64,
    pub ts: i64,
}

impl At {
    /// Whether a later fragment here still belongs to a first fragment at `first`.
    pub fn follows(self, first: Self) -> bool {
        // Saturating, here and below: the file of a summary can claim any order.
        near(self.ts, first.ts) && self.pos.saturating_sub(first.pos) <= BEFORE_PACKETS
    }

    /// Whether a later fragment here may still meet its first fragment at `first`.
    pub fn precedes(self, first: Self) -> bool {
        near(self.ts, first.ts) && !self.overdue(first.pos, first.bytes)
    }

    /// Whether the wait of a fragment that stands here is over at this point.
    pub fn overdue(self, pos: u64, bytes: u64) -> bool {
        pos.saturating_sub(self.pos) > AFTER_PACKETS || bytes.saturating_sub(self.bytes) > AFTER_BYTES
    }

    fn shifted(self, pos: u64, bytes: u64) -> Self {
        Self { pos: self.pos + pos, bytes: self.bytes + bytes, ts: self.ts }
    }
}

fn near(a: i64, b: i64) -> bool {
    a.abs_diff(b) <= BEFORE_NS as u64
}

/// A first fragment: where it was and which flow it began or joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub at: At,
    pub flow: u32,
}

/// A later fragment whose first one has not come, or not in this piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Early {
    pub key: FragKey,
    pub facts: Facts,
    pub at: At,
    pub caplen: u32,
    pub wirelen: u32,
    /// The flow of the first fragment that came after it; [`NONE`] if that one came too
    /// late to be of the same datagram (then it is an orphan). Only set where it cannot be acted on
    /// at once: in a piece with an open left side, where a first fragment before it would win.
    pub after: Option<u32>,
}

impl Early {
    pub fn packet(&self) -> Packet<'_> {
        Packet {
            facts: &self.facts,
            ts: self.at.ts,
            caplen: self.caplen,
            wirelen: self.wirelen,
            pos: self.at.pos,
            data: &[],
        }
    }
}

/// The nearest first fragment is too far away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Far;

/// First fragments seen and later ones that wait.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fragments {
    known: HashMap<FragKey, First>,
    /// Insertions into `known`, oldest first, to bound it.
    aged: VecDeque<(FragKey, u64)>,
    /// Fragments that wait, by position; `None` where the wait is over.
    waiting: VecDeque<Option<Early>>,
    /// Number of the front of `waiting` among all that ever waited.
    front: u64,
    /// Numbers of those that wait for one datagram, oldest first: who goes is at the front.
    by_key: HashMap<FragKey, VecDeque<u64>>,
    /// In a piece with an open left side: the first of the first fragments near its start.
    pub heads: HashMap<FragKey, First>,
    /// In such a piece: later fragments whose first one may stand in the piece before.
    pub undecided: Vec<Early>,
    pub overflow: u64,
}

impl Fragments {
    /// Whether no fragment waits: the common case, asked once per packet.
    #[inline]
    pub fn idle(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The flow of the nearest first fragment before this point; `Err(Far)` if there is one, but
    /// too far away (then no farther one counts either).
    pub fn before(&self, key: &FragKey, at: At) -> Result<Option<u32>, Far> {
        match self.known.get(key) {
            None => Ok(None),
            Some(first) if at.follows(first.at) => Ok(Some(first.flow)),
            Some(_) => Err(Far),
        }
    }

    /// Notes a first fragment.
    pub fn learn(&mut self, key: FragKey, first: First) {
        self.aged.push_back((key, first.at.pos));
        self.known.insert(key, first);
        while self.aged.len() > CAPACITY {
            let Some((old, pos)) = self.aged.pop_front() else {
                break;
            };
            // The entry may have been renewed since; then the younger mention keeps it.
            if let Some(entry) = self.known.get(&old).copied().filter(|e| e.at.pos == pos) {
                self.known.remove(&old);
                self.overflow += u64::from(first.at.follows(entry.at));
            }
        }
    }

    /// Notes one that is read from a file, where they stand in order.
    pub fn learn_next(&mut self, key: FragKey, first: First) -> Result<(), &'static str> {
        if self.aged.back().is_some_and(|(_, pos)| *pos >= first.at.pos) {
            return Err("its first fragments do not stand in order");
        }
        if self.aged.len() == CAPACITY {
            return Err("it holds more first fragments than are remembered");
        }
        self.learn(key, first);
        Ok(())
    }

    /// Notes those that another part of the same piece remembers.
    pub fn learn_all(&mut self, theirs: Vec<(FragKey, First)>) {
        let mut all: Vec<_> = self.known().map(|(key, first)| (*key, *first)).collect();
        all.extend(theirs);
        all.sort_by_key(|(_, first)| first.at.pos);
        self.aged.clear();
        self.known.clear();
        for (key, first) in all {
            self.learn(key, first);
        }
    }

    /// Lets a fragment wait; gives back one that has to go when there is no room.
    pub fn wait(&mut self, early: Early) -> Option<Early> {
        let bumped = if self.waiting.len() >= CAPACITY {
            self.overflow += 1;
            self.drop_front()
        } else {
            None
        };
        if early.after.is_none() {
            self.by_key.entry(early.key).or_default().push_back(self.front + self.waiting.len() as u64);
        }
        self.waiting.push_back(Some(early));
        bumped
    }

    /// Takes out the fragments that waited for this first fragment, in their order.
    pub fn release(&mut self, key: &FragKey, first: At) -> Vec<Early> {
        let Some(numbers) = self.by_key.remove(key) else {
            return Vec::new();
        };
        let mut released = Vec::new();
        for number in numbers {
            let Some(place) = number.checked_sub(self.front) else {
                continue;
            };
            let Some(slot) = self.waiting.get_mut(place as usize) else {
                continue;
            };
            match slot {
                Some(early) if early.at.precedes(first) => released.extend(slot.take()),
                Some(early) => early.after = Some(NONE),
                None => {}
            }
        }
        self.trim_front();
        released
    }

    /// The oldest fragment whose wait is over at this point.
    pub fn overdue(&mut self, pos: u64, bytes: u64) -> Option<Early> {
        self.trim_front();
        match self.waiting.front() {
            Some(Some(early)) if early.at.overdue(pos, bytes) => self.drop_front(),
            _ => None,
        }
    }

    /// Takes out the oldest fragment that waits.
    pub fn pop(&mut self) -> Option<Early> {
        self.trim_front();
        self.drop_front()
    }

    /// Lets those no longer wait that stand at this position or behind it.
    pub fn forget(&mut self, from: u64) {
        for slot in &mut self.waiting {
            *slot = slot.take().filter(|early| early.at.pos < from);
        }
    }

    /// The fragments that wait, oldest first.
    pub fn waiting(&self) -> impl DoubleEndedIterator<Item = &Early> {
        self.waiting.iter().flatten()
    }

    /// The first fragments that are remembered, oldest first.
    pub fn known(&self) -> impl Iterator<Item = (&FragKey, &First)> {
        self.aged
            .iter()
            .filter_map(|(key, pos)| self.known.get_key_value(key).filter(|(_, first)| first.at.pos == *pos))
    }

    fn drop_front(&mut self) -> Option<Early> {
        let early = self.waiting.pop_front()?;
        self.front += 1;
        if let Some(early) = &early {
            let number = self.front - 1;
            if let Some(numbers) = self.by_key.get_mut(&early.key) {
                if numbers.front() == Some(&number) {
                    numbers.pop_front();
                }
                if numbers.is_empty() {
                    self.by_key.remove(&early.key);
                }
            }
        }
        early
    }

    fn trim_front(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.front += 1;
        }
    }
}

impl First {
    pub fn shifted(self, pos: u64, bytes: u64, flow: u32) -> Self {
        Self { at: self.at.shifted(pos, bytes), flow }
    }
}

impl Early {
    pub fn shifted(mut self, pos: u64, bytes: u64) -> Self {
        self.at = self.at.shifted(pos, bytes);
        self
    }
}

/// The key of the flow that orphans of these addresses and protocol make up.
pub(crate) fn orphan_key(key: &Key) -> Key {
    Key { version: key.version | Key::ORPHAN, ..*key }
}
