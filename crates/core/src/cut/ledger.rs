//! The ledger: what a file held of each flow before it was trimmed, and what it holds now.
//!
//! The rows of one file are the flows' shares in it. Those of consecutive files join as
//! summaries do: a row that *continues* adds to the session before it on its key, any other
//! begins one.

use std::collections::HashMap;

use super::shares::{Kept, Share, Shares};
use crate::flow::{Flow, Tracker, NONE};
use crate::packet::Key;

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
}

impl Row {
    fn new(share: &Share, flow: &Flow) -> Self {
        let mut flow = *flow;
        flow.side = share.original(&flow);
        flow.first = share.first;
        flow.first_ts = share.first_ts;
        flow.last_ts = share.last_ts;
        flow.older = NONE;
        Self { flow, continues: share.continues, kept: share.kept, shortened: share.shortened }
    }
}

/// The rows of the file whose shares these are.
pub fn rows(tracker: &Tracker, shares: &Shares) -> Vec<Row> {
    shares.all().iter().map(|share| Row::new(share, tracker.table().flow(share.flow))).collect()
}

/// The rows of a file that had been trimmed before, when it has been read and cut again.
///
/// The totals of `old` stay, for they are the true ones; only what is left is taken from the shares. The
/// tracker is set right, too, as if the file had been read before it was ever trimmed.
/// `start` is the position of the file's first packet.
pub fn carry_over(tracker: &mut Tracker, shares: &Shares, old: Vec<Row>, start: u64) -> Vec<Row> {
    let mut by_key: HashMap<Key, Vec<usize>> = HashMap::new();
    for (i, share) in shares.all().iter().enumerate() {
        by_key.entry(tracker.table().flow(share.flow).key).or_default().push(i);
    }
    let mut used = vec![false; shares.all().len()];
    let mut rows = Vec::with_capacity(old.len());
    for mut row in old {
        let span = row.flow.first_ts..=row.flow.last_ts;
        let same_key = by_key.get(&row.flow.key).map_or(&[][..], Vec::as_slice);
        let found = same_key.iter().copied().find(|&i| !used[i] && span.contains(&shares.all()[i].first_ts));
        if let Some(i) = found {
            used[i] = true;
            let share = &shares.all()[i];
            share.restore(tracker.table_mut().flow_mut(share.flow), &row.flow, start);
            (row.kept, row.shortened) = (share.kept, share.shortened);
        } else {
            adopt(tracker, &row, start);
            (row.kept, row.shortened) = ([Kept::default(); 2], 0);
        }
        rows.push(row);
    }
    // Sessions that the packets left no longer tell apart as the whole ones did.
    let lost = shares.all().iter().zip(&used).filter(|(_, used)| !**used);
    rows.extend(lost.map(|(share, _)| Row::new(share, tracker.table().flow(share.flow))));
    rows
}

/// Adds the rows of a file to the flows, in place of its packets. `start` is the position of its first packet.
pub fn adopt_all(tracker: &mut Tracker, rows: &[Row], start: u64) {
    for row in rows {
        adopt(tracker, row, start);
    }
}

fn adopt(tracker: &mut Tracker, row: &Row, start: u64) {
    let flow = Flow { first: start + row.flow.first, ..row.flow };
    tracker.table_mut().adopt(flow, row.continues);
}
