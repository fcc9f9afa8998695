//! Copies the bytes of a chunk around the records that are left out.

use std::io::{self, Write};
use std::iter::Peekable;
use std::slice::Iter;

use super::chunk::Chunk;

/// Goes once over the bytes of a chunk. What the filter dropped is left out by itself.
pub struct Copier<'a> {
    chunk: &'a Chunk,
    /// Up to here everything is written or left out.
    at: usize,
    dropped: Peekable<Iter<'a, (u32, u32)>>,
}

impl<'a> Copier<'a> {
    /// Begins with the chunk's first byte, or behind the file header.
    pub fn new(chunk: &'a Chunk, head: bool) -> Self {
        let at = chunk.from + if head { 0 } else { chunk.head };
        Self { chunk, at, dropped: chunk.dropped.iter().peekable() }
    }

    /// Writes what stands before `start` and leaves out what stands from there to `end`.
    pub fn leave_out(&mut self, start: usize, end: usize, out: &mut impl Write) -> io::Result<()> {
        while let Some(&(from, to)) = self.dropped.next_if(|(from, _)| (*from as usize) < start) {
            out.write_all(&self.chunk.bytes[self.at..from as usize])?;
            self.at = to as usize;
        }
        out.write_all(&self.chunk.bytes[self.at..start])?;
        self.at = end;
        Ok(())
    }

    /// Writes the rest.
    pub fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        self.leave_out(self.chunk.to, self.chunk.to, out)
    }
}
