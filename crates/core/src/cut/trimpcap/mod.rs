//! Decides packet for packet as TrimPCAP 1.3 does, for who must reproduce its results.
//!
//! The rules are those observed of TrimPCAP 1.3 with dpkt 1.9.2 and repoze.lru 0.7: a
//! packet is kept if the counter of its [`Key`], captured bytes, the packet's own included, is
//! *below* the limit; dropped packets count as well; the counters stand in a [`Clock`] of
//! 10,000 entries that all files share, and a flow that was evicted begins anew.

mod clock;
mod key;

#[cfg(test)]
mod trimpcap_tests;

pub use clock::Clock;
pub use key::Key;

use super::policy::Fate;

/// Flows whose counters are remembered at a time.
pub const ENTRIES: usize = 10_000;

/// TrimPCAP's decisions.
#[derive(Clone, Debug)]
pub struct TrimPcap {
    limit: u64,
    counters: Clock<Key, u64>,
}

impl TrimPcap {
    /// Keeps what stays below `limit` bytes.
    pub fn new(limit: u64) -> Self {
        Self { limit, counters: Clock::new(ENTRIES) }
    }

    /// The fate of the next packet, from its captured bytes.
    pub fn fate(&mut self, link: u16, data: &[u8]) -> Fate {
        let key = Key::of(link, data);
        let total = self.counters.get(&key).copied().unwrap_or(0) + data.len() as u64;
        self.counters.put(key, total);
        if total < self.limit {
            Fate::Keep
        } else {
            Fate::Cut
        }
    }
}
