//! Which files hold packets of a flow, and how many of them.

use super::listed::Listed;
use super::session::{Flow, Packet};
use super::table::NONE;
use super::tracker::Observer;

/// What one file holds of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Number of the flow in the table.
    pub flow: u32,
    /// Number of the file in the data set, from 0.
    pub file: u32,
    /// Packets of each end that the file had before it was ever trimmed.
    pub packets: [u64; 2],
    /// Their captured bytes.
    pub bytes: [u64; 2],
    /// Packets of both ends that are there now.
    pub left: u64,
    /// Smallest time of its packets, nanoseconds.
    pub first_ts: i64,
    /// Largest time of its packets, nanoseconds.
    pub last_ts: i64,
}

impl Part {
    fn add(&mut self, other: &Self) {
        for end in 0..2 {
            self.packets[end] = self.packets[end].saturating_add(other.packets[end]);
            self.bytes[end] = self.bytes[end].saturating_add(other.bytes[end]);
        }
        self.left = self.left.saturating_add(other.left);
        self.first_ts = self.first_ts.min(other.first_ts);
        self.last_ts = self.last_ts.max(other.last_ts);
    }
}

/// The parts of all flows in all files read so far. A flow takes 72 bytes for each file that holds it.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    all: Vec<Part>,
    /// Per flow number: place of its latest part in `all`.
    place: Vec<u32>,
    /// Position of each file's first packet in the traffic.
    starts: Vec<u64>,
}

impl Parts {
    /// The next file begins; its first packet has this position.
    pub fn begin(&mut self, start: u64) {
        self.starts.push(start);
    }

    /// The file begun is a trimmed one: what its ledger says of a flow, and what is left of it.
    pub fn row(&mut self, n: u32, flow: &Flow, left: u64) {
        self.count(Part {
            flow: n,
            file: self.file(),
            packets: [flow.side[0].packets, flow.side[1].packets],
            bytes: [flow.side[0].bytes, flow.side[1].bytes],
            left,
            first_ts: flow.first_ts,
            last_ts: flow.last_ts,
        });
    }

    fn file(&self) -> u32 {
        self.starts.len().saturating_sub(1) as u32
    }

    fn count(&mut self, part: Part) {
        if part.flow == NONE {
            return;
        }
        let n = part.flow as usize;
        if n >= self.place.len() {
            self.place.resize(n + 1, u32::MAX);
        }
        match self.all.get_mut(self.place[n] as usize) {
            Some(last) if (last.flow, last.file) == (part.flow, part.file) => last.add(&part),
            _ => {
                // A fragment that waited for a later file does not take the place of what that file holds.
                if part.file == self.file() {
                    self.place[n] = self.all.len() as u32;
                }
                self.all.push(part);
            }
        }
    }

    /// The parts, by the number of their flow, then of their file.
    pub fn done(mut self) -> Vec<Part> {
        self.all.sort_by_key(|part| (part.flow, part.file));
        self.all.dedup_by(|next, part| {
            let same = (next.flow, next.file) == (part.flow, part.file);
            if same {
                part.add(next);
            }
            same
        });
        self.all
    }
}

impl Observer for Parts {
    fn counted(&mut self, n: u32, _: &Flow, p: &Packet<'_>, late: bool) {
        let mut file = self.file();
        if late && self.starts.last().is_some_and(|&start| p.pos < start) {
            file = self.starts.partition_point(|&start| start <= p.pos).saturating_sub(1) as u32;
        }
        let (mut packets, mut bytes) = ([0; 2], [0; 2]);
        let end = usize::from(p.facts.dir & 1);
        packets[end] = 1;
        bytes[end] = u64::from(p.caplen);
        self.count(Part { flow: n, file, packets, bytes, left: 1, first_ts: p.ts, last_ts: p.ts });
    }

    fn waits(&mut self, _: &Packet<'_>) {}

    fn aside(&mut self, _: &Packet<'_>, _: bool) {}

    // The row has been counted for all its packets.
    fn listed(&mut self, _: usize, _: &Listed, _: &Packet<'_>, _: bool) {}
}
