//! Hands on records that were read one by one from known places, as if all between them had been passed over.

use std::fmt;
use std::io;

use super::chunk::Chunk;
use super::deal::Take;
use crate::error::NotACapture;
use crate::packet::{Class, Facts, Key, Options, Seed};
use crate::record::Walker;

/// What is expected at the next place.
#[derive(Clone, Copy, Debug)]
pub enum Expected {
    /// Blocks that are no packets, of this length together.
    Blocks(u32),
    /// The record of one packet.
    Record {
        /// Its length.
        len: u32,
        /// Its number in the capture, from 0.
        number: u64,
        /// Its tag.
        tag: u32,
        /// The key of its flow.
        key: Key,
    },
}

impl Expected {
    fn len(self) -> u32 {
        match self {
            Self::Blocks(len) | Self::Record { len, .. } => len,
        }
    }
}

/// Why records could not be handed on.
#[derive(Debug)]
pub enum Misfit {
    /// Something else stands there; in words. The number is that of the piece.
    Other(usize, &'static str),
    /// The taker failed.
    Take(io::Error),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(_, why) => f.write_str(why),
            Self::Take(error) => error.fmt(f),
        }
    }
}

/// Walks pieces of a capture that were picked in their order, checks each, and hands them on.
///
/// The walker is that of the whole capture, and it is given every block that is no packet: so it reads each record
/// as it would be read in its place. Only a Simple Packet Block, which has the time of the packet
/// before it, cannot be picked.
pub struct Pick {
    walker: Walker,
    options: Options,
    chunk: Chunk,
    /// The next record has at least this number.
    next: u64,
}

impl Pick {
    /// `prefix`: the begin of the capture, as [`Walker::open`] takes it.
    pub fn open(prefix: &[u8], options: Options) -> Result<Self, NotACapture> {
        Ok(Self { walker: Walker::open(prefix)?, options, chunk: Chunk::default(), next: 0 })
    }

    /// Bytes of the file header. They begin the first bytes that are handed in.
    pub fn header_len(&self) -> usize {
        self.walker.header_len()
    }

    /// Takes the bytes of the next pieces, one after another.
    pub fn feed(
        &mut self,
        bytes: Vec<u8>,
        pieces: &[Expected],
        head: bool,
        to: &mut impl Take,
    ) -> Result<(), Misfit> {
        let chunk = &mut self.chunk;
        chunk.clear();
        chunk.head = if head { self.walker.header_len().min(bytes.len()) } else { 0 };
        chunk.bytes = bytes;
        chunk.format = self.walker.format();
        chunk.shape = self.walker.shape();
        let walked = self.walker.walk(&chunk.bytes[chunk.head..], 0, false, usize::MAX, &mut chunk.records);
        let shift = chunk.head as u32;
        for record in &mut chunk.records {
            record.start += shift;
            record.data += shift;
        }
        chunk.to = chunk.head + walked.consumed;
        if walked.damage.is_some() || chunk.to != chunk.bytes.len() {
            return Err(Misfit::Other(0, "no whole records stand there"));
        }
        chunk.interfaces = self.walker.interfaces().into();
        chunk.decode(self.options, Seed::default(), None);
        let (mut at, mut i) = (shift, 0);
        for (n, piece) in pieces.iter().enumerate() {
            let end = at.saturating_add(piece.len());
            match piece {
                Expected::Blocks(_) => {
                    if chunk.records.get(i).is_some_and(|r| r.start < end) {
                        return Err(Misfit::Other(n, "a packet stands where none was"));
                    }
                }
                Expected::Record { len, number, tag, key } => {
                    let fits = chunk.records.get(i).is_some_and(|r| r.start == at && r.len == *len);
                    if !fits || !is_of(&chunk.facts[i], key) {
                        return Err(Misfit::Other(n, "another packet stands there"));
                    }
                    // Numbers that do not rise, or too far, are of a forged index.
                    chunk.first = if i == 0 { *number } else { chunk.first };
                    let place = u32::try_from(number.wrapping_sub(chunk.first));
                    let Some(place) = place.ok().filter(|_| *number >= self.next) else {
                        return Err(Misfit::Other(n, "its number is another"));
                    };
                    self.next = number + 1;
                    chunk.places.push(place);
                    chunk.tags.push(*tag);
                    i += 1;
                }
            }
            at = end;
        }
        if i != chunk.records.len() || at as usize != chunk.to {
            return Err(Misfit::Other(pieces.len(), "another packet stands there"));
        }
        to.take(chunk).map_err(Misfit::Take)
    }
}

/// Whether a packet can be one of the flow with this key.
fn is_of(facts: &Facts, key: &Key) -> bool {
    match facts.class {
        Class::NoFlow => false,
        Class::Flow => facts.key == *key,
        // Its ports, and inside a tunnel also its addresses, stand in the first fragment alone.
        Class::Continuation => true,
    }
}
