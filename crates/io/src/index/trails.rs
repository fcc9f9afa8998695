//! Where each flow's records lie, collected while the capture is read.

use super::places::Step;

/// Bytes of a page; cells never reach over its end.
const PAGE: usize = 1 << 20;
/// Cells are found by their place in units of this many bytes.
const UNIT: usize = 16;
const UNITS: u32 = (PAGE / UNIT) as u32;
/// The cell that a flow begins with, and the largest one.
const FIRST: u16 = 16;
const LARGEST: u16 = 4096;
/// Bytes at the begin of a cell: the place of the next one.
const LINK: u16 = 4;

/// What is kept of one flow: 32 bytes, and its cells.
#[derive(Clone, Copy, Default)]
struct Trail {
    /// End of its last record.
    end: u64,
    /// The number after that of its last record.
    next: u64,
    first: u32,
    cell: u32,
    size: u16,
    used: u16,
}

/// The records of all flows: per record its distance from the flow's record before (from the begin of the
/// capture for the first one), its length, and how many records stand between, in cells of growing size.
#[derive(Default)]
pub struct Trails {
    trails: Vec<Trail>,
    pages: Vec<Box<[u8]>>,
    /// The next free unit in the last page.
    free: u32,
    full: bool,
}

impl Trails {
    /// Notes the next record of a flow, which is record `number` of the capture, from 0. Records of one flow come in
    /// the order of the capture.
    pub fn add(&mut self, flow: u32, start: u64, len: u32, number: u64) {
        let flow = flow as usize;
        if self.trails.len() <= flow {
            self.trails.resize(flow + 1, Trail::default());
        }
        let mut trail = self.trails[flow];
        let gap = start.wrapping_sub(trail.end);
        self.number(&mut trail, gap);
        self.number(&mut trail, u64::from(len));
        let between = number.wrapping_sub(trail.next);
        self.number(&mut trail, between);
        trail.end = start + u64::from(len);
        trail.next = number + 1;
        self.trails[flow] = trail;
    }

    /// Whether there were more than 64 GiB of records to note.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// The records of a flow.
    pub fn of(&self, flow: u32) -> Steps<'_> {
        let trail = self.trails.get(flow as usize).copied().unwrap_or_default();
        Steps { trails: self, trail, cell: trail.first, size: FIRST, at: LINK }
    }

    fn number(&mut self, trail: &mut Trail, mut n: u64) {
        while n >= 0x80 {
            self.byte(trail, n as u8 | 0x80);
            n >>= 7;
        }
        self.byte(trail, n as u8);
    }

    #[inline]
    fn byte(&mut self, trail: &mut Trail, byte: u8) {
        if trail.used == trail.size {
            let size = if trail.size == 0 { FIRST } else { (trail.size * 2).min(LARGEST) };
            let Some(cell) = self.room(size) else {
                self.full = true;
                return;
            };
            if trail.size == 0 {
                trail.first = cell;
            } else {
                let (page, at) = place(trail.cell);
                self.pages[page][at..at + 4].copy_from_slice(&cell.to_le_bytes());
            }
            (trail.cell, trail.size, trail.used) = (cell, size, LINK);
        }
        let (page, at) = place(trail.cell);
        self.pages[page][at + usize::from(trail.used)] = byte;
        trail.used += 1;
    }

    fn room(&mut self, size: u16) -> Option<u32> {
        let units = u32::from(size) / UNIT as u32;
        if self.pages.is_empty() || self.free + units > UNITS {
            if self.pages.len() as u32 >= u32::MAX / UNITS {
                return None;
            }
            self.pages.push(vec![0; PAGE].into_boxed_slice());
            self.free = 0;
        }
        let cell = (self.pages.len() as u32 - 1) * UNITS + self.free;
        self.free += units;
        Some(cell)
    }
}

fn place(cell: u32) -> (usize, usize) {
    ((cell / UNITS) as usize, (cell % UNITS) as usize * UNIT)
}

/// Goes over a flow's records.
pub struct Steps<'a> {
    trails: &'a Trails,
    trail: Trail,
    cell: u32,
    size: u16,
    at: u16,
}

impl Steps<'_> {
    fn byte(&mut self) -> Option<u8> {
        let over = self.cell == self.trail.cell && self.at == self.trail.used;
        if self.trail.size == 0 || over {
            return None;
        }
        let (mut page, mut from) = place(self.cell);
        if self.at == self.size {
            let link = self.trails.pages[page].get(from..from + 4)?;
            self.cell = u32::from_le_bytes(link.try_into().ok()?);
            self.size = (self.size * 2).min(LARGEST);
            self.at = LINK;
            (page, from) = place(self.cell);
        }
        let byte = self.trails.pages[page][from + usize::from(self.at)];
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let (mut n, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(n);
            }
            shift += 7;
        }
    }
}

impl Iterator for Steps<'_> {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        Some(Step { gap: self.number()?, len: self.number()? as u32, between: self.number()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_comes_back() {
        let mut trails = Trails::default();
        let mut model = vec![Vec::new(); 50];
        let mut start = 24;
        for i in 0..200_000_u64 {
            // The first flow has most records; number 49 never has one.
            let flow = if i % 3 == 0 { (i * i % 49) as u32 } else { 0 };
            let len = 60 + (i * 7 % 1500) as u32;
            let number = i * 3;
            trails.add(flow, start, len, number);
            model[flow as usize].push((start, len, number));
            start += u64::from(len) + if i % 1000 == 0 { 1 << 33 } else { 0 };
        }
        for (flow, records) in model.iter().enumerate() {
            let (mut end, mut next) = (0, 0);
            let found: Vec<(u64, u32, u64)> = trails
                .of(flow as u32)
                .map(|step| {
                    let (start, number) = (end + step.gap, next + step.between);
                    (end, next) = (start + u64::from(step.len), number + 1);
                    (start, step.len, number)
                })
                .collect();
            assert_eq!(&found, records, "flow {flow}");
        }
        assert_eq!(trails.of(1000).next(), None);
        assert!(!trails.is_full());
    }
}
