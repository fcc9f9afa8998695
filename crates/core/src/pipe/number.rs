//! Tags every packet with the number of its flow.

use super::chunk::Chunk;
use super::feed::feed;
use super::run::Decide;
use super::tag::WAITS;
use crate::flow::{Flow, Left, Observer, Packet, Rules, Table, Tracker};
use crate::packet::Seed;
use crate::select::UNCHOSEN;

/// Lists the flows and sets [`Chunk::tags`] and [`Chunk::late_tags`] to their numbers in the table;
/// what belongs to no flow has [`UNCHOSEN`].
pub struct Number {
    tracker: Tracker,
    tags: Vec<u32>,
    late: Vec<(u64, u32)>,
}

impl Number {
    /// Nothing read yet. Numbers that would be taken for marks are given to no flow.
    pub fn new(rules: Rules, seed: Seed) -> Self {
        let rules = Rules { max_flows: rules.max_flows.min(WAITS - 1), ..rules };
        Self { tracker: Tracker::new(rules, Left::Start, seed), tags: Vec::new(), late: Vec::new() }
    }

    /// The capture ends. The tags of fragments that still wait: they are orphans.
    pub fn finish(&mut self) -> Vec<(u64, u32)> {
        let mut told = Told { tags: &mut self.tags, late: &mut self.late };
        self.tracker.finish(&mut told);
        std::mem::take(&mut self.late)
    }

    /// What is known of the traffic so far.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The flows, taken out.
    pub fn into_table(self) -> Table {
        self.tracker.into_table()
    }
}

impl Decide for Number {
    fn decide(&mut self, chunk: &mut Chunk) {
        chunk.first = self.tracker.packets();
        feed(&mut self.tracker, chunk, &mut Told { tags: &mut self.tags, late: &mut self.late });
        chunk.tags.append(&mut self.tags);
        chunk.late_tags.append(&mut self.late);
    }
}

struct Told<'a> {
    tags: &'a mut Vec<u32>,
    late: &'a mut Vec<(u64, u32)>,
}

impl Told<'_> {
    fn note(&mut self, p: &Packet<'_>, tag: u32, late: bool) {
        if late {
            self.late.push((p.pos, tag));
        } else {
            self.tags.push(tag);
        }
    }
}

impl Observer for Told<'_> {
    fn counted(&mut self, n: u32, _: &Flow, p: &Packet<'_>, late: bool) {
        self.note(p, n, late);
    }

    fn waits(&mut self, _: &Packet<'_>) {
        self.tags.push(WAITS);
    }

    fn aside(&mut self, p: &Packet<'_>, late: bool) {
        self.note(p, UNCHOSEN, late);
    }
}
