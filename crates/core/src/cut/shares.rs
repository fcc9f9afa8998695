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
    /// What was kept of it.
    pub kept: [Kept; 2],
    /// Packets of which only the headers were kept.
    pub shortened: u64,
}

impl Share {
    /// Puts the true counters of a trimmed file in the place of those of the packets that are left,
    /// as `whole` gives them, and the session's state as it was at the end of the whole file.
    pub(crate) fn restore(&self, flow: &mut Flow, whole: &Flow, start: u64) {
        let left = self.original(flow);
        let mut sides = whole.side;
        for ((side, left), now) in sides.iter_mut().zip(left).zip(flow.side) {
            side.packets = side.packets.saturating_add(now.packets - left.packets);
            side.bytes = side.bytes.saturating_add(now.bytes - left.bytes);
            side.wire = side.wire.saturating_add(now.wire - left.wire);
            side.payload = side.payload.saturating_add(now.payload - left.payload);
        }
        let (first, head_ts) =
            if self.continues { (flow.first, flow.head_ts) } else { (start + whole.first, whole.head_ts) };
        *flow = Flow {
            side: sides,
            first,
            head_ts,
            first_ts: flow.first_ts.min(whole.first_ts),
            last_ts: flow.last_ts.max(whole.last_ts),
            older: flow.older,
            ..*whole
        };
    }

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
    start: u64,
}

impl Shares {
    /// Begins a file whose first packet has this position.
    pub fn begin(&mut self, start: u64) {
        self.all.clear();
        self.start = start;
    }

    /// The shares of the file, in the order in which its flows came up.
    pub fn all(&self) -> &[Share] {
        &self.all
    }

    /// Notes a packet that was just counted to flow `n`, and its fate.
    pub fn note(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, fate: Fate) {
        let at = self.place(n, flow, p);
        let share = &mut self.all[at];
        share.first = share.first.min(p.pos.saturating_sub(self.start));
        share.first_ts = share.first_ts.min(p.ts);
        share.last_ts = share.last_ts.max(p.ts);
        let kept = &mut share.kept[usize::from(p.facts.dir & 1)];
        match fate {
            Fate::Keep | Fate::Wait => {
                kept.packets += 1;
                kept.bytes += u64::from(p.caplen);
            }
            Fate::Shorten => {
                kept.packets += 1;
                kept.bytes += u64::from(p.facts.header_len);
                share.shortened += 1;
            }
            Fate::Cut => {}
        }
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
            kept: [Kept::default(); 2],
            shortened: 0,
        });
        self.all.len() - 1
    }
}
