//! Makes an index in one pass over the capture.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use flowkeep_core::flow::{Flow, Table};
use flowkeep_core::pipe::{self, Chunk, Control, Deal, Number, Passes, Take};
use flowkeep_core::select::UNCHOSEN;

use super::file::Writer;
use super::flows::{self, BLOCK};
use super::head::Head;
use super::places::{self, signed, Step, RUN};
use super::stamp::Stamp;
use super::trails::Trails;
use crate::dataset::{Error, FileReport, Settings};
use crate::digest::file_digest;
use crate::source::Source;

/// What was made.
#[derive(Clone, Debug)]
pub struct Built {
    /// What was found in the capture.
    pub report: FileReport,
    /// Flows.
    pub flows: u32,
    /// Bytes of the index.
    pub bytes: u64,
    /// Whether single records can be read.
    pub places: bool,
}

/// Reads a capture and writes its index to `out`.
///
/// Memory: the flow table, 48 to 88 bytes more a flow, about 6 bytes a packet.
pub fn build(settings: &Settings, path: &Path, out: &Path, control: &Control) -> Result<Built, Error> {
    let file = File::open(path).map_err(Error::Open)?;
    if !file.metadata().map_err(Error::Open)?.is_file() {
        return Err(Error::Usage(format!("{}: only a file can have an index beside it", path.display())));
    }
    let stamp = Stamp::of(&file).map_err(Error::Open)?;
    let mut source = Source::open(path, control).map_err(Error::Open)?;
    let mut number = Number::new(settings.rules, settings.seed);
    let mut collect = Collect { places: source.compression().is_none(), ..Collect::default() };
    let (end, digest) = std::thread::scope(|scope| {
        let digest = scope.spawn(|| file_digest(path, control));
        let end = pass(&mut source, settings, &mut number, &mut collect, control);
        if end.is_err() {
            control.cancel();
        }
        (end, digest.join())
    });
    let end = end?;
    let digest = digest.map_err(|_| Error::Open(io::Error::other("the digest could not be made")))?;
    let Some(digest) = digest.map_err(Error::Open)? else { return Err(Error::Cancelled) };
    let again = File::open(path).and_then(|file| Stamp::of(&file)).map_err(Error::Open)?;
    if again != stamp {
        return Err(Error::Stale("the capture was changed while it was read".to_owned()));
    }
    let mut report = FileReport::new(end, source.compression(), source.consumed(), None);
    report.fragments_overflow = number.tracker().fragments_overflow();
    let table = number.into_table();
    report.untracked = table.untracked();
    if collect.trails.is_full() {
        collect.places = false;
    }
    let head = Head {
        stamp,
        digest,
        options: settings.options,
        rules: settings.rules,
        report,
        places: collect.places,
        plain: table.iter().is_sorted_by_key(|f| f.first),
        gaps: if collect.places { collect.gaps.len() as u64 } else { 0 },
        blocks: blocks(&table, collect.places),
        writer: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let bytes = write(&head, &table, &collect, out, control)?;
    Ok(Built { report: head.report, flows: table.len(), bytes, places: head.places })
}

fn pass(
    source: &mut Source<'_>,
    settings: &Settings,
    number: &mut Number,
    collect: &mut Collect,
    control: &Control,
) -> Result<pipe::End, Error> {
    let mut deal = Deal::new(collect);
    let passes = Passes { decide: number, emit: Some(&mut deal) };
    let end = pipe::run(source.input(), &settings.plan(), passes, control)?;
    let late = number.finish();
    deal.finish(&late).map_err(Error::Output)?;
    Ok(end)
}

/// Per block: flows and places.
fn blocks(table: &Table, places: bool) -> Vec<(u32, u64)> {
    let (mut blocks, mut flows, mut packets) = (Vec::new(), 0, 0);
    for flow in table.iter() {
        flows += 1;
        packets += if places { flow.packets() } else { 0 };
        if flows as usize == BLOCK || packets >= RUN as u64 {
            blocks.push((flows, packets));
            (flows, packets) = (0, 0);
        }
    }
    if flows > 0 {
        blocks.push((flows, packets));
    }
    blocks
}

fn write(head: &Head, table: &Table, collect: &Collect, out: &Path, control: &Control) -> Result<u64, Error> {
    let file = File::create(out).map_err(Error::Output)?;
    let mut writer = Writer::new(BufWriter::with_capacity(1 << 18, file)).map_err(Error::Output)?;
    writer.part(&head.encode()).map_err(Error::Output)?;
    if head.places {
        for run in collect.gaps.chunks(RUN) {
            writer.part(&places::encode(run)).map_err(Error::Output)?;
        }
    }
    let (mut n, mut flows) = (0, table.iter());
    for &(count, packets) in &head.blocks {
        if control.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let rows: Vec<&Flow> = flows.by_ref().take(count as usize).collect();
        writer.part(&flows::encode(&rows)).map_err(Error::Output)?;
        if !head.places {
            continue;
        }
        let (mut run, mut written, mut before) = (Vec::with_capacity(RUN), 0, Step::default());
        for flow in n..n + count {
            for (i, mut step) in collect.trails.of(flow).enumerate() {
                if i == 0 {
                    let first = step;
                    step.gap = signed(before.gap, first.gap);
                    step.between = signed(before.between, first.between);
                    before = first;
                }
                run.push(step);
                if run.len() == RUN {
                    writer.part(&places::encode(&run)).map_err(Error::Output)?;
                    written += run.len() as u64;
                    run.clear();
                }
            }
        }
        if !run.is_empty() {
            writer.part(&places::encode(&run)).map_err(Error::Output)?;
            written += run.len() as u64;
        }
        if written != packets {
            let text = format!("{packets} packets of a block were counted and {written} found");
            return Err(Error::Output(io::Error::other(text)));
        }
        n += count;
    }
    writer.finish().map_err(Error::Output)
}

/// Notes where records lie.
#[derive(Default)]
struct Collect {
    /// False: they cannot be read one by one.
    places: bool,
    trails: Trails,
    /// Runs of blocks that are no packets.
    gaps: Vec<Step>,
    end: u64,
    /// Records before the chunk.
    number: u64,
}

impl Collect {
    fn gap(&mut self, start: u64, len: usize) {
        if len > 0 {
            self.gaps.push(Step { gap: start - self.end, len: len as u32, between: 0 });
            self.end = start + len as u64;
        }
    }
}

/// Where the packet of a Simple Packet Block begins in it.
const SIMPLE: u32 = 12;

impl Take for Collect {
    fn take(&mut self, chunk: &Chunk) -> io::Result<()> {
        if !self.places {
            return Ok(());
        }
        let pcapng = chunk.format == "pcapng";
        let mut at = chunk.from + chunk.head;
        for ((record, &tag), number) in chunk.records.iter().zip(&chunk.tags).zip(self.number..) {
            let start = record.start as usize;
            self.gap(chunk.base + at as u64, start - at);
            at = start + record.len as usize;
            if tag != UNCHOSEN {
                self.trails.add(tag, chunk.base + u64::from(record.start), record.len, number);
            }
            if pcapng && record.data - record.start == SIMPLE {
                // It has the time of the packet before it, so it cannot be read alone.
                self.places = false;
                return Ok(());
            }
        }
        self.number += u64::from(chunk.walked);
        self.gap(chunk.base + at as u64, chunk.to - at);
        Ok(())
    }
}
