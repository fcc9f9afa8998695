//! Lists the flows of captures that are read one after another.

use std::path::Path;
use std::sync::Arc;

use flowkeep_core::cut::Left as LeftByCutoff;
use flowkeep_core::flow::parts::{Part, Parts};
use flowkeep_core::flow::{Details, Rules, Table};
use flowkeep_core::identify::{Identified, Models};
use flowkeep_core::pipe::{self, Chunk, Control, Decide, Passes};

use super::listing::{begin_listing, end_listing, old};
use super::report::FileReport;
use super::{Error, Settings};
use crate::source::Source;
use crate::table::flows::Flows;

/// Captures being listed.
pub struct Scan {
    settings: Settings,
    state: pipe::Scan,
    flows: bool,
    /// Of the trimmed file that was read last: packets and bytes before it, and those of the whole file.
    listed: Option<[(u64, u64); 2]>,
    /// Of the flows that were taken.
    parts: Option<Vec<Part>>,
}

impl Scan {
    /// Nothing read yet. Without `flows` only files are described. `cutoffs` are those of [`Scan::what_if`].
    pub fn new(settings: Settings, flows: bool, cutoffs: Vec<u64>) -> Self {
        let state = pipe::Scan::new(settings.rules, settings.seed, cutoffs);
        Self { settings, state, flows, listed: None, parts: None }
    }

    /// Keeps details of the flows, too.
    #[must_use]
    pub fn with_details(mut self) -> Self {
        self.state.details = Some(Details::default());
        self
    }

    /// Identifies the flows, too; with `sampled` their starts are kept to learn from.
    #[must_use]
    pub fn with_services(mut self, models: Arc<Models>, sampled: bool) -> Self {
        self.state.identified = Some(Box::new(Identified::new(models, sampled)));
        self
    }

    /// Notes which captures hold what of each flow, too; [`Scan::take_parts`] gives it.
    #[must_use]
    pub fn with_parts(mut self) -> Self {
        self.state.parts = Some(Parts::default());
        self
    }

    /// Reads one capture; `-` is standard input.
    pub fn file(
        &mut self,
        path: &Path,
        beside: Option<&Path>,
        control: &Control,
    ) -> Result<FileReport, Error> {
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger, old) = old(path, beside, &self.settings, control)?;
        self.end_file();
        let before = (self.state.tracker.table().untracked(), self.state.tracker.fragments_overflow());
        if let Some(parts) = &mut self.state.parts {
            parts.begin(self.state.tracker.packets());
        }
        let start = begin_listing(&mut self.state.tracker, old.as_ref(), |old, listing| {
            let left = old.left();
            let cutoffs = old.rows.iter().map(|row| left(row).cutoff);
            self.state.what_if.list(&old.chosen().unwrap_or_default(), cutoffs);
            if let Some(parts) = &mut self.state.parts {
                for (row, listed) in old.rows.iter().zip(listing.rows()) {
                    parts.row(listed.flow, &row.flow, left(row).packets);
                }
            }
        });
        self.listed = old.map(|old| [start, old.whole()]);
        let mut look = Look;
        let decide: &mut dyn Decide = if self.flows { &mut self.state } else { &mut look };
        let end = pipe::run(source.input(), &self.settings.plan(), Passes { decide, emit: None }, control)?;
        let tracker = &self.state.tracker;
        let mut report =
            FileReport::new(end, source.compression(), source.consumed(), self.settings.filter.as_ref());
        report.untracked = tracker.table().untracked() - before.0;
        report.fragments_overflow = tracker.fragments_overflow() - before.1;
        report.ledger = ledger;
        Ok(report)
    }

    /// What each cutoff would leave of all that was read. Fragments that still wait for their first one
    /// wait no longer: the traffic ends here.
    pub fn what_if(&mut self) -> Vec<LeftByCutoff> {
        self.finish();
        self.state.what_if.left()
    }

    /// Flows by size: (upper bound in bytes, flows, bytes); the bounds are powers of ten. The traffic
    /// ends here, as in [`Scan::what_if`].
    pub fn histogram(&mut self) -> Vec<(u64, u64, u64)> {
        self.finish();
        let mut bins: Vec<(u64, u64, u64)> = (2..12).map(|e| (10_u64.pow(e), 0, 0)).collect();
        bins.push((u64::MAX, 0, 0));
        for flow in self.state.tracker.table().iter() {
            let bytes = flow.bytes();
            if let Some(bin) = bins.iter_mut().find(|bin| bytes <= bin.0) {
                bin.1 += 1;
                bin.2 += bytes;
            }
        }
        while bins.last().is_some_and(|bin| bin.1 == 0) {
            bins.pop();
        }
        bins
    }

    /// The flows of all that was read. The scan is over then: it begins anew.
    pub fn take_flows(&mut self, community_seed: u16) -> Flows {
        self.finish();
        let mut fresh = pipe::Scan::new(*self.rules(), self.settings.seed, Vec::new());
        fresh.details = self.state.details.as_ref().map(|_| Details::default());
        fresh.identified = self.state.identified.as_ref().map(|identified| Box::new(identified.fresh()));
        fresh.parts = self.state.parts.as_ref().map(|_| Parts::default());
        let mut state = std::mem::replace(&mut self.state, fresh);
        self.parts = state.parts.take().map(Parts::done);
        Flows::new(state.tracker.into_table(), state.details, state.identified, community_seed)
    }

    /// What each capture holds of the flows that were taken last, by number of flow and capture.
    pub fn take_parts(&mut self) -> Option<Vec<Part>> {
        self.parts.take()
    }

    /// The traffic is over. Fragments that wait are still those of the last file.
    fn finish(&mut self) {
        self.state.finish();
        self.end_file();
    }

    /// The file that was read last is over.
    fn end_file(&mut self) {
        match self.listed.take() {
            Some([start, whole]) => _ = end_listing(&mut self.state.tracker, start, whole),
            None => _ = self.state.tracker.end_listing(),
        }
    }

    fn rules(&self) -> &Rules {
        &self.settings.rules
    }

    /// The flows so far.
    pub fn table(&self) -> &Table {
        self.state.tracker.table()
    }
}

/// Looks at the packets and does nothing with them.
struct Look;

impl Decide for Look {
    fn decide(&mut self, _: &mut Chunk) {}
}
