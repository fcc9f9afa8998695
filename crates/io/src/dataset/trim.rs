//! Cuts captures that are read one after another as one data set.

use std::collections::HashMap;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use flowkeep_core::cut::ledger::{carry_on, rows, rows_again, Chosen, Row};
use flowkeep_core::cut::{Behind, Cutter, Policy, Rest, TrimPcap};
use flowkeep_core::flow::{Listing, Side};
use flowkeep_core::identify::flows::Column;
use flowkeep_core::pipe::{self, Control, Depths, Emit, Passes, Which, Writer};
use flowkeep_core::select::Part;

use super::listing::{begin_cutting, end_listing, old, Old};
use super::output::Output;
use super::report::{FileReport, LedgerUse, TrimReport};
use super::{is_standard, Error, Settings, Summary};
use crate::codec::Compression;
use crate::digest::file_digest;
use crate::remote::{create_any, open_any};
use crate::source::Source;
use crate::table::flows::Flows;
use crate::table::ledger::{self, About};
use crate::table::sizes;

/// What is wanted of one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrimOptions<'a> {
    /// Where the result goes; `-` is standard output, `None` nowhere.
    pub out: Option<&'a Path>,
    /// The ledger of the trimming before this one.
    pub ledger_in: Option<&'a Path>,
    /// Where the new ledger goes.
    pub ledger_out: Option<&'a Path>,
    /// How the result is compressed; `None`: as the input is.
    pub compression: Option<Option<Compression>>,
    /// Digest input and result.
    pub digest: bool,
    /// No file follows.
    pub last: bool,
    /// The policy as JSON, for the ledger.
    pub policy: &'a str,
}

/// A cutoff for some flows.
pub struct Depth {
    /// Which flows.
    pub which: Which,
    /// Their cutoff; the largest number: they are not cut.
    pub cutoff: u64,
    /// How reports and ledgers call it.
    pub name: String,
}

/// Captures being cut.
pub struct Trim {
    settings: Settings,
    state: pipe::Trim,
    measure: Option<Measure>,
    /// What flows come to by their names, where the files to be read are not all.
    totals: Option<HashMap<u64, [Side; 2]>>,
    /// What was measured, file by file.
    ends: HashMap<PathBuf, Vec<[Side; 2]>>,
    /// Names of the classes of flows.
    rules: Vec<String>,
    /// It is asked what the flows speak.
    identify: bool,
    /// Of the trimmed file that is read: its rows' flows, and what these had come to before it.
    listed: Vec<(u32, [Side; 2])>,
}

/// The first of two passes: what all flows come to.
struct Measure {
    scan: pipe::Scan,
    /// The file that was read last.
    path: PathBuf,
    /// Its true packets and bytes, as its ledger gives them.
    whole: (u64, u64),
    /// Where it began: packets and bytes before it.
    start: (u64, u64),
    /// Per file: the running counters of its ledger's rows at its end.
    ends: HashMap<PathBuf, Vec<[Side; 2]>>,
}

impl Measure {
    fn new(settings: &Settings) -> Self {
        Self {
            scan: pipe::Scan::new(settings.rules, settings.seed, Vec::new()),
            path: PathBuf::new(),
            whole: (0, 0),
            start: (0, 0),
            ends: HashMap::new(),
        }
    }

    /// The file that was read last is over.
    fn end_file(&mut self) {
        if let Some(ends) = end_listing(&mut self.scan.tracker, self.start, self.whole) {
            self.ends.insert(std::mem::take(&mut self.path), ends);
        }
    }
}

impl Trim {
    /// Nothing read yet. `ledger`: files will get ledgers.
    pub fn new(settings: Settings, policy: Policy, ledger: bool) -> Self {
        let measure = (policy.tail > 0).then(|| Measure::new(&settings));
        let state = pipe::Trim::new(settings.rules, settings.seed, policy, ledger);
        Self {
            settings,
            state,
            measure,
            totals: None,
            ends: HashMap::new(),
            rules: Vec::new(),
            identify: false,
            listed: Vec::new(),
        }
    }

    /// Gives some flows cutoffs of their own: those of the first of these that fits. `services` are the names that
    /// [`Which::Service`] counts; with `identify` the files must be measured first. Nothing is read yet.
    #[must_use]
    pub fn with_depths(mut self, depths: Vec<Depth>, services: Vec<String>, identify: bool) -> Self {
        self.state.cutter.set_classes(depths.iter().map(|depth| depth.cutoff));
        self.rules = depths.iter().map(|depth| depth.name.clone()).collect();
        let which = depths.into_iter();
        // Who is not to be cut is not cut where that cannot be decided either.
        let which = which.map(|depth| (depth.which, depth.cutoff == u64::MAX)).collect();
        self.state.depths = Some(Depths::new(which, services));
        self.identify = identify;
        if identify {
            let measure = self.measure.get_or_insert_with(|| Measure::new(&self.settings));
            measure.scan.identified = Some(Box::default());
        }
        self
    }

    /// Goes on behind the traffic of a carry, whose hash has the key of the settings. Nothing is read yet.
    #[must_use]
    pub fn behind(mut self, carry: &Summary) -> Self {
        self.state.tracker = carry.tracker().clone();
        if let Some(measure) = &mut self.measure {
            measure.scan.tracker = carry.tracker().clone();
        }
        self
    }

    /// What the flows of all traffic come to, also behind the files that will be measured.
    #[must_use]
    pub fn with_totals(mut self, whole: &Summary) -> Self {
        self.totals = Some(whole.totals());
        self
    }

    /// Goes on behind a file of which only the ledger is read: its flows have come to what the ledger says.
    /// `measuring`: in the first pass.
    pub fn carry(&mut self, ledger: &Path, measuring: bool) -> Result<(), Error> {
        let file = open_any(ledger, None).map_err(Error::Open)?;
        let (about, rows) = ledger::read(BufReader::new(file)).map_err(Error::Ledger)?;
        if measuring {
            let Some(measure) = &mut self.measure else { return Ok(()) };
            measure.end_file();
            let tracker = &mut measure.scan.tracker;
            carry_on(tracker, &rows, Row::left);
            tracker.skip(about.packets, about.bytes);
            return Ok(());
        }
        self.end_measure();
        self.state.tracker.end_listing();
        let listing = carry_on(&mut self.state.tracker, &rows, Row::left);
        told(&mut self.state.depths, &about, &rows, &listing);
        self.state.tracker.skip(about.packets, about.bytes);
        Ok(())
    }

    /// The first pass is over, if there was one.
    fn end_measure(&mut self) {
        if let Some(mut measure) = self.measure.take() {
            // The end of the traffic may give flows an earlier first packet, but their names are those of before.
            measure.scan.tracker.name();
            measure.scan.finish();
            measure.scan.tracker.name();
            measure.end_file();
            let table = measure.scan.tracker.table();
            if self.state.cutter.policy().tail > 0 {
                let names = measure.scan.tracker.names();
                let whole = |n: usize| self.totals.as_ref()?.get(names.get(n)?);
                let sides = table.iter().enumerate().map(|(n, flow)| whole(n).unwrap_or(&flow.side));
                self.state.cutter.set_totals(sides);
                self.ends = measure.ends;
            }
            if let Some(identified) = &measure.scan.identified {
                let depths = self.state.depths.get_or_insert_default();
                for (n, flow) in (0_u32..).zip(table.iter()) {
                    let text = identified.text(n, flow, Column::Service);
                    if let Some(service) = text.and_then(|text| depths.place(&text)) {
                        depths.set_service(n, service);
                    }
                }
            }
        }
    }

    /// Decides as TrimPCAP 1.3 with this limit instead of by the policy. Nothing is read yet.
    #[must_use]
    pub fn as_trimpcap(mut self, limit: u64) -> Self {
        self.state.compat = Some(TrimPcap::new(limit));
        self
    }

    /// Reads a file of the data set to learn what its flows come to; needed for a tail, all files in order,
    /// each with its ledger.
    pub fn measure(&mut self, path: &Path, beside: Option<&Path>, control: &Control) -> Result<(), Error> {
        let Some(measure) = &mut self.measure else { return Ok(()) };
        measure.end_file();
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (_, old) = old(path, beside, &self.settings, control)?;
        measure.start = begin_cutting(&mut measure.scan.tracker, old.as_ref(), |_, _| {});
        if let Some(old) = old {
            measure.whole = old.whole();
            path.clone_into(&mut measure.path);
        }
        let passes = Passes { decide: &mut measure.scan, emit: None };
        pipe::run(source.input(), &self.settings.plan(), passes, control)?;
        Ok(())
    }

    /// Cuts one capture.
    pub fn file(
        &mut self,
        path: &Path,
        wanted: &TrimOptions<'_>,
        control: &Control,
    ) -> Result<TrimReport, Error> {
        self.end_measure();
        let ends = self.ends.remove(path);
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger_use, old) = old(path, wanted.ledger_in, &self.settings, control)?;
        let before = (self.state.tracker.table().untracked(), self.state.tracker.fragments_overflow());
        let compression = wanted.compression.unwrap_or(source.compression());
        let digests = wanted.digest || wanted.ledger_out.is_some();
        let output = Output::open(wanted.out, compression, digests).map_err(Error::Output)?;
        let mut writer = Writer::new(output);

        self.state.begin_file();
        let state = &mut self.state;
        let (cutter, depths, listed) = (&mut state.cutter, &mut state.depths, &mut self.listed);
        let start = begin_cutting(&mut state.tracker, old.as_ref(), |old, listing| {
            told(depths, &old.about, &old.rows, listing);
            *listed = listing.rows().iter().map(|row| (row.flow, row.running.side)).collect();
            list(cutter, old, listing, wanted.policy, ends);
        });
        let plan = self.settings.plan();
        let (end, digest_in) = std::thread::scope(|scope| {
            // Beside the cutting: the second reading comes from the page cache.
            let wants = digests && !is_standard(path) && source.size().is_some() && source.remote().is_none();
            if let (true, Some(remote)) = (digests, source.remote()) {
                // Elsewhere nothing is read twice.
                remote.begin_digest();
            }
            let digest = wants.then(|| scope.spawn(|| file_digest(path, control)));
            let emit: &mut dyn Emit = &mut writer;
            let passes = Passes { decide: state, emit: Some(emit) };
            let end = pipe::run(source.input(), &plan, passes, control);
            if end.is_err() {
                control.cancel();
            }
            (end, digest.and_then(|d| d.join().ok()))
        });
        let end = end?;
        self.decided()?;
        let digest_in = match source.remote().filter(|_| digests) {
            Some(remote) => remote.end_digest().map_err(Error::Open)?,
            None => digest_in.transpose().map_err(Error::Open)?.flatten(),
        };
        let late = self.state.end_file(wanted.last);
        let (output, whole) = writer.finish(&late).map_err(Error::Output)?;
        let (out_bytes, digest_out) = output.finish().map_err(Error::Output)?;

        let mut tally = *self.state.cutter.tally();
        // Packets that cannot be shortened stay whole.
        tally.packets_shortened -= whole.0;
        tally.bytes_kept += whole.1;
        tally.bytes_cut -= whole.1;

        let mut file =
            FileReport::new(end, source.compression(), source.consumed(), self.settings.filter.as_ref());
        let tracker = &self.state.tracker;
        file.untracked = tracker.table().untracked() - before.0;
        file.fragments_overflow = tracker.fragments_overflow() - before.1;
        file.ledger = ledger_use;
        let totals = match &file.ledger {
            LedgerUse::Used { packets, bytes } => (*packets, *bytes),
            _ => (file.stats.packets, file.stats.bytes),
        };
        let known = old.as_ref().and_then(|old| old.about.first_ts);
        let first_ts = known.or(file.stats.ends.map(|(first, _)| first));
        end_listing(&mut self.state.tracker, start, totals);
        let chosen = self.chosen(old.as_ref());
        let identified = self.identify || old.as_ref().is_some_and(|old| old.about.identified);
        if let (Some(path), Some((rows, texts))) = (wanted.ledger_out, self.ledger_rows(old)) {
            let mut about = About {
                digest_in: digest_in.clone().unwrap_or_default(),
                digest_out: digest_out.clone().unwrap_or_default(),
                policy: wanted.policy.to_owned(),
                packets: totals.0,
                bytes: totals.1,
                first_ts,
                sizes: [source.size().unwrap_or_default(), out_bytes],
                writer: env!("CARGO_PKG_VERSION").to_owned(),
                chosen,
                curve: String::new(),
                identified,
                texts,
            };
            let before = |i: usize| rows[i].before[0].bytes.saturating_add(rows[i].before[1].bytes);
            about.curve = sizes::curve(&about, &rows, before);
            write_ledger(path, &about, &rows)?;
        }
        Ok(TrimReport { file, tally, out_bytes, digest_in, digest_out })
    }

    /// By what the packets were chosen that the file held and holds now.
    fn chosen(&self, old: Option<&Old>) -> [Option<Chosen>; 2] {
        let before = old.and_then(Old::chosen);
        let cutter = &self.state.cutter;
        let policy = cutter.policy();
        let now = match before {
            _ if self.state.compat.is_some() => Chosen::default(),
            Some(before) => before.then(policy),
            None => Chosen::by(policy),
        };
        [before, Some(now)]
    }

    /// The file's rows, and the texts they name.
    fn ledger_rows(&mut self, old: Option<Old>) -> Option<(Vec<Row>, Vec<String>)> {
        let cutter = &self.state.cutter;
        let shares = cutter.shares()?;
        let spoken = self.state.depths.as_ref();
        let mut texts = old.as_ref().map_or_else(Vec::new, |old| old.about.texts.clone());
        let base = texts.len() as u32;
        texts.extend(self.rules.iter().cloned());
        let services = texts.len() as u32 + 1;
        texts.extend(spoken.map_or(&[][..], Depths::services).iter().cloned());
        let tell = |row: &mut Row, n: u32, before: u64| {
            // TrimPCAP's rules know no cutoff of ours.
            let cutoff = if self.state.compat.is_some() { u64::MAX } else { cutter.policy_of(n).cutoff };
            if cutoff <= before {
                let class = u32::from(cutter.class(n).unwrap_or_default());
                row.rule = if class > 0 { base + class } else { 0 };
            }
            row.cutoff = before.min(cutoff);
            if let Some(service) = spoken.and_then(|spoken| spoken.service(n)) {
                row.service = services + u32::from(service);
            }
        };
        let mut made;
        match old {
            None => {
                made = rows(&self.state.tracker, shares);
                for (row, share) in made.iter_mut().zip(shares.all()) {
                    tell(row, share.flow, u64::MAX);
                }
            }
            Some(old) => {
                let was = old.left();
                made = rows_again(shares, old.rows, was);
                for (row, (n, before)) in made.iter_mut().zip(&self.listed) {
                    let cutoff = row.was.cutoff;
                    tell(row, *n, cutoff);
                    row.went_on(before);
                }
            }
        }
        Some((made, texts))
    }

    /// Whether the rules said of all flows which cutoff is theirs.
    fn decided(&self) -> Result<(), Error> {
        let Some((at, part)) = self.state.depths.as_ref().and_then(Depths::undecided) else { return Ok(()) };
        let what = match part {
            Part::Length => "the length of packets",
            Part::Link => "Ethernet addresses",
            Part::Tag => "the rest of a VLAN tag",
            Part::Internet => "other fields of the IP header",
            Part::Transport => "other fields of the transport header",
            Part::Payload => "the payload",
        };
        let name = self.rules.get(at).map_or("", String::as_str);
        Err(Error::Usage(format!(
            "{name:?} asks for {what}, which differs from packet to packet: cutoffs are given to whole flows, \
             by addresses, ports, protocols and VLANs"
        )))
    }

    /// The true flows of all that was read. The data set is over then: it begins anew.
    pub fn take_flows(&mut self, community_seed: u16) -> Flows {
        let policy = Policy::default();
        let fresh = pipe::Trim::new(self.settings.rules, self.settings.seed, policy, false);
        let mut state = std::mem::replace(&mut self.state, fresh);
        state.end_file(true);
        Flows::new(state.tracker.into_table(), None, None, community_seed)
    }
}

/// A ledger tells what flows speak.
fn told(depths: &mut Option<Depths>, about: &About, rows: &[Row], listing: &Listing) {
    for (row, at) in rows.iter().zip(listing.rows()) {
        let Some(text) = about.text(row.service) else { continue };
        let depths = depths.get_or_insert_default();
        if let Some(service) = depths.place(text) {
            depths.set_service(at.flow, service);
        }
    }
}

/// The file that begins has been trimmed before.
fn list(cutter: &mut Cutter, old: &Old, listing: &Listing, policy: &str, ends: Option<Vec<[Side; 2]>>) {
    let chosen = old.chosen().unwrap_or_default();
    let sampled = matches!(cutter.policy().rest, Rest::Sample(k) if k == chosen.sample);
    let behind =
        Behind { unchanged: old.trimmed && old.about.policy == policy, behind: false, sampled, end: None };
    let comparable = chosen.cutoff.is_some_and(|(_, unit)| unit == cutter.policy().unit());
    let left = old.left();
    let cutoffs = old.rows.iter().map(|row| left(row).cutoff);
    let cutoffs = if comparable { cutoffs.collect() } else { Vec::new() };
    cutter.list(listing, behind, cutoffs, ends);
}

fn write_ledger(path: &Path, about: &About, rows: &[Row]) -> Result<(), Error> {
    let file = create_any(path).map_err(Error::Output)?;
    let done = ledger::write(BufWriter::new(file), about, rows);
    let out = done.map_err(|e| Error::Output(std::io::Error::other(e)))?;
    out.into_inner().map_err(|e| Error::Output(e.into_error()))?;
    Ok(())
}
