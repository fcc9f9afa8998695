//! Looks for bytes in the flows of captures that are read one after another.

use std::path::Path;
use std::sync::Arc;

use flowkeep_core::pipe::{self, Control, FindPicked, Passes};
use flowkeep_core::search::{Counts, Finder, Hit, Pattern, Wanted};

use super::listing::{begin_listing, end_listing, old};
use super::report::FileReport;
use super::{Error, Settings};
use crate::index::Index;
use crate::source::Source;
use crate::table::flows::Flows;

/// Memory for the streams of all flows.
const MEMORY: usize = 1 << 30;

/// Captures being searched.
pub struct Search {
    settings: Settings,
    state: pipe::Find,
    /// Flows that must be there again.
    expected: Option<u32>,
    /// The one capture has an index: where the flows' records lie, and the flows (number in the table and tag).
    index: Option<(Arc<Index>, Vec<(u32, u32)>)>,
    most: usize,
}

/// What a search has found.
pub struct Searched {
    /// The flows as they were followed.
    pub flows: Flows,
    /// The hits that are kept, each with the `flow_id` of its flow.
    pub hits: Vec<(u32, Hit)>,
    /// (`flow_id`, matches) of the flows with matches, ascending.
    pub found: Vec<(u32, u64)>,
    /// What was looked through.
    pub counts: Counts,
}

impl Search {
    /// Looks in all flows, or in those with these `flow_id`s, listed from the same captures with the same
    /// settings.
    pub fn new(
        settings: Settings,
        pattern: Pattern,
        flows: Option<(&Flows, &[u32])>,
        most: usize,
    ) -> Result<Self, Error> {
        let mut expected = None;
        let wanted: Wanted = match flows {
            None => Box::new(|_, _| true),
            Some((flows, ids)) => {
                let numbers = flows.numbers(ids).map_err(Error::Usage)?;
                expected = Some(flows.table().len());
                let mut marks = vec![false; flows.table().len() as usize];
                for (n, _) in numbers {
                    marks[n as usize] = true;
                }
                Box::new(move |n, _| marks.get(n as usize) == Some(&true))
            }
        };
        let finder = Finder::new(pattern, wanted, most, MEMORY);
        let state = pipe::Find::new(settings.rules, settings.seed, finder);
        Ok(Self { settings, state, expected, index: None, most })
    }

    /// These flows (numbers in the table, each with its tag) are picked by the index of the one capture, without a pass
    /// over it.
    pub fn use_index(&mut self, index: Arc<Index>, wanted: Vec<(u32, u32)>) {
        self.index = Some((index, wanted));
    }

    fn pick(&mut self, control: &Control) -> Result<Option<FileReport>, Error> {
        let Some((index, wanted)) = &self.index else { return Ok(None) };
        let table = index.table().map_err(Error::Stale)?;
        let mut found = FindPicked::new(&mut self.state.finder, &table, wanted);
        index.pick(wanted, self.settings.options, &mut found, control)?;
        if found.is_unsure(self.most) {
            let why = "which hits in fragments are listed depends on when their first ones come";
            return Err(Error::Stale(why.to_owned()));
        }
        Ok(Some(index.head().report.clone()))
    }

    /// Goes over the next capture; `-` is standard input. `beside`: its ledger. Also gives the position of its
    /// first packet.
    pub fn file(
        &mut self,
        path: &Path,
        beside: Option<&Path>,
        control: &Control,
    ) -> Result<(FileReport, u64), Error> {
        if let Some(report) = self.pick(control)? {
            return Ok((report, 0));
        }
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger, old) = old(path, beside, &self.settings, control)?;
        let start = begin_listing(&mut self.state.tracker, old.as_ref(), |_, _| {});
        let passes = Passes { decide: &mut self.state, emit: None };
        let end = pipe::run(source.input(), &self.settings.plan(), passes, control)?;
        if let Some(old) = old {
            end_listing(&mut self.state.tracker, start, old.whole());
        }
        let mut report =
            FileReport::new(end, source.compression(), source.consumed(), self.settings.filter.as_ref());
        report.ledger = ledger;
        Ok((report, start.0))
    }

    /// No more captures come.
    pub fn finish(mut self) -> Result<Searched, Error> {
        self.state.finish();
        let hits = self.state.finder.take_hits();
        let found = self.state.finder.found();
        let counts = self.state.finder.counts();
        let table = match &self.index {
            Some((index, _)) => index.table().map_err(Error::Stale)?,
            None => self.state.tracker.into_table(),
        };
        let flows = Flows::new(table, None, None, 0);
        if self.expected.is_some_and(|expected| expected != flows.table().len()) {
            return Err(Error::Usage(
                "the captures changed while they were read: they hold other flows now; search again"
                    .to_owned(),
            ));
        }
        let all: Vec<u32> = (0..flows.table().len()).collect();
        let mut ids = vec![0; all.len()];
        for (n, id) in flows.numbers(&all).map_err(Error::Usage)? {
            ids[n as usize] = id;
        }
        let hits = hits.into_iter().map(|hit| (ids[hit.flow as usize], hit)).collect();
        let mut found: Vec<_> = found.into_iter().map(|(n, times)| (ids[n as usize], times)).collect();
        found.sort_unstable();
        Ok(Searched { flows, hits, found, counts })
    }
}
