//! What an analyst asks of a flow besides its counters: round trip, retransmissions, TTL, MSS, MAC
//! addresses, and the connection state and history in Zeek's terms.
//!
//! [`Details`] is an [`Observer`]: it keeps a [`Detail`] beside each flow of the table, by the flow's
//! number, and only when asked. A `Detail` has a fixed size and at most [`MAX_HOLES`] holes per end.
//! What it holds depends on the order of the packets alone, so every number of threads gives the same.

mod header;
mod rtt;
mod sequence;
mod zeek;

#[cfg(test)]
mod detail_tests;

pub use sequence::MAX_HOLES;

use self::sequence::Hole;
use super::client::client;
use super::session::{Flow, Packet};
use super::tracker::Observer;
use crate::packet::{anomaly, tcp_flag, Class};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;

const BLOCK_BITS: u32 = 12;
const BLOCK: usize = 1 << BLOCK_BITS;

/// The details of all flows of a table.
#[derive(Clone, Debug, Default)]
pub struct Details {
    blocks: Vec<Vec<Detail>>,
    link: u16,
}

impl Details {
    /// The details of flow `n`; `None` when they are not known, or not of all its packets (the flow, or a
    /// part of it, is known from a ledger).
    pub fn of(&self, n: u32, flow: &Flow) -> Option<&Detail> {
        let detail = self.blocks.get((n >> BLOCK_BITS) as usize)?.get(n as usize & (BLOCK - 1))?;
        (detail.packets == flow.packets()).then_some(detail)
    }

    fn entry(&mut self, n: u32) -> &mut Detail {
        let (block, at) = ((n >> BLOCK_BITS) as usize, n as usize & (BLOCK - 1));
        while self.blocks.len() <= block {
            self.blocks.push(Vec::new());
        }
        let block = &mut self.blocks[block];
        if block.len() <= at {
            block.resize(at + 1, Detail::default());
        }
        &mut block[at]
    }
}

impl Observer for Details {
    fn frame(&mut self, link: u16) {
        self.link = link;
    }

    #[inline]
    fn counted(&mut self, n: u32, flow: &Flow, p: &Packet<'_>, _: bool) {
        let link = self.link;
        self.entry(n).count(flow, p, link);
    }

    fn waits(&mut self, _: &Packet<'_>) {}

    fn aside(&mut self, _: &Packet<'_>, _: bool) {}
}

/// Bits of [`Detail::bits`].
mod bit {
    /// [`Detail::client`](super::Detail) is known.
    pub const ROLES: u8 = 1;
    /// A SYN was seen (ICMP: the first unanswered request is known).
    pub const SYN: u8 = 2;
    /// The SYN/ACK that answers it was seen (ICMP: the latest request is known).
    pub const SYN_ACK: u8 = 4;
    /// The ACK of the SYN/ACK was seen (ICMP: a reply).
    pub const ACK: u8 = 8;
    /// The handshake is over: what comes is no part of it.
    pub const DONE: u8 = 16;
    /// A SYN or SYN/ACK was sent twice: nobody can say which one was answered.
    pub const AMBIGUOUS: u8 = 32;
}

/// Bits of [`Side::bits`].
mod has {
    pub const TTL: u8 = 1;
    pub const MSS: u8 = 2;
    pub const MAC: u8 = 4;
    /// `base` and `next` are known.
    pub const SEQ: u8 = 8;
    /// `base` is the sequence number of a SYN.
    pub const SYN_BASE: u8 = 16;
    /// `ack` is known.
    pub const ACK: u8 = 32;
    /// `told` is known.
    pub const TOLD: u8 = 64;
    /// The last segment was the first fragment of one: where it ended is not known.
    pub const LOOSE: u8 = 128;
}

/// What one end sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Side {
    missed: u64,
    /// First sequence number: that of the SYN if there was one.
    base: u32,
    /// Behind the highest sequence number seen.
    next: u32,
    /// The highest acknowledgment number this end sent.
    ack: u32,
    /// How far gaps behind `next` are in the history already.
    told: u32,
    retransmitted: u32,
    out_of_order: u32,
    zeek: zeek::End,
    mss: u16,
    mac: [u8; 6],
    ttl: u8,
    bits: u8,
}

/// What is known of one flow besides its counters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    packets: u64,
    /// Times of SYN, SYN/ACK and ACK; of the first unanswered and the latest echo request, and the round trip.
    times: [i64; 3],
    /// Identifier and sequence number of the first unanswered and of the latest echo request.
    echo: [u32; 2],
    holes: Vec<Hole>,
    side: [Side; 2],
    history: zeek::History,
    /// The client's end as far as is known: 0 the key's `lo`, 1 its `hi`.
    client: u8,
    bits: u8,
}

impl Detail {
    fn count(&mut self, flow: &Flow, p: &Packet<'_>, link: u16) {
        self.packets += 1;
        let dir = usize::from(p.facts.dir & 1);
        self.side[dir].note_headers(p, link);
        if p.facts.class != Class::Flow {
            return; // a later fragment has no transport header
        }
        let proto = flow.key.proto;
        let syn = proto == TCP && p.facts.tcp_flags & tcp_flag::SYN != 0;
        if self.bits & bit::ROLES == 0 || syn {
            self.note_roles(flow, dir);
        }
        if p.facts.anomalies & anomaly::TRANSPORT_CUT != 0 {
            return;
        }
        match proto {
            TCP => self.tcp(flow, p, dir),
            UDP => self.udp(p, dir),
            ICMP | ICMP6 => self.echo(p, dir, proto),
            _ => {}
        }
    }

    /// Who is the client can only change with a SYN.
    fn note_roles(&mut self, flow: &Flow, dir: usize) {
        let c = client(flow).0 as u8;
        let before = if self.bits & bit::ROLES == 0 { dir as u8 } else { self.client };
        if c != before {
            self.history.push(b'^');
        }
        self.client = c;
        self.bits |= bit::ROLES;
    }

    fn is_client(&self, end: usize) -> bool {
        usize::from(self.client) == end
    }

    fn tcp(&mut self, flow: &Flow, p: &Packet<'_>, dir: usize) {
        let f = p.facts;
        self.check(p, dir);
        self.history_of_flags(f, dir);
        self.history_of_window(f, dir);
        let zeeks_retransmission = self.segment(flow, p, dir);
        if zeeks_retransmission {
            self.scaled(zeek::T, dir);
        }
        self.handshake(p, dir);
        self.advance(f, dir);
        if f.tcp_flags & tcp_flag::ACK != 0 && f.tcp_flags & tcp_flag::RST == 0 {
            self.acknowledged(f.ack, dir);
        }
    }

    /// The time to live or hop limit of the first packet of an end (0: `lo`, 1: `hi`).
    pub fn ttl(&self, end: usize) -> Option<u8> {
        (self.side[end].bits & has::TTL != 0).then_some(self.side[end].ttl)
    }

    /// The maximum segment size in an end's first SYN that has the option (RFC 9293 section 3.7.1).
    pub fn mss(&self, end: usize) -> Option<u16> {
        (self.side[end].bits & has::MSS != 0).then_some(self.side[end].mss)
    }

    /// The source MAC address in the frame of an end's first packet.
    pub fn mac(&self, end: usize) -> Option<[u8; 6]> {
        (self.side[end].bits & has::MAC != 0).then_some(self.side[end].mac)
    }
}

impl Side {
    fn note_headers(&mut self, p: &Packet<'_>, link: u16) {
        if self.bits & has::TTL == 0 {
            if let Some(ttl) = header::ttl(p) {
                (self.ttl, self.bits) = (ttl, self.bits | has::TTL);
            }
            // Only with the first packet: with those that follow the MAC may be that of another router.
            if let Some(mac) = header::mac(link, p.data) {
                (self.mac, self.bits) = (mac, self.bits | has::MAC);
            }
        }
        if p.facts.tcp_flags & tcp_flag::SYN != 0 && self.bits & has::MSS == 0 {
            if let Some(mss) = header::mss(p) {
                (self.mss, self.bits) = (mss, self.bits | has::MSS);
            }
        }
    }
}
