//! Writes what is kept of each chunk, in order.
//!
//! Everything between two records that are left out is written in one piece, so what is no packet (headers,
//! interface blocks, comments, secrets) is copied as it stands.

use std::io::{self, Write};

use super::chunk::Chunk;
use super::copy::Copier;
use super::hold::Hold;
use super::run::Emit;
use crate::cut::{Fate, Late};
use crate::record::shorten;

/// Writes chunks and holds back those with packets whose fate is not known yet.
pub struct Writer<W> {
    to: Cutting<W>,
    hold: Hold<Fate>,
}

/// Writes chunks.
struct Cutting<W> {
    out: W,
    buffer: Vec<u8>,
    /// Packets that were to be shortened but cannot be (Simple Packet Blocks), and their captured bytes
    /// beyond the headers: they were kept whole.
    whole: (u64, u64),
}

impl<W: Write + Send> Writer<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        let to = Cutting { out, buffer: Vec::new(), whole: (0, 0) };
        Self { to, hold: Hold::new(|chunk| &mut chunk.fates, Fate::Wait) }
    }

    /// Tells the last fates and writes what is held; gives the output back, the packets that could not be
    /// shortened, and the bytes that were kept for it.
    pub fn finish(mut self, late: &[Late]) -> io::Result<(W, (u64, u64))> {
        self.hold.finish(late.iter().map(|l| (l.pos, l.fate)), |chunk| self.to.write(chunk))?;
        Ok((self.to.out, self.to.whole))
    }
}

impl<W: Write> Cutting<W> {
    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        let mut copier = Copier::new(chunk, true);
        for (i, fate) in chunk.fates.iter().enumerate() {
            let record = &chunk.records[i];
            let (start, end) = (record.start as usize, (record.start + record.len) as usize);
            match fate {
                Fate::Keep | Fate::Wait => {}
                Fate::Cut => copier.leave_out(start, end, &mut self.out)?,
                Fate::Shorten => {
                    let keep = chunk.facts[i].header_len;
                    self.buffer.clear();
                    if shorten(chunk.shape, &chunk.bytes[start..end], record, keep, &mut self.buffer) {
                        copier.leave_out(start, end, &mut self.out)?;
                        self.out.write_all(&self.buffer)?;
                    } else {
                        self.whole.0 += 1;
                        self.whole.1 += u64::from(record.caplen - keep);
                    }
                }
            }
        }
        copier.finish(&mut self.out)
    }
}

impl<W: Write + Send> Emit for Writer<W> {
    fn emit(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        let late = std::mem::take(&mut chunk.late);
        self.hold.next(chunk, late.iter().map(|l| (l.pos, l.fate)), |chunk| self.to.write(chunk))
    }
}
