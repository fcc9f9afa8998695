//! The deciding stage: what is done with the packets of each chunk, in order.

use super::chunk::Chunk;
use super::depths::{Depths, WithDepths};
use super::run::Decide;
use crate::cut::{Cutter, Policy, TrimPcap, WhatIf};
use crate::flow::parts::Parts;
use crate::flow::{Details, Flow, Left, Listed, Observer, Packet, Rules, Silent, Tracker};
use crate::identify::Identified;
use crate::packet::Seed;

/// Packets whose table slots are read ahead together.
const BATCH: usize = 32;

/// Feeds all packets of a chunk to a tracker.
pub fn feed(tracker: &mut Tracker, chunk: &mut Chunk, observer: &mut impl Observer) {
    chunk.wants_room = tracker.table_mut().restock(&mut chunk.room);
    let mut frags = chunk.frags.iter().peekable();
    for start in (0..chunk.records.len()).step_by(BATCH) {
        let end = (start + BATCH).min(chunk.records.len());
        tracker.table().warm(&chunk.hashes[start..end]);
        for i in start..end {
            let record = &chunk.records[i];
            let packet = Packet {
                facts: &chunk.facts[i],
                ts: record.ts,
                caplen: record.caplen,
                wirelen: record.wirelen,
                pos: 0,
                data: chunk.packet(record),
            };
            let frag = frags.next_if(|(at, _)| *at as usize == i).map(|(_, key)| key);
            observer.frame(record.link);
            tracker.feed(packet, chunk.hashes[i], frag, observer);
        }
    }
}

/// Counts flows, and what some cutoffs would leave of them.
#[derive(Debug)]
pub struct Scan {
    /// The flows.
    pub tracker: Tracker,
    /// The cutoffs.
    pub what_if: WhatIf,
    /// Details of the flows, if they are asked for.
    pub details: Option<Details>,
    /// What the flows speak, if it is asked for.
    pub identified: Option<Box<Identified>>,
    /// Which files hold what of each flow, if it is asked for.
    pub parts: Option<Parts>,
}

/// Tells all that are there.
struct All<'a>(
    Option<&'a mut Details>,
    Option<&'a mut Identified>,
    Option<&'a mut WhatIf>,
    Option<&'a mut Parts>,
);

impl Observer for All<'_> {
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        if let Some(details) = &mut self.0 {
            details.counted(n, flow, p, late);
        }
        if let Some(identified) = &mut self.1 {
            identified.counted(n, flow, p, late);
        }
        if let Some(what_if) = &mut self.2 {
            what_if.counted(n, flow, p, late);
        }
        if let Some(parts) = &mut self.3 {
            parts.counted(n, flow, p, late);
        }
    }

    fn waits(&mut self, p: &Packet<'_>) {
        if let Some(what_if) = &mut self.2 {
            what_if.waits(p);
        }
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        if let Some(what_if) = &mut self.2 {
            what_if.aside(p, late);
        }
    }

    fn listed(&mut self, row: usize, at: &Listed, p: &Packet<'_>, late: bool) {
        All(self.0.as_deref_mut(), self.1.as_deref_mut(), None, None).counted(at.flow, &at.running, p, late);
        if let Some(what_if) = &mut self.2 {
            what_if.listed(row, at, p, late);
        }
    }

    fn frame(&mut self, link: u16) {
        if let Some(details) = &mut self.0 {
            details.frame(link);
        }
    }
}

impl Scan {
    /// Nothing read yet.
    pub fn new(rules: Rules, seed: Seed, cutoffs: Vec<u64>) -> Self {
        Self {
            tracker: Tracker::new(rules, Left::Start, seed),
            what_if: WhatIf::new(cutoffs),
            details: None,
            identified: None,
            parts: None,
        }
    }

    /// No more files come.
    pub fn finish(&mut self) {
        let what_if = Some(&mut self.what_if);
        let (details, identified) = (self.details.as_mut(), self.identified.as_deref_mut());
        self.tracker.finish(&mut All(details, identified, what_if, self.parts.as_mut()));
        if let Some(identified) = &mut self.identified {
            identified.finish(self.tracker.table());
        }
    }
}

impl Decide for Scan {
    fn decide(&mut self, chunk: &mut Chunk) {
        chunk.first = self.tracker.packets();
        let Self { tracker, what_if, details, identified, parts } = self;
        let alone = what_if.is_empty() && parts.is_none();
        match (details, identified, alone) {
            (None, None, true) => feed(tracker, chunk, &mut Silent),
            (None, None, false) if parts.is_none() => feed(tracker, chunk, what_if),
            (Some(details), None, true) => feed(tracker, chunk, details),
            (None, Some(identified), true) => feed(tracker, chunk, &mut **identified),
            (details, identified, _) => {
                let what_if = (!what_if.is_empty()).then_some(what_if);
                let (details, identified) = (details.as_mut(), identified.as_deref_mut());
                feed(tracker, chunk, &mut All(details, identified, what_if, parts.as_mut()));
            }
        }
    }
}

/// Counts flows and decides which packets stay.
#[derive(Clone, Debug)]
pub struct Trim {
    /// The flows so far: the carry.
    pub tracker: Tracker,
    /// The decisions.
    pub cutter: Cutter,
    /// Who decides instead of the cutter's policy.
    pub compat: Option<TrimPcap>,
    /// Which flows have cutoffs of their own.
    pub depths: Option<Depths>,
}

impl Trim {
    /// Nothing read yet; `ledger`: note each flow's share per file.
    pub fn new(rules: Rules, seed: Seed, policy: Policy, ledger: bool) -> Self {
        let tracker = Tracker::new(rules, Left::Start, seed);
        Self { tracker, cutter: Cutter::new(policy, ledger), compat: None, depths: None }
    }

    /// A new file begins.
    pub fn begin_file(&mut self) {
        self.cutter.begin_file(self.tracker.packets());
    }

    /// The file ends. Fragments that still wait for the first one of their datagram are orphans if it
    /// is the last file; else they are kept, for nobody can hold the file back, and counted when
    /// the first one comes.
    pub fn end_file(&mut self, last: bool) -> Vec<crate::cut::Late> {
        if last {
            match &mut self.depths {
                None => self.tracker.finish(&mut self.cutter),
                Some(depths) => self.tracker.finish(&mut WithDepths(depths, &mut self.cutter)),
            }
        } else {
            for (pos, caplen) in self.tracker.waiting() {
                self.cutter.give_up(pos, caplen);
            }
        }
        std::mem::take(&mut self.cutter.late)
    }
}

impl Decide for Trim {
    fn decide(&mut self, chunk: &mut Chunk) {
        chunk.first = self.tracker.packets();
        let telling = chunk.records.partition_point(|r| chunk.base + u64::from(r.start) < chunk.evidence);
        if telling > 0 {
            self.cutter.keep_before(chunk.first + telling as u64);
        }
        if let Some(compat) = &mut self.compat {
            let records = chunk.records.iter();
            let fates = records.map(|r| (compat.fate(r.link, chunk.packet(r)), r.caplen));
            self.cutter.give(chunk.first, fates);
        }
        match &mut self.depths {
            None => feed(&mut self.tracker, chunk, &mut self.cutter),
            Some(depths) => feed(&mut self.tracker, chunk, &mut WithDepths(depths, &mut self.cutter)),
        }
        std::mem::swap(&mut chunk.fates, &mut self.cutter.fates);
        self.cutter.fates.clear();
        chunk.late = std::mem::take(&mut self.cutter.late);
    }
}
