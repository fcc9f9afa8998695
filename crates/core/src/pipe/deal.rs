//! Hands tagged packets on, once all tags of their chunk are known.

use std::io;

use super::chunk::Chunk;
use super::hold::Hold;
use super::run::Emit;
use super::tag::WAITS;

/// Takes chunks, in order, whose packets all have their tags.
pub trait Take: Send {
    /// Takes the next chunk.
    fn take(&mut self, chunk: &Chunk) -> io::Result<()>;
}

/// Holds chunks back while a packet in them, or before them, waits for its tag.
pub struct Deal<'a, T> {
    to: &'a mut T,
    hold: Hold<u32>,
}

impl<'a, T: Take> Deal<'a, T> {
    /// Hands on to `to`.
    pub fn new(to: &'a mut T) -> Self {
        Self { to, hold: Hold::new(|chunk| &mut chunk.tags, WAITS) }
    }

    /// Tells the last tags and hands on what is held; who waits still is not chosen.
    pub fn finish(mut self, late: &[(u64, u32)]) -> io::Result<()> {
        self.hold.finish(late.iter().copied(), |chunk| self.to.take(chunk))
    }
}

impl<T: Take> Emit for Deal<'_, T> {
    fn emit(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        let late = std::mem::take(&mut chunk.late_tags);
        self.hold.next(chunk, late.into_iter(), |chunk| self.to.take(chunk))
    }
}
