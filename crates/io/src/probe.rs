//! What the first bytes of a capture say.

use std::io::BufReader;
use std::path::Path;

use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::pipe::{self, Chunk, Control, Decide, Passes, Plan, Stop};
use flowkeep_core::record::Interface;

use crate::codec::Compression;
use crate::dataset::Error;
use crate::remote::open_any;
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
    /// The file header of a pcap file; empty for pcapng.
    pub head: Vec<u8>,
    /// Link types of the interfaces described before the first packet.
    pub links: Vec<u16>,
    /// An interface has a finer resolution than microseconds.
    pub nanoseconds: bool,
}

/// Reads a capture as far as its first packet.
pub fn probe(path: &Path) -> Result<Probe, Error> {
    let control = Control::default();
    let mut source = Source::open(path, &control).map_err(Error::Open)?;
    let mut first =
        First { ts: None, format: "", head: Vec::new(), interfaces: Vec::new(), control: &control };
    let plan =
        Plan { options: Options::default(), filter: None, seed: Seed::default(), jobs: 1, chunk: 1 << 16 };
    let passes = Passes { decide: &mut first, emit: None };
    match pipe::run(source.input(), &plan, passes, &control) {
        Ok(end) if first.ts.is_none() => {
            first.format = end.walker.format();
            first.interfaces = end.walker.interfaces().to_vec();
        }
        Ok(_) | Err(Stop::Cancelled) => {}
        Err(stop) => return Err(stop.into()),
    }
    let mut links: Vec<u16> = first.interfaces.iter().map(|i| i.link).collect();
    links.sort_unstable();
    links.dedup();
    let nanoseconds = first.interfaces.iter().any(|i| i.ts_resol.is_finer_than_micro());
    Ok(Probe {
        format: first.format,
        compression: source.compression(),
        size: source.size(),
        first_ts: first.ts,
        head: first.head,
        links,
        nanoseconds,
    })
}

/// Whether a capture of so many bytes may be the one that a ledger is for, and then the time of the first packet of
/// the whole capture. Whether it is that one, only the digest tells, when the capture is read.
pub fn ledger_first_ts(ledger: &Path, size: u64) -> Option<Option<i64>> {
    let about = read_about(BufReader::new(open_any(ledger, None).ok()?)).ok()?;
    about.sizes.contains(&size).then_some(about.first_ts)
}

/// Stops the run at the first packet.
struct First<'a> {
    ts: Option<i64>,
    format: &'static str,
    head: Vec<u8>,
    interfaces: Vec<Interface>,
    control: &'a Control,
}

impl Decide for First<'_> {
    fn decide(&mut self, chunk: &mut Chunk) {
        if chunk.head > 0 {
            self.head = chunk.bytes[chunk.from..chunk.from + chunk.head].to_vec();
        }
        if let (None, Some(record)) = (self.ts, chunk.records.first()) {
            self.ts = Some(record.ts);
            self.format = chunk.format;
            self.interfaces = chunk.interfaces.to_vec();
            self.control.cancel();
        }
    }
}
