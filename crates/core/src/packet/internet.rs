//! IPv4, IPv6 and its extension headers.

use super::reader::{Bad, Reader, Step};
use super::transport::TCP;
use super::{anomaly, Class, NoFlow};

/// What an IP header says of what follows it.
pub(super) struct Datagram {
    pub version: u8,
    pub src: [u8; 16],
    pub dst: [u8; 16],
    pub proto: u8,
    /// Fragment offset is not zero.
    pub later: bool,
    /// More fragments follow, or this is a later one.
    pub fragment: bool,
    pub id: u32,
}

impl Reader<'_> {
    pub fn either_ip(&mut self, at: usize, end: usize) -> Step {
        match self.byte(at)? >> 4 {
            4 => self.ip4(at, end),
            6 => self.ip6(at, end),
            _ => Err(Bad),
        }
    }

    /// IPv4 (RFC 791 §3.1). A total length of 0 is what segmentation offload leaves: then the frame tells.
    #[inline(always)]
    pub fn ip4(&mut self, at: usize, end: usize) -> Step {
        self.deeper()?;
        let head: [u8; 20] = self.array(at)?;
        let size = usize::from(head[0] & 15) * 4;
        let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if head[0] >> 4 != 4 || size < 20 || at + size > self.data.len() || (total != 0 && total < size) {
            return Err(Bad);
        }
        let stop = self.stop(if total == 0 { end } else { at + total }, end)?;
        let place = u16::from_be_bytes([head[6], head[7]]);
        let (mut src, mut dst) = ([0; 16], [0; 16]);
        src[..4].copy_from_slice(&head[12..16]);
        dst[..4].copy_from_slice(&head[16..20]);
        let datagram = Datagram {
            version: 4,
            src,
            dst,
            proto: head[9],
            later: place & 0x1fff != 0,
            fragment: place & 0x3fff != 0,
            id: u32::from(u16::from_be_bytes([head[4], head[5]])),
        };
        let stop = carried(datagram.proto, stop, end);
        self.facts.ip_at = place_of(at);
        self.internet(&datagram, at + size, stop)
    }

    /// IPv6 (RFC 8200 §3, §4). A payload length of 0 is a jumbogram or segmentation offload.
    #[inline(never)]
    pub fn ip6(&mut self, at: usize, end: usize) -> Step {
        self.deeper()?;
        let head: [u8; 40] = self.array(at)?;
        if head[0] >> 4 != 6 {
            return Err(Bad);
        }
        let length = usize::from(u16::from_be_bytes([head[4], head[5]]));
        let stop = self.stop(if length == 0 { end } else { at + 40 + length }, end)?;
        let (mut src, mut dst) = ([0; 16], [0; 16]);
        src.copy_from_slice(&head[8..24]);
        dst.copy_from_slice(&head[24..40]);
        let mut datagram =
            Datagram { version: 6, src, dst, proto: head[6], later: false, fragment: false, id: 0 };
        self.facts.ip_at = place_of(at);
        let mut at = at + 40;
        while matches!(datagram.proto, 0 | 43 | 44 | 51 | 60 | 135) && !datagram.later {
            self.deeper()?;
            let [next, units] = self.array(at)?;
            if datagram.proto == 44 {
                let place = self.u16(at + 2)?;
                // An atomic fragment (RFC 6946) is a whole datagram.
                if place & 0xfff9 != 0 {
                    datagram.fragment = true;
                    datagram.later = place & 0xfff8 != 0;
                    datagram.id = self.u32(at + 4)?;
                }
                at += 8;
            } else {
                at += if datagram.proto == 51 {
                    (usize::from(units) + 2) * 4
                } else {
                    (usize::from(units) + 1) * 8
                };
            }
            datagram.proto = next;
        }
        let stop = carried(datagram.proto, stop, end);
        self.internet(&datagram, at, stop)
    }

    /// Where a datagram ends. One that says more than the frame around it holds was cut by whoever sent
    /// or captured it; inside a tunnel it is a sign that there is no tunnel.
    #[inline(always)]
    fn stop(&mut self, stop: usize, end: usize) -> Result<usize, Bad> {
        if stop > end {
            if self.inside() {
                return Err(Bad);
            }
            self.facts.anomalies |= anomaly::IP_LENGTH;
        }
        Ok(stop)
    }

    #[inline(always)]
    fn internet(&mut self, d: &Datagram, at: usize, stop: usize) -> Step {
        let f = &mut self.facts;
        f.reason = NoFlow::None;
        f.class = if d.later { Class::Continuation } else { Class::Flow };
        f.fragment = d.fragment && !d.later;
        f.frag_id = d.id;
        if !d.fragment {
            f.frag_id = 0;
        }
        f.payload = stop.saturating_sub(at) as u32;
        f.header_len = at.min(self.data.len()) as u32;
        f.transport_at = place_of(at);
        (f.tcp_flags, f.window, f.seq, f.ack, f.icmp, f.wscale) = (0, 0, 0, 0, [0; 2], super::NO_WSCALE);
        let (mut sport, mut dport) = (0, 0);
        if !d.later {
            (sport, dport) = self.transport(d.proto, at, stop);
        }
        let swap = (d.dst, dport) < (d.src, sport);
        let key = &mut self.facts.key;
        (key.lo, key.hi) = if swap { (d.dst, d.src) } else { (d.src, d.dst) };
        (key.lo_port, key.hi_port) = if swap { (dport, sport) } else { (sport, dport) };
        (key.proto, key.version) = (d.proto, d.version);
        self.facts.dir = u8::from(swap);
        if d.fragment {
            let proto = if d.version == 6 { 44 } else { d.proto };
            let vlan = if self.options.key_vlan { self.facts.vlan } else { [0; 2] };
            self.frag = super::FragKey { src: d.src, dst: d.dst, proto, version: d.version, vlan, id: d.id };
        } else if !self.options.outer && d.proto != 6 {
            // A fragment holds no whole inner packet, TCP no tunnel.
            self.maybe_tunnel(d.proto, (sport, dport), at, stop);
        }
        Ok(())
    }
}

/// TCP has no length field of its own: what the frame does not hold is no payload, whatever IP says.
#[inline(always)]
fn carried(proto: u8, stop: usize, end: usize) -> usize {
    if proto == TCP {
        stop.min(end)
    } else {
        stop
    }
}

/// An offset as it stands in the facts.
#[inline(always)]
fn place_of(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(super::Facts::NOWHERE)
}
