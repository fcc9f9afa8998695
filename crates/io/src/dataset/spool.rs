//! Events of one flow into a file, to be read again one after another.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flowkeep_core::pipe::Listen;
use flowkeep_core::stream::{Event, GapReason, Kind, Origin, Segment};

/// Writes events. Each is 72 bytes, little-endian, and the bytes that come with it:
///
/// ```text
/// u8 kind, direction, gap reason, number of the anomaly     u32 epoch
/// i64 offset     u64 length     u64 frame     i64 time     u8 ttl, 0     u16 ip id     u32 skip
/// u64 frame     i64 time     u8 ttl, 0     u16 ip id     u32 0            of an overlap's other version
/// ```
pub struct Spool {
    out: BufWriter<File>,
    as_seen: bool,
    failed: Option<io::Error>,
}

const DATA: u8 = 1;
const GAP: u8 = 2;
const OVERLAP: u8 = 3;
const RESET: u8 = 4;
const FIN: u8 = 5;
const ANOMALY: u8 = 6;
const DATAGRAM: u8 = 7;
const SEEN: u8 = 8;

#[derive(Default)]
struct Head {
    kind: u8,
    dir: u8,
    reason: u8,
    name: u8,
    epoch: u32,
    offset: i64,
    length: u64,
    origin: Origin,
    skip: u32,
    other: Origin,
}

impl Spool {
    /// Writes to `path`. `as_seen`: segments as they were captured, and nothing that was concluded from them.
    pub fn new(path: &Path, as_seen: bool) -> io::Result<Self> {
        let out = BufWriter::with_capacity(1 << 18, File::create(path)?);
        Ok(Self { out, as_seen, failed: None })
    }

    /// Ends the file.
    pub fn finish(mut self) -> io::Result<()> {
        self.rest()?;
        self.out.flush()
    }

    fn put(&mut self, head: &Head, parts: [&[u8]; 2]) {
        let mut raw = Vec::with_capacity(72);
        raw.extend_from_slice(&[head.kind, head.dir, head.reason, head.name]);
        raw.extend_from_slice(&head.epoch.to_le_bytes());
        raw.extend_from_slice(&head.offset.to_le_bytes());
        raw.extend_from_slice(&head.length.to_le_bytes());
        for (origin, extra) in [(head.origin, head.skip), (head.other, 0)] {
            raw.extend_from_slice(&origin.frame.to_le_bytes());
            raw.extend_from_slice(&origin.ts.to_le_bytes());
            raw.extend_from_slice(&[origin.ttl, 0]);
            raw.extend_from_slice(&origin.ip_id.to_le_bytes());
            raw.extend_from_slice(&extra.to_le_bytes());
        }
        for bytes in [&raw[..], parts[0], parts[1]] {
            if let Err(error) = self.out.write_all(bytes) {
                self.failed.get_or_insert(error);
            }
        }
    }
}

impl Listen for Spool {
    fn event(&mut self, _: u32, event: &Event<'_>) {
        if self.as_seen {
            return;
        }
        let head = Head { dir: event.dir, epoch: event.epoch, origin: event.origin, ..Head::default() };
        let place = |offset: u64| offset as i64;
        let size = |bytes: &[u8]| bytes.len() as u64;
        match event.kind {
            Kind::Data { offset, bytes, skip } => {
                let head = Head { kind: DATA, offset: place(offset), length: size(bytes), skip, ..head };
                self.put(&head, [bytes, &[]]);
            }
            Kind::Gap { offset, length, reason } => {
                let reason = match reason {
                    GapReason::NotCaptured => 0,
                    GapReason::CutByPolicy => 1,
                    GapReason::Snapped => 2,
                };
                self.put(&Head { kind: GAP, offset: place(offset), length, reason, ..head }, [&[], &[]]);
            }
            Kind::Overlap { offset, kept, other, kept_from, other_from } => {
                let head = Head {
                    kind: OVERLAP,
                    offset: place(offset),
                    length: size(kept),
                    origin: kept_from,
                    other: other_from,
                    ..head
                };
                self.put(&head, [kept, other]);
            }
            Kind::Reset { offset } => self.put(&Head { kind: RESET, offset, ..head }, [&[], &[]]),
            Kind::Fin { offset } => {
                self.put(&Head { kind: FIN, offset: place(offset), ..head }, [&[], &[]]);
            }
            Kind::Anomaly { name, offset, bytes } => {
                let head = Head { kind: ANOMALY, offset, length: size(bytes), name: name as u8, ..head };
                self.put(&head, [bytes, &[]]);
            }
        }
    }

    fn seen(&mut self, _: u32, s: &Segment<'_>) {
        if self.as_seen {
            let (offset, length) = (i64::from(s.seq), s.payload.len() as u64);
            let head = Head { kind: SEEN, dir: s.dir, offset, length, origin: s.origin, ..Head::default() };
            self.put(&head, [s.payload, &[]]);
        }
    }

    fn datagram(&mut self, _: u32, dir: u8, origin: Origin, bytes: &[u8], wire: u32) {
        let length = bytes.len() as u64;
        let head = Head { kind: DATAGRAM, dir, offset: i64::from(wire), length, origin, ..Head::default() };
        self.put(&head, [bytes, &[]]);
    }

    fn rest(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}
