//! The memory of the store: cells of one size, so that what one flow gives back fits any other.
//!
//! A cell is 256 bytes. The first four name the next cell of its chain, or of the free ones. The rest holds a flow's record
//! or packets one after another. A *place* is a number of four-byte words from the start of the memory: cell × 64 +
//! word. Cell 0 is never given away, so that 0 is no cell and no place.

/// Bytes of a cell.
pub(super) const CELL: usize = 256;
const WORDS: u32 = 64;
/// Cells at most: as many as places can name.
const MOST: u64 = 1 << 26;

/// All cells.
pub(super) struct Pool {
    cells: Vec<[u8; CELL]>,
    /// Cells from here on were never given away, so that the system need not give memory for them yet.
    fresh: u32,
    first_free: u32,
    free: u32,
}

/// The cell of a place.
#[inline(always)]
pub(super) fn cell_of(place: u32) -> u32 {
    place / WORDS
}

/// The word of a place in its cell.
#[inline(always)]
pub(super) fn word_of(place: u32) -> u32 {
    place % WORDS
}

impl Pool {
    /// A pool of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let cells = (bytes / CELL as u64).clamp(2, MOST) as usize;
        Self { cells: vec![[0; CELL]; cells], fresh: 1, first_free: 0, free: cells as u32 - 1 }
    }

    /// Cells that can be given away at all.
    pub fn len(&self) -> u32 {
        self.cells.len() as u32 - 1
    }

    /// Cells that are free.
    pub fn free(&self) -> u32 {
        self.free
    }

    /// So many cells are not given away any more. They must be free.
    pub fn hold_back(&mut self, cells: u32) {
        self.free -= cells;
    }

    /// They are given away again.
    pub fn release(&mut self, cells: u32) {
        self.free += cells;
    }

    /// Takes a cell. There must be a free one.
    #[inline]
    pub fn take(&mut self) -> u32 {
        self.free -= 1;
        if self.first_free == 0 {
            self.fresh += 1;
            return self.fresh - 1;
        }
        let cell = self.first_free;
        self.first_free = self.next(cell);
        self.set_next(cell, 0);
        cell
    }

    /// Gives one cell back.
    #[inline]
    pub fn give(&mut self, cell: u32) {
        let next = self.first_free;
        self.set_next(cell, next);
        self.first_free = cell;
        self.free += 1;
    }

    /// Gives a chain back that begins with this cell; says how many cells it had.
    pub fn give_chain(&mut self, mut cell: u32) -> u32 {
        let mut n = 0;
        while cell != 0 {
            let next = self.next(cell);
            self.give(cell);
            cell = next;
            n += 1;
        }
        n
    }

    /// The next cell of a chain.
    #[inline(always)]
    pub fn next(&self, cell: u32) -> u32 {
        self.u32(cell, 0)
    }

    /// Chains a cell.
    #[inline(always)]
    pub fn set_next(&mut self, cell: u32, next: u32) {
        self.set_u32(cell, 0, next);
    }

    /// The bytes of a cell.
    #[inline(always)]
    pub fn cell(&self, cell: u32) -> &[u8; CELL] {
        &self.cells[cell as usize]
    }

    /// The bytes of a cell, to be changed.
    #[inline(always)]
    pub fn cell_mut(&mut self, cell: u32) -> &mut [u8; CELL] {
        &mut self.cells[cell as usize]
    }

    /// A number in a cell, at a byte.
    #[inline(always)]
    pub fn u32(&self, cell: u32, at: usize) -> u32 {
        get_u32(self.cell(cell), at)
    }

    /// Sets a number in a cell.
    #[inline(always)]
    pub fn set_u32(&mut self, cell: u32, at: usize, value: u32) {
        put_u32(self.cell_mut(cell), at, value);
    }

    /// The number at a place.
    #[inline(always)]
    pub fn word(&self, place: u32) -> u32 {
        self.u32(cell_of(place), word_of(place) as usize * 4)
    }

    /// Sets the number at a place.
    #[inline(always)]
    pub fn set_word(&mut self, place: u32, value: u32) {
        self.set_u32(cell_of(place), word_of(place) as usize * 4, value);
    }
}

#[inline(always)]
pub(super) fn get_u32(bytes: &[u8; CELL], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

#[inline(always)]
pub(super) fn put_u32(bytes: &mut [u8; CELL], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[inline(always)]
pub(super) fn get_u64(bytes: &[u8; CELL], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

#[inline(always)]
pub(super) fn put_u64(bytes: &mut [u8; CELL], at: usize, value: u64) {
    bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
