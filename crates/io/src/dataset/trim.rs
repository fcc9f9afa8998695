//! Cuts captures that are read one after another as one data set.

use std::collections::HashMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use flowkeep_core::cut::ledger::{rows, rows_again, Chosen, Row};
use flowkeep_core::cut::{Behind, Policy, Rest, TrimPcap};
use flowkeep_core::flow::Side;
use flowkeep_core::pipe::{self, Control, Emit, Passes, Writer};

use super::listing::{begin_listing, end_listing, old, Old};
use super::output::Output;
use super::report::{FileReport, LedgerUse, TrimReport};
use super::{is_standard, Error, Settings};
use crate::codec::Compression;
use crate::digest::file_digest;
use crate::source::Source;
use crate::table::flows::Flows;
use crate::table::ledger::{self, About};

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

/// Captures being cut.
pub struct Trim {
    settings: Settings,
    state: pipe::Trim,
    measure: Option<Measure>,
    /// What was measured, file by file.
    ends: HashMap<PathBuf, Vec<[Side; 2]>>,
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
        let measure = (policy.tail > 0).then(|| Measure {
            scan: pipe::Scan::new(settings.rules, settings.seed, Vec::new()),
            path: PathBuf::new(),
            whole: (0, 0),
            start: (0, 0),
            ends: HashMap::new(),
        });
        let state = pipe::Trim::new(settings.rules, settings.seed, policy, ledger);
        Self { settings, state, measure, ends: HashMap::new() }
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
        let tracker = &mut measure.scan.tracker;
        let (_, old) = old(path, beside, &self.settings, control)?;
        measure.start = begin_listing(tracker, old.as_ref(), |_, _| {});
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
        if let Some(mut measure) = self.measure.take() {
            measure.scan.finish();
            measure.end_file();
            self.state.cutter.set_totals(measure.scan.tracker.table());
            self.ends = measure.ends;
        }
        let ends = self.ends.remove(path);
        // Of a file that could not be read to its end.
        self.state.tracker.end_listing();
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger_use, old) = old(path, wanted.ledger_in, &self.settings, control)?;
        let before = (self.state.tracker.table().untracked(), self.state.tracker.fragments_overflow());
        let compression = wanted.compression.unwrap_or(source.compression());
        let digests = wanted.digest || wanted.ledger_out.is_some();
        let output = Output::open(wanted.out, compression, digests).map_err(Error::Output)?;
        let mut writer = Writer::new(output);

        self.state.begin_file();
        let cutter = &mut self.state.cutter;
        let start = begin_listing(&mut self.state.tracker, old.as_ref(), |old, listing| {
            cutter.list(listing, behind(old, cutter.policy(), wanted.policy), ends);
        });
        let plan = self.settings.plan();
        let state = &mut self.state;
        let (end, digest_in) = std::thread::scope(|scope| {
            // Beside the cutting: the second reading comes from the page cache.
            let wants = digests && !is_standard(path) && source.size().is_some();
            let digest = wants.then(|| scope.spawn(|| file_digest(path, || control.is_cancelled())));
            let emit: &mut dyn Emit = &mut writer;
            let passes = Passes { decide: state, emit: Some(emit) };
            let end = pipe::run(source.input(), &plan, passes, control);
            if end.is_err() {
                control.cancel();
            }
            (end, digest.and_then(|d| d.join().ok()))
        });
        let end = end?;
        let digest_in = digest_in.transpose().map_err(Error::Open)?.flatten();
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
        let rows = self.ledger_rows(old);
        if let (Some(path), Some(rows)) = (wanted.ledger_out, rows) {
            let about = About {
                digest_in: digest_in.clone().unwrap_or_default(),
                digest_out: digest_out.clone().unwrap_or_default(),
                policy: wanted.policy.to_owned(),
                packets: totals.0,
                bytes: totals.1,
                first_ts,
                sizes: [source.size().unwrap_or_default(), out_bytes],
                writer: env!("CARGO_PKG_VERSION").to_owned(),
                chosen,
            };
            write_ledger(path, &about, &rows)?;
        }
        Ok(TrimReport { file, tally, out_bytes, digest_in, digest_out })
    }

    /// By what the packets were chosen that the file held and holds now.
    fn chosen(&self, old: Option<&Old>) -> [Option<Chosen>; 2] {
        let before = old.and_then(Old::chosen);
        let policy = self.state.cutter.policy();
        let now = match before {
            _ if self.state.compat.is_some() => Chosen::default(),
            Some(before) => before.then(policy),
            None => Chosen::by(policy),
        };
        [before, Some(now)]
    }

    /// The file's rows.
    fn ledger_rows(&mut self, old: Option<Old>) -> Option<Vec<Row>> {
        let shares = self.state.cutter.shares()?;
        Some(match old {
            None => rows(&self.state.tracker, shares),
            Some(old) => {
                let was = old.left();
                rows_again(shares, old.rows, was)
            }
        })
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

/// What may lie behind the cutoff in a file that has been trimmed before; `policy`: the one of now in words.
fn behind(old: &Old, now: &Policy, policy: &str) -> Behind {
    let chosen = old.chosen().unwrap_or_default();
    Behind {
        unchanged: old.trimmed && old.about.policy == policy,
        behind: chosen.behind(now),
        sampled: matches!(now.rest, Rest::Sample(k) if k == chosen.sample),
        end: None,
    }
}

fn write_ledger(path: &Path, about: &About, rows: &[Row]) -> Result<(), Error> {
    let file = File::create(path).map_err(Error::Output)?;
    let done = ledger::write(BufWriter::new(file), about, rows);
    let out = done.map_err(|e| Error::Output(std::io::Error::other(e)))?;
    out.into_inner().map_err(|e| Error::Output(e.into_error()))?;
    Ok(())
}
