//! What is kept of a flow, in one cell.

use super::pool::{get_u32, get_u64, put_u32, put_u64, Pool, CELL};
use crate::flow::{Flow, Side, NONE};
use crate::packet::Key;

/// Which share of the memory a flow belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// A flow in which both ends have spoken, or one has said much.
    #[default]
    Proper = 0,
    /// Nobody has answered yet.
    Unanswered = 1,
    /// ICMP or ICMPv6.
    Icmp = 2,
    /// Not a flow: the packets that belong to none.
    NoFlow = 3,
}

impl Class {
    pub const ALL: [Self; 4] = [Self::Proper, Self::Unanswered, Self::Icmp, Self::NoFlow];
}

/// Where the links of the queue stand in a cell. The first word is the cell's own link: the next flow in the hash chain.
const PREV: usize = 4;
const NEXT: usize = 8;
const KEY: usize = 12;

/// A flow with its packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// When it was last and first seen, by the clock of the store.
    pub seen: u32,
    pub born: u32,
    /// The head: first cell, place of its last packet, end of its chain.
    pub head: u32,
    pub head_last: u32,
    pub head_end: u32,
    /// The tail, a chain of its own: places of its first and last packet, end.
    pub tail: u32,
    pub tail_last: u32,
    pub tail_end: u32,
    /// Bytes held in both.
    pub head_bytes: u64,
    pub tail_bytes: u64,
    /// Packets held.
    pub packets: u32,
    /// Cells, this one included.
    pub cells: u32,
    /// Number of its queue.
    pub queue: u8,
    pub class: Class,
    /// Packets are held behind some that were let go.
    pub gap: bool,
    pub flow: Flow,
}

impl Record {
    /// A flow of which nothing is held yet.
    pub fn new(flow: Flow, class: Class, tick: u32) -> Self {
        Self {
            seen: tick,
            born: tick,
            head: 0,
            head_last: 0,
            head_end: 0,
            tail: 0,
            tail_last: 0,
            tail_end: 0,
            head_bytes: 0,
            tail_bytes: 0,
            packets: 0,
            cells: 1,
            queue: u8::MAX,
            class,
            gap: false,
            flow,
        }
    }

    /// When it counts as last seen: a flow that lasted long counts as older by a quarter of the time it lasted.
    pub fn stamp(&self) -> u32 {
        self.seen - self.seen.saturating_sub(self.born) / 4
    }

    /// The packet held last.
    pub fn last(&self) -> u32 {
        if self.tail != 0 {
            self.tail_last
        } else {
            self.head_last
        }
    }
}

/// Bytes of a flow as it is written.
pub(super) const FLOW: usize = CELL - FLOW_AT - 4;
const FLOW_AT: usize = 76;

/// A flow as bytes, for a saved store.
pub(super) fn flow_bytes(flow: &Flow) -> [u8; FLOW] {
    let mut cell = [0; CELL];
    To(&mut cell, 0).flow(flow);
    let mut out = [0; FLOW];
    out.copy_from_slice(&cell[..FLOW]);
    out
}

/// The flow of such bytes. Any bytes give a flow.
pub(super) fn flow_of(bytes: &[u8; FLOW]) -> Flow {
    let mut cell = [0; CELL];
    cell[..FLOW].copy_from_slice(bytes);
    At(&cell, 0).flow()
}

impl Pool {
    /// The record in a cell.
    #[inline]
    pub fn record(&self, cell: u32) -> Record {
        let c = self.cell(cell);
        let w = |n: usize| get_u32(c, 16 + n * 4);
        let mut at = At(c, FLOW_AT);
        Record {
            seen: w(0),
            born: w(1),
            head: w(2),
            head_last: w(3),
            head_end: w(4),
            tail: w(5),
            tail_last: w(6),
            tail_end: w(7),
            head_bytes: get_u64(c, 48),
            tail_bytes: get_u64(c, 56),
            packets: w(12),
            cells: w(13),
            queue: c[72],
            class: Class::ALL[usize::from(c[73] & 3)],
            gap: c[74] != 0,
            flow: at.flow(),
        }
    }

    /// Writes a record; the links of the cell stay.
    #[inline]
    pub fn set_record(&mut self, cell: u32, r: &Record) {
        let c = self.cell_mut(cell);
        let words = [r.seen, r.born, r.head, r.head_last, r.head_end, r.tail, r.tail_last, r.tail_end];
        for (n, word) in words.into_iter().enumerate() {
            put_u32(c, 16 + n * 4, word);
        }
        put_u64(c, 48, r.head_bytes);
        put_u64(c, 56, r.tail_bytes);
        put_u32(c, 64, r.packets);
        put_u32(c, 68, r.cells);
        c[72] = r.queue;
        c[73] = r.class as u8;
        c[74] = u8::from(r.gap);
        To(c, FLOW_AT).flow(&r.flow);
    }

    /// Whether the record in a cell is of this key.
    #[inline]
    pub fn is_of(&self, cell: u32, key: &Key) -> bool {
        At(self.cell(cell), FLOW_AT).key() == *key
    }

    #[inline]
    pub fn queue_links(&self, cell: u32) -> (u32, u32, u32) {
        (self.u32(cell, PREV), self.u32(cell, NEXT), self.u32(cell, KEY))
    }

    #[inline]
    pub fn set_queue_prev(&mut self, cell: u32, to: u32) {
        self.set_u32(cell, PREV, to);
    }

    #[inline]
    pub fn set_queue_next(&mut self, cell: u32, to: u32) {
        self.set_u32(cell, NEXT, to);
    }

    #[inline]
    pub fn set_queue_key(&mut self, cell: u32, key: u32) {
        self.set_u32(cell, KEY, key);
    }
}

/// Counters have 48 bits: 281 TB.
const MOST: u64 = (1 << 48) - 1;

struct At<'a>(&'a [u8; CELL], usize);

impl At<'_> {
    #[inline(always)]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut raw = [0; N];
        raw.copy_from_slice(&self.0[self.1..self.1 + N]);
        self.1 += N;
        raw
    }

    #[inline(always)]
    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    #[inline(always)]
    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    #[inline(always)]
    fn u48(&mut self) -> u64 {
        let low = u64::from(self.u32());
        low | u64::from(self.u16()) << 32
    }

    #[inline(always)]
    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    #[inline(always)]
    fn key(&mut self) -> Key {
        Key {
            lo: self.take(),
            hi: self.take(),
            lo_port: self.u16(),
            hi_port: self.u16(),
            vlan: [self.u16(), self.u16()],
            proto: self.take::<1>()[0],
            version: self.take::<1>()[0],
        }
    }

    #[inline(always)]
    fn flow(&mut self) -> Flow {
        Flow {
            key: self.key(),
            flags: self.u16(),
            tunnels: self.u16(),
            vlan: [self.u16(), self.u16()],
            icmp: self.take(),
            head_seq: self.u32(),
            older: NONE,
            first: self.u64(),
            head_ts: self.u64() as i64,
            tail_ts: self.u64() as i64,
            first_ts: self.u64() as i64,
            last_ts: self.u64() as i64,
            side: [self.side(), self.side()],
        }
    }

    #[inline(always)]
    fn side(&mut self) -> Side {
        Side {
            packets: self.u48(),
            bytes: self.u48(),
            wire: self.u48(),
            payload: self.u48(),
            syn: self.u32(),
            end: self.u32(),
            ack: self.u32(),
            window: self.u16(),
            wscale: self.take::<1>()[0],
            seen: self.take::<1>()[0],
        }
    }
}

struct To<'a>(&'a mut [u8; CELL], usize);

impl To<'_> {
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0[self.1..self.1 + N].copy_from_slice(&bytes);
        self.1 += N;
    }

    #[inline(always)]
    fn u48(&mut self, n: u64) {
        let n = n.min(MOST);
        self.put((n as u32).to_le_bytes());
        self.put(((n >> 32) as u16).to_le_bytes());
    }

    #[inline(always)]
    fn flow(&mut self, f: &Flow) {
        self.put(f.key.lo);
        self.put(f.key.hi);
        for n in [f.key.lo_port, f.key.hi_port, f.key.vlan[0], f.key.vlan[1]] {
            self.put(n.to_le_bytes());
        }
        self.put([f.key.proto, f.key.version]);
        for n in [f.flags, f.tunnels, f.vlan[0], f.vlan[1]] {
            self.put(n.to_le_bytes());
        }
        self.put(f.icmp);
        self.put(f.head_seq.to_le_bytes());
        self.put(f.first.to_le_bytes());
        for time in [f.head_ts, f.tail_ts, f.first_ts, f.last_ts] {
            self.put(time.to_le_bytes());
        }
        for s in &f.side {
            for n in [s.packets, s.bytes, s.wire, s.payload] {
                self.u48(n);
            }
            for n in [s.syn, s.end, s.ack] {
                self.put(n.to_le_bytes());
            }
            self.put(s.window.to_le_bytes());
            self.put([s.wscale, s.seen]);
        }
    }
}
