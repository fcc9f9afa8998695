//! The sessions of a trimmed file, as its ledger lists them.
//!
//! Packets that are gone cannot tell sessions apart any more. While what is left of a
//! trimmed file is read, the ledger's rows do: they hold the key, the span of time and the number
//! of packets left of every session, and the flow table has counted them all before the first packet.

use std::collections::HashMap;

use super::session::{Flow, Packet, Side};
use super::table::NONE;
use crate::packet::Key;

/// How many sessions of a key are looked at for one packet.
const AHEAD: usize = 16;

/// A session of a file that is being read again.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// The flow's number in the table; [`NONE`] if it found no place.
    pub flow: u32,
    /// The session; its counters are those before the file and of the packets read so far.
    pub running: Flow,
    /// The true counters at the end of the file.
    pub end: [Side; 2],
    /// Packets of each end that stand before the first one that is missing: the running totals are true up to them.
    pub head: [u64; 2],
    /// Packets read so far.
    pub seen: [u64; 2],
    /// Packets that are still to come.
    pub left: u64,
    /// Smallest and largest time of its packets in the whole file.
    pub span: (i64, i64),
}

impl Listed {
    /// Counts a packet of the file.
    fn count(&mut self, p: &Packet<'_>) {
        self.left = self.left.saturating_sub(1);
        self.seen[usize::from(p.facts.dir & 1)] += 1;
        self.running.count_share(p);
    }
}

/// All sessions of a file that is being read again.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    rows: Vec<Listed>,
    /// Per key: its rows in order, and how many of them are over.
    by_key: HashMap<Key, (Vec<u32>, usize)>,
    by_flow: HashMap<u32, u32>,
    /// Position of the file's first packet.
    pub start: u64,
}

impl Listing {
    /// No rows yet, of a file whose first packet has position `start`.
    pub fn new(start: u64) -> Self {
        Self { start, ..Self::default() }
    }

    /// The rows.
    pub fn rows(&self) -> &[Listed] {
        &self.rows
    }

    /// Whether a row of this key is there already.
    pub fn knows(&self, key: &Key) -> bool {
        self.by_key.contains_key(key)
    }

    /// Appends a row.
    pub fn push(&mut self, row: Listed) {
        let at = self.rows.len() as u32;
        self.by_key.entry(row.running.key).or_default().0.push(at);
        if row.flow != NONE {
            self.by_flow.insert(row.flow, at);
        }
        self.rows.push(row);
    }

    /// The row of a packet, which is counted; `None` if the ledger has none of its key.
    pub(crate) fn place(&mut self, p: &Packet<'_>) -> Option<usize> {
        let (of_key, over) = self.by_key.get_mut(&p.facts.key)?;
        while of_key.get(*over).is_some_and(|&at| self.rows[at as usize].left == 0) {
            *over += 1;
        }
        let open = || of_key[*over..].iter().take(AHEAD).map(|&at| at as usize);
        let rows = &self.rows;
        let fits = |&at: &usize| rows[at].left > 0 && (rows[at].span.0..=rows[at].span.1).contains(&p.ts);
        let found = open().find(fits).or_else(|| open().find(|&at| rows[at].left > 0));
        let at = found.or(of_key.last().map(|&at| at as usize))?;
        self.rows[at].count(p);
        Some(at)
    }

    /// The row of a later fragment whose flow is known, counted.
    pub(crate) fn share(&mut self, flow: u32, p: &Packet<'_>) -> Option<usize> {
        let at = *self.by_flow.get(&flow)? as usize;
        self.rows[at].count(p);
        Some(at)
    }
}
