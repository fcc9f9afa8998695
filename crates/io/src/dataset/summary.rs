//! What a piece of a data set has come to, to be merged elsewhere.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Write};
use std::path::Path;

use flowkeep_core::cut::ledger::{adopt, carry_on, Row};
use flowkeep_core::flow::{Left, Silent, Table, Tracker};
use flowkeep_core::packet::Seed;
use flowkeep_core::pipe::{self, Control, Passes};

use super::listing::old;
use super::report::FileReport;
use super::scan::Look;
use super::{Error, Settings};
use crate::source::Source;
use crate::table::{flows::Flows, ledger, summary};

/// The flows of a consecutive piece of traffic, as far as they can be known without the pieces around it.
#[derive(Clone, Debug)]
pub struct Summary {
    tracker: Tracker,
    /// The piece is a trimmed file: its ledger tells what it was.
    listed: Option<Listed>,
}

/// Rows of a ledger, and its bytes.
#[derive(Clone, Debug)]
struct Listed {
    rows: Vec<Row>,
    bytes: Vec<u8>,
    part: (u32, u32),
}

impl Listed {
    fn new(bytes: Vec<u8>, (i, n): (u32, u32)) -> Result<(Self, (u64, u64)), Error> {
        let (about, mut rows) = ledger::read(Cursor::new(&bytes)).map_err(Error::Ledger)?;
        rows.retain(|row| row.flow.key.is_of_part(i, n));
        Ok((Self { rows, bytes, part: (i, n) }, (about.packets, about.bytes)))
    }
}

impl Summary {
    /// Of no traffic, which begins here.
    pub fn start(settings: &Settings) -> Self {
        Self { tracker: Tracker::new(settings.rules, Left::Start, settings.seed), listed: None }
    }

    /// Reads a capture as a piece of which it is not known what came before. Of a trimmed one the ledger is the summary.
    pub fn scan(
        settings: &Settings,
        path: &Path,
        beside: Option<&Path>,
        control: &Control,
    ) -> Result<(Self, FileReport), Error> {
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger_use, old) = old(path, beside, settings, control)?;
        let mut state = pipe::Scan::new(settings.rules, settings.seed, Vec::new());
        state.tracker = Tracker::new(settings.rules, Left::Open, settings.seed);
        let mut listed = None;
        let end = if let (Some(old), Some(beside)) = (old, beside) {
            let bytes = std::fs::read(beside).map_err(Error::Open)?;
            let (rows, (packets, whole)) = Listed::new(bytes, (0, 1))?;
            if old.whole() != (packets, whole) || old.rows.len() != rows.rows.len() {
                return Err(Error::Ledger("it changed while it was read".to_owned()));
            }
            state.tracker.skip(packets, whole);
            listed = Some(rows);
            let passes = Passes { decide: &mut Look, emit: None };
            pipe::run(source.input(), &settings.plan(), passes, control)?
        } else {
            let passes = Passes { decide: &mut state, emit: None };
            pipe::run(source.input(), &settings.plan(), passes, control)?
        };
        let mut report =
            FileReport::new(end, source.compression(), source.consumed(), settings.filter.as_ref());
        report.untracked = state.tracker.table().untracked();
        report.fragments_overflow = state.tracker.fragments_overflow();
        report.ledger = ledger_use;
        Ok((Self { tracker: state.tracker, listed }, report))
    }

    /// Joins the summary of the piece that follows. `cutting`: for whoever cuts, sessions that go on in a trimmed file have
    /// come to what its ledger says, also when the files before it are not known.
    pub fn merge(&mut self, next: Self, cutting: bool) {
        let Some(listed) = next.listed else { return self.tracker.merge(next.tracker) };
        if cutting {
            carry_on(&mut self.tracker, &listed.rows, Row::left);
        } else {
            adopt(&mut self.tracker, &listed.rows, Row::left);
        }
        self.tracker.skip(next.tracker.packets(), next.tracker.bytes());
    }

    /// The part number `i` of `n`, see [`Tracker::part`].
    pub fn part(&self, i: u32, n: u32) -> Result<Self, Error> {
        let listed = match &self.listed {
            None => None,
            Some(listed) => Some(Listed::new(listed.bytes.clone(), (i, n))?.0),
        };
        Ok(Self { tracker: self.tracker.part(i, n), listed })
    }

    /// Of this carry, what a piece that follows can meet, see [`Tracker::met_by`].
    #[must_use]
    pub fn met_by(&self, piece: &Self) -> Self {
        let tracker = match &piece.listed {
            None => self.tracker.met_by(&piece.tracker),
            Some(listed) => self.tracker.met_by_keys(listed.rows.iter().map(|row| row.flow.key)),
        };
        Self { tracker, listed: None }
    }

    /// Joins another part of the same pieces.
    pub fn join(&mut self, part: &Self) {
        self.tracker.join(&part.tracker);
    }

    /// Whether it has but one part, see [`Tracker::crosses`].
    pub fn crosses(&self) -> bool {
        self.tracker.crosses()
    }

    /// The flows so far.
    pub fn table(&self) -> &Table {
        self.tracker.table()
    }

    /// State from which a pass goes on.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Flows, or rows of its ledger.
    pub fn len(&self) -> usize {
        self.listed.as_ref().map_or(self.tracker.table().len() as usize, |listed| listed.rows.len())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The flows as they are listed.
    pub fn flows(&self, community_seed: u16) -> Flows {
        Flows::new(self.tracker.table().clone(), None, None, community_seed)
    }

    /// The traffic ends here: fragments that still wait are orphans.
    pub fn end(&mut self) {
        self.tracker.finish(&mut Silent);
    }

    /// Writes it to a file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let out = BufWriter::with_capacity(1 << 20, File::create(path)?);
        self.write_to(out).map(drop)
    }

    /// The bytes of such a file.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        self.write_to(Vec::new())
    }

    fn write_to<W: Write>(&self, out: W) -> io::Result<W> {
        let listed = self.listed.as_ref();
        let ledger = listed.map(|listed| (listed.part.0, listed.part.1, &listed.bytes[..]));
        let mut out = summary::write(out, &self.tracker, ledger).map_err(io::Error::other)?;
        out.flush()?;
        Ok(out)
    }

    /// Reads a file that was written.
    pub fn read(path: &Path, seed: Seed) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::Open)?;
        Self::loaded(summary::read(BufReader::new(file), seed))
    }

    /// The same from its bytes.
    pub fn from_bytes(bytes: &[u8], seed: Seed) -> Result<Self, Error> {
        Self::loaded(summary::read(Cursor::new(bytes), seed))
    }

    fn loaded(read: Result<summary::Saved, String>) -> Result<Self, Error> {
        let (tracker, ledger) = read.map_err(Error::Summary)?;
        let listed = match ledger {
            None => None,
            Some((i, n, bytes)) => Some(Listed::new(bytes, (i, n))?.0),
        };
        Ok(Self { tracker, listed })
    }

    /// Numbers of the flows' first packets in the traffic, in ascending order: that of `flow_id`. Over all pieces such a
    /// number is one flow's alone.
    pub fn begins(&self) -> impl Iterator<Item = u64> + '_ {
        let table = self.table();
        table.order().into_iter().map(|n| table.flow(n).first)
    }
}
