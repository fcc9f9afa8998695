//! Looks for bytes in the payloads of flows.

use std::io;

use super::chunk::Chunk;
use super::deal::Take;
use super::feed::feed;
use super::outlet::is_chosen;
use super::run::Decide;
use crate::flow::{Left, Observer, Packet, Rules, Table, Tracker};
use crate::packet::{Class, Seed};
use crate::search::{Finder, PER_FRAGMENT};

/// Follows the flows and looks through their packets.
pub struct Find {
    /// The flows.
    pub tracker: Tracker,
    /// What is looked for, and what was found.
    pub finder: Finder,
}

impl Find {
    /// Nothing read yet.
    pub fn new(rules: Rules, seed: Seed, finder: Finder) -> Self {
        Self { tracker: Tracker::new(rules, Left::Start, seed), finder }
    }

    /// No more captures come.
    pub fn finish(&mut self) {
        self.tracker.finish(&mut self.finder);
        self.finder.finish();
    }
}

impl Decide for Find {
    fn decide(&mut self, chunk: &mut Chunk) {
        chunk.first = self.tracker.packets();
        feed(&mut self.tracker, chunk, &mut self.finder);
    }
}

/// Looks through records that were picked by an index, as if all others had been passed over.
pub struct FindPicked<'a> {
    finder: &'a mut Finder,
    table: &'a Table,
    /// The flow of each tag.
    flows: Vec<u32>,
    /// Hits in fragments that may have waited for their first one, of which a pass lists fewer.
    in_fragments: (bool, bool),
}

impl<'a> FindPicked<'a> {
    /// `wanted`: the flows by number, and their tags.
    pub fn new(finder: &'a mut Finder, table: &'a Table, wanted: &[(u32, u32)]) -> Self {
        let mut flows = vec![0; wanted.len()];
        for &(n, tag) in wanted {
            if let Some(flow) = flows.get_mut(tag as usize) {
                *flow = n;
            }
        }
        Self { finder, table, flows, in_fragments: (false, false) }
    }

    /// Whether a pass over everything might list other hits. `most`: hits that are kept.
    pub fn is_unsure(&self, most: usize) -> bool {
        let (some, many) = self.in_fragments;
        many || some && self.finder.counts().hits > most as u64
    }
}

impl Take for FindPicked<'_> {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        for (i, (record, &tag)) in chunk.records.iter().zip(&chunk.tags).enumerate() {
            let Some(&n) = self.flows.get(tag as usize).filter(|_| is_chosen(tag)) else { continue };
            let packet = Packet {
                facts: &chunk.facts[i],
                ts: record.ts,
                caplen: record.caplen,
                wirelen: record.wirelen,
                pos: chunk.first + u64::from(chunk.place(i)),
                data: chunk.packet(record),
            };
            let before = self.finder.counts().hits;
            self.finder.counted(n, self.table.flow(n), &packet, false);
            if packet.facts.class == Class::Continuation {
                let hits = self.finder.counts().hits - before;
                self.in_fragments.0 |= hits > 0;
                self.in_fragments.1 |= hits > PER_FRAGMENT as u64;
            }
        }
        Ok(())
    }
}
