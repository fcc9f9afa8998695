//! Indexes: where each flow's packets lie in a capture, and the rows of its flow table.
//!
//! A result from an index is byte for byte that of a pass over the capture. Where that cannot be said
//! for certain the index is not used; who asks is told why.

mod build;
mod bytes;
mod file;
mod flows;
mod head;
mod places;
mod stamp;
mod trails;

pub use build::{build, Built};
pub use file::VERSION;
pub use head::Head;

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flowkeep_core::flow::community::community_id;
use flowkeep_core::flow::{Flow, Table};
use flowkeep_core::packet::{Key, Options};
use flowkeep_core::pipe::{Chunk, Control, Expected, Misfit, Pick, Take};

use self::bytes::Broken;
use self::file::{Parts, Writer};
use self::places::{at_signed, Place, Reader, Step, RUN};
use self::stamp::Stamp;
use crate::dataset::Error;

/// Bytes of a block's flows at most: fewer than 150 each.
const MOST_ROWS: usize = flows::BLOCK * 400;
/// Records that are picked at most (16 bytes each in memory); for more, a pass over the capture is as good.
const MOST_PICKED: u64 = 1 << 22;
/// Bytes that are handed on together.
const BATCH: u64 = 1 << 20;
/// So much between two records is read and thrown away: it takes no longer than to read anew.
const LEAP: u64 = 8 << 10;
/// Bytes of a record at least.
const LEAST: u64 = 16;
/// Bytes between two records, or of one, at most: a chunk and the longest block.
const LONGEST: u32 = 132 << 20;
/// What is looked at to tell the format, as for any capture.
const PREFIX: u64 = 1 << 16;

/// An index that fits its capture.
pub struct Index {
    parts: Parts,
    head: Head,
    capture: File,
    /// Per block: its first part, its first flow.
    blocks: Vec<(usize, u32)>,
    flows: u32,
}

impl Index {
    /// Opens the index of a capture. The error says in words why it is of no use.
    pub fn open(path: &Path, capture: &Path) -> Result<Self, String> {
        let index = Self::open_any(path, capture)?;
        let now = Stamp::of(&index.capture).map_err(|e| format!("the capture cannot be read: {e}"))?;
        match index.head.stamp.differs(&now) {
            Some(why) => Err(why),
            None => Ok(index),
        }
    }

    /// The same for an index that may be of another file.
    fn open_any(path: &Path, capture: &Path) -> Result<Self, String> {
        let opened = |what: &str, path: &Path| {
            let file = File::open(path).map_err(|e| format!("{what} cannot be opened: {e}"))?;
            match file.metadata() {
                Ok(about) if about.is_file() => Ok(file),
                _ => Err(format!("{what} is no file")),
            }
        };
        let parts = Parts::open(opened("it", path)?)?;
        let head = parts.read(0, head::MOST)?;
        let head =
            Head::decode(&head, parts.len()).map_err(|Broken(why)| format!("its head is broken: {why}"))?;
        let runs = |places: u64| places.div_ceil(RUN as u64) as usize;
        let (mut part, mut flows, mut packets) = (1_usize.saturating_add(runs(head.gaps)), 0_u32, 0_u64);
        let mut blocks = Vec::with_capacity(head.blocks.len());
        for &(count, places) in &head.blocks {
            blocks.push((part, flows));
            part = part.saturating_add(1).saturating_add(runs(places));
            flows = flows.checked_add(count).ok_or("it has too many flows")?;
            packets = packets.saturating_add(places);
        }
        let found = &head.report.stats;
        let most = match head.report.compression {
            None => found.packets.min(head.stamp.size / LEAST),
            Some(_) => found.packets,
        };
        let fit = part == parts.len() && packets <= most && u64::from(flows) <= most;
        if !fit || flows > head.rules.max_flows {
            return Err("its head is broken: the counts do not add up".to_owned());
        }
        Ok(Self { parts, head, capture: opened("the capture", capture)?, blocks, flows })
    }

    /// What it says about the capture as a whole.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Number of flows.
    pub fn len(&self) -> u32 {
        self.flows
    }

    /// Whether there are no flows.
    pub fn is_empty(&self) -> bool {
        self.flows == 0
    }

    fn block(&self, block: usize) -> Result<Vec<Flow>, String> {
        let raw = self.parts.read(self.blocks[block].0, MOST_ROWS)?;
        flows::decode(&raw, self.head.blocks[block].0 as usize)
            .map_err(|Broken(why)| format!("its flows are broken: {why}"))
    }

    /// The flow table.
    pub fn table(&self) -> Result<Table, String> {
        let mut failed = None;
        let blocks = (0..self.blocks.len()).map_while(|b| self.block(b).map_err(|e| failed = Some(e)).ok());
        let table = Table::listed(self.head.rules, blocks.flatten());
        failed.map_or(Ok(table), Err)
    }

    /// The `flow_id`s of flows with one of these Community IDs; `None`: ids are no numbers in this
    /// index, the whole table is needed.
    pub fn with_community(&self, ids: &[String], seed: u16) -> Result<Option<Vec<u32>>, String> {
        if !self.head.plain {
            return Ok(None);
        }
        let mut found = Vec::new();
        for (block, &(_, first)) in self.blocks.iter().enumerate() {
            for (flow, n) in self.block(block)?.iter().zip(first..) {
                let id = community_id(flow, seed);
                if id.is_some_and(|id| ids.iter().any(|wanted| wanted.as_bytes() == id)) {
                    found.push(n);
                }
            }
        }
        Ok(Some(found))
    }

    /// Whether records of these flows (numbers in the table) can be read from their places, and it is
    /// quicker than a pass over everything.
    pub fn can_pick(&self, wanted: &[(u32, u32)]) -> Result<bool, String> {
        if !self.head.places || self.head.gaps > MOST_PICKED {
            return Ok(false);
        }
        let mut packets = 0_u64;
        self.each(wanted, |_, flow, _| {
            packets = packets.saturating_add(flow.packets());
        })?;
        Ok(packets <= MOST_PICKED.min(self.head.report.stats.packets / 3).max(1000))
    }

    /// Calls `with` for each wanted flow: its block, itself, its tag; in the order of their numbers.
    fn each(&self, wanted: &[(u32, u32)], mut with: impl FnMut(usize, &Flow, u32)) -> Result<(), String> {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        let (mut at, mut rows) = (usize::MAX, Vec::new());
        for (n, tag) in wanted {
            let block = self.blocks.partition_point(|b| b.1 <= n) - 1;
            if block != at {
                (at, rows) = (block, self.block(block)?);
            }
            let row = n - self.blocks[block].1;
            let flow = rows.get(row as usize).ok_or_else(|| format!("it has no flow {n}"))?;
            with(block, flow, tag);
        }
        Ok(())
    }

    /// Where the records of these flows lie, in the order of the capture, and the keys by tag.
    fn places(&self, wanted: &[(u32, u32)]) -> Result<(Vec<Place>, Vec<Key>), String> {
        let mut tags: Vec<(u32, u32)> = wanted.to_vec();
        tags.sort_unstable();
        let most = tags.iter().map(|t| t.1).max().map_or(0, |t| t as usize + 1);
        if most > tags.len() {
            return Err("the tags are not those of the flows".to_owned());
        }
        let (mut places, mut keys) = (Vec::new(), vec![Key::default(); most]);
        let mut at = 0;
        while at < tags.len() {
            let block = self.blocks.partition_point(|b| b.1 <= tags[at].0) - 1;
            let (part, first) = self.blocks[block];
            let (flows, packets) = self.head.blocks[block];
            let mut next = part;
            let mut reader = Reader::new(packets, || {
                next += 1;
                self.parts.read(next, places::MOST)
            });
            let mut before = Step::default();
            for (n, flow) in (first..first + flows).zip(self.block(block)?) {
                let Some(&(_, tag)) = tags.get(at).filter(|t| t.0 < first + flows) else { break };
                let wanted = tags[at].0 == n;
                let (mut end, mut after) = (0, 0_u64);
                for i in 0..flow.packets() {
                    let Step { mut gap, len, mut between } = reader.step()?;
                    if i == 0 {
                        gap = at_signed(before.gap, gap);
                        between = at_signed(before.between, between);
                        before = Step { gap, len, between };
                    }
                    let (start, number) = (gap.saturating_add(end), between.saturating_add(after));
                    end = self.end_of(start, len)?;
                    after = self.after(number)?;
                    if wanted && places.len() as u64 == MOST_PICKED {
                        return Err("it has more places than can be picked".to_owned());
                    }
                    if wanted {
                        places.push(Place { start, len, number, tag });
                    }
                }
                if wanted {
                    keys[tag as usize] = flow.key;
                    at += 1;
                }
            }
            if tags.get(at).is_some_and(|t| t.0 < first + flows) {
                return Err("a flow is wanted twice".to_owned());
            }
        }
        places.sort_unstable_by_key(|p| p.start);
        Ok((places, keys))
    }

    fn end_of(&self, start: u64, len: u32) -> Result<u64, String> {
        let end = start.saturating_add(u64::from(len));
        if len == 0 || len > LONGEST || end > self.head.stamp.size {
            return Err("its places lie outside of the capture".to_owned());
        }
        Ok(end)
    }

    /// The number after that of a record.
    fn after(&self, number: u64) -> Result<u64, String> {
        if number >= self.head.report.stats.packets {
            return Err("its places name more records than there are".to_owned());
        }
        Ok(number + 1)
    }

    fn gaps(&self) -> Result<Vec<Place>, String> {
        let mut part = 0;
        let mut reader = Reader::new(self.head.gaps, || {
            part += 1;
            self.parts.read(part, places::MOST)
        });
        let (mut gaps, mut end) = (Vec::new(), 0_u64);
        for _ in 0..self.head.gaps {
            let Step { gap, len, .. } = reader.step()?;
            let start = end.saturating_add(gap);
            end = self.end_of(start, len)?;
            gaps.push(Place { start, len, number: 0, tag: u32::MAX });
        }
        Ok(gaps)
    }

    /// Reads the records of these flows, and all that is no packet, checks them and hands them on.
    pub fn pick(
        &self,
        wanted: &[(u32, u32)],
        options: Options,
        to: &mut impl Take,
        control: &Control,
    ) -> Result<(), Error> {
        let stale = Error::Stale;
        let (records, keys) = self.places(wanted).map_err(stale)?;
        let gaps = self.gaps().map_err(stale)?;
        let mut pieces = merge(gaps, records);
        let mut end = 0;
        for piece in &pieces {
            if piece.start < end {
                return Err(Error::Stale("its places overlap".to_owned()));
            }
            end = piece.start + u64::from(piece.len);
        }
        let mut prefix = vec![0; PREFIX.min(self.head.stamp.size) as usize];
        self.read(&mut prefix, 0)?;
        let mut pick = Pick::open(&prefix, options).map_err(|e| Error::Stale(e.to_string()))?;
        let header = pick.header_len();
        let mut bytes = prefix[..header.min(prefix.len())].to_vec();
        let mut head = true;
        // The header goes out also when nothing follows.
        if pieces.is_empty() {
            return fed(pick.feed(bytes, &[], true, to));
        }
        let mut rest = &mut pieces[..];
        while !rest.is_empty() {
            if control.is_cancelled() {
                return Err(Error::Cancelled);
            }
            let (mut n, mut sum) = (0, 0);
            let first = rest.iter().find(|p| p.tag != u32::MAX).map_or(0, |p| p.number);
            let near = |p: &Place| u32::try_from(p.number.saturating_sub(first)).is_ok();
            while n < rest.len() && (n == 0 || sum + u64::from(rest[n].len) <= BATCH && near(&rest[n])) {
                sum += u64::from(rest[n].len);
                n += 1;
            }
            let (now, later) = rest.split_at_mut(n);
            self.gather(now, &mut bytes)?;
            let expected: Vec<Expected> = now.iter().map(|p| expect(p, &keys)).collect();
            fed(pick.feed(std::mem::take(&mut bytes), &expected, head, to))?;
            head = false;
            rest = later;
        }
        Ok(())
    }

    /// Looks whether the records of these flows are what they should be.
    pub fn rehearse(&self, wanted: &[(u32, u32)], control: &Control) -> Result<(), Error> {
        self.pick(wanted, self.head.options, &mut Nowhere, control)
    }

    /// Reads pieces, near ones together.
    fn gather(&self, pieces: &[Place], bytes: &mut Vec<u8>) -> Result<(), Error> {
        let mut window = Vec::new();
        let mut at = 0;
        while at < pieces.len() {
            let begin = pieces[at].start;
            let mut end = begin;
            let mut to = at;
            while to < pieces.len() && pieces[to].start - end <= LEAP && (to == at || end - begin < BATCH) {
                end = pieces[to].start + u64::from(pieces[to].len);
                to += 1;
            }
            window.resize((end - begin) as usize, 0);
            self.read(&mut window, begin)?;
            for piece in &pieces[at..to] {
                let from = (piece.start - begin) as usize;
                bytes.extend_from_slice(&window[from..from + piece.len as usize]);
            }
            at = to;
        }
        Ok(())
    }

    fn read(&self, buffer: &mut [u8], at: u64) -> Result<(), Error> {
        self.capture.read_exact_at(buffer, at).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => Error::Stale("the capture is shorter than it was".to_owned()),
            _ => Error::Open(e),
        })
    }

    /// Writes the index anew for a capture that has another stamp and the same content.
    fn restamp(&self, stamp: Stamp, out: &Path) -> Result<u64, Error> {
        let file = File::create(out).map_err(Error::Output)?;
        let mut writer = Writer::new(BufWriter::new(file)).map_err(Error::Output)?;
        let head = Head { stamp, ..self.head.clone() };
        writer.part(&head.encode()).map_err(Error::Output)?;
        for n in 1..self.parts.len() {
            let frame = self.parts.frame(n).map_err(Error::Stale)?;
            writer.frame(&frame).map_err(Error::Output)?;
        }
        writer.finish().map_err(Error::Output)
    }
}

/// For tests: the parts of an index, unpacked.
#[doc(hidden)]
pub fn unpacked(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let parts = Parts::open(File::open(path).map_err(|e| e.to_string())?)?;
    (0..parts.len()).map(|n| parts.read(n, head::MOST)).collect()
}

/// For tests: an index of these parts, whatever they hold, under right digests. Reads all there is in it.
#[doc(hidden)]
pub fn forged(
    parts: &[Vec<u8>],
    path: &Path,
    capture: &Path,
    options: Options,
    to: &mut impl Take,
) -> Result<u32, String> {
    let made = File::create(path).and_then(|file| {
        let mut writer = Writer::new(file)?;
        parts.iter().try_for_each(|part| writer.part(part))?;
        writer.finish()
    });
    made.map_err(|e| e.to_string())?;
    let index = Index::open_any(path, capture)?;
    let table = index.table()?;
    index.with_community(&[String::new()], 0)?;
    let wanted: Vec<(u32, u32)> = (0..table.len().min(100)).map(|n| (n, n)).collect();
    index.can_pick(&wanted)?;
    index.pick(&wanted, options, to, &Control::default()).map_err(|e| e.to_string())?;
    Ok(table.len())
}

/// Compares the whole capture with the digest in its index. If it is the same, and only its stamp is another, the
/// index is written anew to `out`: true.
pub fn verify(path: &Path, capture: &Path, out: Option<&Path>, control: &Control) -> Result<bool, Error> {
    let index = Index::open_any(path, capture).map_err(Error::Stale)?;
    for n in 0..index.parts.len() {
        index.parts.frame(n).map_err(Error::Stale)?;
    }
    let stamp = Stamp::of(&index.capture).map_err(Error::Open)?;
    if stamp.size != index.head.stamp.size {
        return Err(Error::Stale(index.head.stamp.differs(&stamp).unwrap_or_default()));
    }
    let digest = crate::digest::file_digest(capture, control).map_err(Error::Open)?;
    let Some(digest) = digest else { return Err(Error::Cancelled) };
    if digest != index.head.digest {
        let was = &index.head.digest;
        return Err(Error::Stale(format!("the capture's SHA-256 is {digest}, it was {was}")));
    }
    if index.head.stamp == stamp {
        return Ok(false);
    }
    let again = File::open(capture).and_then(|file| Stamp::of(&file)).map_err(Error::Open)?;
    if again != stamp {
        return Err(Error::Stale("the capture was changed while it was read".to_owned()));
    }
    match out {
        None => Err(Error::Stale(index.head.stamp.differs(&stamp).unwrap_or_default())),
        Some(out) => index.restamp(stamp, out).map(|_| true),
    }
}

/// Takes chunks and does nothing with them.
struct Nowhere;

impl Take for Nowhere {
    fn take(&mut self, _: &Chunk) -> io::Result<()> {
        Ok(())
    }
}

fn expect(place: &Place, keys: &[Key]) -> Expected {
    match keys.get(place.tag as usize) {
        Some(&key) => Expected::Record { len: place.len, number: place.number, tag: place.tag, key },
        None => Expected::Blocks(place.len),
    }
}

fn fed(result: Result<(), Misfit>) -> Result<(), Error> {
    result.map_err(|misfit| match misfit {
        Misfit::Take(error) => Error::Output(error),
        Misfit::Other(_, why) => Error::Stale(format!("the capture is not as it was: {why}")),
    })
}

/// Two lists in the order of the capture as one.
fn merge(gaps: Vec<Place>, records: Vec<Place>) -> Vec<Place> {
    if gaps.is_empty() {
        return records;
    }
    let mut all = gaps;
    all.extend(records);
    all.sort_by_key(|p| p.start);
    all
}
