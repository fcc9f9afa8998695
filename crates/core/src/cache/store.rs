//! The store.

use std::collections::BTreeMap;

use super::query::{Format, Query, Step};
use super::settings::{BadSettings, Interface, InterfaceId, Settings, LEAST_MEMORY, MOST_CAPTURED};
use super::status::{InterfaceStatus, ReaderStatus, Reason, Status};
use crate::flow::{Flow, Left, Packet as Counted, Silent, Tracker};
use crate::packet;
use crate::record::{write, Interface as Written, TsResol};
use crate::select::Verdict;

struct Packet {
    interface: u16,
    original: u32,
    flow: Option<Flow>,
    data: Box<[u8]>,
}

struct Reader {
    query: Query,
    end: u64,
    at: Option<(i64, u64)>,
    begun: bool,
    status: ReaderStatus,
}

/// Packets in a fixed amount of memory.
pub struct Store {
    settings: Settings,
    interfaces: Vec<InterfaceStatus>,
    packets: BTreeMap<(i64, u64), Packet>,
    tracker: Tracker,
    next: u64,
    status: Status,
    readers: BTreeMap<u32, Reader>,
}

const EACH: u64 = 400;

impl Store {
    /// An empty store.
    ///
    /// # Errors
    /// When there is too little memory.
    pub fn new(settings: Settings) -> Result<Self, BadSettings> {
        if settings.memory < LEAST_MEMORY {
            return Err(BadSettings(format!(
                "memory: at least {LEAST_MEMORY} bytes are needed, {} were given",
                settings.memory
            )));
        }
        let tracker = Tracker::new(settings.rules, Left::Start, settings.seed);
        let status = Status { bound: settings.memory, ..Status::default() };
        Ok(Self {
            settings,
            interfaces: Vec::new(),
            packets: BTreeMap::new(),
            tracker,
            next: 0,
            status,
            readers: BTreeMap::new(),
        })
    }

    /// Makes an interface known. The same name and link type again is the same interface.
    pub fn interface(&mut self, interface: Interface) -> InterfaceId {
        let same = |i: &InterfaceStatus| i.link == interface.link && i.name == interface.name;
        if let Some(n) = self.interfaces.iter().position(same) {
            return InterfaceId(n as u16);
        }
        self.interfaces.push(InterfaceStatus {
            name: interface.name,
            link: interface.link,
            ..InterfaceStatus::default()
        });
        InterfaceId(self.interfaces.len() as u16 - 1)
    }

    /// Takes a packet: its time in ns since the epoch, its length on the wire, its captured bytes.
    pub fn add(&mut self, interface: InterfaceId, time: i64, original: u32, data: &[u8]) {
        let link = self.interfaces[usize::from(interface.0)].link;
        self.interfaces[usize::from(interface.0)].received.add(data.len() as u64);
        self.status.received.add(data.len() as u64);
        let data = &data[..data.len().min(MOST_CAPTURED)];
        let facts = packet::read(link, data, original, &self.settings.options);
        let flow = (facts.class == packet::Class::Flow).then(|| {
            let p = Counted {
                facts: &facts,
                ts: time,
                caplen: data.len() as u32,
                wirelen: original,
                pos: 0,
                data,
            };
            self.tracker.feed(p, facts.key.hash(self.settings.seed), None, &mut Silent);
            self.tracker.table().latest(&facts.key).map(|n| *self.tracker.table().flow(n))
        });
        let packet = Packet { interface: interface.0, original, flow: flow.flatten(), data: data.into() };
        self.status.used.packets += data.len() as u64 + EACH;
        self.status.held.add(data.len() as u64);
        self.packets.insert((time, self.next), packet);
        self.next += 1;
        while self.status.used.packets > self.settings.memory {
            let Some((key, gone)) = self.packets.pop_first() else { break };
            self.status.used.packets -= gone.data.len() as u64 + EACH;
            self.status.held.take(gone.data.len() as u64);
            self.status.let_go.0[Reason::Old as usize].add(gone.data.len() as u64);
            for reader in self.readers.values_mut() {
                reader.status.lost += u64::from(key.1 < reader.end && reader.at.is_none_or(|at| at < key));
            }
        }
    }

    /// Says that the kernel lost packets.
    pub fn dropped(&mut self, interface: InterfaceId, packets: u64) {
        self.interfaces[usize::from(interface.0)].dropped += packets;
    }

    /// What the store says of itself.
    pub fn status(&self) -> Status {
        Status {
            oldest: self.packets.keys().next().map(|k| k.0),
            newest: self.packets.keys().next_back().map(|k| k.0),
            interfaces: self.interfaces.clone(),
            readers: self.readers.len() as u64,
            flows: u64::from(self.tracker.table().len()),
            ..self.status.clone()
        }
    }

    /// The flows of which something is held, with packets and bytes that are held.
    pub fn flows(&self) -> Vec<(Flow, u64, u64)> {
        let mut flows: Vec<_> = self.tracker.table().iter().map(|f| (*f, f.packets(), f.bytes())).collect();
        flows.sort_by_key(|f| f.0.first);
        flows
    }

    /// Begins to read.
    ///
    /// # Errors
    /// When the query cannot be answered; in words.
    pub fn reader(&mut self, query: Query) -> Result<u32, BadSettings> {
        let id = self.readers.keys().next_back().map_or(0, |n| n + 1);
        let end = if query.follow { u64::MAX } else { self.next };
        self.readers
            .insert(id, Reader { query, end, at: None, begun: false, status: ReaderStatus::default() });
        Ok(id)
    }

    /// Appends the next piece of what a reader reads.
    pub fn read(&mut self, id: u32, out: &mut Vec<u8>) -> Step {
        let Some(reader) = self.readers.get_mut(&id) else { return Step::End };
        if !reader.begun {
            reader.begun = true;
            match reader.query.format {
                Format::Pcapng => {
                    write::section(out);
                    for i in &self.interfaces {
                        let written = Written {
                            link: i.link,
                            snaplen: 0,
                            name: Some(i.name.clone()),
                            ts_resol: TsResol::NANO,
                            ts_offset: 0,
                            section: 0,
                        };
                        write::interface(out, &written);
                    }
                }
                Format::Pcap => write::pcap_header(
                    out,
                    self.interfaces.first().map_or(1, |i| i.link),
                    write::SNAPLEN,
                    true,
                ),
            }
        }
        let from = reader.at.map_or((i64::MIN, 0), |(time, seq)| (time, seq + 1));
        let mut seen = 0;
        for (key, p) in self.packets.range(from..) {
            seen += 1;
            if seen > 1024 {
                return Step::More;
            }
            reader.at = Some(*key);
            let q = &reader.query;
            let link = self.interfaces[usize::from(p.interface)].link;
            let wanted = key.1 < reader.end
                && q.since.is_none_or(|t| key.0 >= t)
                && q.until.is_none_or(|t| key.0 <= t)
                && q.flows.as_ref().is_none_or(|w| p.flow.as_ref().is_some_and(|f| w.holds(f)))
                && q.filter.as_ref().is_none_or(|f| f.verdict(link, &p.data, p.original) == Verdict::Match);
            if wanted {
                reader.status.matched += 1;
                if q.format == Format::Pcapng {
                    write::packet(out, u32::from(p.interface), TsResol::NANO, key.0, &p.data, p.original);
                } else {
                    let _ = write::pcap_packet(out, key.0, &p.data, p.original, true);
                }
            }
        }
        if reader.query.follow {
            return Step::Wait;
        }
        reader.status.ended = true;
        Step::End
    }

    /// How a reader fares.
    pub fn reader_status(&self, id: u32) -> ReaderStatus {
        self.readers.get(&id).map_or(ReaderStatus { ended: true, ..ReaderStatus::default() }, |r| r.status)
    }

    /// A reader is gone.
    pub fn close(&mut self, id: u32) {
        self.readers.remove(&id);
    }
}
