//! The store: takes packets, and lets go of what has to go.

use super::clock::Clock;
use super::fragments::Datagrams;
use super::order::{Order, ANCHOR_BYTES};
use super::outbox::{Gone, Outbox};
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
    shares: [u32; 4],
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
    fn queue(&self, r: &Record) -> usize {
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

/// Cells that are let go at a time, where there are so many to let go.
const BATCH: u32 = 64;
/// Packets by which even a flow nobody answers is a proper one.
const MUCH: u64 = 8;
/// Bytes of an ICMP flow before all of it is let go.
const LITTLE: u64 = 4096;

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
        let mut store = Self {
            settings,
            buckets: vec![0; chains as usize],
            queues,
            rules,
            order: Order::new((anchors / ANCHOR_BYTES) as usize),
            clock: Clock::default(),
            datagrams: Datagrams::default(),
            interfaces: Vec::new(),
            aside: 0,
            cells: [0; 4],
            shares: [u32::MAX, total / 8, total / 64, total / 64],
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
        };
        store.aside = store.pool.take();
        store.cells[Class::NoFlow as usize] = 1;
        store.pool.set_record(store.aside, &Record::new(Flow::NOTHING, Class::NoFlow, 0));
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
        from.received.add(data.len() as u64);
        self.received.add(data.len() as u64);
        self.shortened += u64::from(data.len() > MOST_CAPTURED);
        let data = &data[..data.len().min(MOST_CAPTURED)];
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
            let mut cell = self.buckets[self.bucket(hash)];
            while cell != 0 {
                let mut record = self.pool.record(cell);
                if record.flow.first == first {
                    record.flow.count_share(p);
                    return (cell, record);
                }
                cell = self.pool.next(cell);
            }
        }
        let facts = Facts { key: orphan_key(&p.facts.key), ..*p.facts };
        let hash = facts.key.hash(self.settings.seed);
        self.place(&Packet { facts: &facts, ..*p }, hash, tick)
    }

    /// Puts a packet behind what its flow holds, or lets it go when the flow has all it may have.
    fn keep(
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
        self.cells[r.class as usize] += taken;
        self.held.add(len);
        self.requeue(cell, &mut r);
        self.pool.set_record(cell, &r);
        if self.readers.follow() {
            let links = &self.interfaces;
            self.readers.added(&self.pool, links, place, &header);
        }
    }

    /// The tick under which a flow stands in its queue, if that is up to date.
    fn due(&self, r: &Record) -> u32 {
        if r.queue == 0 && r.tail != 0 {
            // What lies behind the first step ages by itself: a backup that runs for hours keeps its beginning and its last
            // minutes, and does not push out what others had.
            self.pool.header(r.tail).tick
        } else {
            r.stamp()
        }
    }

    /// Puts a flow into the queue of what it holds now. The record is to be written afterwards.
    fn requeue(&mut self, cell: u32, r: &mut Record) {
        if r.class == Class::NoFlow {
            return;
        }
        let queue = self.rules.queue(r);
        if queue == usize::from(r.queue) {
            return;
        }
        if r.queue != u8::MAX {
            self.queues[usize::from(r.queue)].remove(&mut self.pool, cell);
        }
        r.queue = queue as u8;
        let due = self.due(r);
        self.queues[queue].insert(&mut self.pool, cell, due);
    }

    /// The oldest flow of a queue, and its tick.
    fn oldest(&mut self, queue: usize) -> Option<(u32, u32)> {
        loop {
            let (cell, tick) = self.queues[queue].front(&self.pool)?;
            let due = self.due(&self.pool.record(cell));
            if !self.queues[queue].is_later(due, tick) {
                return Some((cell, due));
            }
            self.queues[queue].remove(&mut self.pool, cell);
            self.queues[queue].insert(&mut self.pool, cell, due);
        }
    }

    /// Sees to it that so many cells are free.
    #[inline]
    fn make_room(&mut self, cells: u32) {
        while self.pool.free() < cells {
            if !self.let_go(cells) {
                break;
            }
        }
    }

    /// Lets go of what is the oldest, measured by how old the curve allows it to be. False: there is nothing.
    #[cold]
    fn let_go(&mut self, cells: u32) -> bool {
        if self.let_go_of_shares(cells) {
            return true;
        }
        let (mut most, mut second, mut queue) = (0.0, 0.0, None);
        for n in 0..self.queues.len() + 1 {
            let age = self.relative_age(n);
            if age > most {
                (second, most, queue) = (most, age, Some(n));
            } else if age > second {
                second = age;
            }
        }
        let Some(queue) = queue else { return false };
        let enough = self.pool.free() + cells.max(BATCH);
        loop {
            self.let_go_of_queue(queue);
            let age = self.relative_age(queue);
            if self.pool.free() >= enough || age < second || age == 0.0 {
                self.pressure = most;
                return true;
            }
        }
    }

    /// Lets go of what a class has more than its share. So a flood takes the place of another one, and of memory that nobody
    /// needs, but not of what is known of others. False: none has more.
    fn let_go_of_shares(&mut self, cells: u32) -> bool {
        let over = |class: Class| self.cells[class as usize] > self.shares[class as usize];
        let Some(class) = [Class::Unanswered, Class::Icmp, Class::NoFlow].into_iter().find(|&c| over(c))
        else {
            return false;
        };
        let enough = self.pool.free() + cells.max(BATCH);
        while self.pool.free() < enough && self.cells[class as usize] > self.shares[class as usize] {
            let queue = self.rules.steps() + usize::from(class == Class::Icmp);
            match class {
                Class::NoFlow if self.shorten_aside(1) => {}
                Class::Proper | Class::NoFlow => return false,
                Class::Unanswered | Class::Icmp => match self.oldest(queue) {
                    Some((cell, _)) if class == Class::Icmp => self.let_icmp_go(cell, Reason::Icmp),
                    Some((cell, _)) => self.let_flow_go(cell, Reason::Unanswered),
                    None => return false,
                },
            }
        }
        true
    }

    /// How old the oldest flow of a queue is, in parts of the age at which it is due; the queue after the last one is that of
    /// the packets without a flow. 0: the queue is empty.
    fn relative_age(&mut self, queue: usize) -> f64 {
        let now = self.clock.tick();
        if queue == self.queues.len() {
            let r = self.pool.record(self.aside);
            if r.packets <= 1 {
                return 0.0;
            }
            let tick = self.pool.header(r.tail).tick;
            return f64::from(now - tick + 1) / self.rules.ages[queue - 1];
        }
        match self.oldest(queue) {
            Some((_, tick)) => f64::from(now.saturating_sub(tick).saturating_add(1)) / self.rules.ages[queue],
            None => 0.0,
        }
    }

    fn let_go_of_queue(&mut self, queue: usize) {
        if queue == self.queues.len() {
            self.shorten_aside(BATCH);
            return;
        }
        let Some((cell, _)) = self.oldest(queue) else { return };
        let steps = self.rules.steps();
        if queue == steps + 1 {
            self.let_icmp_go(cell, Reason::Old);
        } else if queue == 0 && self.pool.record(cell).tail != 0 {
            self.shorten_tail(cell);
        } else if queue + 1 < steps {
            let left = self.rules.next[queue];
            self.shorten_head(cell, left, Reason::Tail);
        } else {
            self.let_flow_go(cell, Reason::Old);
        }
    }

    /// Lets go of a piece of a tail: of its end if the flow is over, else of what is oldest in it.
    fn shorten_tail(&mut self, cell: u32) {
        let mut r = self.pool.record(cell);
        let front = self.pool.header(r.tail).tick;
        let now = self.clock.tick();
        let over = (now - r.seen) >= (now - front) / 2;
        let from = r.cells;
        while r.tail != 0 && from - r.cells < BATCH {
            if over {
                self.pop_back(&mut r, Reason::Tail);
            } else {
                self.pop_front(&mut r, Reason::Tail);
            }
        }
        self.after_cut(cell, &mut r, Reason::Tail);
    }

    /// Lets go of a piece of what a head has more than `left` bytes.
    fn shorten_head(&mut self, cell: u32, left: u64, reason: Reason) {
        let mut r = self.pool.record(cell);
        let from = r.cells;
        while r.head_bytes > left && r.packets > 1 && from - r.cells < BATCH {
            self.pop_back(&mut r, reason);
        }
        self.after_cut(cell, &mut r, reason);
    }

    fn let_icmp_go(&mut self, cell: u32, reason: Reason) {
        let mut r = self.pool.record(cell);
        if r.tail_bytes == 0 && r.head_bytes <= LITTLE {
            return self.let_flow_go(cell, reason);
        }
        let from = r.cells;
        while (r.tail != 0 || r.head_bytes > LITTLE) && r.packets > 1 && from - r.cells < BATCH {
            self.pop_back(&mut r, reason);
        }
        let stuck = from == r.cells && r.packets <= 1;
        self.after_cut(cell, &mut r, reason);
        if stuck {
            self.let_flow_go(cell, reason);
        }
    }

    /// Lets go of so many cells of packets without a flow, but not of the last packet. False: there is no more.
    fn shorten_aside(&mut self, cells: u32) -> bool {
        let mut r = self.pool.record(self.aside);
        let from = r.cells;
        while r.packets > 1 && from - r.cells < cells {
            self.pop_front(&mut r, Reason::NoFlow);
        }
        self.pool.set_record(self.aside, &r);
        from != r.cells
    }

    fn after_cut(&mut self, cell: u32, r: &mut Record, reason: Reason) {
        if r.packets == 0 {
            self.pool.set_record(cell, r);
            return self.let_flow_go(cell, reason);
        }
        self.requeue(cell, r);
        self.pool.set_record(cell, r);
    }

    /// Lets go of the packet that is held last. There must be one.
    fn pop_back(&mut self, r: &mut Record, reason: Reason) {
        let place = r.last();
        let header = self.pool.header(place);
        self.forget(place, &header, reason);
        r.packets -= 1;
        let len = u64::from(header.len);
        let given;
        if r.tail != 0 {
            r.tail_bytes -= len;
            if place == r.tail {
                given = self.pool.give_chain(cell_of(place));
                (r.tail, r.tail_last, r.tail_end) = (0, 0, 0);
            } else {
                given = self.pool.cut_back(place);
                (r.tail_last, r.tail_end) = (header.before, place);
            }
        } else {
            r.head_bytes -= len;
            if header.before == 0 {
                given = self.pool.give_chain(r.head);
                (r.head, r.head_last, r.head_end) = (0, 0, 0);
            } else {
                given = self.pool.cut_back(place);
                (r.head_last, r.head_end) = (header.before, place);
            }
        }
        r.cells -= given;
        self.cells[r.class as usize] -= given;
    }

    /// Lets go of the oldest packet of the tail. There must be one.
    fn pop_front(&mut self, r: &mut Record, reason: Reason) {
        let place = r.tail;
        if place == r.tail_last {
            return self.pop_back(r, reason);
        }
        let header = self.pool.header(place);
        self.forget(place, &header, reason);
        let (next, given) = self.pool.cut_front(place, &header);
        r.tail = next;
        r.tail_bytes -= u64::from(header.len);
        r.packets -= 1;
        r.cells -= given;
        self.cells[r.class as usize] -= given;
    }

    /// Takes a packet out of the order and counts it as let go. Readers that still want it get a copy.
    fn forget(&mut self, place: u32, header: &Header, reason: Reason) {
        if !self.readers.is_empty() {
            self.readers.removed(&self.pool, &self.interfaces, place, header);
        }
        self.order.remove(&mut self.pool, place, header);
        self.held.take(u64::from(header.len));
        self.let_go.0[reason as usize].add(u64::from(header.len));
    }

    /// Places of all packets of a flow, in their order.
    pub(super) fn places(&self, r: &Record, out: &mut Vec<u32>) {
        out.clear();
        let mut place = r.tail_last;
        while r.tail != 0 {
            out.push(place);
            if place == r.tail {
                break;
            }
            place = self.pool.header(place).before;
        }
        place = r.head_last;
        while place != 0 {
            out.push(place);
            place = self.pool.header(place).before;
        }
        out.reverse();
    }

    /// Lets go of all of a flow.
    fn let_flow_go(&mut self, cell: u32, reason: Reason) {
        let mut r = self.pool.record(cell);
        if self.outbox.as_ref().is_some_and(Outbox::has_room) && r.packets > 0 {
            let gone = self.gone(&r);
            if let Some(outbox) = &mut self.outbox {
                outbox.push(gone);
            }
        } else if let Some(outbox) = &mut self.outbox {
            outbox.lost += u64::from(r.packets);
        }
        while r.packets > 0 {
            self.pop_back(&mut r, reason);
        }
        if r.queue != u8::MAX {
            self.queues[usize::from(r.queue)].remove(&mut self.pool, cell);
        }
        let bucket = self.bucket(r.flow.key.hash(self.settings.seed));
        let next = self.pool.next(cell);
        if self.buckets[bucket] == cell {
            self.buckets[bucket] = next;
        } else {
            let mut at = self.buckets[bucket];
            while self.pool.next(at) != cell {
                at = self.pool.next(at);
            }
            self.pool.set_next(at, next);
        }
        self.cells[r.class as usize] -= r.cells;
        self.flows[r.class as usize] -= 1;
        self.pool.give(cell);
    }

    /// A flow with its packets, for whoever keeps what is let go.
    fn gone(&self, r: &Record) -> Gone {
        let mut places = Vec::with_capacity(r.packets as usize);
        self.places(r, &mut places);
        let mut gone = Gone { flow: r.flow, packets: Vec::with_capacity(places.len()), bytes: Vec::new() };
        for place in places {
            let header = self.pool.header(place);
            gone.packets.push((header.interface, header.time, header.original, header.len));
            self.pool.read_into(place, &header, &mut gone.bytes);
        }
        gone
    }
}

/// Whether both ends have taken part: a handshake alone is not enough in TCP, since any open port answers a SYN. One end that
/// says much will do, too.
fn is_proper(flow: &Flow) -> bool {
    let [a, b] = &flow.side;
    let answered = a.packets > 0 && b.packets > 0;
    let said = flow.key.proto != TCP || a.payload + b.payload > 0;
    (answered && said) || flow.packets() > MUCH
}
