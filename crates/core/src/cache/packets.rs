//! Packets in chains of cells: a header of nine words, or ten if the packet was longer on the wire, and its bytes.
//!
//! A header never lies in two cells; bytes do. Where fewer than ten words of a cell are left, the next packet begins in the
//! next one, so the place of the next packet follows from the end of the one before.

use super::pool::{cell_of, word_of, Pool, CELL};

/// Words of a header at most.
const HEADER: u32 = 10;
const WORDS: u32 = (CELL / 4) as u32;
/// Word of the links in the order of time, and of the flags.
const PREV: u32 = 2;
const NEXT: u32 = 3;
const SIZE: u32 = 5;

/// The packet is a mark in the order of time.
pub(super) const ANCHOR: u32 = 1 << 29;
const LONGER: u32 = 1 << 30;
/// Interfaces that a header can name.
pub(super) const MOST_INTERFACES: u16 = 1 << 10;

/// What is kept beside the bytes of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Time in ns since the epoch.
    pub time: i64,
    /// Places of its neighbours in the order of time.
    pub prev: u32,
    pub next: u32,
    /// Cell of its flow's record.
    pub flow: u32,
    /// Captured length.
    pub len: u32,
    pub interface: u16,
    pub anchor: bool,
    /// The lower bits of the number of its arrival.
    pub seq: u32,
    /// When it came, by the clock of the store.
    pub tick: u32,
    /// Place of the packet before it in its flow, as long as that is held.
    pub before: u32,
    /// Length on the wire.
    pub original: u32,
}

impl Header {
    /// Its place in the order of time; among packets of one time that of their arrival.
    pub fn key(&self) -> (i64, u32) {
        (self.time, self.seq)
    }

    fn words(&self) -> u32 {
        if self.original == self.len {
            9
        } else {
            10
        }
    }
}

/// Cells that a packet of this length can need at most, in an empty chain.
pub(super) fn cells_for(len: usize) -> u32 {
    ((len + HEADER as usize * 4).div_ceil(CELL - 4) + 1) as u32
}

impl Pool {
    /// Appends a packet to the chain that ends at `end` (0: there is none yet). Returns its place, the new end, and how many
    /// cells were taken.
    #[inline]
    pub fn put(&mut self, end: u32, header: &Header, data: &[u8]) -> (u32, u32, u32) {
        let mut taken = 0;
        let (mut cell, mut word) = (cell_of(end), word_of(end));
        if end == 0 || word == 0 || word + HEADER > WORDS {
            let next = self.take();
            if end != 0 {
                self.set_next(cell, next);
            }
            (cell, word, taken) = (next, 1, 1);
        }
        let place = cell * WORDS + word;
        self.set_header(place, header);
        let mut at = ((word + header.words()) * 4) as usize;
        let mut rest = data;
        loop {
            let n = rest.len().min(CELL - at);
            self.cell_mut(cell)[at..at + n].copy_from_slice(&rest[..n]);
            (at, rest) = (at + n, &rest[n..]);
            if rest.is_empty() {
                break;
            }
            let next = self.take();
            self.set_next(cell, next);
            (cell, at) = (next, 4);
            taken += 1;
        }
        (place, end_at(cell, at), taken)
    }

    fn set_header(&mut self, place: u32, h: &Header) {
        let at = word_of(place) as usize * 4;
        let longer = h.words() == 10;
        let cell = self.cell_mut(cell_of(place));
        cell[at..at + 8].copy_from_slice(&h.time.to_le_bytes());
        let size = h.len
            | u32::from(h.interface) << 19
            | if h.anchor { ANCHOR } else { 0 }
            | if longer { LONGER } else { 0 };
        for (n, word) in [h.prev, h.next, h.flow, size, h.seq, h.tick, h.before].into_iter().enumerate() {
            let at = at + 8 + n * 4;
            cell[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        if longer {
            cell[at + 36..at + 40].copy_from_slice(&h.original.to_le_bytes());
        }
    }

    /// The header of the packet at a place.
    #[inline]
    pub fn header(&self, place: u32) -> Header {
        let cell = self.cell(cell_of(place));
        let at = word_of(place) as usize * 4;
        let word = |n: usize| super::pool::get_u32(cell, at + n * 4);
        let size = word(5);
        let len = size & 0x7_ffff;
        Header {
            time: super::pool::get_u64(cell, at) as i64,
            prev: word(2),
            next: word(3),
            flow: word(4),
            len,
            interface: (size >> 19 & 0x3ff) as u16,
            anchor: size & ANCHOR != 0,
            seq: word(6),
            tick: word(7),
            before: word(8),
            original: if size & LONGER == 0 { len } else { word(9) },
        }
    }

    /// Its time alone.
    #[inline]
    pub fn time(&self, place: u32) -> i64 {
        super::pool::get_u64(self.cell(cell_of(place)), word_of(place) as usize * 4) as i64
    }

    #[inline]
    pub fn order_prev(&self, place: u32) -> u32 {
        self.word(place + PREV)
    }

    #[inline]
    pub fn order_next(&self, place: u32) -> u32 {
        self.word(place + NEXT)
    }

    #[inline]
    pub fn set_order_prev(&mut self, place: u32, to: u32) {
        self.set_word(place + PREV, to);
    }

    #[inline]
    pub fn set_order_next(&mut self, place: u32, to: u32) {
        self.set_word(place + NEXT, to);
    }

    /// Marks a packet as an anchor.
    pub fn set_anchor(&mut self, place: u32) {
        let size = self.word(place + SIZE);
        self.set_word(place + SIZE, size | ANCHOR);
    }

    /// Appends the bytes of a packet to `out`.
    pub fn read_into(&self, place: u32, header: &Header, out: &mut Vec<u8>) {
        let mut cell = cell_of(place);
        let mut at = ((word_of(place) + header.words()) * 4) as usize;
        let mut left = header.len as usize;
        loop {
            let n = left.min(CELL - at);
            out.extend_from_slice(&self.cell(cell)[at..at + n]);
            left -= n;
            if left == 0 {
                return;
            }
            (cell, at) = (self.next(cell), 4);
        }
    }

    /// Gives back the cells behind the one in which the packet at `place` begins, which then ends its chain. Says how many.
    pub fn cut_back(&mut self, place: u32) -> u32 {
        let cell = cell_of(place);
        let next = self.next(cell);
        if next == 0 {
            return 0;
        }
        self.set_next(cell, 0);
        self.give_chain(next)
    }

    /// The place of the packet that follows in the chain; gives back the cells before it. Something must follow.
    /// Says how many cells that were.
    pub fn cut_front(&mut self, place: u32, header: &Header) -> (u32, u32) {
        let mut cell = cell_of(place);
        let mut at = ((word_of(place) + header.words()) * 4) as usize;
        let (mut left, mut given) = (header.len as usize, 0);
        loop {
            let n = left.min(CELL - at);
            (left, at) = (left - n, at + n);
            if left == 0 {
                break;
            }
            let next = self.next(cell);
            self.give(cell);
            (cell, at, given) = (next, 4, given + 1);
        }
        let end = end_at(cell, at);
        if word_of(end) == 0 || word_of(end) + HEADER > WORDS {
            let next = self.next(cell);
            self.give(cell);
            return (next * WORDS + 1, given + 1);
        }
        (end, given)
    }
}

/// The end behind byte `at` of a cell; a cell that is full has word 0.
fn end_at(cell: u32, at: usize) -> u32 {
    cell * WORDS + (at as u32).div_ceil(4) % WORDS
}
