//! Summaries that go from process to process, with flows that have names.

use super::session::{Flow, Rules, Side};
use super::table::{Left, Table};
use super::tracker::{Silent, Tracker};
use crate::packet::Seed;

/// Packets and bytes that a summary may tell of: so much that no sum of several overflows.
pub(super) const MOST: u64 = 1 << 56;

/// What a ledger tells of one of its rows, besides the flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToldRow {
    /// The session began before the file.
    pub continues: bool,
    /// What it had come to before the file.
    pub before: [Side; 2],
}

/// A piece that is a trimmed file: its flows are the rows of its ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Row by row, in the order of the flows.
    pub rows: Vec<ToldRow>,
    /// For whoever cuts: a session that goes on has come to what its row says, also when the files before
    /// are not known.
    pub cutting: bool,
    /// Packets and bytes before the last packet that is left; `None`: none is.
    pub last: Option<(u64, u64)>,
}

/// The summary of a consecutive piece of traffic.
///
/// In one that begins at the start every flow has an *id*, which stays when more is merged: new flows get the next ids
/// in order of their first packets.
#[derive(Clone, Debug)]
pub struct Summary {
    pub(super) tracker: Tracker,
    pub(super) told: Option<Told>,
    /// By number; empty in an open piece.
    pub(super) ids: Vec<u64>,
    pub(super) next_id: u64,
    pub(super) step: u64,
}

impl Summary {
    /// Of no traffic at all.
    pub fn new(rules: Rules, left: Left, seed: Seed) -> Self {
        Self::of(Tracker::new(rules, left, seed))
    }

    /// Of what a tracker has seen.
    pub fn of(tracker: Tracker) -> Self {
        let mut summary = Self { tracker, told: None, ids: Vec::new(), next_id: 0, step: 1 };
        summary.tracker.end_listing();
        summary.name_new();
        summary
    }

    /// Of a trimmed file: `rows` are those of its ledger, and to the tracker, which is open, they were listed under their
    /// numbers in it.
    pub fn told(mut tracker: Tracker, rows: impl IntoIterator<Item = Flow>, told: Told) -> Self {
        tracker.end_listing();
        tracker.table = Table::listed(*tracker.table.rules(), rows).opened();
        Self { tracker, told: Some(told), ids: Vec::new(), next_id: 0, step: 1 }
    }

    /// The summary from which a pass began has gone on to this.
    #[must_use]
    pub fn gone_on(mut self, tracker: Tracker) -> Self {
        self.tracker = tracker;
        self.tracker.end_listing();
        self.name_new();
        self
    }

    /// The state to begin a pass from.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// The same, taken out.
    pub fn into_tracker(self) -> Tracker {
        self.tracker
    }

    /// The flows.
    pub fn table(&self) -> &Table {
        self.tracker.table()
    }

    /// Whether it begins at the start of the traffic.
    pub fn begins(&self) -> bool {
        self.table().left() == Left::Start
    }

    /// The ids of the flows, by their numbers; empty if the piece does not begin at the start.
    pub fn ids(&self) -> &[u64] {
        &self.ids
    }

    /// The id that the next new flow will get.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    pub(super) fn name_new(&mut self) {
        if !self.begins() {
            return;
        }
        let table = self.tracker.table();
        let mut new: Vec<u32> = (self.ids.len() as u32..table.len()).collect();
        if !new.is_sorted_by_key(|&n| table.flow(n).first) {
            new.sort_by_key(|&n| table.flow(n).first);
        }
        self.ids.resize(table.len() as usize, 0);
        for n in new {
            self.ids[n as usize] = self.next_id;
            self.next_id = self.next_id.saturating_add(self.step);
        }
    }

    /// Joins the summary of the piece that follows. The error says in words why that cannot be.
    pub fn merge(&mut self, next: Self) -> Result<(), String> {
        if next.begins() {
            return Err(
                "what follows must be the summary of a piece, not one that begins at the start".to_owned()
            );
        }
        if self.told.is_some() || (next.told.is_some() && !self.begins()) {
            return Err("the summary of a trimmed file can only be merged into one that begins at the start"
                .to_owned());
        }
        if self.table().rules() != next.table().rules() {
            return Err(format!(
                "the two were made by different rules: {:?} and {:?}",
                self.table().rules(),
                next.table().rules()
            ));
        }
        let sums = [
            self.tracker.packets.saturating_add(next.tracker.packets),
            self.tracker.bytes.saturating_add(next.tracker.bytes),
        ];
        if sums.iter().any(|&sum| sum > MOST) {
            return Err(format!(
                "they tell of {} packets and {} bytes together; {MOST} is the most",
                sums[0], sums[1]
            ));
        }
        self.tracker.merge_told(next.tracker, next.told.as_ref());
        self.name_new();
        Ok(())
    }

    /// The same, seen as beginning at the start of the traffic.
    pub fn begin(self) -> Result<Self, String> {
        if self.begins() {
            return Ok(self);
        }
        let mut start = Self::new(*self.table().rules(), Left::Start, self.table().seed());
        start.merge(self)?;
        Ok(start)
    }

    /// The traffic ends here: fragments that still wait are orphans.
    pub fn finish(&mut self) {
        self.tracker.finish(&mut Silent);
        self.name_new();
    }
}
