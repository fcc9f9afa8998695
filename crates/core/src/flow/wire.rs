//! Flows and fragments as bytes: little-endian numbers, one field behind the other.

use super::fragments::{At, Early};
use super::session::{Flow, Side};
use super::summary::MOST_BYTES;
use super::table::NONE;
use crate::packet::{Class, Facts, FragKey, Key};

/// Puts entries together, one after another.
#[derive(Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    done: bool,
}

impl Writer {
    /// The entry that was put together. The next field begins another one.
    pub fn done(&mut self) -> &[u8] {
        self.done = true;
        &self.bytes
    }

    fn put(&mut self, bytes: &[u8]) {
        if std::mem::take(&mut self.done) {
            self.bytes.clear();
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn u16s(&mut self, numbers: &[u16]) {
        for n in numbers {
            self.put(&n.to_le_bytes());
        }
    }

    pub fn u32(&mut self, n: u32) {
        self.put(&n.to_le_bytes());
    }

    pub fn u64(&mut self, n: u64) {
        self.put(&n.to_le_bytes());
    }

    fn key(&mut self, key: &Key) {
        self.put(&key.lo);
        self.put(&key.hi);
        self.u16s(&[key.lo_port, key.hi_port, key.vlan[0], key.vlan[1]]);
        self.put(&[key.proto, key.version]);
    }

    pub fn flow(&mut self, f: &Flow) {
        self.key(&f.key);
        self.u16s(&[f.flags, f.tunnels, f.vlan[0], f.vlan[1]]);
        self.put(&f.icmp);
        self.u32(f.head_seq);
        self.u64(f.first);
        for time in [f.head_ts, f.tail_ts, f.first_ts, f.last_ts] {
            self.put(&time.to_le_bytes());
        }
        for s in &f.side {
            self.counters(s);
            for n in [s.syn, s.end, s.ack] {
                self.u32(n);
            }
            self.u16s(&[s.window]);
            self.put(&[s.wscale, s.seen]);
        }
    }

    /// What is counted of a side.
    pub fn counters(&mut self, s: &Side) {
        for n in [s.packets, s.bytes, s.wire, s.payload] {
            self.u64(n);
        }
    }

    pub fn flag(&mut self, flag: bool) {
        self.put(&[u8::from(flag)]);
    }

    pub fn datagram(&mut self, key: &FragKey) {
        self.put(&key.src);
        self.put(&key.dst);
        self.put(&[key.proto, key.version]);
        self.u16s(&key.vlan);
        self.u32(key.id);
    }

    pub fn at(&mut self, at: At) {
        self.u64(at.pos);
        self.u64(at.bytes);
        self.put(&at.ts.to_le_bytes());
    }

    /// A later fragment: of its facts what the flow stage looks at.
    pub fn early(&mut self, early: &Early) {
        let f = &early.facts;
        self.datagram(&early.key);
        self.at(early.at);
        self.u32(early.caplen);
        self.u32(early.wirelen);
        self.flag(early.after.is_some());
        self.u32(early.after.unwrap_or(NONE));
        self.key(&f.key);
        self.put(&[f.dir, f.tcp_flags, f.wscale]);
        self.u16s(&[f.window, f.ip_at, f.transport_at, f.vlan[0], f.vlan[1], f.tunnels, f.anomalies]);
        for n in [f.frag_id, f.payload, f.header_len, f.seq, f.ack] {
            self.u32(n);
        }
        self.put(&f.icmp);
    }
}

/// Takes an entry apart.
pub(super) struct Reader<'a>(&'a [u8]);

type Read<T> = Result<T, &'static str>;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or("an entry is shorter than its kind")?;
        self.0 = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Read<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub fn u32(&mut self) -> Read<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn u64(&mut self) -> Read<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Read<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn key(&mut self) -> Read<Key> {
        let (lo, hi) = (self.take()?, self.take()?);
        let (lo_port, hi_port, vlan) = (self.u16()?, self.u16()?, [self.u16()?, self.u16()?]);
        let [proto, version] = self.take()?;
        Ok(Key { lo, hi, lo_port, hi_port, vlan, proto, version })
    }

    pub fn flow(&mut self) -> Read<Flow> {
        Ok(Flow {
            key: self.key()?,
            flags: self.u16()?,
            tunnels: self.u16()?,
            vlan: [self.u16()?, self.u16()?],
            icmp: self.take()?,
            head_seq: self.u32()?,
            older: NONE,
            first: self.u64()?,
            head_ts: self.i64()?,
            tail_ts: self.i64()?,
            first_ts: self.i64()?,
            last_ts: self.i64()?,
            side: [self.side()?, self.side()?],
        })
    }

    /// What is counted of a side.
    pub fn counters(&mut self) -> Read<Side> {
        let (packets, bytes, wire, payload) = (self.u64()?, self.u64()?, self.u64()?, self.u64()?);
        if [packets, bytes, wire, payload].iter().any(|&count| count > MOST_BYTES) {
            return Err("a flow tells of more packets or bytes than there can be");
        }
        Ok(Side { packets, bytes, wire, payload, ..Side::default() })
    }

    pub fn flag(&mut self) -> Read<bool> {
        match self.take()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err("what is yes or no is neither"),
        }
    }

    fn side(&mut self) -> Read<Side> {
        let counters = self.counters()?;
        let (syn, end, ack, window) = (self.u32()?, self.u32()?, self.u32()?, self.u16()?);
        let [wscale, seen] = self.take()?;
        Ok(Side { syn, end, ack, window, wscale, seen, ..counters })
    }

    pub fn datagram(&mut self) -> Read<FragKey> {
        let (src, dst) = (self.take()?, self.take()?);
        let [proto, version] = self.take()?;
        Ok(FragKey { src, dst, proto, version, vlan: [self.u16()?, self.u16()?], id: self.u32()? })
    }

    pub fn at(&mut self) -> Read<At> {
        Ok(At { pos: self.u64()?, bytes: self.u64()?, ts: self.i64()? })
    }

    pub fn early(&mut self) -> Read<Early> {
        let (key, at) = (self.datagram()?, self.at()?);
        let (caplen, wirelen) = (self.u32()?, self.u32()?);
        let (met, after) = (self.flag()?, self.u32()?);
        let own = self.key()?;
        let [dir, tcp_flags, wscale] = self.take()?;
        let facts = Facts {
            key: own,
            class: Class::Continuation,
            dir: dir & 1,
            tcp_flags,
            wscale,
            window: self.u16()?,
            ip_at: self.u16()?,
            transport_at: self.u16()?,
            vlan: [self.u16()?, self.u16()?],
            tunnels: self.u16()?,
            anomalies: self.u16()?,
            frag_id: self.u32()?,
            payload: self.u32()?,
            header_len: self.u32()?,
            seq: self.u32()?,
            ack: self.u32()?,
            icmp: self.take()?,
            ..Facts::default()
        };
        Ok(Early { key, facts, at, caplen, wirelen, after: met.then_some(after) })
    }
}
