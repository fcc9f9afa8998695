//! Each flow's share in one file: what the file held of it and what was kept.

use crate::flow::{Flow, Packet, Side};

use super::policy::Fate;

/// What one end of a flow keeps in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Packets kept, shortened ones included.
    pub packets: u64,
    /// Captured bytes kept.
    pub bytes: u64,
}

/// What is left of a flow in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// What was kept of it.
    pub kept: [Kept; 2],
    /// Packets of which only the headers were kept.
    pub shortened: u64,
    /// Of each end: packets kept before the first one that was not, or not whole.
    pub head: [u64; 2],
    lost: [bool; 2],
    /// Packets kept behind a gap that hold nothing but headers: an earlier trimming may have shortened them.
    pub bare: u64,
}

impl Remains {
    /// Notes a packet and its fate. `apart`: each direction is cut for itself. `exact`: all before it was there.
    fn note(&mut self, p: &Packet<'_>, fate: Fate, apart: bool, exact: bool) {
        let dir = usize::from(p.facts.dir & 1);
        let kept = &mut self.kept[dir];
        match fate {
            Fate::Keep | Fate::Wait => {
                kept.packets += 1;
                kept.bytes += u64::from(p.caplen);
                self.head[dir] += u64::from(exact && !self.lost[dir]);
                let bare = p.caplen < p.wirelen && p.caplen <= p.facts.header_len;
                self.bare += u64::from(!exact && bare);
                return;
            }
            Fate::Shorten => {
                kept.packets += 1;
                kept.bytes += u64::from(p.facts.header_len);
                self.shortened += 1;
            }
            Fate::Cut => {}
        }
        self.lost[dir] = true;
        if !apart {
            self.lost = [true; 2];
        }
    }
}

/// A flow's share in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The flow's number in the table.
    pub flow: u32,
    /// The session began in an earlier file of the data set.
    pub continues: bool,
    /// Number of the flow's first packet in the file, from 0.
    pub first: u64,
    /// Smallest time of its packets in the file.
    pub first_ts: i64,
    /// Largest time of its packets in the file.
    pub last_ts: i64,
    /// The flow's counters when the file began.
    pub before: [Side; 2],
    /// What is left of it.
    pub left: Remains,
}

impl Share {
    /// What the file holds of the flow: its counters now less those at the beginning.
    pub fn original(&self, flow: &Flow) -> [Side; 2] {
        let mut sides = flow.side;
        for (now, before) in sides.iter_mut().zip(&self.before) {
            now.packets -= before.packets;
            now.bytes -= before.bytes;
            now.wire -= before.wire;
            now.payload -= before.payload;
        }
        sides
    }
}

/// The shares of all flows in the current file.
#[derive(Clone, Debug, Default)]
pub struct Shares {
    /// Per flow number: place in `all`. Stale where that share is of another flow.
    place: Vec<u32>,
    all: Vec<Share>,
    /// What is left of the sessions that a ledger lists.
    listed: Vec<Remains>,
    start: u64,
}

impl Shares {
    /// Begins a file whose first packet has this position.
    pub fn begin(&mut self, start: u64) {
        self.all.clear();
        self.listed.clear();
        self.start = start;
    }

    /// Makes room for the sessions that a ledger lists.
    pub fn list(&mut self, rows: usize) {
        self.listed.resize(rows, Remains::default());
    }

    /// What is left of the sessions that a ledger lists.
    pub fn listed(&self) -> &[Remains] {
        &self.listed
    }

    /// Notes a packet of a listed session, and its fate.
    pub fn note_listed(&mut self, row: usize, p: &Packet<'_>, fate: Fate, apart: bool, exact: bool) {
        if let Some(left) = self.listed.get_mut(row) {
            left.note(p, fate, apart, exact);
        }
    }

    /// The shares of the file, in the order in which its flows came up.
    pub fn all(&self) -> &[Share] {
        &self.all
    }

    /// Notes a packet that was just counted to flow `n`, and its fate.
    pub fn note(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, fate: Fate, apart: bool) {
        let at = self.place(n, flow, p);
        let share = &mut self.all[at];
        share.first = share.first.min(p.pos.saturating_sub(self.start));
        share.first_ts = share.first_ts.min(p.ts);
        share.last_ts = share.last_ts.max(p.ts);
        share.left.note(p, fate, apart, true);
    }

    fn place(&mut self, n: u32, flow: &Flow, p: &Packet<'_>) -> usize {
        let n_ = n as usize;
        if n_ >= self.place.len() {
            self.place.resize(n_ + 1, u32::MAX);
        }
        let at = self.place[n_] as usize;
        if self.all.get(at).is_some_and(|s| s.flow == n) {
            return at;
        }
        // The counters as they stood before this packet.
        let mut before = flow.side;
        let side = &mut before[usize::from(p.facts.dir & 1)];
        side.packets -= 1;
        side.bytes -= u64::from(p.caplen);
        side.wire -= u64::from(p.wirelen);
        side.payload -= u64::from(p.facts.payload);
        self.place[n_] = self.all.len() as u32;
        self.all.push(Share {
            flow: n,
            continues: before.iter().any(|s| s.packets > 0),
            first: p.pos.saturating_sub(self.start),
            first_ts: p.ts,
            last_ts: p.ts,
            before,
            left: Remains::default(),
        });
        self.all.len() - 1
    }
}
