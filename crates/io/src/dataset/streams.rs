//! Rebuilds the streams of captures that are read one after another.

use std::io;
use std::path::Path;
use std::sync::Arc;

use flowkeep_core::flow::client::client;
use flowkeep_core::flow::NONE;
use flowkeep_core::pipe::{
    self, Control, Deal, Listen, Outcome, Passes, Picked, Rebuild, Rebuilding, Tag, Trimmed,
};
use flowkeep_core::select::{Chosen, UNCHOSEN};
use flowkeep_core::stream::{Event, Origin, Segment};

use super::listing::{begin_listing, end_listing, old, Old};
use super::manifest::{self, Totals};
use super::noted::Stream;
use super::pieces::Pieces;
use super::report::FileReport;
use super::spool::Spool;
use super::{ByIndex, Error, Settings, Summary};
use crate::index::Index;
use crate::source::Source;
use crate::table::flows::Flows;

/// Where streams go.
pub enum Drain {
    /// Into files.
    Pieces(Box<Pieces>),
    /// As events into one file.
    Spool(Box<Spool>),
}

impl Listen for Drain {
    #[inline]
    fn event(&mut self, tag: u32, event: &Event<'_>) {
        match self {
            Self::Pieces(to) => to.event(tag, event),
            Self::Spool(to) => to.event(tag, event),
        }
    }

    #[inline]
    fn seen(&mut self, tag: u32, segment: &Segment<'_>) {
        if let Self::Spool(to) = self {
            to.seen(tag, segment);
        }
    }

    fn datagram(&mut self, tag: u32, dir: u8, origin: Origin, bytes: &[u8], wire: u32) {
        match self {
            Self::Pieces(to) => to.datagram(tag, dir, origin, bytes, wire),
            Self::Spool(to) => to.datagram(tag, dir, origin, bytes, wire),
        }
    }

    fn rest(&mut self) -> io::Result<()> {
        match self {
            Self::Pieces(to) => to.rest(),
            Self::Spool(to) => to.rest(),
        }
    }
}

/// Captures being rebuilt.
pub struct Streams {
    settings: Settings,
    tag: Tag,
    rebuild: Rebuild<Drain>,
    /// The chosen flows and their ids by tag; `None`: all are taken as they come.
    chosen: Option<(Flows, Vec<u32>)>,
    /// The one capture has an index: where the flows' records lie, and the flows (number in the table and tag).
    index: Option<ByIndex>,
}

/// One flow, rebuilt.
pub struct Rebuilt {
    /// Its `flow_id`.
    pub id: u32,
    /// Which direction is the client's.
    pub client: usize,
    /// Its two directions, where there is something of them.
    pub streams: [Option<Box<Stream>>; 2],
    /// What became of its bytes, if it is TCP.
    pub outcome: Option<Outcome>,
}

/// All of it.
pub struct Result {
    /// The flows: of the whole data set.
    pub flows: Flows,
    /// Those that were rebuilt and were not told yet, by `flow_id`.
    pub rebuilt: Untold,
    /// Bytes written.
    pub bytes: u64,
    /// The most bytes that ever waited, and were remembered.
    pub peak: (usize, usize),
    /// Sums over the rows that were given.
    pub totals: Totals,
    /// Flows with fewer bytes have no files.
    least: u64,
}

/// What was rebuilt, flow by flow. Each is put together when it is told: many are kept, one is looked at.
pub struct Untold {
    flows: Flows,
    /// `flow_id` and tag.
    order: std::vec::IntoIter<(u32, u32)>,
    /// Two a tag.
    streams: Vec<Option<Box<Stream>>>,
    /// By tag; of TCP.
    outcomes: Vec<Outcome>,
    /// Flows of which there is nothing are told, too.
    all: bool,
}

impl Iterator for Untold {
    type Item = Rebuilt;

    fn next(&mut self) -> Option<Rebuilt> {
        loop {
            let (id, tag) = self.order.next()?;
            let outcome = self.outcomes.binary_search_by_key(&tag, |outcome| outcome.tag);
            let outcome = outcome.ok().map(|at| self.outcomes[at]);
            let at = tag as usize * 2;
            let streams = [at, at + 1].map(|at| self.streams.get_mut(at).and_then(Option::take));
            if self.all || outcome.is_some() || streams.iter().any(Option::is_some) {
                let (client, _) = client(self.flows.flow(id));
                return Some(Rebuilt { id, client, streams, outcome });
            }
        }
    }
}

impl Result {
    /// The rows of the next `n` flows in the manifest; empty at the end.
    pub fn rows(&mut self, n: usize) -> String {
        let mut out = String::new();
        let width = width(&self.flows);
        for rebuilt in self.rebuilt.by_ref().take(n) {
            if !out.is_empty() {
                out.push_str(",\n");
            }
            let flow = self.flows.flow(rebuilt.id);
            let both = rebuilt.streams.iter().flatten();
            let size: u64 = both.flat_map(|stream| &stream.pieces).map(|piece| piece.bytes).sum();
            let base = (size >= self.least).then(|| manifest::stem(rebuilt.id, flow, width));
            manifest::row(&mut out, &mut self.totals, &self.flows, flow, &rebuilt, base.as_deref());
        }
        out
    }
}

/// Digits of the largest `flow_id`.
fn width(flows: &Flows) -> usize {
    flows.len().saturating_sub(1).to_string().len()
}

impl Streams {
    /// Rebuilds the flows with these `flow_id`s, which must have been listed from the same captures with the same
    /// settings; or all flows, in one pass, where no capture has a ledger.
    pub fn new(
        settings: Settings,
        flows: Option<(&Flows, Vec<u32>)>,
        plan: Rebuilding,
        drain: Drain,
    ) -> std::result::Result<Self, Error> {
        let rebuild = Rebuild::new(drain, plan);
        let Some((flows, ids)) = flows else {
            let tag = Tag::each(settings.rules, settings.seed);
            return Ok(Self { settings, tag, rebuild, chosen: None, index: None });
        };
        let wanted = flows.numbers(&ids).map_err(Error::Usage)?;
        let chosen = Chosen::new(flows.table(), &wanted, settings.seed);
        let tag = Tag::new(Arc::new(chosen), settings.rules);
        Ok(Self { settings, tag, rebuild, chosen: Some((flows.clone(), ids)), index: None })
    }

    /// The flows are picked by the index of the one capture, without a pass over it.
    pub fn use_index(&mut self, index: Arc<Index>) -> std::result::Result<(), Error> {
        if let Some((flows, ids)) = &self.chosen {
            self.index = Some((index, flows.numbers(ids).map_err(Error::Usage)?));
        }
        Ok(())
    }

    fn pick(&mut self, number: u32, control: &Control) -> std::result::Result<Option<FileReport>, Error> {
        let Some((index, wanted)) = &self.index else { return Ok(None) };
        self.rebuild.begin_file(number);
        index.pick(wanted, self.settings.options, &mut Picked(&mut self.rebuild), control)?;
        Ok(Some(index.head().report.clone()))
    }

    /// Goes on behind the traffic of a carry, whose hash has the key of the settings; the flows are those of the carry and of
    /// what is read. Of streams nothing is known that came before. Nothing is read yet.
    pub fn go_on_behind(&mut self, carry: &Summary) {
        self.tag.begin_behind(carry.tracker());
    }

    /// Goes over the next capture. `number`: its number in the data set, from 0.
    pub fn file(
        &mut self,
        path: &Path,
        beside: Option<&Path>,
        number: u32,
        last: bool,
        control: &Control,
    ) -> std::result::Result<FileReport, Error> {
        let done = self.one_file(path, beside, number, last, control);
        // Whoever gets an error may take the folder away.
        if let Drain::Pieces(pieces) = self.rebuild.listen_mut() {
            pieces.pause();
        }
        done
    }

    fn one_file(
        &mut self,
        path: &Path,
        beside: Option<&Path>,
        number: u32,
        last: bool,
        control: &Control,
    ) -> std::result::Result<FileReport, Error> {
        if let Some(report) = self.pick(number, control)? {
            return Ok(report);
        }
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger, old) = old(path, beside, &self.settings, control)?;
        self.tag.begin_file();
        self.rebuild.begin_file(number);
        let mut numbers = Vec::new();
        let start = begin_listing(self.tag.tracker_mut(), old.as_ref(), |_, listing| {
            numbers.extend(listing.rows().iter().map(|row| row.flow));
        });
        if let Some(old) = &old {
            self.tag.catch_up();
            if old.trimmed {
                self.note_cuts(old, &numbers);
            }
        }
        let mut deal = Deal::new(&mut self.rebuild);
        let passes = Passes { decide: &mut self.tag, emit: Some(&mut deal) };
        let end = pipe::run(source.input(), &self.settings.plan(), passes, control)?;
        let late = self.tag.end_file(last);
        deal.finish(&late).map_err(Error::Output)?;
        if let Some(old) = old {
            self.rebuild.end_file();
            end_listing(self.tag.tracker_mut(), start, old.whole());
        }
        let mut report =
            FileReport::new(end, source.compression(), source.consumed(), self.settings.filter.as_ref());
        report.ledger = ledger;
        Ok(report)
    }

    /// Tells which flows a policy has cut in this file. `numbers`: the number of each row's flow in the tracker.
    fn note_cuts(&mut self, old: &Old, numbers: &[u32]) {
        let Some((flows, ids)) = &self.chosen else { return };
        let how = how(&old.about.policy);
        for (row, &n) in old.rows.iter().zip(numbers) {
            let cut = (0..2).any(|dir| row.flow.side[dir].packets > row.kept[dir].packets);
            if !cut && row.shortened == 0 {
                continue;
            }
            let tag = if n == NONE { UNCHOSEN } else { self.tag.tag_of(n) };
            let Some(id) = (tag != UNCHOSEN).then(|| ids.get(tag as usize)).flatten() else { continue };
            let Ok(number) = flows.numbers(&[*id]) else { continue };
            let sides = &flows.table().flow(number[0].0).side;
            self.rebuild.cut(tag, how, [sides[0].payload, sides[1].payload]);
        }
    }

    /// Ends the output. Flows with fewer bytes than `least` get no files.
    pub fn finish(self, least: u64) -> std::result::Result<Result, Error> {
        let peak = self.rebuild.peak();
        let (drain, outcomes) = self.rebuild.finish().map_err(Error::Output)?;
        let (flows, ids) = if let Some(chosen) = self.chosen {
            chosen
        } else {
            let flows = Flows::new(self.tag.into_table(), None, None, 0);
            let all: Vec<u32> = (0..flows.len() as u32).collect();
            let mut ids = vec![0; all.len()];
            for (number, id) in flows.numbers(&all).map_err(Error::Usage)? {
                ids[number as usize] = id;
            }
            (flows, ids)
        };
        let spooled = matches!(drain, Drain::Spool(_));
        let (streams, bytes) = match drain {
            Drain::Pieces(mut pieces) => {
                let width = width(&flows);
                for (tag, &id) in ids.iter().enumerate() {
                    let size = pieces.size(tag * 2) + pieces.size(tag * 2 + 1);
                    let flow = flows.flow(id);
                    let base = (size >= least).then(|| manifest::stem(id, flow, width));
                    let (client, _) = client(flow);
                    for (end, dir) in [("client", client), ("server", 1 - client)] {
                        let base = base.as_ref().map(|base| format!("{base}.{end}"));
                        pieces.end(tag * 2 + dir, base.as_deref());
                    }
                }
                pieces.finish().map_err(Error::Output)?
            }
            Drain::Spool(spool) => {
                spool.finish().map_err(Error::Output)?;
                (Vec::new(), 0)
            }
        };
        let mut order: Vec<(u32, u32)> = ids.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let (all, order) = (spooled, order.into_iter());
        let rebuilt = Untold { flows: flows.clone(), order, streams, outcomes, all };
        let totals = Totals::default();
        Ok(Result { flows, rebuilt, bytes, peak, totals, least })
    }
}

/// What the policy in a ledger does with packets past the cutoff.
fn how(policy: &str) -> Trimmed {
    let cutoff = || field(policy, "cutoff").and_then(|n| n.parse().ok()).unwrap_or(0);
    let tail = field(policy, "tail").is_some_and(|n| n != "0" && n != "null");
    match field(policy, "rest") {
        Some(rest) if rest.starts_with("\"headers") => Trimmed::Headers,
        Some(rest) if rest.starts_with("\"sample") => Trimmed::Some(cutoff()),
        _ if tail => Trimmed::Some(cutoff()),
        _ => Trimmed::Cut,
    }
}

/// The value of a name in a flat JSON object that flowkeep wrote itself.
fn field<'j>(json: &'j str, name: &str) -> Option<&'j str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":"))?;
    Some(rest[..rest.find([',', '}'])?].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_told_by_their_json() {
        let text = |rest: &str, tail: u64| {
            format!("{{\"cutoff\": 1000, \"count\": \"frame\", \"rest\": \"{rest}\", \"tail\": {tail}}}")
        };
        assert_eq!(how(&text("cut", 0)), Trimmed::Cut);
        assert_eq!(how(&text("headers", 0)), Trimmed::Headers);
        assert_eq!(how(&text("sample:10", 0)), Trimmed::Some(1000));
        assert_eq!(how(&text("cut", 500)), Trimmed::Some(1000));
        assert_eq!(how("{}"), Trimmed::Cut);
    }
}
