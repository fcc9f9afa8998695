//! One session: its counters, and where the next one on the same key begins.
//!
//! All that a later decision looks at is kept as a *first*, a *last*, a sum, a
//! minimum or maximum, or a bit that once set stays set. Each of these can be
//! combined over neighbouring pieces in any grouping, and that is what makes
//! summaries merge exactly, also over sequence numbers that make no sense.

use crate::packet::{tcp_flag, Facts, Key, NO_WSCALE};

/// IP protocol number of TCP.
const TCP: u8 = 6;

/// When a new session begins on the same key, and how many flows are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Silence in nanoseconds after which a flow of anything but TCP ends; 0: never.
    pub idle_ns: i64,
    /// The same for TCP; 0 (the default): never.
    pub tcp_idle_ns: i64,
    /// Flows a table holds at most. Packets of further flows are *untracked*:
    /// counted as such, never cut.
    pub max_flows: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self { idle_ns: 60_000_000_000, tcp_idle_ns: 0, max_flows: 1 << 24 }
    }
}

/// One packet as the flow stage sees it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// What its headers say.
    pub facts: &'a Facts,
    /// Nanoseconds since the epoch.
    pub ts: i64,
    /// Captured length.
    pub caplen: u32,
    /// Original length.
    pub wirelen: u32,
    /// Number of the packet in the traffic, from 0.
    pub pos: u64,
    /// Its captured bytes, from the link header on; none for a fragment that had to wait.
    pub data: &'a [u8],
}

/// Bits of [`Side::seen`]: what one end has sent. Names as in RFC 9293.
pub mod seen {
    /// Any TCP segment.
    pub const SEGMENT: u8 = 1;
    /// A segment with ACK; [`Side::ack`](super::Side::ack) is valid.
    pub const ACK: u8 = 2;
    /// A segment with SYN; [`Side::syn`](super::Side::syn) is valid.
    pub const SYN: u8 = 4;
    /// A SYN together with an ACK.
    pub const SYN_ACK: u8 = 8;
    /// A FIN.
    pub const FIN: u8 = 16;
    /// A RST.
    pub const RST: u8 = 32;
    /// Payload.
    pub const DATA: u8 = 64;
}

/// What one end of a flow has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Packets.
    pub packets: u64,
    /// Captured frame bytes.
    pub bytes: u64,
    /// Original frame bytes.
    pub wire: u64,
    /// Transport payload bytes, by the headers' length fields.
    pub payload: u64,
    /// TCP: sequence number of the last SYN.
    pub syn: u32,
    /// TCP: sequence number after the last segment (payload, SYN and FIN counted).
    pub end: u32,
    /// TCP: last acknowledgment number.
    pub ack: u32,
    /// TCP: window field of the last segment, unscaled.
    pub window: u16,
    /// TCP: window scale of the last SYN, or [`NO_WSCALE`].
    pub wscale: u8,
    /// Bits of [`seen`].
    pub seen: u8,
}

/// Bits of [`Flow::flags`].
pub mod flag {
    /// The first packet was a SYN without ACK.
    pub const HEAD_SYN: u16 = 1;
    /// The first packet was sent by the key's `hi` end.
    pub const HEAD_HI: u16 = 2;
    /// A SYN without ACK was seen; the first one came from the end in `SYN_HI`.
    pub const SYN: u16 = 4;
    /// The first SYN without ACK came from the `hi` end.
    pub const SYN_HI: u16 = 8;
    /// A SYN with ACK was seen.
    pub const SYN_ACK: u16 = 16;
    /// The first SYN with ACK came from the `hi` end.
    pub const SYN_ACK_HI: u16 = 32;
    /// A FIN or RST was seen from either end.
    pub const CLOSED: u16 = 64;
    /// Nobody has decided yet whether this goes on with the session before it.
    pub const UNDECIDED: u16 = 128;
}

/// Whether a packet goes on with the last session of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// It belongs to that session.
    Same,
    /// It begins a new one.
    New,
    /// It depends on traffic before this piece.
    Undecided,
}

/// One session of a 5-tuple: key, times, counters, and what TCP needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Addresses, ports, protocol.
    pub key: Key,
    /// Bits of [`flag`].
    pub flags: u16,
    /// Tunnels of the first packet, as in [`Facts::tunnels`].
    pub tunnels: u16,
    /// VLAN ids + 1 of the first packet.
    pub vlan: [u16; 2],
    /// ICMP type and code of the first packet.
    pub icmp: [u8; 2],
    /// TCP sequence number of the first packet.
    pub head_seq: u32,
    /// The session before this one on the same key, in the same table.
    pub older: u32,
    /// Number of the flow's first packet in the traffic.
    pub first: u64,
    /// Time of the first packet in capture order.
    pub head_ts: i64,
    /// Time of the last packet in capture order.
    pub tail_ts: i64,
    /// Smallest time of all packets.
    pub first_ts: i64,
    /// Largest time of all packets.
    pub last_ts: i64,
    /// What was sent by the key's `lo` and by its `hi` end.
    pub side: [Side; 2],
}

impl Flow {
    /// No flow: what room for flows is filled with.
    pub(crate) const NOTHING: Self = Self {
        key: Key { lo: [0; 16], hi: [0; 16], lo_port: 0, hi_port: 0, vlan: [0; 2], proto: 0, version: 0 },
        flags: 0,
        tunnels: 0,
        vlan: [0; 2],
        icmp: [0; 2],
        head_seq: 0,
        older: 0,
        first: 0,
        head_ts: 0,
        tail_ts: 0,
        first_ts: 0,
        last_ts: 0,
        side: [Side {
            packets: 0,
            bytes: 0,
            wire: 0,
            payload: 0,
            syn: 0,
            end: 0,
            ack: 0,
            window: 0,
            wscale: 0,
            seen: 0,
        }; 2],
    };

    /// A session that begins with this packet; nothing is counted yet.
    pub(crate) fn begin(p: &Packet<'_>, older: u32, undecided: bool) -> Self {
        let f = p.facts;
        let mut flags = 0;
        if is_pure_syn(f) {
            flags |= flag::HEAD_SYN;
        }
        if f.dir != 0 {
            flags |= flag::HEAD_HI;
        }
        if undecided {
            flags |= flag::UNDECIDED;
        }
        Self {
            key: f.key,
            flags,
            tunnels: f.tunnels,
            vlan: f.vlan,
            icmp: f.icmp,
            head_seq: f.seq,
            older,
            first: p.pos,
            head_ts: p.ts,
            tail_ts: p.ts,
            first_ts: p.ts,
            last_ts: p.ts,
            side: [Side { wscale: NO_WSCALE, ..Side::default() }; 2],
        }
    }

    /// Counts a packet that takes part in the session's course.
    #[inline]
    pub(crate) fn count(&mut self, p: &Packet<'_>) {
        self.tail_ts = p.ts;
        self.count_share(p);
        if self.key.proto == TCP {
            self.count_tcp(p.facts);
        }
    }

    /// Counts a later fragment: sums and times, but nothing that decides about sessions.
    #[inline]
    pub(crate) fn count_share(&mut self, p: &Packet<'_>) {
        self.first = self.first.min(p.pos);
        self.first_ts = self.first_ts.min(p.ts);
        self.last_ts = self.last_ts.max(p.ts);
        let side = &mut self.side[usize::from(p.facts.dir & 1)];
        side.packets += 1;
        side.bytes += u64::from(p.caplen);
        side.wire += u64::from(p.wirelen);
        side.payload += u64::from(p.facts.payload);
    }

    #[inline]
    fn count_tcp(&mut self, f: &Facts) {
        let t = f.tcp_flags;
        let hi = f.dir != 0;
        let side = &mut self.side[usize::from(hi)];
        let control = u32::from(t & tcp_flag::SYN != 0) + u32::from(t & tcp_flag::FIN != 0);
        side.end = f.seq.wrapping_add(f.payload).wrapping_add(control);
        side.window = f.window;
        side.seen |= seen::SEGMENT;
        if t & tcp_flag::ACK != 0 {
            side.ack = f.ack;
            side.seen |= seen::ACK;
        }
        if f.payload > 0 {
            side.seen |= seen::DATA;
        }
        if t & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0 {
            return;
        }
        if t & tcp_flag::SYN != 0 {
            side.syn = f.seq;
            side.wscale = f.wscale;
            side.seen |= seen::SYN;
            let (known, from_hi) = if t & tcp_flag::ACK == 0 {
                (flag::SYN, flag::SYN_HI)
            } else {
                side.seen |= seen::SYN_ACK;
                (flag::SYN_ACK, flag::SYN_ACK_HI)
            };
            if self.flags & known == 0 {
                self.flags |= known | if hi { from_hi } else { 0 };
            }
        }
        if t & tcp_flag::FIN != 0 {
            side.seen |= seen::FIN;
            self.flags |= flag::CLOSED;
        }
        if t & tcp_flag::RST != 0 {
            side.seen |= seen::RST;
            self.flags |= flag::CLOSED;
        }
    }

    /// Where the next packet of the same key stands to this session.
    #[inline]
    pub(crate) fn boundary(&self, p: &Packet<'_>, rules: &Rules) -> Boundary {
        let tcp = self.key.proto == TCP;
        let syn = tcp && is_pure_syn(p.facts);
        self.boundary_of(p.ts, syn.then_some((p.facts.dir, p.facts.seq)), rules)
    }

    /// The same for a session that follows in the next piece of traffic.
    pub(crate) fn boundary_before(&self, next: &Self, rules: &Rules) -> Boundary {
        let syn = next.key.proto == TCP && next.flags & flag::HEAD_SYN != 0;
        let dir = u8::from(next.flags & flag::HEAD_HI != 0);
        self.boundary_of(next.head_ts, syn.then_some((dir, next.head_seq)), rules)
    }

    #[inline]
    fn boundary_of(&self, ts: i64, syn: Option<(u8, u32)>, rules: &Rules) -> Boundary {
        let idle = if self.key.proto == TCP { rules.tcp_idle_ns } else { rules.idle_ns };
        if idle > 0 && ts.saturating_sub(self.tail_ts) > idle {
            return Boundary::New;
        }
        match syn {
            None => Boundary::Same,
            Some((dir, seq)) => self.boundary_of_syn(usize::from(dir & 1), seq),
        }
    }

    /// A SYN without ACK from `dir` with sequence number `seq` (outside the old
    /// connection's window, or after FIN or RST).
    fn boundary_of_syn(&self, dir: usize, seq: u32) -> Boundary {
        if self.flags & flag::CLOSED != 0 {
            return Boundary::New;
        }
        let (own, peer) = (&self.side[dir], &self.side[1 - dir]);
        let retransmitted = own.seen & seen::SYN != 0 && own.syn == seq;
        if self.flags & flag::UNDECIDED != 0 {
            // Whatever came before, a session that begins with a SYN was not closed then,
            // and the SYN of before is its last one: sending it again changes nothing.
            let certain = retransmitted && self.flags & flag::HEAD_SYN != 0;
            return if certain { Boundary::Same } else { Boundary::Undecided };
        }
        if retransmitted {
            return Boundary::Same;
        }
        let expected = if own.seen & seen::SEGMENT != 0 {
            own.end
        } else if peer.seen & seen::ACK != 0 {
            peer.ack
        } else {
            return Boundary::Same; // nothing is known of this end: a simultaneous open
        };
        let distance = i64::from(seq.wrapping_sub(expected) as i32);
        if distance.abs() <= window(own, peer) {
            Boundary::Same
        } else {
            Boundary::New
        }
    }

    /// Joins what followed: `next` went on with this session.
    pub(crate) fn absorb(&mut self, next: &Self) {
        self.tail_ts = next.tail_ts;
        self.first = self.first.min(next.first);
        self.first_ts = self.first_ts.min(next.first_ts);
        self.last_ts = self.last_ts.max(next.last_ts);
        for (known, from_hi) in [(flag::SYN, flag::SYN_HI), (flag::SYN_ACK, flag::SYN_ACK_HI)] {
            if self.flags & known == 0 {
                self.flags |= next.flags & (known | from_hi);
            }
        }
        self.flags |= next.flags & flag::CLOSED;
        for (mine, theirs) in self.side.iter_mut().zip(&next.side) {
            mine.absorb(theirs);
        }
    }

    /// Packets of both ends.
    pub fn packets(&self) -> u64 {
        self.side[0].packets + self.side[1].packets
    }

    /// Captured frame bytes of both ends.
    pub fn bytes(&self) -> u64 {
        self.side[0].bytes + self.side[1].bytes
    }

    /// Payload bytes of both ends.
    pub fn payload(&self) -> u64 {
        self.side[0].payload + self.side[1].payload
    }
}

impl Side {
    fn absorb(&mut self, next: &Self) {
        // Saturating: a forged ledger can claim any numbers.
        self.packets = self.packets.saturating_add(next.packets);
        self.bytes = self.bytes.saturating_add(next.bytes);
        self.wire = self.wire.saturating_add(next.wire);
        self.payload = self.payload.saturating_add(next.payload);
        if next.seen & seen::SEGMENT != 0 {
            self.end = next.end;
            self.window = next.window;
        }
        if next.seen & seen::ACK != 0 {
            self.ack = next.ack;
        }
        if next.seen & seen::SYN != 0 {
            self.syn = next.syn;
            self.wscale = next.wscale;
        }
        self.seen |= next.seen;
    }
}

/// The window into which `own` may send: the peer's last advertisement. It is scaled
/// only if both SYNs carried the option (RFC 7323 section 2.2); shifts over 14 count as 14 (section 2.3).
fn window(own: &Side, peer: &Side) -> i64 {
    if peer.seen & seen::SEGMENT == 0 {
        return 65_535;
    }
    let scaled = own.wscale != NO_WSCALE && peer.wscale != NO_WSCALE;
    i64::from(peer.window) << if scaled { peer.wscale.min(14) } else { 0 }
}

/// A SYN without ACK.
pub(crate) fn is_pure_syn(f: &Facts) -> bool {
    f.key.proto == TCP && f.tcp_flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
}
