//! Counts over the packets of a capture that need no flow table.

use crate::packet::{anomaly, Facts, NoFlow};
use crate::record::Record;
use crate::select::Verdict;

/// Counts over consecutive packets, those apart that do not match the filter. Counts of neighbouring pieces merge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets.
    pub packets: u64,
    /// Captured bytes.
    pub bytes: u64,
    /// Original bytes.
    pub wire: u64,
    /// Smallest and largest packet time.
    pub span: Option<(i64, i64)>,
    /// Times of the first and the last packet in capture order.
    pub ends: Option<(i64, i64)>,
    /// Packets whose time is before that of the packet before them.
    pub backwards: u64,
    /// Packets by link type.
    pub links: Vec<(u16, u64)>,
    /// Packets without a flow by reason, in the order of [`NoFlow::ALL`].
    pub no_flow: [u64; NoFlow::ALL.len()],
    /// Packets by anomaly, in the order of [`anomaly::NAMES`].
    pub anomalies: [u64; anomaly::NAMES.len()],
    /// Packets that do not match the filter; counted nowhere else.
    pub filtered: u64,
    /// Their captured bytes.
    pub filtered_bytes: u64,
    /// Of these, packets by link type for which the filter makes no sense.
    pub refused: Vec<(u16, u64)>,
}

impl Stats {
    /// Counts one packet.
    #[inline]
    pub fn add(&mut self, record: &Record, facts: &Facts) {
        let ts = record.ts;
        self.packets += 1;
        self.bytes += u64::from(record.caplen);
        self.wire += u64::from(record.wirelen);
        let span = self.span.get_or_insert((ts, ts));
        *span = (span.0.min(ts), span.1.max(ts));
        let ends = self.ends.get_or_insert((ts, ts));
        self.backwards += u64::from(ts < ends.1);
        ends.1 = ts;
        add_link(&mut self.links, record.link, 1);
        if facts.reason != NoFlow::None {
            self.no_flow[facts.reason as usize] += 1;
        }
        if facts.anomalies != 0 {
            for (count, (bit, _)) in self.anomalies.iter_mut().zip(anomaly::NAMES) {
                *count += u64::from(facts.anomalies & bit != 0);
            }
        }
    }

    /// Counts one packet that does not match the filter.
    pub fn add_filtered(&mut self, record: &Record, verdict: Verdict) {
        self.filtered += 1;
        self.filtered_bytes += u64::from(record.caplen);
        if verdict == Verdict::Refused {
            add_link(&mut self.refused, record.link, 1);
        }
    }

    /// Joins the counts of what follows.
    pub fn merge(&mut self, next: &Self) {
        self.packets += next.packets;
        self.bytes += next.bytes;
        self.wire += next.wire;
        self.backwards += next.backwards;
        if let (Some(a), Some(b)) = (self.ends, next.ends) {
            self.backwards += u64::from(b.0 < a.1);
            self.ends = Some((a.0, b.1));
        } else {
            self.ends = self.ends.or(next.ends);
        }
        self.span = match (self.span, next.span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        for &(link, n) in &next.links {
            add_link(&mut self.links, link, n);
        }
        self.filtered += next.filtered;
        self.filtered_bytes += next.filtered_bytes;
        for &(link, n) in &next.refused {
            add_link(&mut self.refused, link, n);
        }
        for (a, b) in self.no_flow.iter_mut().zip(next.no_flow) {
            *a += b;
        }
        for (a, b) in self.anomalies.iter_mut().zip(next.anomalies) {
            *a += b;
        }
    }
}

#[inline]
fn add_link(links: &mut Vec<(u16, u64)>, link: u16, packets: u64) {
    // The last one first: nearly all captures have one link type.
    match links.iter_mut().rev().find(|(l, _)| *l == link) {
        Some((_, n)) => *n += packets,
        None => links.push((link, packets)),
    }
}
