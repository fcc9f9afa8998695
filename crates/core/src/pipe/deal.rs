//! Hands tagged packets on, once all tags of their chunk are known.

use std::collections::VecDeque;
use std::io;

use super::chunk::Chunk;
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
    held: VecDeque<Chunk>,
}

impl<'a, T: Take> Deal<'a, T> {
    /// Hands on to `to`.
    pub fn new(to: &'a mut T) -> Self {
        Self { to, held: VecDeque::new() }
    }

    /// Tells the last tags and hands on what is held; who waits still is not chosen.
    pub fn finish(mut self, late: &[(u64, u32)]) -> io::Result<()> {
        self.settle(late);
        while let Some(chunk) = self.held.pop_front() {
            self.to.take(&chunk)?;
        }
        Ok(())
    }

    fn settle(&mut self, late: &[(u64, u32)]) {
        for &(pos, tag) in late {
            // Held chunks are few and in order of position.
            let at = self.held.partition_point(|c| c.first + c.records.len() as u64 <= pos);
            let Some(chunk) = self.held.get_mut(at) else { continue };
            let place = pos.checked_sub(chunk.first).and_then(|i| chunk.tags.get_mut(i as usize));
            if let Some(place) = place {
                *place = tag;
            }
        }
    }
}

impl<T: Take> Emit for Deal<'_, T> {
    fn emit(&mut self, chunk: &mut Chunk) -> io::Result<()> {
        let late = std::mem::take(&mut chunk.late_tags);
        if self.held.is_empty() && !waits(chunk) {
            return self.to.take(chunk);
        }
        self.held.push_back(std::mem::take(chunk));
        self.settle(&late);
        while self.held.front().is_some_and(|c| !waits(c)) {
            if let Some(chunk) = self.held.pop_front() {
                self.to.take(&chunk)?;
            }
        }
        Ok(())
    }
}

fn waits(chunk: &Chunk) -> bool {
    chunk.tags.contains(&WAITS)
}
