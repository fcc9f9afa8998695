//! What several cutoffs would leave, counted in one pass without cutting anything.

use super::ledger::Chosen;
use super::policy::Policy;
use crate::flow::{Flow, Listed, Observer, Packet};
use crate::packet::tcp_flag;

/// What one cutoff leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The cutoff in captured frame bytes.
    pub cutoff: u64,
    /// Packets that are kept.
    pub packets: u64,
    /// Captured frame bytes that are kept.
    pub bytes: u64,
    /// Flows that lose at least one packet.
    pub flows_cut: u64,
}

/// Counts, for each of some cutoffs, what the default rule would cut.
#[derive(Clone, Debug, Default)]
pub struct WhatIf {
    cutoffs: Vec<u64>,
    /// Packets and bytes past exactly the first n cutoffs, for n from 0.
    past: Vec<(u64, u64)>,
    /// Per flow: past how many cutoffs it has lost a packet.
    lost: Vec<u8>,
    /// By rows of the trimmed file that is read: the smallest cutoff so far, if it counts frames of both ends.
    rows: Vec<u64>,
}

impl WhatIf {
    /// For these cutoffs (at most 255; sorted and made distinct here).
    pub fn new(mut cutoffs: Vec<u64>) -> Self {
        cutoffs.sort_unstable();
        cutoffs.dedup();
        cutoffs.truncate(255);
        let past = vec![(0, 0); cutoffs.len() + 1];
        Self { cutoffs, past, lost: Vec::new(), rows: Vec::new() }
    }

    /// Whether there is nothing to count.
    pub fn is_empty(&self) -> bool {
        self.cutoffs.is_empty()
    }

    /// What each cutoff leaves of all that was counted, smallest cutoff first.
    pub fn left(&self) -> Vec<Left> {
        let mut flows = vec![0_u64; self.cutoffs.len() + 1];
        for &n in &self.lost {
            flows[usize::from(n)] += 1;
        }
        let mut left = Vec::with_capacity(self.cutoffs.len());
        for (i, &cutoff) in self.cutoffs.iter().enumerate() {
            let (packets, bytes) =
                self.past[..=i].iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
            left.push(Left { cutoff, packets, bytes, flows_cut: flows[i + 1..].iter().sum() });
        }
        left
    }

    /// A trimmed file begins whose packets were chosen so; `rows` are the smallest cutoffs of its flows.
    pub fn list(&mut self, chosen: &Chosen, rows: impl Iterator<Item = u64>) {
        let comparable = chosen.cutoff.is_some_and(|(_, unit)| unit == Policy::default().unit());
        self.rows.clear();
        if comparable {
            self.rows.extend(rows);
        }
    }

    /// How many cutoffs have certainly been reached before a packet behind a gap of this row.
    fn behind(&self, row: usize) -> usize {
        self.rows.get(row).map_or(0, |last| self.cutoffs.partition_point(|c| c <= last))
    }

    /// Counts a packet of flow `n` with this running total, which is past so many cutoffs at least.
    #[inline]
    fn count(&mut self, n: u32, total: u64, least: usize, p: &Packet<'_>) {
        let control = p.facts.tcp_flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) != 0;
        let reached = || self.cutoffs.iter().take_while(|&&c| total > c).count().max(least);
        let past = if control { 0 } else { reached() };
        self.add(past, p);
        if past > 0 {
            let n = n as usize;
            if n >= self.lost.len() {
                self.lost.resize(n + 1, 0);
            }
            self.lost[n] = self.lost[n].max(past as u8);
        }
    }

    fn add(&mut self, past: usize, p: &Packet<'_>) {
        let part = &mut self.past[past];
        part.0 += 1;
        part.1 += u64::from(p.caplen);
    }
}

impl Observer for WhatIf {
    #[inline]
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, _: bool) {
        self.count(n, flow.bytes(), 0, p);
    }

    fn listed(&mut self, row: usize, at: &Listed, p: &Packet<'_>, _: bool) {
        let exact = at.seen[0] <= at.head[0] && at.seen[1] <= at.head[1];
        self.count(at.flow, at.running.bytes(), if exact { 0 } else { self.behind(row) }, p);
    }

    fn waits(&mut self, _: &Packet<'_>) {}

    fn aside(&mut self, p: &Packet<'_>, _: bool) {
        self.add(0, p);
    }
}
