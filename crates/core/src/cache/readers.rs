//! Readers: where each stands in the order of time, and copies of what was let go before they came to it.
//!
//! A reader has no list of what it will read. It stands at a packet; when that packet goes, it stands at the next one. A packet that is
//! let go while a reader still wants it is copied for that reader, as long as all such copies fit into their bound;
//! after that it is lost to the reader, and counted.

use std::collections::BTreeMap;

use super::packets::Header;
use super::pool::Pool;
use super::query::Query;
use super::status::{InterfaceStatus, ReaderStatus};
use crate::select::Verdict;

/// Readers at a time.
pub const MOST_READERS: usize = 1024;

/// A packet that is held for one reader.
pub(super) struct Copy {
    pub interface: u16,
    pub original: u32,
    pub data: Box<[u8]>,
}

/// What a copy takes beside its bytes.
const BESIDE: u64 = 96;

pub(super) struct Reader {
    pub query: Query,
    /// The packet it stands at, with its place in the order of time; 0: behind the last one.
    pub at: u32,
    pub at_key: (i64, u32),
    /// Arrival of the first packet that is not in the snapshot.
    pub newest: (u32, u32),
    /// The last packet of the snapshot in the order of time.
    pub end: (i64, u32),
    pub copies: BTreeMap<(i64, u32), Copy>,
    /// Interfaces that were described in the output.
    pub described: usize,
    pub begun: bool,
    pub status: ReaderStatus,
}

impl Reader {
    /// Whether a packet is one of those that it reads at all: of the snapshot, within the times.
    pub fn is_in(&self, h: &Header) -> bool {
        (self.query.follow || !self.is_newer(h))
            && self.query.since.is_none_or(|t| h.time >= t)
            && self.query.until.is_none_or(|t| h.time <= t)
    }

    fn is_newer(&self, h: &Header) -> bool {
        h.tick > self.newest.0 || (h.tick == self.newest.0 && h.seq.wrapping_sub(self.newest.1) as i32 >= 0)
    }

    /// Whether a packet stands behind the last one of the snapshot.
    pub fn is_behind(&self, key: (i64, u32)) -> bool {
        !self.query.follow && is_after(key, self.end)
    }

    /// Whether it wants a packet that is in its snapshot.
    pub fn wants(&self, pool: &Pool, link: u16, h: &Header, data: &[u8]) -> bool {
        self.query.flows.as_ref().is_none_or(|flows| flows.holds(&pool.record(h.flow).flow))
            && self.query.filter.as_ref().is_none_or(|f| f.verdict(link, data, h.original) == Verdict::Match)
    }

    /// Moves on to a packet.
    pub fn move_to(&mut self, pool: &Pool, place: u32) {
        self.at = place;
        if place != 0 {
            self.at_key = pool.header(place).key();
        }
    }
}

/// Whether a packet comes after another in the order of time. Of packets of one time the numbers of arrival may have
/// begun anew in between.
pub(super) fn is_after(a: (i64, u32), b: (i64, u32)) -> bool {
    a.0 > b.0 || (a.0 == b.0 && a.1.wrapping_sub(b.1) as i32 > 0)
}

/// All readers.
pub(super) struct Readers {
    all: BTreeMap<u32, Reader>,
    next: u32,
    followers: usize,
    /// Bytes of copies, and how many there may be.
    pub bytes: u64,
    bound: u64,
    scratch: Vec<u8>,
}

impl Readers {
    pub fn new(bound: u64) -> Self {
        Self { all: BTreeMap::new(), next: 0, followers: 0, bytes: 0, bound, scratch: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether one of them follows.
    pub fn follow(&self) -> bool {
        self.followers > 0
    }

    pub fn get(&self, id: u32) -> Option<&Reader> {
        self.all.get(&id)
    }

    /// Takes a reader out, to work with it; [`Readers::put`] puts it back.
    pub fn take(&mut self, id: u32) -> Option<Reader> {
        self.all.remove(&id)
    }

    pub fn put(&mut self, id: u32, reader: Reader) {
        self.all.insert(id, reader);
    }

    pub fn open(&mut self, reader: Reader) -> u32 {
        self.followers += usize::from(reader.query.follow);
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.all.insert(id, reader);
        id
    }

    pub fn close(&mut self, id: u32) {
        if let Some(reader) = self.all.remove(&id) {
            self.followers -= usize::from(reader.query.follow);
            self.bytes -= reader.copies.values().map(size).sum::<u64>();
        }
    }

    /// What comes from now on is not read any more.
    pub fn stop(&mut self, id: u32, newest: (u32, u32), end: (i64, u32)) {
        if let Some(reader) = self.all.get_mut(&id).filter(|r| r.query.follow) {
            reader.query.follow = false;
            (reader.newest, reader.end) = (newest, end);
            self.followers -= 1;
        }
    }

    /// The next copy, if it stands before `before`.
    pub fn next_copy(
        &mut self,
        reader: &mut Reader,
        before: Option<(i64, u32)>,
    ) -> Option<((i64, u32), Copy)> {
        let (&key, _) = reader.copies.first_key_value()?;
        if before.is_some_and(|b| !is_after(b, key)) {
            return None;
        }
        let copy = reader.copies.remove(&key)?;
        self.bytes -= size(&copy);
        Some((key, copy))
    }

    /// A packet is about to be let go.
    pub fn removed(&mut self, pool: &Pool, links: &[InterfaceStatus], place: u32, h: &Header) {
        let mut read = false;
        for reader in self.all.values_mut() {
            let ahead = reader.at != 0 && !is_after(reader.at_key, h.key());
            if reader.at == place {
                reader.move_to(pool, h.next);
            }
            if !ahead || !reader.is_in(h) {
                continue;
            }
            if !read {
                read = true;
                self.scratch.clear();
                pool.read_into(place, h, &mut self.scratch);
            }
            keep(reader, pool, links, h, &self.scratch, &mut self.bytes, self.bound);
        }
    }

    /// A packet was put in: who follows and has passed its place already gets a copy.
    pub fn added(&mut self, pool: &Pool, links: &[InterfaceStatus], place: u32, h: &Header) {
        let mut read = false;
        for reader in self.all.values_mut().filter(|r| r.query.follow) {
            if reader.at == 0 && h.next == 0 {
                reader.move_to(pool, place);
            } else if (reader.at == 0 || is_after(reader.at_key, h.key())) && reader.is_in(h) {
                if !read {
                    read = true;
                    self.scratch.clear();
                    pool.read_into(place, h, &mut self.scratch);
                }
                keep(reader, pool, links, h, &self.scratch, &mut self.bytes, self.bound);
            }
        }
    }
}

fn size(copy: &Copy) -> u64 {
    copy.data.len() as u64 + BESIDE
}

/// Copies a packet for a reader that wants it.
fn keep(
    reader: &mut Reader,
    pool: &Pool,
    links: &[InterfaceStatus],
    h: &Header,
    data: &[u8],
    bytes: &mut u64,
    bound: u64,
) {
    let link = links.get(usize::from(h.interface)).map_or(0, |i| i.link);
    if !reader.wants(pool, link, h, data) {
        return;
    }
    let copy = Copy { interface: h.interface, original: h.original, data: data.into() };
    if *bytes + size(&copy) > bound {
        reader.status.lost += 1;
        return;
    }
    *bytes += size(&copy);
    reader.copies.insert(h.key(), copy);
}
