//! Writes what is kept of each chunk, in order.
//!
//! Everything between two records that are left out is written in one piece, so what is no packet (headers,
//! interface blocks, comments, secrets) is copied as it stands.

use std::collections::VecDeque;
use std::io::{self, Write};

use super::chunk::Chunk;
use super::copy::Copier;
use super::run::Emit;
use crate::cut::{Fate, Late};
use crate::record::shorten;

/// Writes chunks and holds back those with packets whose fate is not known yet.
pub struct Writer<W> {
    out: W,
    held: VecDeque<Chunk>,
    buffer: Vec<u8>,
    /// Packets that were to be shortened but cannot be (Simple Packet Blocks), and their captured bytes
    /// beyond the headers: they were kept whole.
    whole: (u64, u64),
}

impl<W: Write + Send> Writer<W> {
    /// Writes to `out`, which should be buffered.
    pub fn new(out: W) -> Self {
        Self { out, held: VecDeque::new(), buffer: Vec::new(), whole: (0, 0) }
    }

    /// Packets that could not be shortened, and the bytes that were kept for it.
    pub fn kept_whole(&self) -> (u64, u64) {
        self.whole
    }

    /// Tells the last fates and writes what is held; gives the output back.
    pub fn finish(mut self, late: &[Late]) -> io::Result<(W, (u64, u64))> {
        self.settle(late);
        while let Some(chunk) = self.held.pop_front() {
            self.write(&chunk)?;
        }
        Ok((self.out, self.whole))
    }

    fn settle(&mut self, late: &[Late]) {
        for l in late {
            // Held chunks are few and in order of position.
            let at = self.held.partition_point(|c| c.first + c.records.len() as u64 <= l.pos);
            if let Some(chunk) = self.held.get_mut(at) {
                if let Some(fate) =
                    l.pos.checked_sub(chunk.first).and_then(|i| chunk.fates.get_mut(i as usize))
                {
                    *fate = l.fate;
                }
            }
        }
    }

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
        if self.held.is_empty() && !waits(chunk) {
            return self.write(chunk);
        }
        self.held.push_back(std::mem::take(chunk));
        // Fates of this very chunk may be among the late ones.
        self.settle(&late);
        while self.held.front().is_some_and(|c| !waits(c)) {
            if let Some(chunk) = self.held.pop_front() {
                self.write(&chunk)?;
            }
        }
        Ok(())
    }
}

fn waits(chunk: &Chunk) -> bool {
    chunk.fates.contains(&Fate::Wait)
}
