//! Looks for bytes in the flows of captures that are read one after another.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use flowkeep_core::pipe::{self, Control, FindPicked, Passes};
use flowkeep_core::search::{Counts, Finder, Hit, Pattern, Wanted};
use flowkeep_core::select::{Chosen, Sessions, UNCHOSEN};

use super::listing::{begin_listing, end_listing, old};
use super::report::FileReport;
use super::{ByIndex, Error, Settings, Summary};
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
    index: Option<ByIndex>,
    most: usize,
    /// Behind a carry: the chosen flows.
    chosen: Option<Behind>,
}

/// Flows that are chosen behind a carry, and their sessions so far. Whoever chose them may have numbered them in another
/// order than a pass does, so they are told by their keys and sessions.
#[derive(Clone)]
struct Behind {
    chosen: Arc<Chosen>,
    sessions: Arc<Mutex<Sessions>>,
}

impl Behind {
    fn with<T>(&self, work: impl FnOnce(&Chosen, &mut Sessions) -> T) -> T {
        work(&self.chosen, &mut self.sessions.lock().unwrap_or_else(PoisonError::into_inner))
    }
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
    /// Behind a carry: names of the flows in the order of `flow_id`, as [`Summary::begins`] gives them.
    pub begins: Vec<u64>,
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
            None => Box::new(|_, _, _| true),
            Some((flows, ids)) => {
                let numbers = flows.numbers(ids).map_err(Error::Usage)?;
                expected = Some(flows.table().len());
                let mut marks = vec![false; flows.table().len() as usize];
                for (n, _) in numbers {
                    marks[n as usize] = true;
                }
                Box::new(move |n, _, _| marks.get(n as usize) == Some(&true))
            }
        };
        let finder = Finder::new(pattern, wanted, most, MEMORY);
        let state = pipe::Find::new(settings.rules, settings.seed, finder);
        Ok(Self { settings, state, expected, chosen: None, index: None, most })
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

    /// The same behind the traffic of a carry, whose hash has the key of the settings: the flows are those of the carry and of
    /// what will be read. Of streams nothing is known that came before.
    pub fn behind(
        carry: &Summary,
        settings: Settings,
        pattern: Pattern,
        flows: Option<(&Flows, &[u32])>,
        most: usize,
    ) -> Result<Self, Error> {
        let mut chosen = None;
        let mut wanted: Wanted = Box::new(|_, _, _| true);
        if let Some((flows, ids)) = flows {
            let numbers = flows.numbers(ids).map_err(Error::Usage)?;
            let behind = Behind {
                chosen: Arc::new(Chosen::new(flows.table(), &numbers, settings.seed)),
                sessions: Arc::default(),
            };
            behind.with(|chosen, sessions| sessions.catch_up(chosen, carry.table()));
            chosen = Some(behind.clone());
            wanted = Box::new(move |n, flow, _| {
                behind.with(|chosen, sessions| sessions.tag(chosen, n, flow) != UNCHOSEN)
            });
        }
        let finder = Finder::new(pattern, wanted, most, MEMORY);
        let mut state = pipe::Find::new(settings.rules, settings.seed, finder);
        state.tracker = carry.tracker().clone();
        Ok(Self { settings, state, expected: None, chosen, index: None, most })
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
        if let Some(behind) = self.chosen.as_ref().filter(|_| old.is_some()) {
            behind.with(|chosen, sessions| sessions.catch_up(chosen, self.state.tracker.table()));
        }
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
        self.state.tracker.name();
        self.state.finish();
        self.state.tracker.name();
        let names = self.state.tracker.names().to_vec();
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
        let (mut ids, mut begins) = (vec![0; all.len()], Vec::with_capacity(all.len()));
        for (n, id) in flows.numbers(&all).map_err(Error::Usage)? {
            ids[n as usize] = id;
            // Behind a carry flows are named; by an index nothing goes on.
            begins.extend(names.get(n as usize));
        }
        let hits = hits.into_iter().map(|hit| (ids[hit.flow as usize], hit)).collect();
        let mut found: Vec<_> = found.into_iter().map(|(n, times)| (ids[n as usize], times)).collect();
        found.sort_unstable();
        Ok(Searched { flows, hits, found, counts, begins })
    }
}
