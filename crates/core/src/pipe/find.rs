//! Looks for bytes in the payloads of flows.

use super::chunk::Chunk;
use super::feed::feed;
use super::run::Decide;
use crate::flow::{Left, Rules, Tracker};
use crate::packet::Seed;
use crate::search::Finder;

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
