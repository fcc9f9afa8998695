//! Files that have been trimmed: their ledgers, and how they are read as what they were.

use std::io::BufReader;
use std::path::Path;

use flowkeep_core::cut::ledger::{adopt, carry_on, Chosen, Left, Row};
use flowkeep_core::flow::{Listing, Side, Tracker};
use flowkeep_core::pipe::Control;

use super::report::LedgerUse;
use super::{Error, Settings};
use crate::digest::file_digest;
use crate::remote::{self, open_any};
use crate::table::ledger::{self, About};

/// The ledger of a file, when it fits.
pub(super) struct Old {
    pub about: About,
    pub rows: Vec<Row>,
    /// The file is the one that the ledger's trimming left; if not, it is the one that this trimming read.
    pub trimmed: bool,
}

impl Old {
    /// What the file holds of a row's flow.
    pub fn left(&self) -> fn(&Row) -> Left {
        if self.trimmed {
            Row::left
        } else {
            |row| row.was
        }
    }

    /// By what its packets were chosen.
    pub fn chosen(&self) -> Option<Chosen> {
        self.about.chosen[usize::from(self.trimmed)]
    }

    /// Packets and bytes before the trimming.
    pub fn whole(&self) -> (u64, u64) {
        (self.about.packets, self.about.bytes)
    }
}

/// Reads the ledger beside a file, if there is one and it may be used.
pub(super) fn old(
    path: &Path,
    beside: Option<&Path>,
    settings: &Settings,
    control: &Control,
) -> Result<(LedgerUse, Option<Old>), Error> {
    match beside {
        Some(_) if settings.filter.is_some() => {
            let why = "it tells of all packets; with a filter those count that are here and match";
            Ok((LedgerUse::Misfit(why.to_owned()), None))
        }
        Some(beside) => fitting(path, beside, control),
        None => Ok((LedgerUse::None, None)),
    }
}

fn missing(why: &dyn std::fmt::Display) -> Error {
    Error::Ledger(format!("the ledger beside it cannot be read: {why}"))
}

/// Whether the bytes of a ledger cannot be had, whatever they are.
fn unread(beside: &Path, control: &Control) -> bool {
    file_digest(beside, control).is_err()
}

/// Reads a ledger and checks that it is of this file.
fn fitting(path: &Path, beside: &Path, control: &Control) -> Result<(LedgerUse, Option<Old>), Error> {
    let file = match open_any(beside, Some(control)) {
        Ok(file) => file,
        Err(_) if control.is_cancelled() => return Err(Error::Cancelled),
        // It is there: that a store did not give it says nothing about the capture.
        Err(e) if remote::url(beside).is_some() => return Err(missing(&e)),
        Err(e) => return Ok((LedgerUse::Misfit(format!("it cannot be opened: {e}")), None)),
    };
    let (about, rows) = match ledger::read(BufReader::new(file)) {
        Ok(read) => read,
        Err(_) if control.is_cancelled() => return Err(Error::Cancelled),
        Err(why) if remote::url(beside).is_some() && unread(beside, control) => return Err(missing(&why)),
        Err(why) => return Ok((LedgerUse::Misfit(why), None)),
    };
    let digest = file_digest(path, control).map_err(Error::Open)?;
    let Some(digest) = digest else { return Err(Error::Cancelled) };
    // A run that was killed between making the ledger and the capture visible leaves the file as it
    // was: then the digest is that of before, and the totals are as true.
    if digest != about.digest_out && digest != about.digest_in {
        let why = format!(
            "the file's SHA-256 is {digest}, the ledger is for {} (and was made from {})",
            about.digest_out, about.digest_in
        );
        return Ok((LedgerUse::Misfit(why), None));
    }
    let trimmed = digest == about.digest_out;
    Ok((LedgerUse::Used { packets: about.packets, bytes: about.bytes }, Some(Old { about, rows, trimmed })))
}

/// Begins the reading of a file: what its ledger tells is added to the flows and listed. `see` gets it before.
/// Gives packets and bytes so far.
pub(super) fn begin_listing(
    tracker: &mut Tracker,
    old: Option<&Old>,
    see: impl FnOnce(&Old, &Listing),
) -> (u64, u64) {
    begin(tracker, old, adopt, see)
}

/// The same for whoever cuts: sessions that go on in the file have come to what the ledger says.
pub(super) fn begin_cutting(
    tracker: &mut Tracker,
    old: Option<&Old>,
    see: impl FnOnce(&Old, &Listing),
) -> (u64, u64) {
    begin(tracker, old, carry_on, see)
}

/// How the rows of a ledger are added to the flows and listed.
type Adopt = fn(&mut Tracker, &[Row], fn(&Row) -> Left) -> Listing;

fn begin(
    tracker: &mut Tracker,
    old: Option<&Old>,
    adopt: Adopt,
    see: impl FnOnce(&Old, &Listing),
) -> (u64, u64) {
    // Of a file that could not be read to its end.
    tracker.end_listing();
    let start = (tracker.packets(), tracker.bytes());
    if let Some(old) = old {
        let listing = adopt(tracker, &old.rows, old.left());
        see(old, &listing);
        tracker.list(listing);
    }
    start
}

/// Ends the reading of a trimmed file: moves on over the packets that are gone. Gives back the running counters of its
/// rows.
pub(super) fn end_listing(
    tracker: &mut Tracker,
    start: (u64, u64),
    (packets, bytes): (u64, u64),
) -> Option<Vec<[Side; 2]>> {
    let listing = tracker.end_listing()?;
    let seen = (tracker.packets() - start.0, tracker.bytes() - start.1);
    tracker.skip(packets.saturating_sub(seen.0), bytes.saturating_sub(seen.1));
    Some(listing.rows().iter().map(|row| row.running.side).collect())
}
