//! Which flow the first fragment of a datagram belonged to: as many as fit into a table of fixed size.

use crate::flow::fragments::BEFORE_NS;
use crate::packet::{FragKey, Key, Seed};

const ENTRIES: usize = 1 << 10;

#[derive(Clone, Copy, Default)]
struct Entry {
    /// Keyed hash of the datagram; two that are the same by accident are as unlikely as 1 in 2^54.
    tag: u64,
    time: i64,
    /// Hash of the flow's key, and the number of its first packet, which names it for good.
    hash: u64,
    first: u64,
}

pub(super) struct Datagrams(Vec<Entry>);

impl Default for Datagrams {
    fn default() -> Self {
        Self(vec![Entry::default(); ENTRIES])
    }
}

impl Datagrams {
    pub const BYTES: u64 = (ENTRIES * size_of::<Entry>()) as u64;

    /// Notes the flow of a first fragment, in the place of whatever had its slot.
    #[cold]
    pub fn learn(&mut self, key: &FragKey, seed: Seed, time: i64, hash: u64, first: u64) {
        let tag = tag(key, seed);
        self.0[tag as usize % ENTRIES] = Entry { tag, time, hash, first };
    }

    /// Hash and number of the flow that a later fragment belongs to.
    #[cold]
    pub fn find(&self, key: &FragKey, seed: Seed, time: i64) -> Option<(u64, u64)> {
        let tag = tag(key, seed);
        let e = &self.0[tag as usize % ENTRIES];
        (e.tag == tag && time.abs_diff(e.time) <= BEFORE_NS as u64).then_some((e.hash, e.first))
    }
}

fn tag(key: &FragKey, seed: Seed) -> u64 {
    // The hash of a flow's key with the identification in the place of the ports.
    let key = Key {
        lo: key.src,
        hi: key.dst,
        lo_port: key.id as u16,
        hi_port: (key.id >> 16) as u16,
        vlan: key.vlan,
        proto: key.proto,
        version: key.version,
    };
    key.hash(seed).max(1)
}
