//! What the first bytes of a capture say.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::pipe::{self, Chunk, Control, Decide, Passes, Plan, Stop};

use crate::codec::Compression;
use crate::dataset::Error;
use crate::source::Source;
use crate::table::ledger::read_about;

/// The first bytes of a capture, read.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Name of the format.
    pub format: &'static str,
    /// How the file is compressed.
    pub compression: Option<Compression>,
    /// Bytes on disk; `None` when it is not a regular file.
    pub size: Option<u64>,
    /// Time of the first packet in nanoseconds, if there is one.
    pub first_ts: Option<i64>,
}

/// Reads a capture as far as its first packet.
pub fn probe(path: &Path) -> Result<Probe, Error> {
    let control = Control::default();
    let mut source = Source::open(path, &control).map_err(Error::Open)?;
    let mut first = First { ts: None, format: "", control: &control };
    let plan =
        Plan { options: Options::default(), filter: None, seed: Seed::default(), jobs: 1, chunk: 1 << 16 };
    let passes = Passes { decide: &mut first, emit: None };
    let format = match pipe::run(source.input(), &plan, passes, &control) {
        Ok(end) => end.walker.format(),
        Err(Stop::Cancelled) => first.format,
        Err(stop) => return Err(stop.into()),
    };
    Ok(Probe { format, compression: source.compression(), size: source.size(), first_ts: first.ts })
}

/// Whether a capture of so many bytes may be the one that a ledger is for, and then the time of the first packet of
/// the whole capture. Whether it is that one, only the digest tells, when the capture is read.
pub fn ledger_first_ts(ledger: &Path, size: u64) -> Option<Option<i64>> {
    let about = read_about(BufReader::new(File::open(ledger).ok()?)).ok()?;
    about.sizes.contains(&size).then_some(about.first_ts)
}

/// Stops the run at the first packet.
struct First<'a> {
    ts: Option<i64>,
    format: &'static str,
    control: &'a Control,
}

impl Decide for First<'_> {
    fn decide(&mut self, chunk: &mut Chunk) {
        if let (None, Some(record)) = (self.ts, chunk.records.first()) {
            self.ts = Some(record.ts);
            self.format = chunk.format;
            self.control.cancel();
        }
    }
}
