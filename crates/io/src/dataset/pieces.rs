//! Streams into files, with no file open in between.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flowkeep_core::pipe::{Listen, FRAME_BITS};
use flowkeep_core::stream::{Event, Kind, Origin};

use crate::digest::Sha256;

/// Bytes of one file that wait in memory.
const BUFFER: usize = 128 << 10;
/// Bytes of all files that wait in memory.
const ROOM: usize = 32 << 20;
/// When there are too many, those of files with so many are written first: small appends cost the most.
const LARGE: usize = 16 << 10;
/// Gaps, overlaps and anomalies that are listed, of one direction and of all; the rest is counted.
const LISTED: usize = 4096;
const LISTED_IN_ALL: usize = 1 << 20;
/// A longer gap is never filled: what comes behind it goes into another file.
const FILLED: u64 = 64 << 20;
/// Bytes of each version of a conflict that are told with it.
const SHOWN: usize = 32;

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

/// A contiguous part of a stream in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Name in the folder.
    pub name: String,
    /// Which connection on the same ports, from 0.
    pub epoch: u32,
    /// Where it begins in the stream.
    pub offset: u64,
    /// Where it ends in the stream.
    pub end: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: String,
    /// There is a table of frames, of this name and `.frames`.
    pub frames: bool,
}

/// Something to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Missing bytes.
    Gap {
        /// Why.
        reason: &'static str,
        /// How many.
        length: u64,
    },
    /// Two versions.
    Overlap {
        /// How many bytes.
        length: u64,
        /// The frame of the version that is kept, and of the other.
        from: [Origin; 2],
        /// How both begin.
        shown: [Vec<u8>; 2],
        /// Files with both, with this name and `.kept` and `.other`.
        name: Option<String>,
    },
    /// Something odd.
    Anomaly {
        /// Its name.
        name: &'static str,
        /// Captured bytes that are not written because of it.
        length: u64,
    },
    /// A RST that counts.
    Reset,
    /// The end.
    Fin,
}

/// A note and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Place in the stream.
    pub offset: i64,
    /// Which connection on the same ports.
    pub epoch: u32,
    /// The frame that made it known.
    pub origin: Origin,
    /// What it says.
    pub note: Note,
}

/// One direction of a flow.
#[derive(Debug, Default)]
pub struct Stream {
    /// Its files.
    pub pieces: Vec<Piece>,
    /// What is to be said of it, in the order it became known.
    pub notes: Vec<Noted>,
    /// Gaps, overlaps and anomalies, listed or not.
    pub seen: [u64; 3],
    /// Datagrams, of UDP.
    pub datagrams: u64,
    open: Option<Box<Open>>,
}

/// The file in the making.
#[derive(Debug, Default)]
struct Open {
    piece: Piece,
    buffer: Vec<u8>,
    /// Bytes before those in the buffer.
    written: u64,
    frames: String,
    digest: Sha256,
    made: [bool; 2],
    hole: bool,
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
    failed: Option<io::Error>,
    bytes: u64,
}

/// Names the folder's files are made under: numbers alone, so that nothing from a capture gets into a path.
fn name_of(at: usize, piece: usize) -> String {
    let (tag, dir) = (at / 2, at % 2);
    if piece == 0 {
        format!("{tag}.{dir}")
    } else {
        format!("{tag}.{dir}.{piece}")
    }
}

impl Pieces {
    /// Makes files in `folder`, which is empty.
    pub fn new(folder: PathBuf, plan: PiecesPlan) -> Self {
        Self { folder, plan, streams: Vec::new(), room: 0, listed: 0, failed: None, bytes: 0 }
    }

    /// Ends the files. Both directions of each flow by tag; and the bytes written.
    pub fn finish(mut self) -> io::Result<(Vec<Option<Box<Stream>>>, u64)> {
        for at in 0..self.streams.len() {
            self.close(at);
        }
        match self.failed {
            Some(error) => Err(error),
            None => Ok((self.streams, self.bytes)),
        }
    }

    fn stream(&mut self, at: usize) -> &mut Stream {
        if at >= self.streams.len() {
            self.streams.resize_with((at | 1) + 1, || None);
        }
        self.streams[at].get_or_insert_default()
    }

    /// The open file, where what comes next lies at `offset`.
    fn open(&mut self, at: usize, epoch: u32, offset: u64) -> &mut Open {
        let fits =
            |open: &Open, gaps| open.piece.epoch == epoch && (open.piece.end == offset || gaps == Gaps::Omit);
        let gaps = self.plan.gaps;
        let stream = self.stream(at);
        if stream.open.as_ref().is_some_and(|open| !fits(open, gaps)) {
            self.close(at);
        }
        let stream = self.stream(at);
        let number = stream.pieces.len();
        stream.open.get_or_insert_with(|| {
            let piece = Piece { name: name_of(at, number), epoch, offset, end: offset, ..Piece::default() };
            Box::new(Open { piece, ..Open::default() })
        })
    }

    fn data(&mut self, at: usize, d: &Part<'_>, map: bool) {
        let Part { epoch, offset, bytes, missing, origin } = *d;
        let open = self.open(at, epoch, offset);
        let before = open.buffer.capacity() + open.frames.capacity();
        if map {
            let place = open.written + open.buffer.len() as u64;
            let (file, frame) = (origin.frame >> FRAME_BITS, origin.frame & ((1 << FRAME_BITS) - 1));
            let length = bytes.len();
            let _ = writeln!(open.frames, "{place},{offset},{length},{missing},{file},{frame},{}", origin.ts);
        }
        open.buffer.extend_from_slice(bytes);
        open.piece.end = offset + bytes.len() as u64;
        let full = open.buffer.len() >= BUFFER || open.frames.len() >= BUFFER;
        let after = open.buffer.capacity() + open.frames.capacity();
        self.room += after - before;
        if full {
            self.flush(at, true);
        }
        if self.room > ROOM {
            self.make_room(LARGE);
            if self.room > ROOM / 2 {
                self.make_room(0);
            }
        }
    }

    /// Writes what waits for files of which at least so many bytes do.
    fn make_room(&mut self, least: usize) {
        for at in 0..self.streams.len() {
            let open = self.streams[at].as_ref().and_then(|s| s.open.as_ref());
            if open.is_some_and(|open| open.buffer.capacity() + open.frames.capacity() >= least.max(1)) {
                self.flush(at, false);
            }
        }
    }

    fn gap(&mut self, at: usize, epoch: u32, offset: u64, length: u64) {
        if !matches!(self.plan.gaps, Gaps::Zero | Gaps::Sparse) {
            return;
        }
        if length > FILLED {
            return self.close(at);
        }
        self.open(at, epoch, offset);
        self.flush(at, true);
        let sparse = self.plan.gaps == Gaps::Sparse;
        let zeros = vec![0; (length as usize).min(BUFFER)];
        let mut left = length;
        while left > 0 {
            let n = left.min(BUFFER as u64) as usize;
            let Some(open) = self.streams[at].as_mut().and_then(|s| s.open.as_mut()) else { return };
            open.digest.update(&zeros[..n]);
            if sparse {
                open.written += n as u64;
                open.hole = true;
            } else if let Err(error) = open.put(&self.folder, &zeros[..n]) {
                self.failed.get_or_insert(error);
                return;
            }
            open.piece.end += n as u64;
            left -= n as u64;
        }
    }

    /// Writes what waits for a file. `keep`: its memory is used again.
    fn flush(&mut self, at: usize, keep: bool) {
        if self.failed.is_some() {
            // Nothing is written any more; the run ends at the next rest.
            return;
        }
        let Some(open) = self.streams[at].as_mut().and_then(|s| s.open.as_mut()) else { return };
        let before = open.buffer.capacity() + open.frames.capacity();
        self.bytes += (open.buffer.len() + open.frames.len()) as u64;
        if let Err(error) = open.flush(&self.folder) {
            self.failed = Some(error);
        }
        if !keep {
            (open.buffer, open.frames) = (Vec::new(), String::new());
        }
        self.room -= before - open.buffer.capacity() - open.frames.capacity();
    }

    fn close(&mut self, at: usize) {
        if self.streams.get(at).is_none_or(Option::is_none) {
            return;
        }
        self.flush(at, false);
        let Some(stream) = self.streams[at].as_mut() else { return };
        let Some(mut open) = stream.open.take() else { return };
        if self.failed.is_none() {
            if let Err(error) = open.end(&self.folder) {
                self.failed = Some(error);
            }
        }
        open.piece.bytes = open.written;
        open.piece.sha256 = open.digest.hex();
        open.piece.frames = open.made[1];
        stream.pieces.push(open.piece);
    }

    fn note(&mut self, at: usize, kind: Option<usize>, noted: Noted) {
        let full = self.listed >= LISTED_IN_ALL;
        let stream = self.stream(at);
        if let Some(kind) = kind {
            stream.seen[kind] += 1;
        }
        if !full && stream.notes.len() < LISTED {
            stream.notes.push(noted);
            self.listed += 1;
        }
    }

    fn overlap(&mut self, at: usize, kept: &[u8], other: &[u8], from: [Origin; 2]) -> Note {
        let number = self.stream(at).seen[1];
        let lists = self.listed < LISTED_IN_ALL && self.stream(at).notes.len() < LISTED;
        let mut name = None;
        if self.plan.versions && lists && self.failed.is_none() {
            let base = format!("{}.v{number}", name_of(at, 0));
            for (end, bytes) in [("kept", kept), ("other", other)] {
                let path = self.folder.join(format!("{base}.{end}"));
                if let Err(error) = std::fs::write(path, bytes) {
                    self.failed.get_or_insert(error);
                }
                self.bytes += bytes.len() as u64;
            }
            name = Some(base);
        }
        let shown = [kept, other].map(|bytes| bytes[..bytes.len().min(SHOWN)].to_vec());
        Note::Overlap { length: kept.len() as u64, from, shown, name }
    }
}

impl Open {
    fn file(&mut self, folder: &Path) -> io::Result<File> {
        let path = folder.join(&self.piece.name);
        let new = !std::mem::replace(&mut self.made[0], true);
        OpenOptions::new().write(true).create_new(new).open(path)
    }

    /// Writes bytes behind those that are written, without their digest.
    fn put(&mut self, folder: &Path, bytes: &[u8]) -> io::Result<()> {
        self.file(folder)?.write_all_at(bytes, self.written)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn flush(&mut self, folder: &Path) -> io::Result<()> {
        if !self.buffer.is_empty() {
            let buffer = std::mem::take(&mut self.buffer);
            self.digest.update(&buffer);
            self.put(folder, &buffer)?;
            self.buffer = buffer;
            self.buffer.clear();
        }
        if !self.frames.is_empty() {
            let path = folder.join(format!("{}.frames", self.piece.name));
            let mut options = OpenOptions::new();
            if std::mem::replace(&mut self.made[1], true) {
                options.append(true);
            } else {
                options.write(true).create_new(true);
            }
            let mut file = options.open(path)?;
            if file.metadata()?.len() == 0 {
                io::Write::write_all(&mut file, b"place,offset,length,missing,file,frame,time_ns\n")?;
            }
            io::Write::write_all(&mut file, self.frames.as_bytes())?;
            self.frames.clear();
        }
        Ok(())
    }

    /// The file gets its full length, also if it ends in a hole.
    fn end(&mut self, folder: &Path) -> io::Result<()> {
        if self.hole {
            self.file(folder)?.set_len(self.written)?;
        }
        Ok(())
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
        self.failed.take().map_or(Ok(()), Err)
    }
}
