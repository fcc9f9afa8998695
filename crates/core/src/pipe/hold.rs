//! Holds chunks back while something about their packets is not known yet.

use std::collections::VecDeque;
use std::io;

use super::chunk::Chunk;

/// Chunks in order, each with a mark for every packet. A chunk is handed on once no packet in it, or before it, waits
/// for its mark.
pub(super) struct Hold<M> {
    held: VecDeque<Chunk>,
    marks: fn(&mut Chunk) -> &mut Vec<M>,
    waits: M,
}

impl<M: Copy + PartialEq> Hold<M> {
    /// Nothing is held. `marks`: where the marks of a chunk are; `waits`: the one of a packet that waits.
    pub fn new(marks: fn(&mut Chunk) -> &mut Vec<M>, waits: M) -> Self {
        Self { held: VecDeque::new(), marks, waits }
    }

    /// Takes the next chunk. `late`: marks that have become known by it, by position; also of its own packets.
    pub fn next(
        &mut self,
        chunk: &mut Chunk,
        late: impl Iterator<Item = (u64, M)>,
        mut hand_on: impl FnMut(&Chunk) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.held.is_empty() && !(self.marks)(chunk).contains(&self.waits) {
            return hand_on(chunk);
        }
        self.held.push_back(std::mem::take(chunk));
        self.settle(late);
        while self.held.front_mut().is_some_and(|c| !(self.marks)(c).contains(&self.waits)) {
            if let Some(chunk) = self.held.pop_front() {
                hand_on(&chunk)?;
            }
        }
        Ok(())
    }

    /// Hands on what is held, with the last marks; some packets may still wait.
    pub fn finish(
        &mut self,
        late: impl Iterator<Item = (u64, M)>,
        mut hand_on: impl FnMut(&Chunk) -> io::Result<()>,
    ) -> io::Result<()> {
        self.settle(late);
        self.held.drain(..).try_for_each(|chunk| hand_on(&chunk))
    }

    fn settle(&mut self, late: impl Iterator<Item = (u64, M)>) {
        for (pos, mark) in late {
            // Held chunks are few and in order of position.
            let at = self.held.partition_point(|c| c.first + c.records.len() as u64 <= pos);
            let Some(chunk) = self.held.get_mut(at) else { continue };
            let Some(i) = pos.checked_sub(chunk.first) else { continue };
            if let Some(place) = (self.marks)(chunk).get_mut(i as usize) {
                *place = mark;
            }
        }
    }
}
