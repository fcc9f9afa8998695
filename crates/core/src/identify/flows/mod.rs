//! Identifies the flows of a table: an [`Observer`] that shows the engine each flow's first payloads.
//!
//! [`Identified`] keeps beside each flow, by its number, what the engine remembers and which names were seen in
//! its hellos. A packet of a decided flow costs one look at 40 bytes. Not looked at: later fragments, TCP payload
//! in fragments, and fragments that had to wait. What is held depends on the order of the packets alone, so every
//! number of threads gives the same.

mod certs;
mod columns;
mod learn;
mod note;
mod texts;

#[cfg(test)]
mod flows_tests;

pub use columns::{Column, COLUMNS};
pub use learn::{Address, MAX_ADDRESSES, MAX_NAMES};
pub use texts::MAX_TEXT;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::certs::Certs;
use self::learn::Addresses;
use self::note::{Kind, Names, Noted};
use self::texts::Texts;
use super::engine::{Engine, Input, State};
use super::models::format::check_name;
use super::models::{self, taken, Carrier, Learnt, Models, Role, Sampler};
use super::registry::FAMILIES;
use super::rule::{Protocol, IP, SCTP as ON_SCTP, TCP as ON_TCP, UDP as ON_UDP};
use super::view::Transport;
use crate::flow::client::client;
use crate::flow::{seen, Flow, Observer, Packet, Table};
use crate::packet::{anomaly, tcp_flag, Class, Facts};

const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;
const UDP_LITE: u8 = 136;

const BLOCK_BITS: u32 = 12;
const BLOCK: usize = 1 << BLOCK_BITS;

/// Bits of [`Entry::watch`]: why a decided flow is looked at further.
mod watch {
    /// Its messages give names to addresses.
    pub const DNS: u8 = 1;
    /// Its server may send a certificate.
    pub const CERT: u8 = 2;
    /// The entry was made for a packet of the flow.
    pub const BEGUN: u8 = 4;
    /// Its start is sampled.
    pub const SAMPLE: u8 = 8;
}

/// What is kept of one flow.
#[derive(Debug, Default)]
struct Entry {
    state: State,
    /// Place of its names + 1, 0 for none.
    names: u32,
    /// The name that DNS had given the server's address when the flow began.
    hint: u32,
    watch: u8,
}

/// What was recognised in the flows of a table.
pub struct Identified {
    engine: Engine,
    /// What each label of the engine is to the columns.
    kinds: Vec<Kind>,
    blocks: Vec<Vec<Entry>>,
    names: Vec<Names>,
    texts: Texts,
    addresses: Addresses,
    certs: Certs,
    sampler: Option<Sampler>,
}

impl std::fmt::Debug for Identified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identified").field("names", &self.names.len()).finish_non_exhaustive()
    }
}

impl Default for Identified {
    fn default() -> Self {
        Self::new(Arc::default(), false)
    }
}

impl Identified {
    /// Nothing seen yet. With `sampled`, the start of each flow is kept to learn from.
    pub fn new(models: Arc<Models>, sampled: bool) -> Self {
        let engine = Engine::with_models(FAMILIES, models);
        let kinds = engine.labels().iter().map(|protocol| Kind::of(protocol.label)).collect();
        Self {
            engine,
            kinds,
            blocks: Vec::new(),
            names: Vec::new(),
            texts: Texts::default(),
            addresses: Addresses::default(),
            certs: Certs::default(),
            sampler: sampled.then(Sampler::default),
        }
    }

    /// The same with nothing seen.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self::new(self.engine.models().clone(), self.sampler.is_some())
    }

    /// Makes a model of the flows whose numbers `chosen` holds for.
    ///
    /// # Errors
    /// What is wrong with the name, that starts were not kept, or that no chosen flow has payload.
    pub fn learn(&self, table: &Table, name: &str, chosen: impl Fn(u32) -> bool) -> Result<Learnt, String> {
        let Some(sampler) = &self.sampler else { return Err("the starts of flows were not kept".to_owned()) };
        check_name(name)?;
        taken(name).map_or(Ok(()), Err)?;
        let label = |n| self.known(n).and_then(|entry| entry.state.answer()).map(|answer| answer.numbers().0);
        let known: BTreeSet<usize> = (0..table.len()).filter(|&n| chosen(n)).filter_map(label).collect();
        let mut learnt = models::learn(name, || {
            (0..table.len()).map(|n| {
                let role = match label(n) {
                    _ if chosen(n) => Role::Chosen,
                    Some(label) if !known.contains(&label) => Role::Other,
                    Some(_) => Role::Known,
                    None => Role::Open,
                };
                (role, carrier(table.flow(n).key.proto), sampler.get(n))
            })
        })?;
        learnt.left_out = sampler.left_out();
        Ok(learnt)
    }

    fn entry(&mut self, n: u32) -> &mut Entry {
        let (block, at) = ((n >> BLOCK_BITS) as usize, n as usize & (BLOCK - 1));
        while self.blocks.len() <= block {
            self.blocks.push(Vec::new());
        }
        let block = &mut self.blocks[block];
        if block.len() <= at {
            block.resize_with(at + 1, Entry::default);
        }
        &mut block[at]
    }

    /// Nothing is shown of this flow: it was not recognised and has no names.
    pub fn is_blank(&self, n: u32) -> bool {
        self.known(n)
            .is_none_or(|entry| entry.names == 0 && entry.hint == 0 && entry.state.answer().is_none())
    }

    fn known(&self, n: u32) -> Option<&Entry> {
        self.blocks.get((n >> BLOCK_BITS) as usize)?.get(n as usize & (BLOCK - 1))
    }

    /// No more packets come: flows that wait are decided by what is there.
    pub fn finish(&mut self, table: &Table) {
        for n in 0..table.len() {
            let Some(block) = self.blocks.get_mut((n >> BLOCK_BITS) as usize) else { break };
            let Some(entry) = block.get_mut(n as usize & (BLOCK - 1)) else { continue };
            let mut noted = Noted {
                kinds: &self.kinds,
                texts: &mut self.texts,
                addresses: &mut self.addresses,
                found: None,
            };
            let flow = table.flow(n);
            self.engine.finish_with(&mut entry.state, |view, answer| noted.note(&flow.key, view, answer));
            if let Some(found) = noted.found {
                entry.names = place(&mut self.names, found.names);
            }
        }
        self.certs.clear();
        if let Some(sampler) = &mut self.sampler {
            sampler.finish();
        }
    }

    /// A packet with payload of a flow that is not decided, or is watched.
    fn look(&mut self, n: u32, flow: &Flow, facts: &Facts, transport: Transport, bytes: &[u8], len: u32) {
        let dir = facts.dir & 1;
        let opener = if transport == Transport::Tcp {
            let (c, guessed) = client(flow);
            (!guessed).then_some(c as u8)
        } else {
            None
        };
        let side = &flow.side[usize::from(dir)];
        let seq = facts.seq.wrapping_add(u32::from(facts.tcp_flags & tcp_flag::SYN != 0));
        let input = Input {
            transport,
            dir,
            bytes,
            len,
            seq,
            start: (side.seen & seen::SYN != 0).then(|| side.syn.wrapping_add(1)),
            opener,
        };
        let entry = &mut self.blocks[(n >> BLOCK_BITS) as usize][n as usize & (BLOCK - 1)];
        if entry.watch & watch::SAMPLE != 0 {
            let more = self.sampler.as_mut().is_some_and(|sampler| sampler.feed(n, &input));
            if !more {
                entry.watch &= !watch::SAMPLE;
            }
        }
        let mut noted =
            Noted { kinds: &self.kinds, texts: &mut self.texts, addresses: &mut self.addresses, found: None };
        if entry.state.is_decided() {
            if entry.watch & watch::DNS != 0 {
                match transport {
                    Transport::Tcp => noted.dns_stream(bytes),
                    _ => noted.dns(bytes),
                }
            }
            if entry.watch & watch::CERT != 0 {
                let more = self.certs.segment(n, &input);
                if !more.waits {
                    entry.watch &= !watch::CERT;
                }
                if let Some(holders) = more.found {
                    let names = names_of(&mut self.names, &mut entry.names);
                    names.set_holders(&mut self.texts, &holders);
                }
            }
            return;
        }
        self.engine.feed_with(&mut entry.state, &input, |view, answer| noted.note(&flow.key, view, answer));
        let Some(found) = noted.found else { return };
        entry.names = place(&mut self.names, found.names);
        if found.kind == Kind::Dns {
            entry.watch |= watch::DNS;
        }
        if found.awaits_certificate && transport == Transport::Tcp {
            let server = 1 - found.client;
            let side = &flow.side[usize::from(server)];
            let start = (side.seen & seen::SYN != 0).then(|| side.syn.wrapping_add(1));
            if self.certs.begin(n, server, start) {
                entry.watch |= watch::CERT;
            }
        }
    }

    /// SCTP: shows the payload of the DATA chunks (RFC 9260 §3.3.1) that begin a message.
    fn chunks(&mut self, n: u32, flow: &Flow, facts: &Facts, bytes: &[u8]) {
        let mut rest = bytes;
        while let [kind, flags, high, low, ..] = *rest {
            let len = usize::from(u16::from_be_bytes([high, low]));
            if len < 4 {
                return;
            }
            let head = if kind == 64 { 20 } else { 16 };
            if matches!(kind, 0 | 64) && flags & 2 != 0 && len > head && rest.len() > head {
                let shown = &rest[head..len.min(rest.len())];
                self.look(n, flow, facts, Transport::Sctp, shown, (len - head) as u32);
            }
            let Some(next) = rest.get(len.next_multiple_of(4)..) else { return };
            rest = next;
        }
    }
}

fn place(list: &mut Vec<Names>, names: Names) -> u32 {
    if names == Names::default() {
        return 0;
    }
    list.push(names);
    list.len() as u32
}

fn names_of<'a>(list: &'a mut Vec<Names>, at: &mut u32) -> &'a mut Names {
    if *at == 0 {
        list.push(Names::default());
        *at = list.len() as u32;
    }
    &mut list[*at as usize - 1]
}

/// The bit of [`Protocol::on`] for an IP protocol.
fn on(proto: u8) -> u8 {
    match proto {
        TCP => ON_TCP,
        UDP | UDP_LITE => ON_UDP,
        SCTP => ON_SCTP,
        _ => IP,
    }
}

fn carrier(proto: u8) -> Carrier {
    match proto {
        TCP => Carrier::Tcp,
        UDP | UDP_LITE => Carrier::Udp,
        SCTP => Carrier::Sctp,
        other => Carrier::Ip(other),
    }
}

fn serves(protocol: &Protocol, proto: u8, port: u16) -> bool {
    protocol.on & on(proto) != 0 && protocol.ports.contains(&port)
}

impl Observer for Identified {
    #[inline]
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, late: bool) {
        let f = p.facts;
        let hint = !self.addresses.is_empty();
        let sample = if self.sampler.is_some() { watch::SAMPLE } else { 0 };
        let entry = self.entry(n);
        if entry.state.is_decided() && entry.watch & (watch::DNS | watch::CERT | watch::SAMPLE) == 0 {
            return;
        }
        if entry.watch & watch::BEGUN == 0 {
            entry.watch |= watch::BEGUN | sample;
            if hint {
                let server = Address::of(&flow.key, client(flow).0 == 0);
                let hint = self.addresses.first(&server);
                self.entry(n).hint = hint;
            }
        }
        if late || f.class != Class::Flow || f.anomalies & anomaly::TRANSPORT_CUT != 0 {
            return;
        }
        let proto = flow.key.proto;
        let transport = match proto {
            TCP if f.fragment => return,
            TCP => Transport::Tcp,
            UDP | UDP_LITE => Transport::Udp,
            SCTP => Transport::Sctp,
            other => Transport::Ip(other),
        };
        let head = f.header_len as usize;
        let begin =
            if let Transport::Ip(_) = transport { usize::from(f.transport_at).min(head) } else { head };
        let end = (head + f.payload as usize).min(p.data.len());
        let mut len = f.payload + (head - begin) as u32;
        if begin >= end || len == 0 {
            return;
        }
        let bytes = &p.data[begin..end];
        // What pads a frame to 60 bytes counts as payload where an IP length is wrong; keep-alives are one zero.
        if proto == TCP
            && bytes.len() <= 6
            && f.tcp_flags & tcp_flag::PSH == 0
            && bytes.iter().all(|&b| b == 0)
        {
            return;
        }
        if transport == Transport::Sctp {
            self.chunks(n, flow, f, bytes);
            return;
        }
        if transport == Transport::Udp && f.fragment {
            // The length of the datagram, of which this is the first part.
            let at = usize::from(f.transport_at) + 4;
            if let Some(&[high, low]) = p.data.get(at..at + 2) {
                len = len.max(u32::from(u16::from_be_bytes([high, low])).saturating_sub(8));
            }
        }
        self.look(n, flow, f, transport, bytes, len);
    }

    fn waits(&mut self, _: &Packet<'_>) {}

    fn aside(&mut self, _: &Packet<'_>, _: bool) {}
}
