//! Gets the next chunk of a capture, ending at a record border.

use std::io::{self, Read};
use std::sync::Arc;

use super::chunk::Chunk;
use super::Stop;
use crate::error::{Damage, DamageKind, NotACapture};
use crate::record::{Interface, Walker};

/// Reading at a position, from several threads at once.
pub trait ReadAt: Sync {
    /// Reads some bytes at `offset`; 0 is the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
}

/// Where the bytes of a capture come from.
pub enum Input<'a> {
    /// A file of known size that can be read anywhere.
    At(&'a dyn ReadAt, u64),
    /// A pipe or a decompressor: one byte after the other.
    Stream(&'a mut (dyn Read + Send)),
}

/// How much is looked at to tell the format.
const PREFIX: usize = 1 << 16;

/// What passes from chunk to chunk.
pub(super) struct Walk<'a> {
    pub walker: Walker,
    /// Offset at which the next record begins.
    pub next: u64,
    pub damage: Option<Damage>,
    pub ended: bool,
    stream: Option<&'a mut (dyn Read + Send)>,
    /// Stream: bytes that were read but not walked.
    rest: Vec<u8>,
    at_end: bool,
    interfaces: Arc<[Interface]>,
}

/// The shared side of an input: what workers may use without a turn.
#[derive(Clone, Copy)]
pub(super) struct Positions<'a> {
    pub file: Option<(&'a dyn ReadAt, u64)>,
    pub chunk: usize,
}

impl<'a> Walk<'a> {
    /// Tells the format from the first bytes.
    pub fn open(input: Input<'a>, chunk: usize) -> Result<(Self, Positions<'a>), Stop> {
        let mut prefix = vec![0; PREFIX];
        let mut damage = None;
        let (filled, file, stream) = match input {
            Input::At(file, size) => {
                let n =
                    read_at_full(file, &mut prefix, 0).map_err(|error| Stop::Read { offset: 0, error })?;
                (n, Some((file, size)), None)
            }
            Input::Stream(stream) => {
                let (n, error) = fill(stream, &mut prefix);
                damage = error.map(|e| broken_stream(n as u64, e)).transpose()?;
                (n, None, Some(stream))
            }
        };
        prefix.truncate(filled);
        if prefix.is_empty() && damage.is_none() {
            return Err(Stop::NotACapture(NotACapture::Empty));
        }
        let walker = Walker::open(&prefix).map_err(Stop::NotACapture)?;
        let at_end = damage.is_some() || filled < PREFIX;
        let rest = if file.is_some() { Vec::new() } else { prefix };
        // The first chunk holds the whole file header.
        let chunk = chunk.max(walker.header_len());
        let walk =
            Self { walker, next: 0, damage, ended: false, stream, rest, at_end, interfaces: Arc::new([]) };
        Ok((walk, Positions { file, chunk }))
    }

    /// Walks the records of a chunk whose bytes are read already (plain file), or reads and
    /// walks them (stream). Leaves the chunk empty when the capture has ended.
    pub fn walk(&mut self, c: &mut Chunk, positions: Positions<'_>) -> Result<(), Stop> {
        if self.ended {
            return Ok(());
        }
        c.format = self.walker.format();
        c.evidence = self.walker.evidence();
        c.shape = self.walker.shape();
        match positions.file {
            Some((file, size)) => self.walk_at(c, file, size, positions.chunk)?,
            None => self.walk_stream(c, positions.chunk)?,
        }
        let interfaces = self.walker.interfaces();
        if interfaces.len() != self.interfaces.len() {
            self.interfaces = interfaces.into();
        }
        c.interfaces = self.interfaces.clone();
        Ok(())
    }

    fn walk_at(&mut self, c: &mut Chunk, file: &dyn ReadAt, size: u64, room: usize) -> Result<(), Stop> {
        let whole = c.base + room as u64;
        // A file that was shortened while it is read ends where it ends now.
        let mut end = c.base + c.bytes.len() as u64 >= size || c.bytes.len() < room;
        if self.next >= c.base + c.bytes.len() as u64 {
            self.ended = end;
            return Ok(()); // one record reaches over all of this chunk
        }
        c.from = (self.next - c.base) as usize;
        c.to = c.from;
        if self.next == 0 {
            c.head = self.walker.header_len().min(c.bytes.len());
            c.to = c.head;
        }
        loop {
            let step = self.step(c, end);
            if step.stop || end || c.base + c.to as u64 >= whole {
                break;
            }
            // The last record goes on behind the chunk: fetch just the rest of it.
            let want = c.base + c.to as u64 + step.need as u64;
            let len = (want.min(size) - c.base) as usize;
            let whole = extend(c, file, len.max(c.bytes.len() + 1))?;
            end = !whole || want >= size;
        }
        self.next = c.base + c.to as u64;
        self.ended = self.damage.is_some() || (end && c.to == c.bytes.len());
        Ok(())
    }

    fn walk_stream(&mut self, c: &mut Chunk, room: usize) -> Result<(), Stop> {
        c.base = self.next;
        c.bytes.clear();
        c.bytes.append(&mut self.rest);
        if self.next == 0 {
            c.head = self.walker.header_len();
            c.to = c.head;
        }
        let mut want = room;
        loop {
            self.fill_stream(c, want)?;
            let before = c.to;
            let step = self.step(c, self.at_end);
            if step.stop || self.at_end || c.to > before {
                break;
            }
            want = (c.to + step.need).max(c.bytes.len() + 1);
        }
        self.rest.extend_from_slice(&c.bytes[c.to..]);
        self.next = c.base + c.to as u64;
        self.ended = self.damage.is_some() || (self.at_end && self.rest.is_empty());
        Ok(())
    }

    fn fill_stream(&mut self, c: &mut Chunk, want: usize) -> Result<(), Stop> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        // Grows with what has come, so that a length that lies allocates nothing.
        while !self.at_end && c.bytes.len() < want {
            let have = c.bytes.len();
            let step = (want - have).min(have.max(PREFIX));
            c.bytes.resize(have + step, 0);
            let (got, error) = fill(*stream, &mut c.bytes[have..]);
            c.bytes.truncate(have + got);
            if let Some(error) = error {
                let at = c.base + (have + got) as u64;
                self.damage = Some(broken_stream(at, error)?);
            }
            self.at_end = got < step;
        }
        Ok(())
    }

    /// Walks what is in the buffer from `c.to` on.
    fn step(&mut self, c: &mut Chunk, end: bool) -> Step {
        let first = c.records.len();
        let base = c.base + c.to as u64;
        let walked = self.walker.walk(&c.bytes[c.to..], base, end, usize::MAX, &mut c.records);
        let shift = c.to as u32;
        for record in &mut c.records[first..] {
            record.start += shift;
            record.data += shift;
        }
        c.to += walked.consumed;
        if let Some(damage) = walked.damage {
            // Where the compression is broken that is the cause; that the capture ends there only follows.
            self.damage.get_or_insert(damage);
            return Step { stop: true, need: 0 };
        }
        Step { stop: c.to >= c.bytes.len(), need: walked.need }
    }
}

struct Step {
    stop: bool,
    need: usize,
}

/// Makes the chunk's buffer `len` bytes long; false when the file ends before.
fn extend(c: &mut Chunk, file: &dyn ReadAt, len: usize) -> Result<bool, Stop> {
    let have = c.bytes.len();
    c.bytes.resize(len, 0);
    let offset = c.base + have as u64;
    let got =
        read_at_full(file, &mut c.bytes[have..], offset).map_err(|error| Stop::Read { offset, error })?;
    c.bytes.truncate(have + got);
    Ok(have + got == len)
}

/// An error of the operating system ends the run; all others come from a decompressor, and then
/// the data is what is broken.
fn broken_stream(offset: u64, error: io::Error) -> Result<Damage, Stop> {
    if error.raw_os_error().is_some() {
        return Err(Stop::Read { offset, error });
    }
    let detail = format!("the compressed data is broken or cut off behind this byte: {error}");
    Ok(Damage { offset, kind: DamageKind::Compression, detail })
}

/// Fills the buffer as far as the file goes.
pub(super) fn read_at_full(file: &dyn ReadAt, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match file.read_at(&mut buf[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

fn fill(stream: &mut dyn Read, buf: &mut [u8]) -> (usize, Option<io::Error>) {
    let mut filled = 0;
    while filled < buf.len() {
        match stream.read(&mut buf[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return (filled, Some(e)),
        }
    }
    (filled, None)
}
