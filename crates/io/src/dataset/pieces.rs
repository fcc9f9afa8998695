//! Streams into files: what waits in memory, and what is noted. [`Scribe`] writes.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use flowkeep_core::pipe::{Listen, FRAME_BITS};
use flowkeep_core::stream::{Event, Kind, Origin};

use super::noted::{Note, Noted, Piece, Stream};
use super::scribe::{Scribe, Step, What};
use super::spill::{Spill, Spilled};

/// Bytes of one file that wait in memory.
pub(super) const BUFFER: usize = 64 << 10;
/// Room that a short stream gets at first.
const SMALL: usize = 512;
/// Bytes of all files that wait in memory.
const ROOM: usize = 32 << 20;
/// When there are too many, those of files with so many are written first. The others wait on disk, all in one file:
/// small appends cost the most.
const LARGE: u64 = 16 << 10;
/// Streams of more bytes do not wait there.
const SHORT: u64 = 64 << 10;
/// Gaps, overlaps and anomalies that are listed, of one direction and of all; the rest is counted.
const LISTED: usize = 4096;
const LISTED_IN_ALL: usize = 1 << 20;
/// A longer gap is never filled: what comes behind it goes into another file.
const FILLED: u64 = 64 << 20;
/// Bytes of each version of a conflict that are told with it.
const SHOWN: usize = 32;

const TABLE_HEAD: &str = "place,offset,length,missing,file,frame,time_ns\n";

/// What is written where bytes are missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gaps {
    /// Each contiguous piece goes into a file of its own.
    #[default]
    Split,
    /// Nothing: what is before and behind the gap touch.
    Omit,
    /// Zeros.
    Zero,
    /// A hole in the file, which reads as zeros.
    Sparse,
}

/// How files are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct PiecesPlan {
    /// What stands for gaps.
    pub gaps: Gaps,
    /// Beside each file a table of the frames its bytes came from.
    pub frames: bool,
    /// Each version of a conflict goes into a file of its own.
    pub versions: bool,
}

/// The file in the making.
#[derive(Debug, Default)]
pub(super) struct Open {
    piece: Piece,
    /// Which piece of its stream.
    number: u32,
    buffer: Vec<u8>,
    /// Bytes before those in the buffer.
    written: u64,
    frames: String,
    /// Bytes that wait on disk; then the file was not made.
    spilled: Spilled,
    /// Whether the file, and the table of its frames, were made.
    made: [bool; 2],
    hole: bool,
}

impl Open {
    /// Memory of its buffers.
    fn room(&self) -> usize {
        self.buffer.capacity() + self.frames.capacity()
    }

    /// Bytes in them.
    fn waiting(&self) -> u64 {
        (self.buffer.len() + self.frames.len()) as u64
    }

    /// Hands its buffers over to be written.
    fn hand_over(&mut self, at: usize, name: &str, table: &str, scribe: &mut Scribe, spill: &mut Spill) {
        if !self.buffer.is_empty() || self.spilled.total > 0 {
            let before = spill.take(std::mem::take(&mut self.spilled)).unwrap_or_else(|error| {
                scribe.fail(error);
                None
            });
            let new = !std::mem::replace(&mut self.made[0], true);
            let bytes = std::mem::take(&mut self.buffer);
            let place = if before.is_some() { 0 } else { self.written };
            self.written += bytes.len() as u64;
            scribe.give(Step { at, what: What::Bytes { name: name.to_owned(), bytes, place, new, before } });
        }
        self.hand_over_table(at, table, scribe);
    }

    fn hand_over_table(&mut self, at: usize, table: &str, scribe: &mut Scribe) {
        if !self.frames.is_empty() {
            let new = !std::mem::replace(&mut self.made[1], true);
            let text = std::mem::take(&mut self.frames);
            let text = if new { format!("{TABLE_HEAD}{text}") } else { text };
            scribe.give(Step {
                at,
                what: What::Table { name: table.to_owned(), text: text.into_bytes(), new },
            });
        }
    }
}

/// Bytes to be written.
#[derive(Clone, Copy)]
struct Part<'a> {
    epoch: u32,
    offset: u64,
    bytes: &'a [u8],
    /// Bytes of the datagram behind these that were not captured.
    missing: u64,
    origin: Origin,
}

/// The files in the making, two streams a flow.
pub struct Pieces {
    folder: PathBuf,
    plan: PiecesPlan,
    streams: Vec<Option<Box<Stream>>>,
    /// Memory of all buffers.
    room: usize,
    listed: usize,
    bytes: u64,
    scribe: Scribe,
    spill: Spill,
    /// See [`ROOM`].
    most: usize,
}

/// Names the folder's files are made under: numbers alone, so that nothing from a capture gets into a path.
fn name_of(at: usize, piece: u32) -> String {
    let (tag, dir) = (at / 2, at % 2);
    if piece == 0 {
        format!("{tag}.{dir}")
    } else {
        format!("{tag}.{dir}.{piece}")
    }
}

/// The table of a file's frames, before it has its name.
fn table_of(name: &str) -> String {
    format!("{name}.frames")
}

/// A version of a conflict, before it has its name.
fn version_of(at: usize, number: u64, end: &str) -> String {
    format!("{}.v{number}.{end}", name_of(at, 0))
}

/// The name of a piece in the end.
pub(super) fn final_name(base: &str, piece: &Piece) -> String {
    let mut name = base.to_owned();
    if piece.epoch > 0 {
        let _ = write!(name, ".connection-{}", piece.epoch + 1);
    }
    if piece.offset > 0 {
        let _ = write!(name, ".at-{}", piece.offset);
    }
    name
}

impl Pieces {
    /// Makes files in `folder`, which is empty, with so many threads that write.
    pub fn new(folder: PathBuf, plan: PiecesPlan, threads: usize) -> Self {
        let scribe = Scribe::new(&folder, threads);
        Self {
            folder,
            plan,
            streams: Vec::new(),
            room: 0,
            listed: 0,
            bytes: 0,
            scribe,
            spill: Spill::new(),
            most: ROOM,
        }
    }

    /// Waits until nothing is being written.
    pub fn pause(&mut self) {
        self.scribe.pause();
    }

    /// Bytes of a stream.
    pub fn size(&self, at: usize) -> u64 {
        let Some(Some(stream)) = self.streams.get(at) else { return 0 };
        let open = stream.open.as_ref().map_or(0, |open| open.written + open.buffer.len() as u64);
        open + stream.pieces.iter().map(|piece| piece.bytes).sum::<u64>()
    }

    /// Ends a stream. Its files get names that begin with `base`; without, they are taken away.
    pub fn end(&mut self, at: usize, base: Option<&str>) {
        let Some(Some(stream)) = self.streams.get(at) else { return };
        let before = stream.pieces.len();
        match base {
            Some(_) => self.close(at, base),
            None => self.drop_open(at),
        }
        let Some(Some(stream)) = self.streams.get(at) else { return };
        let scribe = &mut self.scribe;
        let mut name = |from: String, to: Option<String>| {
            let what = match to {
                Some(to) => What::Rename(from, to),
                None => What::Remove(from),
            };
            scribe.give(Step { at, what });
        };
        for (number, piece) in stream.pieces[..before].iter().enumerate() {
            let from = name_of(at, number as u32);
            let to = base.map(|base| final_name(base, piece));
            if piece.frames {
                name(table_of(&from), to.as_ref().map(|to| format!("{to}.frames.csv")));
            }
            if piece.bytes > 0 {
                name(from, to);
            }
        }
        let overlaps = stream.notes.iter().filter_map(|noted| match noted.note {
            Note::Overlap { files, .. } => Some(files),
            _ => None,
        });
        for (number, _) in overlaps.enumerate().filter(|(_, files)| *files) {
            for end in ["kept", "other"] {
                let to = base.map(|base| format!("{base}.overlap-{}.{end}", number + 1));
                name(version_of(at, number as u64, end), to);
            }
        }
    }

    /// Gives up the file in the making.
    fn drop_open(&mut self, at: usize) {
        let Some(Some(stream)) = self.streams.get_mut(at) else { return };
        let Some(mut open) = stream.open.take() else { return };
        self.room -= open.room();
        let name = name_of(at, open.number);
        if open.made[1] {
            self.scribe.give(Step { at, what: What::Remove(table_of(&name)) });
        }
        if open.made[0] {
            self.scribe.give(Step { at, what: What::Remove(name) });
        }
        open.piece.bytes = open.written + open.buffer.len() as u64;
        stream.pieces.reserve_exact(1 + stream.pieces.len() / 2); // most have but one
        stream.pieces.push(open.piece);
    }

    /// Waits for the files. Both directions of each flow by tag; and the bytes written.
    pub fn finish(mut self) -> io::Result<(Vec<Option<Box<Stream>>>, u64)> {
        for ended in self.scribe.finish()? {
            let stream = self.streams.get_mut(ended.at).and_then(Option::as_mut);
            if let Some(piece) = stream.and_then(|stream| stream.pieces.get_mut(ended.piece as usize)) {
                piece.sha256 = ended.sha256;
            }
        }
        Ok((self.streams, self.bytes))
    }

    fn stream(&mut self, at: usize) -> &mut Stream {
        if at >= self.streams.len() {
            self.streams.resize_with((at | 1) + 1, || None);
        }
        self.streams[at].get_or_insert_default()
    }

    /// The open file, where what comes next lies at `offset`.
    fn open(&mut self, at: usize, epoch: u32, offset: u64) -> &mut Open {
        let omit = self.plan.gaps == Gaps::Omit;
        let fits = |open: &Open| open.piece.epoch == epoch && (open.piece.end == offset || omit);
        if self.stream(at).open.as_ref().is_some_and(|open| !fits(open)) {
            self.close(at, None);
        }
        let stream = self.stream(at);
        let number = stream.pieces.len() as u32;
        stream.open.get_or_insert_with(|| {
            let piece = Piece { epoch, offset, end: offset, ..Piece::default() };
            Box::new(Open { piece, number, ..Open::default() })
        })
    }

    fn data(&mut self, at: usize, d: &Part<'_>, map: bool) {
        let Part { epoch, offset, bytes, missing, origin } = *d;
        let open = self.open(at, epoch, offset);
        let (have, more) = (open.buffer.len(), open.buffer.len() + bytes.len());
        if have > 0 && more > BUFFER || open.frames.len() >= BUFFER {
            self.flush(at);
        }
        let Some(open) = self.streams[at].as_mut().and_then(|s| s.open.as_mut()) else { return };
        let before = open.room();
        if map {
            let place = open.written + open.buffer.len() as u64;
            let (file, frame) = (origin.frame >> FRAME_BITS, origin.frame & ((1 << FRAME_BITS) - 1));
            let length = bytes.len();
            let _ = writeln!(open.frames, "{place},{offset},{length},{missing},{file},{frame},{}", origin.ts);
        }
        if open.buffer.capacity() == 0 {
            let long = open.written >= BUFFER as u64 && self.room < self.most / 2;
            let room = if long { BUFFER } else { SMALL.max(bytes.len()) };
            open.buffer = self.scribe.spare(long).unwrap_or_else(|| Vec::with_capacity(room));
        }
        open.buffer.extend_from_slice(bytes);
        open.piece.end = offset + bytes.len() as u64;
        self.room += open.room() - before;
        if self.room > self.most {
            self.make_room(LARGE);
            if self.room > self.most / 2 {
                self.make_room(0);
            }
        }
    }

    /// Hands over what waits for files of which at least so many bytes do.
    fn make_room(&mut self, least: u64) {
        for at in 0..self.streams.len() {
            let open = self.streams[at].as_ref().and_then(|s| s.open.as_ref());
            let Some(open) = open.filter(|open| open.waiting() >= least.max(1)) else { continue };
            let short = !open.made[0] && !open.hole && open.written + open.buffer.len() as u64 <= SHORT;
            if short && least == 0 && !self.spill.is_full() {
                self.spill(at);
            } else {
                self.flush(at);
            }
        }
    }

    fn gap(&mut self, at: usize, epoch: u32, offset: u64, length: u64) {
        if !matches!(self.plan.gaps, Gaps::Zero | Gaps::Sparse) {
            return;
        }
        if length > FILLED {
            return self.close(at, None);
        }
        self.open(at, epoch, offset);
        self.flush(at);
        let sparse = self.plan.gaps == Gaps::Sparse;
        let Some(open) = self.streams[at].as_mut().and_then(|s| s.open.as_mut()) else { return };
        open.piece.end += length;
        open.hole |= sparse;
        let mut left = length;
        while left > 0 {
            let n = left.min(BUFFER as u64);
            let what = if sparse {
                What::Hole(n)
            } else {
                let new = !std::mem::replace(&mut open.made[0], true);
                let bytes = vec![0; n as usize];
                What::Bytes { name: name_of(at, open.number), bytes, place: open.written, new, before: None }
            };
            self.scribe.give(Step { at, what });
            open.written += n;
            left -= n;
        }
    }

    /// Lets what waits in memory for a file wait on disk.
    fn spill(&mut self, at: usize) {
        let Some(Some(stream)) = self.streams.get_mut(at) else { return };
        let Some(open) = &mut stream.open else { return };
        self.room -= open.room();
        self.bytes += open.waiting();
        if !open.buffer.is_empty() {
            let bytes = std::mem::take(&mut open.buffer);
            open.written += bytes.len() as u64;
            match self.spill.put(&self.folder, open.spilled, &bytes) {
                Ok(spilled) => open.spilled = spilled,
                Err(error) => self.scribe.fail(error),
            }
        }
        open.hand_over_table(at, &table_of(&name_of(at, open.number)), &mut self.scribe);
    }

    /// Hands over what waits for a file.
    fn flush(&mut self, at: usize) {
        let Some(Some(stream)) = self.streams.get_mut(at) else { return };
        let Some(open) = &mut stream.open else { return };
        self.room -= open.room();
        self.bytes += open.waiting();
        let name = name_of(at, open.number);
        open.hand_over(at, &name, &table_of(&name), &mut self.scribe, &mut self.spill);
    }

    /// Ends the file in the making. `base`: how its name begins in the end.
    fn close(&mut self, at: usize, base: Option<&str>) {
        let Some(Some(stream)) = self.streams.get_mut(at) else { return };
        let Some(mut open) = stream.open.take() else { return };
        self.room -= open.room();
        self.bytes += open.waiting();
        let from = name_of(at, open.number);
        let [mut name, mut table] = [from.clone(), table_of(&from)];
        let mut named = Vec::new();
        if let Some(base) = base {
            // What is not there yet is made under its name.
            let to = final_name(base, &open.piece);
            for (made, at, to) in
                [(open.made[1], &mut table, format!("{to}.frames.csv")), (open.made[0], &mut name, to)]
            {
                if made {
                    named.push((at.clone(), to));
                } else {
                    *at = to;
                }
            }
        }
        open.hand_over(at, &name, &table, &mut self.scribe, &mut self.spill);
        let mut step = |what| self.scribe.give(Step { at, what });
        if open.hole {
            step(What::Length { name, length: open.written, new: !open.made[0] });
        }
        step(What::End(open.number));
        for (from, to) in named {
            step(What::Rename(from, to));
        }
        open.piece.bytes = open.written;
        open.piece.frames = open.made[1];
        stream.pieces.reserve_exact(1 + stream.pieces.len() / 2); // most have but one
        stream.pieces.push(open.piece);
    }

    fn note(&mut self, at: usize, kind: Option<usize>, noted: Noted) {
        let full = self.listed >= LISTED_IN_ALL;
        let stream = self.stream(at);
        if let Some(kind) = kind {
            stream.seen[kind] += 1;
        }
        if !full && stream.notes.len() < LISTED {
            if stream.notes.len() == stream.notes.capacity() {
                // Of most there is one: the FIN.
                stream.notes.reserve_exact(1 + stream.notes.len() / 2);
            }
            stream.notes.push(noted);
            self.listed += 1;
        }
    }

    fn overlap(&mut self, at: usize, kept: &[u8], other: &[u8], from: [Origin; 2]) -> Note {
        let number = self.stream(at).seen[1];
        let lists = self.listed < LISTED_IN_ALL && self.stream(at).notes.len() < LISTED;
        let files = self.plan.versions && lists && self.scribe.is_well();
        if files {
            for (end, bytes) in [("kept", kept), ("other", other)] {
                if let Err(error) = std::fs::write(self.folder.join(version_of(at, number, end)), bytes) {
                    self.scribe.fail(error);
                }
                self.bytes += bytes.len() as u64;
            }
        }
        let shown = |bytes: &[u8]| bytes[..bytes.len().min(SHOWN)].to_vec();
        let versions = Box::new([(from[0], shown(kept)), (from[1], shown(other))]);
        Note::Overlap { length: kept.len() as u64, versions, files }
    }
}

impl Listen for Pieces {
    fn event(&mut self, tag: u32, event: &Event<'_>) {
        let at = tag as usize * 2 + usize::from(event.dir & 1);
        let (epoch, origin) = (event.epoch, event.origin);
        let noted = |offset, note| Noted { offset, epoch, origin, note };
        match event.kind {
            Kind::Data { offset, bytes, .. } => {
                self.data(at, &Part { epoch, offset, bytes, missing: 0, origin }, self.plan.frames);
            }
            Kind::Gap { offset, length, reason } => {
                let note = Note::Gap { reason: reason.name(), length };
                self.note(at, Some(0), noted(offset as i64, note));
                self.gap(at, epoch, offset, length);
            }
            Kind::Overlap { offset, kept, other, kept_from, other_from } => {
                let note = self.overlap(at, kept, other, [kept_from, other_from]);
                self.note(at, Some(1), noted(offset as i64, note));
            }
            Kind::Anomaly { name, offset, bytes } => {
                let note = Note::Anomaly { name: name.name(), length: bytes.len() as u64 };
                self.note(at, Some(2), noted(offset, note));
            }
            Kind::Reset { offset } => self.note(at, None, noted(offset, Note::Reset)),
            Kind::Fin { offset } => self.note(at, None, noted(offset as i64, Note::Fin)),
        }
    }

    fn datagram(&mut self, tag: u32, dir: u8, origin: Origin, bytes: &[u8], wire: u32) {
        let at = tag as usize * 2 + usize::from(dir & 1);
        let stream = self.stream(at);
        stream.datagrams += 1;
        let offset = stream.open.as_ref().map_or(0, |open| open.piece.end);
        let missing = u64::from(wire).saturating_sub(bytes.len() as u64);
        if missing > 0 {
            let note = Note::Gap { reason: "snapped", length: missing };
            let offset = offset as i64 + bytes.len() as i64;
            self.note(at, Some(0), Noted { offset, epoch: 0, origin, note });
        }
        self.data(at, &Part { epoch: 0, offset, bytes, missing, origin }, true);
    }

    fn rest(&mut self) -> io::Result<()> {
        self.scribe.check()
    }
}

#[cfg(test)]
#[path = "pieces_tests.rs"]
mod tests;
