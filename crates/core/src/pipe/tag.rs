//! Tags the packets of chosen flows.

use std::sync::Arc;

use super::chunk::Chunk;
use super::feed::feed;
use super::run::Decide;
use crate::flow::{Flow, Left, Observer, Packet, Rules, Table, Tracker};
use crate::packet::{Class, Seed};
use crate::select::{Chosen, Sessions, UNCHOSEN};

/// The tag of a fragment that waits for the first one of its datagram.
pub const WAITS: u32 = UNCHOSEN - 1;

/// Gives every packet of a chosen flow the flow's tag: sets [`Chunk::tags`] and [`Chunk::late_tags`].
pub struct Tag {
    chosen: Arc<Chosen>,
    /// Every packet has tag 0, also those without a flow.
    everything: bool,
    /// Every flow is chosen, and its number in the table is its tag.
    each: bool,
    /// The sessions on the chosen keys: the carry.
    tracker: Tracker,
    sessions: Sessions,
    start: u64,
    tags: Vec<u32>,
    late: Vec<(u64, u32)>,
}

impl Tag {
    /// Nothing read yet. The rules are those of the table from which the flows were chosen.
    pub fn new(chosen: Arc<Chosen>, rules: Rules) -> Self {
        Self {
            tracker: Tracker::new(rules, Left::Start, chosen.seed()),
            chosen,
            everything: false,
            each: false,
            sessions: Sessions::default(),
            start: 0,
            tags: Vec::new(),
            late: Vec::new(),
        }
    }

    /// Chooses all packets.
    pub fn everything() -> Self {
        let none =
            Chosen::new(&Table::new(Rules::default(), Left::Start, Seed::default()), &[], Seed::default());
        Self { everything: true, ..Self::new(Arc::new(none), Rules::default()) }
    }

    /// Chooses all flows; the number of a flow in [`Tag::into_table`] is its tag.
    pub fn each(rules: Rules, seed: Seed) -> Self {
        let none = Chosen::new(&Table::new(rules, Left::Start, seed), &[], seed);
        Self { each: true, ..Self::new(Arc::new(none), rules) }
    }

    /// The flows that were followed.
    pub fn into_table(self) -> Table {
        self.tracker.into_table()
    }

    /// The tag of flow `n` of the tracker; none: [`UNCHOSEN`].
    pub fn tag_of(&mut self, n: u32) -> u32 {
        self.sessions.tag(&self.chosen, n, self.tracker.table().flow(n))
    }

    /// A new file begins.
    pub fn begin_file(&mut self) {
        self.start = self.tracker.packets();
    }

    /// The file ends. The tags of fragments that still wait: without the first one of their datagram they are orphans.
    pub fn end_file(&mut self, last: bool) -> Vec<(u64, u32)> {
        if last {
            if self.each {
                self.tracker.finish(&mut Each { tags: &mut self.tags, late: &mut self.late });
            } else {
                let (tracker, mut told) = self.parts();
                tracker.finish(&mut told);
            }
        }
        std::mem::take(&mut self.late)
    }

    /// The flows so far, to take in what a ledger says; then [`Tag::catch_up`].
    pub fn tracker_mut(&mut self) -> &mut Tracker {
        &mut self.tracker
    }

    /// Goes on behind the traffic of a carry, whose hash has the same key. Nothing is read yet.
    pub fn begin_behind(&mut self, carry: &Tracker) {
        self.tracker = carry.clone();
        self.catch_up();
    }

    /// Takes in the sessions that came from a ledger.
    pub fn catch_up(&mut self) {
        self.sessions.catch_up(&self.chosen, self.tracker.table());
    }

    fn parts(&mut self) -> (&mut Tracker, Told<'_>) {
        let told = Told {
            chosen: &self.chosen,
            sessions: &mut self.sessions,
            start: self.start,
            tags: &mut self.tags,
            late: &mut self.late,
        };
        (&mut self.tracker, told)
    }
}

impl Decide for Tag {
    fn decide(&mut self, chunk: &mut Chunk) {
        chunk.first = self.tracker.packets();
        if self.everything {
            chunk.tags.resize(chunk.records.len(), 0);
            let bytes = chunk.records.iter().map(|r| u64::from(r.caplen)).sum();
            self.tracker.skip(chunk.records.len() as u64, bytes);
            return;
        }
        if self.each {
            let told = &mut Each { tags: &mut self.tags, late: &mut self.late };
            feed(&mut self.tracker, chunk, told);
            chunk.tags.append(&mut self.tags);
            chunk.late_tags.append(&mut self.late);
            return;
        }
        let (tracker, mut told) = self.parts();
        let chosen = told.chosen;
        let mut frags = chunk.frags.iter().peekable();
        for (i, facts) in chunk.facts.iter().enumerate() {
            let record = &chunk.records[i];
            let frag = frags.next_if(|(at, _)| *at as usize == i).map(|(_, key)| key);
            let follow = match facts.class {
                Class::NoFlow => false,
                // Also of other flows: whose first fragment is seen is no orphan.
                Class::Flow if facts.fragment => true,
                Class::Flow => chosen.may_hold(chunk.hashes[i]) && chosen.holds(&facts.key),
                Class::Continuation => true,
            };
            if follow {
                let packet = Packet {
                    facts,
                    ts: record.ts,
                    caplen: record.caplen,
                    wirelen: record.wirelen,
                    pos: 0,
                    data: chunk.packet(record),
                };
                tracker.feed(packet, chunk.hashes[i], frag, &mut told);
            } else {
                told.tags.push(UNCHOSEN);
                tracker.skip(1, u64::from(record.caplen));
            }
        }
        chunk.tags.append(&mut self.tags);
        chunk.late_tags.append(&mut self.late);
    }
}

/// Turns what the tracker says into tags.
struct Told<'a> {
    chosen: &'a Chosen,
    sessions: &'a mut Sessions,
    start: u64,
    tags: &'a mut Vec<u32>,
    late: &'a mut Vec<(u64, u32)>,
}

impl Told<'_> {
    fn note(&mut self, p: &Packet<'_>, tag: u32, late: bool) {
        if !late {
            self.tags.push(tag);
        } else if p.pos >= self.start {
            self.late.push((p.pos, tag));
        }
    }
}

impl Observer for Told<'_> {
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        let tag = self.sessions.tag(self.chosen, n, flow);
        self.note(p, tag, late);
    }

    fn waits(&mut self, _: &Packet<'_>) {
        self.tags.push(WAITS);
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        self.note(p, UNCHOSEN, late);
    }
}

/// Every flow has its number as tag.
struct Each<'a> {
    tags: &'a mut Vec<u32>,
    late: &'a mut Vec<(u64, u32)>,
}

impl Observer for Each<'_> {
    fn counted(&mut self, n: u32, _: &Flow, p: &Packet<'_>, late: bool) {
        if late {
            self.late.push((p.pos, n));
        } else {
            self.tags.push(n);
        }
    }

    fn waits(&mut self, _: &Packet<'_>) {
        self.tags.push(WAITS);
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        if late {
            self.late.push((p.pos, UNCHOSEN));
        } else {
            self.tags.push(UNCHOSEN);
        }
    }
}
