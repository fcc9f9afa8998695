//! Flows that were chosen from a table, to be found again in the traffic it was made from.
//!
//! A flow is told by its key and by the how-manieth session on that key it is. So whoever goes over the
//! traffic once more needs to follow the chosen keys only, and the sessions on them come out the same.

use std::collections::HashMap;

use crate::flow::{Flow, Table, NONE};
use crate::packet::{Key, Seed};

/// The tag of what was not chosen.
pub const UNCHOSEN: u32 = u32::MAX;

/// Bits of the filter that most packets of other flows fail: 8 KiB, small enough for the fastest cache.
const FILTER_BITS: u32 = 16;

/// The chosen flows. Each has a *tag*, a number that the chooser gave it.
#[derive(Clone, Debug)]
pub struct Chosen {
    keys: HashMap<Key, u32>,
    /// The tags of all sessions of a chosen key in their order; those that were not chosen have [`UNCHOSEN`].
    sessions: Vec<Vec<u32>>,
    filter: Vec<u64>,
    seed: Seed,
}

impl Chosen {
    /// Chooses the flows of these numbers in the table, each with its tag.
    pub fn new(table: &Table, wanted: &[(u32, u32)], seed: Seed) -> Self {
        let mut tags: HashMap<u32, u32> = HashMap::with_capacity(wanted.len());
        let mut keys = HashMap::new();
        for &(n, tag) in wanted {
            tags.insert(n, tag);
            let next = keys.len() as u32;
            keys.entry(table.flow(n).key).or_insert(next);
        }
        let mut sessions = vec![Vec::new(); keys.len()];
        for (n, flow) in table.iter().enumerate() {
            if let Some(&place) = keys.get(&flow.key) {
                let tag = tags.get(&(n as u32)).copied().unwrap_or(UNCHOSEN);
                sessions[place as usize].push(tag);
            }
        }
        let mut filter = vec![0; 1 << (FILTER_BITS - 6)];
        for key in keys.keys() {
            let (word, bit) = place(key.hash(seed));
            filter[word] |= bit;
        }
        Self { keys, sessions, filter, seed }
    }

    /// The key of the hashes that [`Chosen::may_hold`] takes.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// False when no chosen flow has a key with this hash; true says little.
    #[inline]
    pub fn may_hold(&self, hash: u64) -> bool {
        let (word, bit) = place(hash);
        self.filter[word] & bit != 0
    }

    /// Whether a chosen flow has this key.
    pub fn holds(&self, key: &Key) -> bool {
        self.keys.contains_key(key)
    }
}

fn place(hash: u64) -> (usize, u64) {
    let at = hash >> (64 - FILTER_BITS);
    ((at >> 6) as usize, 1 << (at & 63))
}

/// Counts the sessions of the chosen keys while they come up again.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    /// For each chosen key the numbers of its sessions in the table of this pass, ascending.
    numbers: Vec<Vec<u32>>,
}

impl Sessions {
    /// The tag of flow `n` of a table that was fed the chosen keys' packets from the start.
    pub fn tag(&mut self, chosen: &Chosen, n: u32, flow: &Flow) -> u32 {
        let Some(&place) = chosen.keys.get(&flow.key) else { return UNCHOSEN };
        let place = place as usize;
        if self.numbers.len() < chosen.sessions.len() {
            self.numbers.resize(chosen.sessions.len(), Vec::new());
        }
        let numbers = &mut self.numbers[place];
        let ordinal = match numbers.last() {
            Some(&last) if last >= n => numbers.partition_point(|&m| m < n),
            _ => {
                numbers.push(n);
                numbers.len() - 1
            }
        };
        chosen.sessions[place].get(ordinal).copied().unwrap_or(UNCHOSEN)
    }

    /// Takes in the sessions that the table got from a ledger, without any packet.
    pub fn catch_up(&mut self, chosen: &Chosen, table: &Table) {
        for key in chosen.keys.keys() {
            let Some(mut n) = table.latest(key) else { continue };
            let mut chain = Vec::new();
            while n != NONE {
                chain.push(n);
                n = table.flow(n).older;
            }
            for n in chain.into_iter().rev() {
                self.tag(chosen, n, table.flow(n));
            }
        }
    }
}
