//! A store as bytes, and back.
//!
//! All numbers are little-endian. A head (magic, interfaces, clock, counters of what was let go), then the flows, each with its
//! packets in their order, then the packets that belong to no flow, then a mark of the end. Whoever writes it to a file sees
//! to a digest. A saved store can be loaded into one with other memory or another curve.

use std::ops::Range;

use super::record::{flow_bytes, flow_of, Class, Record, FLOW};
use super::settings::{BadSettings, Interface, InterfaceId, Settings, MOST_CAPTURED, MOST_NAME};
use super::status::{Reason, Totals};
use super::store::Store;
use crate::flow::Packet;
use crate::packet::{Facts, NO_WSCALE};

const MAGIC: &[u8; 16] = b"flowkeep-cache-1";
const FLOW_MARK: u8 = 1;
const ASIDE_MARK: u8 = 2;
const END_MARK: u8 = 0;
/// No counter is believed beyond this, so that sums fit into 64 bits.
const MOST_COUNTED: u64 = 1 << 60;
/// Bytes before a packet's own.
const PACKET: usize = 22;

impl Store {
    /// Appends the head of a saved store.
    pub fn save_head(&self, out: &mut Vec<u8>) {
        out.extend(MAGIC);
        out.extend((self.interfaces.len() as u32).to_le_bytes());
        for i in &self.interfaces {
            out.extend(i.link.to_le_bytes());
            out.extend(i.snap_length.to_le_bytes());
            for n in [i.received.packets, i.received.bytes, i.dropped, i.name.len() as u64] {
                out.extend(n.to_le_bytes());
            }
            out.extend(i.name.as_bytes());
        }
        out.extend(self.seq.to_le_bytes());
        out.extend(self.clock.save());
        for gone in self.let_go.0 {
            out.extend(gone.packets.to_le_bytes());
            out.extend(gone.bytes.to_le_bytes());
        }
    }

    /// Appends the flows of some [chains](Store::chains).
    pub fn save_flows(&self, chains: Range<usize>, out: &mut Vec<u8>) {
        let mut places = Vec::new();
        // The latest session of a key stands first in its chain, and has to be put in last.
        let mut cells: Vec<u32> = self.cells_of(chains).collect();
        cells.reverse();
        for cell in cells {
            let r = self.pool.record(cell);
            out.push(FLOW_MARK);
            out.extend(r.seen.to_le_bytes());
            out.extend(r.born.to_le_bytes());
            out.push(r.class as u8);
            out.push(u8::from(r.gap));
            out.extend(flow_bytes(&r.flow));
            self.places(&r, &mut places);
            self.save_packets(&places, out);
        }
    }

    /// Appends the rest.
    pub fn save_end(&self, out: &mut Vec<u8>) {
        let mut places = Vec::new();
        self.places(&self.pool.record(self.aside), &mut places);
        out.push(ASIDE_MARK);
        self.save_packets(&places, out);
        out.push(END_MARK);
    }

    fn save_packets(&self, places: &[u32], out: &mut Vec<u8>) {
        out.extend((places.len() as u32).to_le_bytes());
        for &place in places {
            let h = self.pool.header(place);
            out.extend(h.time.to_le_bytes());
            for n in [h.original, h.len, h.tick] {
                out.extend(n.to_le_bytes());
            }
            out.extend(h.interface.to_le_bytes());
            self.pool.read_into(place, &h, out);
        }
    }
}

/// Loads a saved store, from pieces of any size.
pub struct Loader {
    store: Store,
    rest: Vec<u8>,
    state: State,
    packets: u64,
    bytes: u64,
    offset: u64,
}

#[derive(Clone)]
enum State {
    Head,
    Mark,
    Packets { left: u32, flow: Option<Box<Loaded>> },
    End,
}

/// The flow whose packets come next.
#[derive(Clone, Copy)]
struct Loaded {
    record: Record,
    hash: u64,
    /// Its record is there.
    begun: bool,
}

/// What a step of a loader ran into.
enum Short {
    /// The bytes end; more are needed.
    More,
    Bad(&'static str),
}

impl Loader {
    /// Into a store with these settings.
    ///
    /// # Errors
    /// When there is too little memory.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        let store = Store::new(settings)?;
        Ok(Self { store, rest: Vec::new(), state: State::Head, packets: 0, bytes: 0, offset: 0 })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they are not those of a saved store; in words.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), BadSettings> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut at = 0;
        loop {
            let mut input = Input(&rest[at..]);
            match self.step(&mut input) {
                Ok(()) if matches!(self.state, State::End) => {
                    at = rest.len() - input.0.len();
                    if at < rest.len() {
                        return Err(self.bad(at, "bytes follow behind its end"));
                    }
                    break;
                }
                Ok(()) => at = rest.len() - input.0.len(),
                Err(Short::More) => break,
                Err(Short::Bad(why)) => return Err(self.bad(at, why)),
            }
        }
        self.offset += at as u64;
        self.rest = rest[at..].to_vec();
        Ok(())
    }

    fn bad(&self, at: usize, why: &str) -> BadSettings {
        BadSettings(format!(
            "byte {}: {why}; it is no store that flowkeep saved, or it is damaged",
            self.offset + at as u64
        ))
    }

    /// The store.
    ///
    /// # Errors
    /// When it is not whole.
    pub fn finish(mut self) -> Result<Store, BadSettings> {
        if !matches!(self.state, State::End) {
            return Err(self.bad(self.rest.len(), "it ends too early"));
        }
        // What came is what is there and what was let go before; what found no place is counted already.
        let before = self.store.received;
        self.store.received = Totals {
            packets: before.packets.saturating_add(self.packets),
            bytes: before.bytes.saturating_add(self.bytes),
        };
        Ok(self.store)
    }

    fn step(&mut self, input: &mut Input<'_>) -> Result<(), Short> {
        // Until a step is done the state stays as it is.
        self.state = match self.state.clone() {
            State::Head => {
                self.head(input)?;
                State::Mark
            }
            State::Mark => match input.take::<1>()?[0] {
                END_MARK => State::End,
                ASIDE_MARK => State::Packets { left: input.u32()?, flow: None },
                FLOW_MARK => {
                    let (seen, born) = (input.u32()?, input.u32()?);
                    let [class, gap] = input.take::<2>()?;
                    let flow = flow_of(&input.take::<FLOW>()?);
                    let left = input.u32()?;
                    let class = match class {
                        0 => Class::Proper,
                        1 => Class::Unanswered,
                        2 => Class::Icmp,
                        _ => return Err(Short::Bad("there is no such class of flows")),
                    };
                    let now = self.store.clock.tick();
                    if born > seen || seen > now || flow.first >= self.store.seq {
                        return Err(Short::Bad("a flow is younger than the store"));
                    }
                    let record = Record { seen, born, gap: gap != 0, ..Record::new(flow, class, born) };
                    let hash = flow.key.hash(self.store.settings.seed);
                    State::Packets { left, flow: Some(Box::new(Loaded { record, hash, begun: false })) }
                }
                _ => return Err(Short::Bad("a flow was expected")),
            },
            State::Packets { left: 0, .. } => State::Mark,
            State::Packets { left, flow } => {
                State::Packets { left: left - 1, flow: self.packet(input, flow)? }
            }
            State::End => State::End,
        };
        Ok(())
    }

    fn head(&mut self, input: &mut Input<'_>) -> Result<(), Short> {
        if &input.take::<16>()? != MAGIC {
            return Err(Short::Bad("it does not begin as a saved store"));
        }
        // The whole head is read before anything is changed: it may not be there yet.
        let n = input.u32()?;
        let mut interfaces = Vec::new();
        for _ in 0..n {
            let (link, snap_length) = (u16::from_le_bytes(input.take()?), input.u32()?);
            let received = Totals { packets: input.count()?, bytes: input.count()? };
            let (dropped, len) = (input.count()?, input.u64()?);
            if len > MOST_NAME as u64 || interfaces.len() >= 1024 {
                return Err(Short::Bad("an interface is not one"));
            }
            let name = String::from_utf8_lossy(input.slice(len as usize)?).into_owned();
            interfaces.push((Interface { link, name, snap_length }, received, dropped));
        }
        let (seq, clock) = (input.u64()?, input.take()?);
        let mut gone = [Totals::default(); Reason::ALL.len()];
        for reason in &mut gone {
            *reason = Totals { packets: input.count()?, bytes: input.count()? };
            self.store.received.packets = self.store.received.packets.saturating_add(reason.packets);
            self.store.received.bytes = self.store.received.bytes.saturating_add(reason.bytes);
        }
        for (interface, received, dropped) in interfaces {
            let id = self.store.interface(interface);
            let status = &mut self.store.interfaces[usize::from(id.0)];
            (status.received, status.dropped) = (received, dropped);
        }
        self.store.seq = seq.min(1 << 62);
        self.store.clock.load(clock);
        self.store.let_go.0 = gone;
        let all = self.store.let_go.total();
        self.store.received = all;
        Ok(())
    }

    fn packet(
        &mut self,
        input: &mut Input<'_>,
        flow: Option<Box<Loaded>>,
    ) -> Result<Option<Box<Loaded>>, Short> {
        let head = input.take::<PACKET>()?;
        let mut h = Input(&head);
        let (time, original, len, tick) = (h.u64()? as i64, h.u32()?, h.u32()?, h.u32()?);
        let interface = InterfaceId(u16::from_le_bytes(h.take()?));
        if len as usize > MOST_CAPTURED || self.store.link(interface).is_none() {
            return Err(Short::Bad("a packet is too long, or of no interface"));
        }
        let data = input.slice(len as usize)?;
        self.packets += 1;
        self.bytes += u64::from(len);
        let tick = tick.min(self.store.clock.tick());
        Ok(self.store.put_back(flow, interface, (time, original, tick), data))
    }
}

impl Store {
    /// Puts a loaded packet in. When its flow was let go meanwhile, the packet is, too.
    fn put_back(
        &mut self,
        mut flow: Option<Box<Loaded>>,
        interface: InterfaceId,
        (time, original, tick): (i64, u32, u32),
        data: &[u8],
    ) -> Option<Box<Loaded>> {
        self.make_room(super::packets::cells_for(data.len()) + 2);
        let facts = Facts { wscale: NO_WSCALE, ..Facts::default() };
        let p = Packet {
            facts: &facts,
            ts: time,
            caplen: data.len() as u32,
            wirelen: original,
            pos: 0,
            data: &[],
        };
        let (cell, record) = match &mut flow {
            None => (self.aside, self.pool.record(self.aside)),
            Some(loaded) if !loaded.begun => {
                loaded.begun = true;
                let r = &loaded.record;
                let (cell, _) = self.begin(r.flow, r.class, loaded.hash, r.born);
                (cell, *r)
            }
            Some(loaded) => {
                if let Some(found) = self.numbered(loaded.hash, loaded.record.flow.first) {
                    found
                } else {
                    self.let_go.0[Reason::Old as usize].add(data.len() as u64);
                    return flow;
                }
            }
        };
        let (seen, gap) = (record.seen, record.gap);
        let cell_of_flow = cell;
        self.keep(cell, record, interface, &p, data, tick);
        self.seq += 1;
        if flow.is_some() {
            // It was seen when it was seen, not when this packet was.
            let mut r = self.pool.record(cell_of_flow);
            (r.seen, r.gap) = (seen, gap);
            self.pool.set_record(cell_of_flow, &r);
        }
        flow
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn slice(&mut self, n: usize) -> Result<&'a [u8], Short> {
        if self.0.len() < n {
            return Err(Short::More);
        }
        let (taken, rest) = self.0.split_at(n);
        self.0 = rest;
        Ok(taken)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let mut out = [0; N];
        out.copy_from_slice(self.slice(N)?);
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, Short> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Short> {
        self.take().map(u64::from_le_bytes)
    }

    /// A number of packets or bytes.
    fn count(&mut self) -> Result<u64, Short> {
        match self.u64()? {
            n if n <= MOST_COUNTED => Ok(n),
            _ => Err(Short::Bad("it counts more than there can be")),
        }
    }
}
