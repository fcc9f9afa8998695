//! Takes chosen flows out of captures that are read one after another.

use std::path::Path;
use std::sync::Arc;

use flowkeep_core::pipe::{self, Control, Count, Deal, Form, Outlet, Passes, Take};
use flowkeep_core::select::Chosen;

use super::listing::{begin_listing, end_listing, old};
use super::output::Output;
use super::report::FileReport;
use super::split::Split;
use super::{ByIndex, Error, Settings, Summary};
use crate::codec::Compression;
use crate::index::Index;
use crate::source::Source;
use crate::table::flows::Flows;

/// Where the packets go.
enum Target {
    One(Box<Outlet<Output>>),
    Many(Box<Split>),
}

/// Captures being taken apart.
pub struct Extract {
    settings: Settings,
    tag: pipe::Tag,
    /// Where the flows' records lie, and the flows.
    index: Option<ByIndex>,
    target: Target,
}

impl Extract {
    /// Takes out the flows with these `flow_id`s, or every packet.
    ///
    /// The flows must have been listed from the same captures, with the same settings.
    pub fn new(
        settings: Settings,
        flows: Option<(&Flows, &[u32])>,
        out: &Path,
        compression: Option<Compression>,
    ) -> Result<Self, Error> {
        let output = Output::open(Some(out), compression, false).map_err(Error::Output)?;
        let tag = tag(&settings, flows)?;
        Ok(Self { settings, tag, index: None, target: Target::One(Box::new(Outlet::new(output))) })
    }

    /// The same into many files.
    pub fn split(settings: Settings, flows: (&Flows, &[u32]), split: Split) -> Result<Self, Error> {
        let tag = tag(&settings, Some(flows))?;
        Ok(Self { settings, tag, index: None, target: Target::Many(Box::new(split)) })
    }

    /// Goes on behind the traffic of a carry, whose hash has the key of the settings; the flows are those of the carry and of
    /// what is read. Nothing is read yet.
    pub fn go_on_behind(&mut self, carry: &Summary) {
        self.tag.begin_behind(carry.tracker());
    }

    /// The one capture has an index: these flows (numbers in the table, each with its tag) are picked by it,
    /// without a pass over the capture.
    pub fn use_index(&mut self, index: Arc<Index>, wanted: Vec<(u32, u32)>) {
        self.index = Some((index, wanted));
    }

    fn pick(&mut self, form: Form, control: &Control) -> Result<Option<FileReport>, Error> {
        let Some((index, wanted)) = &self.index else { return Ok(None) };
        match &mut self.target {
            Target::One(outlet) => {
                outlet.begin_file(form);
                index.pick(wanted, self.settings.options, &mut **outlet, control)?;
            }
            Target::Many(split) => {
                split.begin_file();
                index.pick(wanted, self.settings.options, &mut **split, control)?;
            }
        }
        Ok(Some(index.head().report.clone()))
    }

    /// Goes over the next capture. `form`: how its packets are written to the one file.
    pub fn file(
        &mut self,
        path: &Path,
        beside: Option<&Path>,
        form: Form,
        last: bool,
        control: &Control,
    ) -> Result<FileReport, Error> {
        if let Some(report) = self.pick(form, control)? {
            return Ok(report);
        }
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger, old) = old(path, beside, &self.settings, control)?;
        self.tag.begin_file();
        let start = begin_listing(self.tag.tracker_mut(), old.as_ref(), |_, _| {});
        if old.is_some() {
            self.tag.catch_up();
        }
        let plan = self.settings.plan();
        let end = match &mut self.target {
            Target::One(outlet) => {
                outlet.begin_file(form);
                carry(&mut source, &plan, &mut self.tag, &mut **outlet, last, control)?
            }
            Target::Many(split) => {
                split.begin_file();
                carry(&mut source, &plan, &mut self.tag, &mut **split, last, control)?
            }
        };
        if let Some(old) = old {
            end_listing(self.tag.tracker_mut(), start, old.whole());
        }
        let mut report =
            FileReport::new(end, source.compression(), source.consumed(), self.settings.filter.as_ref());
        report.ledger = ledger;
        Ok(report)
    }

    /// Ends the output. `empty`: the form and the link type of a pcap file that got no packet.
    pub fn finish(self, empty: Option<(u16, bool)>) -> Result<(Count, u64), Error> {
        match self.target {
            Target::One(mut outlet) => {
                if let Some((link, nanoseconds)) = empty {
                    outlet.finish_pcap(link, nanoseconds).map_err(Error::Output)?;
                }
                let (output, count) = outlet.into_inner();
                let (bytes, _) = output.finish().map_err(Error::Output)?;
                Ok((count, bytes))
            }
            Target::Many(split) => split.finish().map_err(Error::Output),
        }
    }
}

fn carry(
    source: &mut Source<'_>,
    plan: &pipe::Plan<'_>,
    tag: &mut pipe::Tag,
    to: &mut impl Take,
    last: bool,
    control: &Control,
) -> Result<pipe::End, Error> {
    let mut deal = Deal::new(to);
    let passes = Passes { decide: tag, emit: Some(&mut deal) };
    let end = pipe::run(source.input(), plan, passes, control)?;
    let late = tag.end_file(last);
    deal.finish(&late).map_err(Error::Output)?;
    Ok(end)
}

fn tag(settings: &Settings, flows: Option<(&Flows, &[u32])>) -> Result<pipe::Tag, Error> {
    let Some((flows, ids)) = flows else { return Ok(pipe::Tag::everything()) };
    let wanted = flows.numbers(ids).map_err(Error::Usage)?;
    let chosen = Chosen::new(flows.table(), &wanted, settings.seed);
    Ok(pipe::Tag::new(Arc::new(chosen), settings.rules))
}
