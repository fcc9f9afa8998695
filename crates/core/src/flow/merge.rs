//! Merging the summaries of two neighbouring pieces of traffic.

use std::collections::HashSet;

use super::fragments::Early;
use super::session::{flag, Boundary, Flow};
use super::summary::Told;
use super::table::{Left, Table, NONE};
use super::tracker::{Silent, Tracker};

impl Tracker {
    /// Joins the summary of the piece that follows, which must have been made with
    /// [`Left::Open`] and the same rules.
    ///
    /// The result is the summary of both pieces, exactly, as long as no bound (flows, fragments) was hit.
    pub fn merge(&mut self, next: Self) {
        self.merge_pieces(next, None);
    }

    /// Joins the summary of a trimmed file that follows: its flows are the rows of its ledger, and `next` saw what is left
    /// of them. This one must begin at the start. `cutting`: a session that goes on has come to what its row says,
    /// also when the files before are not known.
    pub fn merge_told(&mut self, next: Self, told: &Told, cutting: bool) {
        self.merge_pieces(next, Some((told, cutting)));
    }

    fn merge_pieces(&mut self, next: Self, told: Option<(&Told, bool)>) {
        let (base, base_bytes) = (self.packets, self.bytes);
        let end = base + next.packets;
        let end_bytes = base_bytes + next.bytes;
        // Up to where it was looked whose wait is over: in a trimmed file not behind the last packet that is left.
        let seen = match told {
            None => Some((end, end_bytes)),
            Some((told, _)) => told.last.map(|(pos, bytes)| (base + pos, base_bytes + bytes)),
        };
        let overdue = |early: &Early| seen.is_some_and(|(pos, bytes)| early.at.overdue(pos, bytes));
        let rows = told.map(|(told, cutting)| adopt_rows(&mut self.table, told, cutting, base));
        let mut joining: Vec<(Early, Joined)> = Vec::new();
        let mut waiting: Vec<Early> = Vec::new();
        let mut undecided = std::mem::take(&mut self.fragments.undecided);

        // 1. Fragments at the end of this piece: their first fragment may begin the next.
        let heads = &next.fragments.heads;
        for early in undecided.iter_mut().filter(|e| e.after.is_none()) {
            match heads.get(&early.key).map(|f| f.shifted(base, base_bytes, f.flow)) {
                Some(first) if early.at.precedes(first.at) => {
                    joining.push((*early, Joined::Promise(first.flow)));
                }
                Some(_) => early.after = Some(NONE),
                None => {}
            }
        }
        while let Some(mut early) = self.fragments.pop() {
            match heads.get(&early.key).map(|f| f.shifted(base, base_bytes, f.flow)) {
                Some(first) if early.after.is_none() && early.at.precedes(first.at) => {
                    joining.push((early, Joined::Next(first.flow)));
                }
                _ if overdue(&early) => self.orphan(&early, true, &mut Silent),
                found => {
                    early.after = early.after.or(found.map(|_| NONE));
                    waiting.push(early);
                }
            }
        }

        // 2. Fragments at the start of the next piece: their first one may stand in this.
        for early in &next.fragments.undecided {
            let unmatchable = early.after.filter(|&n| n == NONE);
            let after = early.after.filter(|&n| n != NONE);
            let early = Early { after: unmatchable, ..early.shifted(base, base_bytes) };
            let before = self.fragments.before(&early.key, early.at);
            let open = self.table.left() == Left::Open
                && early.at.pos <= super::fragments::BEFORE_PACKETS
                && before == Ok(None);
            match (before.unwrap_or(None), after) {
                // Its row has counted it.
                (Some(_), _) | (None, Some(_)) if told.is_some() => {}
                (None, None) if told.is_some() && overdue(&early) => {}
                (Some(n), _) => joining.push((early, Joined::This(n))),
                (None, after) if open => {
                    undecided.push(early);
                    if let Some(n) = after {
                        joining.push((early, Joined::Promise(n)));
                    }
                }
                (None, Some(n)) => joining.push((early, Joined::Next(n))),
                (None, None) if overdue(&early) => {
                    self.orphan(&early, true, &mut Silent);
                }
                (None, None) => waiting.push(early),
            }
        }

        // 3. The flows themselves.
        self.table.add_untracked(next.table.untracked());
        let numbers = rows.unwrap_or_else(|| merge_flows(&mut self.table, next.table, base));

        // 4. Fragments whose flow is known now.
        for (early, joined) in joining {
            match joined {
                Joined::This(n) => self.share(n, &early.packet(), true, &mut Silent),
                Joined::Next(n) => {
                    self.share(renumber(&numbers, n), &early.packet(), true, &mut Silent);
                }
                Joined::Promise(n) => {
                    if let Some(e) = undecided.iter_mut().find(|e| e.at.pos == early.at.pos) {
                        e.after = Some(renumber(&numbers, n));
                    }
                }
            }
        }
        self.fragments.undecided = undecided;
        for (key, first) in next.fragments.known() {
            self.fragments.learn(*key, first.shifted(base, base_bytes, renumber(&numbers, first.flow)));
        }
        if self.table.left() == Left::Open && base < super::fragments::AFTER_PACKETS {
            for (key, first) in &next.fragments.heads {
                let first = first.shifted(base, base_bytes, renumber(&numbers, first.flow));
                if first.at.pos < super::fragments::AFTER_PACKETS {
                    self.fragments.heads.entry(*key).or_insert(first);
                }
            }
        }
        waiting.extend(next.fragments.waiting().map(|e| e.shifted(base, base_bytes)));
        waiting.sort_by_key(|e| e.at.pos);
        for early in waiting {
            if let Some(bumped) = self.fragments.wait(early) {
                self.orphan(&bumped, true, &mut Silent);
            }
        }
        self.fragments.overflow += next.fragments.overflow;
        self.packets = end;
        self.bytes = end_bytes;
        self.told_from = told.map(|_| base);
    }
}

/// Where a fragment's flow is to be found.
enum Joined {
    /// In this piece, under this number.
    This(u32),
    /// In the next piece, under its number there.
    Next(u32),
    /// In the next piece, unless the piece before this one has something nearer.
    Promise(u32),
}

/// Adds the rows of a ledger; returns the numbers of their flows.
fn adopt_rows(table: &mut Table, told: &Told, cutting: bool, base: u64) -> Vec<u32> {
    let mut known = HashSet::with_capacity(told.rows.len());
    let mut numbers = Vec::with_capacity(told.rows.len());
    for row in &told.rows {
        let (first, carried) = (known.insert(row.flow.key), cutting.then_some(&row.before));
        numbers.push(table.take_row(base, &row.flow, row.continues, first, carried).0);
    }
    numbers
}

fn renumber(numbers: &[u32], n: u32) -> u32 {
    numbers.get(n as usize).copied().unwrap_or(NONE)
}

/// Appends the flows of the next piece; returns their new numbers.
fn merge_flows(table: &mut Table, next: Table, base: u64) -> Vec<u32> {
    let rules = *table.rules();
    let open = table.left() == Left::Open;
    let seed = table.seed();
    let mut numbers = Vec::with_capacity(next.len() as usize);
    for block in next.into_blocks() {
        for mut flow in block {
            flow.first += base;
            let tag = (flow.key.hash(seed) >> 32) as u32;
            let (slot, found) = table.find(tag, &flow.key);
            let undecided = flow.flags & flag::UNDECIDED != 0;
            let boundary = match found {
                Some(n) if undecided => table.flow(n).boundary_before(&flow, &rules),
                None if undecided && open => Boundary::Undecided,
                _ => Boundary::New,
            };
            numbers.push(match (boundary, found) {
                (Boundary::Same, Some(n)) => {
                    table.flow_mut(n).absorb(&flow);
                    n
                }
                (boundary, found) => {
                    set_undecided(&mut flow, boundary == Boundary::Undecided);
                    flow.older = found.unwrap_or(NONE);
                    let packets = flow.packets();
                    let n = table.push(flow, tag, slot);
                    if n == NONE {
                        table.add_untracked(packets);
                    }
                    n
                }
            });
        }
    }
    numbers
}

fn set_undecided(flow: &mut Flow, undecided: bool) {
    if undecided {
        flow.flags |= flag::UNDECIDED;
    } else {
        flow.flags &= !flag::UNDECIDED;
    }
}
