//! What a piece of a data set has come to, to be merged elsewhere.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Cursor, Write};
use std::path::Path;

use flowkeep_core::cut::ledger::tell;
use flowkeep_core::flow::summary::Told;
use flowkeep_core::flow::{Left, Side, Table, Tracker};
use flowkeep_core::packet::Seed;
use flowkeep_core::pipe::{self, Chunk, Control, Decide, Passes};

use super::listing::{end_listing, old};
use super::report::FileReport;
use super::{Error, Settings};
use crate::source::Source;
use crate::table::{flows::Flows, summary};

/// The flows of a consecutive piece of traffic, as far as they can be known without the pieces around it.
#[derive(Clone, Debug)]
pub struct Summary {
    tracker: Tracker,
    /// The piece is a trimmed file: what its ledger tells of it.
    told: Option<Told>,
}

/// Sums beyond which nothing is merged any more.
const MOST: u64 = 1 << 62;

/// Follows the flows, and notes where the last packet stood.
struct Noting {
    scan: pipe::Scan,
    last: Option<(u64, u64)>,
}

impl Decide for Noting {
    fn decide(&mut self, chunk: &mut Chunk) {
        self.scan.decide(chunk);
        if let Some(record) = chunk.records.last() {
            let tracker = &self.scan.tracker;
            self.last = Some((tracker.packets() - 1, tracker.bytes() - u64::from(record.caplen)));
        }
    }
}

impl Summary {
    /// Of no traffic, which begins here.
    pub fn start(settings: &Settings) -> Self {
        Self { tracker: Tracker::new(settings.rules, Left::Start, settings.seed), told: None }
    }

    /// Reads a capture as a piece of which it is not known what came before. Of a trimmed one the ledger tells the flows, and
    /// what is left of it their fragments.
    pub fn scan(
        settings: &Settings,
        path: &Path,
        beside: Option<&Path>,
        control: &Control,
    ) -> Result<(Self, FileReport), Error> {
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let (ledger_use, old) = old(path, beside, settings, control)?;
        let mut scan = pipe::Scan::new(settings.rules, settings.seed, Vec::new());
        scan.tracker = Tracker::new(settings.rules, Left::Open, settings.seed);
        let mut told = old.as_ref().map(|old| tell(&mut scan.tracker, &old.rows, old.left()));
        let mut state = Noting { scan, last: None };
        let passes = Passes { decide: &mut state, emit: None };
        let end = pipe::run(source.input(), &settings.plan(), passes, control)?;
        let mut tracker = state.scan.tracker;
        if let (Some(told), Some(old)) = (&mut told, old) {
            told.last = state.last;
            end_listing(&mut tracker, (0, 0), old.whole());
        }
        let mut report =
            FileReport::new(end, source.compression(), source.consumed(), settings.filter.as_ref());
        report.untracked = tracker.table().untracked();
        report.fragments_overflow = tracker.fragments_overflow();
        report.ledger = ledger_use;
        Ok((Self { tracker, told }, report))
    }

    /// Joins the summary of the piece that follows. `cutting`: for whoever cuts, sessions that go on in a trimmed file have
    /// come to what its ledger says, also when the files before it are not known.
    ///
    /// # Errors
    /// [`Error::Summary`] when they do not fit each other.
    pub fn merge(&mut self, next: Self, cutting: bool) -> Result<(), Error> {
        let wrong = |why: &str| Err(Error::Summary(why.to_owned()));
        if next.table().left() == Left::Start {
            return wrong("what follows begins at the start of the traffic: it is not a piece");
        }
        if self.table().rules() != next.table().rules() {
            return wrong("the two were made by different settings for idle times or the number of flows");
        }
        if self.told.is_some() || (next.told.is_some() && self.table().left() == Left::Open) {
            return wrong("a trimmed file can only be joined to what begins at the start of the traffic");
        }
        let (mine, theirs) = (&self.tracker, &next.tracker);
        if mine.packets().saturating_add(theirs.packets()) > MOST
            || mine.bytes().saturating_add(theirs.bytes()) > MOST
        {
            return wrong("together they tell of more packets or bytes than there can be");
        }
        match &next.told {
            None => self.tracker.merge(next.tracker),
            Some(told) => self.tracker.merge_told(next.tracker, told, cutting),
        }
        self.tracker.name();
        Ok(())
    }

    /// The part number `i` of `n`, see [`Tracker::part`].
    #[must_use]
    pub fn part(&self, i: u32, n: u32) -> Self {
        match &self.told {
            None => Self { tracker: self.tracker.part(i, n), told: None },
            Some(told) => {
                let (tracker, told) = self.tracker.part_told(told, i, n);
                Self { tracker, told: Some(told) }
            }
        }
    }

    /// Of this carry, what a piece that follows can meet, see [`Tracker::met_by`].
    #[must_use]
    pub fn met_by(&self, piece: &Self) -> Self {
        Self { tracker: self.tracker.met_by(&piece.tracker, piece.told.as_ref()), told: None }
    }

    /// Joins another part of the same pieces.
    ///
    /// # Errors
    /// [`Error::Summary`] when it is not one.
    pub fn join(&mut self, part: &Self) -> Result<(), Error> {
        let of = |one: &Self| {
            let tracker = &one.tracker;
            let last = one.told.as_ref().map(|told| told.last);
            (tracker.packets(), tracker.bytes(), one.table().left(), *one.table().rules(), last)
        };
        if of(self) != of(part) {
            return Err(Error::Summary("the two are not parts of the same pieces".to_owned()));
        }
        match (&mut self.told, &part.told) {
            (Some(told), Some(theirs)) => self.tracker.join_told(told, &part.tracker, theirs),
            _ => self.tracker.join(&part.tracker),
        }
        Ok(())
    }

    /// Whether it has but one part, see [`Tracker::crosses`].
    pub fn crosses(&self) -> bool {
        self.tracker.crosses(self.told.as_ref())
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
        self.told.as_ref().map_or(self.table().len() as usize, |told| told.rows.len())
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
        self.tracker.end();
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
        let mut out = summary::write(out, &self.tracker, self.told.as_ref()).map_err(io::Error::other)?;
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
        let (tracker, told) = read.map_err(Error::Summary)?;
        Ok(Self { tracker, told })
    }

    /// The names of the flows, in the order of `flow_id`: the number of the packet in the traffic by which each became known.
    /// Over all pieces a name is one flow's alone. Of a piece whose begin is not known: numbers of first packets.
    pub fn begins(&self) -> impl Iterator<Item = u64> + '_ {
        let (table, names) = (self.table(), self.tracker.names());
        let named = move |n: u32| names.get(n as usize).copied().unwrap_or(table.flow(n).first);
        table.order().into_iter().map(named)
    }

    /// What the flows have come to, by their names.
    pub(super) fn totals(&self) -> HashMap<u64, [Side; 2]> {
        self.tracker.names().iter().copied().zip(self.table().iter().map(|flow| flow.side)).collect()
    }
}
