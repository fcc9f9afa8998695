//! The ledger: what a file held of each flow before it was trimmed, and what it holds now.
//!
//! The rows of one file are the flows' shares in it. Those of consecutive files join as
//! summaries do: a row that *continues* adds to the session before it on its key, any other
//! begins one.

use super::policy::{Policy, Rest, Unit};
use super::shares::{Kept, Share, Shares};
use crate::flow::summary::{Told, ToldRow};
use crate::flow::{Flow, Listed, Listing, Side, Tracker, NONE};

/// What a file holds of a flow, as far as it must be known to cut it further.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Packets that are there.
    pub packets: u64,
    /// Of each end: packets before the first one that is missing.
    pub head: [u64; 2],
    /// The smallest cutoff that the flow has had; the largest number if it has had none.
    pub cutoff: u64,
}

/// A flow's row in the ledger of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Counters, `first` (number of its first packet in the file) and times are those of the
    /// flow's original packets in this file; all else is the session's state at the file's end.
    pub flow: Flow,
    /// The session began before this file.
    pub continues: bool,
    /// What is left in the file.
    pub kept: [Kept; 2],
    /// Of the packets left, those of which only headers are left.
    pub shortened: u64,
    /// Of the packets left, those whose running totals are still known.
    pub head: [u64; 2],
    /// What the file held before this trimming.
    pub was: Left,
    /// The smallest cutoff that the flow has had in this file.
    pub cutoff: u64,
    /// What the session had come to before this file: its packets and bytes of each kind.
    pub before: [Side; 2],
    /// What gave it its last cutoff: a place in the ledger's texts + 1, 0 for the policy.
    pub rule: u32,
    /// What it speaks: a place in the ledger's texts + 1, 0 where it is not known.
    pub service: u32,
}

impl Row {
    fn new(share: &Share, flow: &Flow) -> Self {
        let mut flow = *flow;
        flow.side = share.original(&flow);
        flow.first = share.first;
        flow.first_ts = share.first_ts;
        flow.last_ts = share.last_ts;
        flow.older = NONE;
        let head = [flow.side[0].packets, flow.side[1].packets];
        Self {
            flow,
            continues: share.continues,
            kept: share.left.kept,
            shortened: share.left.shortened,
            head: share.left.head,
            was: Left { packets: head[0] + head[1], head, cutoff: u64::MAX },
            cutoff: u64::MAX,
            before: share.before.map(|side| counters(&side)),
            rule: 0,
            service: 0,
        }
    }

    /// What is left in the file after this trimming.
    pub fn left(&self) -> Left {
        let packets = self.kept[0].packets.saturating_add(self.kept[1].packets);
        Left { packets, head: self.head, cutoff: self.cutoff }
    }
}

impl Row {
    /// The session has come to this before the file, as whoever knew more files found.
    pub fn went_on(&mut self, before: &[Side; 2]) {
        for (mine, theirs) in self.before.iter_mut().zip(before) {
            mine.packets = mine.packets.max(theirs.packets);
            mine.bytes = mine.bytes.max(theirs.bytes);
            mine.wire = mine.wire.max(theirs.wire);
            mine.payload = mine.payload.max(theirs.payload);
        }
        self.continues |= self.before.iter().any(|side| side.packets > 0);
    }
}

/// What is counted of a side, without the state of its connection.
fn counters(side: &Side) -> Side {
    let Side { packets, bytes, wire, payload, .. } = *side;
    Side { packets, bytes, wire, payload, ..Side::default() }
}

/// The rows of the file whose shares these are.
pub fn rows(tracker: &Tracker, shares: &Shares) -> Vec<Row> {
    shares.all().iter().map(|share| Row::new(share, tracker.table().flow(share.flow))).collect()
}

/// The rows of a file that had been trimmed before, when it has been read and cut again. Their totals stay, for
/// they are the true ones. `was` says which state of the file was read.
pub fn rows_again(shares: &Shares, mut rows: Vec<Row>, was: impl Fn(&Row) -> Left) -> Vec<Row> {
    for (i, row) in rows.iter_mut().enumerate() {
        let left = shares.listed().get(i).copied().unwrap_or_default();
        row.was = was(row);
        row.shortened = left.shortened + left.bare.min(row.shortened);
        (row.kept, row.head) = (left.kept, left.head);
    }
    rows
}

/// Adds the rows of a file to the flows, in place of its packets, and lists them for whoever reads what is
/// left of these. `left` says which state of the file that is.
pub fn adopt(tracker: &mut Tracker, rows: &[Row], left: impl Fn(&Row) -> Left) -> Listing {
    adopt_rows(tracker, rows, left, false)
}

/// The same for whoever cuts: a session that goes on in the file has come to what its row says, even when
/// the files before are not known here.
pub fn carry_on(tracker: &mut Tracker, rows: &[Row], left: impl Fn(&Row) -> Left) -> Listing {
    adopt_rows(tracker, rows, left, true)
}

/// Lists the rows of a file that is read as a piece of which it is not known what came before: the number of a row is that
/// of its flow. Gives what is to be told of the file's flows.
pub fn tell(tracker: &mut Tracker, rows: &[Row], left: impl Fn(&Row) -> Left) -> Told {
    let mut listing = Listing::new(tracker.packets());
    for (n, row) in (0_u32..).zip(rows) {
        let left = left(row);
        listing.push(Listed {
            flow: n,
            running: row.flow,
            end: row.flow.side,
            head: left.head,
            seen: [0; 2],
            left: left.packets,
            span: (row.flow.first_ts, row.flow.last_ts),
        });
    }
    tracker.list(listing);
    let told =
        rows.iter().map(|row| ToldRow { flow: row.flow, continues: row.continues, before: row.before });
    Told { rows: told.collect(), last: None }
}

fn adopt_rows(tracker: &mut Tracker, rows: &[Row], left: impl Fn(&Row) -> Left, carried: bool) -> Listing {
    let start = tracker.packets();
    let mut listing = Listing::new(start);
    let table = tracker.table_mut();
    for row in rows {
        let (first, least) = (!listing.knows(&row.flow.key), carried.then_some(&row.before));
        let (n, before, flow) = table.take_row(start, &row.flow, row.continues, first, least);
        let left = left(row);
        listing.push(Listed {
            flow: n,
            running: Flow { side: before, ..flow },
            end: if n == NONE { before } else { table.flow(n).side },
            head: left.head,
            seen: [0; 2],
            left: left.packets,
            span: (row.flow.first_ts, row.flow.last_ts),
        });
    }
    listing
}

/// By what the packets of a trimmed file were chosen, as far as a later trimming must know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// The smallest cutoff so far and what it counts; `None` if they cannot be compared.
    pub cutoff: Option<(u64, Unit)>,
    /// Every packet of this number stayed; 0: none did.
    pub sample: u64,
}

impl Chosen {
    /// By this policy alone.
    pub fn by(policy: &Policy) -> Self {
        let sample = if let Rest::Sample(k) = policy.rest { k } else { 0 };
        Self { cutoff: Some((policy.cutoff, policy.unit())), sample }
    }

    /// By `self`, and then by this policy.
    #[must_use]
    pub fn then(self, policy: &Policy) -> Self {
        let cutoff = self.cutoff.filter(|(_, unit)| *unit == policy.unit());
        Self { cutoff: cutoff.map(|(n, unit)| (n.min(policy.cutoff), unit)), ..Self::by(policy) }
    }
}
