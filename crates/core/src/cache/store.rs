//! The store: takes packets, and lets go of what has to go.

use super::clock::Clock;
use super::fragments::Datagrams;
use super::order::{Order, ANCHOR_BYTES};
use super::outbox::Outbox;
use super::packets::{cells_for, Header, MOST_INTERFACES};
use super::pool::{cell_of, Pool, CELL};
use super::queue::Queue;
use super::readers::Readers;
use super::record::{Class, Record};
use super::settings::{
    BadSettings, Curve, Interface, InterfaceId, Settings, LEAST_MEMORY, MOST_CAPTURED, MOST_NAME,
};
use super::status::{InterfaceStatus, LetGo, Reason, Totals};
use crate::flow::fragments::orphan_key;
use crate::flow::{Boundary, Flow, Packet, NONE};
use crate::packet::{self, Facts, FragKey, Key};

/// Packets in a fixed amount of memory.
pub struct Store {
    pub(super) settings: Settings,
    pub(super) pool: Pool,
    /// First flow of each chain, by hash.
    pub(super) buckets: Vec<u32>,
    /// One a step of the curve, then those of flows nobody answered and of ICMP.
    pub(super) queues: Vec<Queue>,
    pub(super) rules: Allowances,
    pub(super) order: Order,
    pub(super) clock: Clock,
    datagrams: Datagrams,
    pub(super) interfaces: Vec<InterfaceStatus>,
    /// The record of all packets that belong to no flow.
    pub(super) aside: u32,
    /// Cells by class, and how many each may have.
    pub(super) cells: [u32; 4],
    pub(super) shares: [u32; 4],
    /// Cells by queue, and how many each may have.
    pub(super) queued: Vec<u32>,
    pub(super) most_queued: Vec<u32>,
    pub(super) flows: [u64; 4],
    pub(super) received: Totals,
    pub(super) held: Totals,
    pub(super) let_go: LetGo,
    pub(super) shortened: u64,
    /// Number of the next packet.
    pub(super) seq: u64,
    /// How old, in parts of what the curve says, what was let go last was.
    pub(super) pressure: f64,
    pub(super) fixed: u64,
    pub(super) readers: Readers,
    pub(super) outbox: Option<Outbox>,
}

/// The curve, compiled.
pub(super) struct Allowances {
    /// Per queue: the age at which its flows are due, in ticks.
    pub ages: Vec<f64>,
    /// Per step: what is left of a flow that is cut. The last is 0.
    pub next: Vec<u64>,
    /// Bytes of a head at most.
    pub head: u64,
    /// Whether there are tails: recent flows are kept whole.
    pub tails: bool,
}

impl Allowances {
    fn new(curve: &Curve) -> Self {
        let steps = curve.steps();
        let mut ages: Vec<f64> = steps.iter().map(|s| Clock::ticks(s.0)).collect();
        let oldest = ages[ages.len() - 1];
        ages.extend([oldest, oldest]);
        let next: Vec<u64> = steps.iter().skip(1).map(|s| s.1).chain([0]).collect();
        let tails = steps[0].1 == Curve::ALL;
        Self { ages, head: if tails { next[0] } else { steps[0].1 }, next, tails }
    }

    pub fn steps(&self) -> usize {
        self.next.len()
    }

    /// The queue in which a flow belongs: the step from which it is cut next.
    pub fn queue(&self, r: &Record) -> usize {
        match r.class {
            Class::Unanswered => self.steps(),
            Class::Icmp | Class::NoFlow => self.steps() + 1,
            Class::Proper if r.tail != 0 => 0,
            // The first packet of a flow stays as long as anything of it.
            Class::Proper if r.packets <= 1 => self.steps() - 1,
            Class::Proper => self.next.iter().position(|&n| r.head_bytes > n).unwrap_or(self.steps() - 1),
        }
    }
}

/// Packets by which even a flow nobody answers is a proper one.
const MUCH: u64 = 8;

const TCP: u8 = 6;

impl Store {
    /// An empty store. The memory is taken from the system when it is first needed.
    ///
    /// # Errors
    /// When there is too little memory.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        let memory = settings.memory;
        if memory < LEAST_MEMORY {
            return Err(BadSettings(format!(
                "memory: at least {LEAST_MEMORY} bytes are needed, {memory} were given"
            )));
        }
        let rules = Allowances::new(&settings.curve);
        let queues: Vec<Queue> = (0..rules.ages.len()).map(|_| Queue::new()).collect();
        // One chain for about eight cells: flows have more than that each, as a rule.
        let chains = (memory / CELL as u64 / 8).next_power_of_two();
        let readers = (memory / 32).min(16 << 20);
        let anchors = memory / 64;
        let fixed =
            chains * 4 + queues.len() as u64 * Queue::BYTES + Datagrams::BYTES + size_of::<Self>() as u64;
        let pool = Pool::new(memory - fixed - anchors - readers);
        let total = pool.len();
        let most_queued = shares_of_steps(rules.steps(), total);
        let mut store = Self {
            settings,
            buckets: vec![0; chains as usize],
            rules,
            order: Order::new((anchors / ANCHOR_BYTES) as usize),
            clock: Clock::default(),
            datagrams: Datagrams::default(),
            interfaces: Vec::new(),
            aside: 0,
            cells: [0; 4],
            shares: [u32::MAX, total / 8, total / 64, total / 64],
            queued: vec![0; queues.len()],
            most_queued,
            flows: [0; 4],
            received: Totals::default(),
            held: Totals::default(),
            let_go: LetGo::default(),
            shortened: 0,
            seq: 0,
            pressure: 0.0,
            fixed,
            readers: Readers::new(readers),
            outbox: None,
            pool,
            queues,
        };
        store.aside = store.pool.take();
        store.cells[Class::NoFlow as usize] = 1;
        let nobody = Flow { first: u64::MAX, ..Flow::NOTHING };
        store.pool.set_record(store.aside, &Record::new(nobody, Class::NoFlow, 0));
        Ok(store)
    }

    /// How it was made.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Makes an interface known. The same name and link type again is the same interface. When there are 1,024, further ones
    /// count as the last one of their link type, or else as the last one at all, as what they are not.
    pub fn interface(&mut self, interface: Interface) -> InterfaceId {
        let mut name = interface.name;
        if name.len() > MOST_NAME {
            let end = (0..=MOST_NAME).rev().find(|&n| name.is_char_boundary(n)).unwrap_or(0);
            name.truncate(end);
        }
        let link = interface.link;
        let found = self.interfaces.iter().position(|i| i.link == link && i.name == name);
        let full = self.interfaces.len() >= usize::from(MOST_INTERFACES);
        let alike = || self.interfaces.iter().rposition(|i| i.link == link);
        if let Some(n) = found.or_else(|| if full { alike() } else { None }) {
            return InterfaceId(n as u16);
        }
        if !full {
            let snap_length = interface.snap_length;
            self.interfaces.push(InterfaceStatus { name, link, snap_length, ..InterfaceStatus::default() });
        }
        InterfaceId(self.interfaces.len() as u16 - 1)
    }

    /// The interfaces.
    pub fn interfaces(&self) -> &[InterfaceStatus] {
        &self.interfaces
    }

    /// The link type of an interface; `None` if there is no such interface.
    pub fn link(&self, interface: InterfaceId) -> Option<u16> {
        self.interfaces.get(usize::from(interface.0)).map(|i| i.link)
    }

    /// Says that the kernel lost packets.
    pub fn dropped(&mut self, interface: InterfaceId, packets: u64) {
        if let Some(i) = self.interfaces.get_mut(usize::from(interface.0)) {
            i.dropped += packets;
        }
    }

    /// Takes a packet: its time in ns since the epoch, its length on the wire, its captured bytes.
    pub fn add(&mut self, interface: InterfaceId, time: i64, original: u32, data: &[u8]) {
        let Some(link) = self.link(interface) else { return };
        let (options, seed) = (self.settings.options, self.settings.seed);
        let facts = packet::read(link, data, original, &options);
        let frag = if facts.fragment || facts.class == packet::Class::Continuation {
            packet::fragment_key(link, data, original, &options)
        } else {
            None
        };
        let hash = if facts.class == packet::Class::Flow { facts.key.hash(seed) } else { 0 };
        self.add_read(interface, time, original, data, &facts, hash, frag.as_ref());
    }

    /// The same, of a packet whose headers have been read: with the options and the seed of the settings.
    #[allow(clippy::too_many_arguments)] // each is one fact of the packet
    pub fn add_read(
        &mut self,
        interface: InterfaceId,
        time: i64,
        original: u32,
        data: &[u8],
        facts: &Facts,
        hash: u64,
        frag: Option<&FragKey>,
    ) {
        let Some(from) = self.interfaces.get_mut(usize::from(interface.0)) else { return };
        self.shortened += u64::from(data.len() > MOST_CAPTURED);
        let data = &data[..data.len().min(MOST_CAPTURED)];
        from.received.add(data.len() as u64);
        self.received.add(data.len() as u64);
        let tick = self.clock.packet(time);
        self.make_room(cells_for(data.len()) + 2);
        let p = Packet {
            facts,
            ts: time,
            caplen: data.len() as u32,
            wirelen: original,
            pos: self.seq,
            data: &[],
        };
        let (cell, record) = match facts.class {
            packet::Class::NoFlow => (self.aside, self.pool.record(self.aside)),
            packet::Class::Flow => {
                let placed = self.place(&p, hash, tick);
                if let Some(key) = frag {
                    self.datagrams.learn(key, self.settings.seed, time, hash, placed.1.flow.first);
                }
                placed
            }
            packet::Class::Continuation => self.place_fragment(&p, frag, tick),
        };
        self.keep(cell, record, interface, &p, data, tick);
        self.seq += 1;
    }

    /// The latest session of a key.
    fn find(&self, hash: u64, key: &Key) -> Option<u32> {
        let mut cell = self.buckets[self.bucket(hash)];
        while cell != 0 {
            if self.pool.is_of(cell, key) {
                return Some(cell);
            }
            cell = self.pool.next(cell);
        }
        None
    }

    pub(super) fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.buckets.len() - 1)
    }

    /// The flow of a number, if it is still there.
    pub(super) fn numbered(&self, hash: u64, first: u64) -> Option<(u32, Record)> {
        let mut cell = self.buckets[self.bucket(hash)];
        while cell != 0 {
            let record = self.pool.record(cell);
            if record.flow.first == first {
                return Some((cell, record));
            }
            cell = self.pool.next(cell);
        }
        None
    }

    /// Counts a packet to its session, or begins one.
    fn place(&mut self, p: &Packet<'_>, hash: u64, tick: u32) -> (u32, Record) {
        if let Some(cell) = self.find(hash, &p.facts.key) {
            let mut record = self.pool.record(cell);
            if record.flow.boundary(p, &self.settings.rules) == Boundary::Same {
                record.flow.count(p);
                return (cell, record);
            }
        }
        let mut flow = Flow::begin(p, NONE, false);
        flow.count(p);
        let class = if matches!(p.facts.key.proto, 1 | 58) { Class::Icmp } else { Class::Unanswered };
        self.begin(flow, class, hash, tick)
    }

    /// A new record, the first of its hash chain. There must be a free cell.
    pub(super) fn begin(&mut self, flow: Flow, class: Class, hash: u64, tick: u32) -> (u32, Record) {
        let cell = self.pool.take();
        let bucket = self.bucket(hash);
        self.pool.set_next(cell, self.buckets[bucket]);
        self.buckets[bucket] = cell;
        self.cells[class as usize] += 1;
        self.flows[class as usize] += 1;
        (cell, Record::new(flow, class, tick))
    }

    /// A later fragment goes to the flow of its datagram's first one, if that came before it and is held; else to one of
    /// its addresses alone. It cannot wait here: nothing holds the traffic back.
    fn place_fragment(&mut self, p: &Packet<'_>, frag: Option<&FragKey>, tick: u32) -> (u32, Record) {
        let known = frag.and_then(|key| self.datagrams.find(key, self.settings.seed, p.ts));
        if let Some((hash, first)) = known {
            if let Some((cell, mut record)) = self.numbered(hash, first) {
                record.flow.count_share(p);
                return (cell, record);
            }
        }
        let facts = Facts { key: orphan_key(&p.facts.key), ..*p.facts };
        let hash = facts.key.hash(self.settings.seed);
        self.place(&Packet { facts: &facts, ..*p }, hash, tick)
    }

    /// Puts a packet behind what its flow holds, or lets it go when the flow has all it may have.
    pub(super) fn keep(
        &mut self,
        cell: u32,
        mut r: Record,
        interface: InterfaceId,
        p: &Packet<'_>,
        data: &[u8],
        tick: u32,
    ) {
        r.seen = tick;
        let len = data.len() as u64;
        let before = r.class;
        if r.class == Class::Unanswered && is_proper(&r.flow) {
            r.class = Class::Proper;
            self.cells[before as usize] -= r.cells;
            self.cells[Class::Proper as usize] += r.cells;
            self.flows[before as usize] -= 1;
            self.flows[Class::Proper as usize] += 1;
        }
        let tails = self.rules.tails || r.class == Class::NoFlow;
        let fits = r.tail == 0 && r.class != Class::NoFlow && r.head_bytes + len <= self.rules.head;
        if !tails && !fits && r.packets > 0 {
            self.let_go.0[Reason::Tail as usize].add(len);
            self.requeue(cell, &mut r);
            self.pool.set_record(cell, &r);
            return;
        }
        let into_tail = tails && !fits;
        // The packet itself is counted already.
        r.gap |= r.class != Class::NoFlow && u64::from(r.packets) + 1 < r.flow.packets();
        let prev = self.order.find(&mut self.pool, p.ts);
        let header = Header {
            time: p.ts,
            prev,
            next: self.order.after(&self.pool, prev),
            flow: cell,
            len: data.len() as u32,
            interface: interface.0,
            anchor: false,
            seq: self.seq as u32,
            tick,
            before: r.last(),
            original: p.wirelen,
        };
        let end = if into_tail { r.tail_end } else { r.head_end };
        let (place, end, taken) = self.pool.put(end, &header, data);
        self.order.insert(&mut self.pool, place, header.prev, header.next);
        if into_tail {
            if r.tail == 0 {
                r.tail = place;
            }
            (r.tail_last, r.tail_end) = (place, end);
            r.tail_bytes += len;
        } else {
            if r.head == 0 {
                r.head = cell_of(place);
            }
            (r.head_last, r.head_end) = (place, end);
            r.head_bytes += len;
        }
        r.packets += 1;
        r.cells += taken;
        if r.queue != u8::MAX {
            self.queued[usize::from(r.queue)] += taken;
        }
        self.cells[r.class as usize] += taken;
        self.held.add(len);
        self.requeue(cell, &mut r);
        self.pool.set_record(cell, &r);
        if self.readers.follow() {
            let links = &self.interfaces;
            self.readers.added(&self.pool, links, place, &header);
        }
    }
}

/// Half of the memory is for the past: the last two steps. The other half is shared equally by the steps before them. The
/// shares count when memory is short.
fn shares_of_steps(steps: usize, total: u32) -> Vec<u32> {
    let early = steps.saturating_sub(2).max(usize::from(steps == 2));
    let each = total / 2 / early.max(1) as u32;
    (0..steps + 2).map(|n| if n < early { each } else { u32::MAX }).collect()
}

/// Whether both ends have taken part: a handshake alone is not enough in TCP, since any open port answers a SYN. One end that
/// says much will do, too.
fn is_proper(flow: &Flow) -> bool {
    let [a, b] = &flow.side;
    let answered = a.packets > 0 && b.packets > 0;
    let said = flow.key.proto != TCP || a.payload + b.payload > 0;
    (answered && said) || flow.packets() > MUCH
}
