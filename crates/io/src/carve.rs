//! Packets out of files that are no captures, into one pcapng capture.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use flowkeep_core::carve::{scan, Class, Found, Hit, Level, Settler, Window, BEFORE, BEHIND};
use flowkeep_core::pipe::{Control, Input, Stop};
use flowkeep_core::record::{write, Interface, TsResol};

use crate::codec::Compression;
use crate::dataset::{Error, Output};
use crate::source::Source;

/// Places that one thread judges at a time.
const BLOCK: usize = 4 << 20;
/// Link types of the two interfaces.
const LINKS: [(u16, &str); 2] = [(1, "carved-ethernet"), (101, "carved-ip")];
/// Bytes of a name that go into a comment.
const NAME: usize = 200;

/// What was found in one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CarveReport {
    /// How the file is compressed.
    pub compression: Option<Compression>,
    /// Bytes that were looked at, decompressed.
    pub scanned: u64,
    /// Packets, in the order of [`Class::ALL`].
    pub classes: [u64; Class::ALL.len()],
    /// Captured bytes of the packets.
    pub bytes: u64,
    /// Packets with an Ethernet header.
    pub ethernet: u64,
    /// Packets whose time is known from a record header.
    pub timed: u64,
    /// Places that looked like packets and were part of another one or lost against it.
    pub overlapped: u64,
    /// Where the compressed data is broken, and how.
    pub damage: Option<(u64, String)>,
}

/// Files being carved.
pub struct Carve {
    output: Output,
    level: Level,
    jobs: usize,
    block: usize,
    bytes: Vec<u8>,
}

impl Carve {
    /// Begins the capture `out` (`-` is standard output). `jobs` 0: one per core.
    pub fn new(out: &Path, level: Level, jobs: usize) -> Result<Self, Error> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let mut carve = Self {
            output: Output::open(Some(out), None, false).map_err(Error::Output)?,
            level,
            jobs: if jobs == 0 { cores() } else { jobs },
            block: BLOCK,
            bytes: Vec::new(),
        };
        write::section(&mut carve.bytes);
        for (link, name) in LINKS {
            let interface = Interface {
                link,
                snaplen: write::SNAPLEN,
                name: Some(name.to_owned()),
                ts_resol: TsResol::NANO,
                ts_offset: 0,
                section: 0,
            };
            write::interface(&mut carve.bytes, &interface);
        }
        carve.flush()?;
        Ok(carve)
    }

    /// Makes blocks smaller, so that a test has many borders.
    pub fn set_block(&mut self, block: usize) {
        self.block = block.max(1);
    }

    /// Carves one file; `-` is standard input. `label`: its name in the comments.
    pub fn file(&mut self, path: &Path, label: &str, control: &Control) -> Result<CarveReport, Error> {
        let mut source = Source::open(path, control).map_err(Error::Open)?;
        let mut report = CarveReport { compression: source.compression(), ..CarveReport::default() };
        let label = shortened(label);
        let mut reader = Reader { input: source.input(), next: 0, tail: Vec::new(), over: false };
        let mut settler = Settler::default();
        let mut held: VecDeque<Block> = VecDeque::new();
        let mut hits = Vec::new();
        while !reader.over {
            let mut blocks = Vec::new();
            for _ in 0..self.jobs {
                if control.is_cancelled() {
                    return Err(Error::Cancelled);
                }
                blocks.extend(reader.block(self.block, &mut report)?);
            }
            scan_all(&mut blocks, self.level);
            for mut block in blocks {
                control.add_done((block.to - block.from) as u64);
                let found = std::mem::take(&mut block.found);
                held.push_back(block);
                for found in found {
                    settler.push(found, &mut hits);
                    self.write(&mut hits, &held, label, &mut report)?;
                }
                let reached = held.back().map_or(0, |b| b.base + b.to as u64);
                settler.reached(reached, &mut hits);
                self.write(&mut hits, &held, label, &mut report)?;
                let needed = settler.needs().unwrap_or(u64::MAX);
                while held.len() > 1 && held[0].base + held[0].to as u64 <= needed {
                    held.pop_front();
                }
            }
        }
        settler.finish(&mut hits);
        self.write(&mut hits, &held, label, &mut report)?;
        self.flush()?;
        report.scanned = reader.next;
        report.overlapped = settler.overlapped();
        Ok(report)
    }

    /// Ends the capture; gives its size.
    pub fn finish(self) -> Result<u64, Error> {
        self.output.finish().map(|(bytes, _)| bytes).map_err(Error::Output)
    }

    fn write(
        &mut self,
        hits: &mut Vec<Hit>,
        held: &VecDeque<Block>,
        label: &str,
        report: &mut CarveReport,
    ) -> Result<(), Error> {
        for hit in hits.drain(..) {
            // The block in which it begins holds all of it.
            let Some(block) = held.iter().find(|b| hit.at < b.base + b.to as u64) else { continue };
            let at = |place: u64| (place - block.base) as usize;
            let data = &block.bytes[at(hit.start)..at(hit.end)];
            let id = u32::from(hit.evidence.ethernet == 0);
            let comment = format!("carved from byte {} of {label}: {}", hit.start, hit.reasons());
            let ts = hit.ns().unwrap_or(0);
            write::commented_packet(&mut self.bytes, id, TsResol::NANO, ts, data, hit.wirelen, &comment);
            report.classes[hit.class as usize] += 1;
            report.bytes += data.len() as u64;
            report.ethernet += u64::from(hit.evidence.ethernet != 0);
            report.timed += u64::from(hit.ns().is_some());
        }
        if self.bytes.len() >= 1 << 18 {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.output.write_all(&self.bytes).map_err(Error::Output)?;
        self.bytes.clear();
        Ok(())
    }
}

fn shortened(label: &str) -> &str {
    let mut end = label.len().min(NAME);
    while !label.is_char_boundary(end) {
        end -= 1;
    }
    &label[..end]
}

/// A piece of the input: the bytes of a [`Window`].
struct Block {
    bytes: Vec<u8>,
    base: u64,
    from: usize,
    to: usize,
    found: Vec<Found>,
}

fn scan_all(blocks: &mut [Block], level: Level) {
    let one = |block: &mut Block| {
        let window = Window { bytes: &block.bytes, base: block.base, from: block.from, to: block.to };
        scan(&window, level, &mut block.found);
    };
    if let [only] = blocks {
        one(only);
    } else {
        std::thread::scope(|scope| {
            for block in blocks {
                scope.spawn(move || one(block));
            }
        });
    }
}

/// Gives the input in blocks that overlap.
struct Reader<'a> {
    input: Input<'a>,
    /// First place that has not been given to be judged.
    next: u64,
    /// What stands before and behind it.
    tail: Vec<u8>,
    over: bool,
}

impl Reader<'_> {
    fn block(&mut self, room: usize, report: &mut CarveReport) -> Result<Option<Block>, Error> {
        if self.over {
            return Ok(None);
        }
        let mut bytes = std::mem::take(&mut self.tail);
        let from = (self.next as usize).min(BEFORE);
        let base = self.next - from as u64;
        let have = bytes.len();
        bytes.resize(from + room + BEHIND, 0);
        let got = self.fill(&mut bytes[have..], base + have as u64, report)?;
        self.over = have + got < bytes.len();
        bytes.truncate(have + got);
        let to = if self.over { bytes.len() } else { from + room };
        self.next = base + to as u64;
        if !self.over {
            self.tail.extend_from_slice(&bytes[to - (self.next as usize).min(BEFORE)..]);
        }
        Ok(Some(Block { bytes, base, from, to, found: Vec::new() }))
    }

    fn fill(&mut self, buf: &mut [u8], offset: u64, report: &mut CarveReport) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buf.len() {
            let at = offset + filled as u64;
            let read = match &mut self.input {
                Input::At(file, _) => file.read_at(&mut buf[filled..], at),
                Input::Stream(stream) => stream.read(&mut buf[filled..]),
            };
            match read {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                // A decompressor says that the data is broken: what came out before is good.
                Err(e) if e.raw_os_error().is_none() && report.compression.is_some() => {
                    report.damage = Some((at, e.to_string()));
                    break;
                }
                Err(error) => return Err(Stop::Read { offset: at, error }.into()),
            }
        }
        Ok(filled)
    }
}
