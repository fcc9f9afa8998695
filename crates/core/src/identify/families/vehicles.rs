//! Vehicles and robots: SOME/IP, DoIP, MAVLink, RTPS of DDS.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{Transport, View};

/// The family.
pub const FAMILY: Family = Family {
    name: "vehicles",
    protocols: &[
        Protocol {
            label: "someip",
            title: "Scalable service-oriented middleware over IP",
            on: UDP | TCP,
            ports: &[30490],
            spec: "AUTOSAR PRS_SOMEIPProtocol",
        },
        Protocol {
            label: "doip",
            title: "Diagnostics over IP of road vehicles",
            on: UDP | TCP,
            ports: &[13400],
            spec: "ISO 13400-2",
        },
        Protocol { label: "mavlink", title: "MAVLink", on: UDP | TCP, ports: &[14550], spec: "MAVLink 2" },
        Protocol {
            label: "rtps",
            title: "Real-Time Publish Subscribe of DDS",
            on: UDP | TCP,
            ports: &[7400, 7401, 7410, 7411],
            spec: "OMG DDSI-RTPS 2.5",
        },
    ],
    rules: &[
        Rule {
            label: "someip",
            name: "message",
            on: UDP | TCP,
            client: Starts::Any,
            server: Starts::Any,
            check: someip,
        },
        Rule {
            label: "doip",
            name: "message",
            on: UDP | TCP,
            client: DOIP,
            server: DOIP,
            check: |v| v.pair(STRONG, doip, doip, |(), ()| true),
        },
        Rule {
            label: "mavlink",
            name: "message",
            on: UDP | TCP,
            client: MAVLINK,
            server: MAVLINK,
            check: |v| v.pair(STRONG, mavlink, mavlink, |(), ()| true),
        },
        Rule {
            label: "rtps",
            name: "message",
            on: UDP | TCP,
            client: Starts::With(&[b"RT"]),
            server: Starts::With(&[b"RT"]),
            check: |v| v.pair(SURE, rtps, rtps, |(), ()| true),
        },
    ],
};

const DOIP: Starts = Starts::Byte(|byte| matches!(byte, 1..=4 | 0xff));
const MAVLINK: Starts = Starts::With(&[b"\xfe", b"\xfd"]);

struct SomeIp {
    service: u16,
    method: u16,
    /// Client and session.
    request: u32,
    kind: u8,
}

/// Service discovery, a request with its response, or more than one datagram.
fn someip(v: &View<'_>) -> Verdict {
    let read = |bytes| someip_head(bytes, v.transport);
    let q = maybe(v.client.parse(read))?;
    let r = maybe(v.server.parse(read))?;
    let finds = |m: &SomeIp| (m.service, m.method) == (0xffff, 0x8100) && m.kind == 2;
    match (q, r) {
        (Some(q), Some(r)) => {
            let answers = q.kind == 0 && r.kind >= 0x80 && (q.service, q.request) == (r.service, r.request);
            ensure(answers || (finds(&q) && finds(&r)) || q.kind == 2 || r.kind == 2)?;
            Ok(Match::new(if answers || finds(&q) { ANSWERED } else { STRONG }))
        }
        (Some(q), None) if finds(&q) => Ok(Match::new(STRONG)),
        (Some(_), None) if v.client.grams.len() >= 2 => {
            for (bytes, len) in v.client.datagrams() {
                match read(bytes) {
                    Err(Stop::More) if bytes.len() < len => {}
                    step => closed(step).map(|_| ())?,
                }
            }
            Ok(Match::new(LIKELY))
        }
        _ => Err(Stop::More),
    }
}

/// The first of the messages that fill the datagram; of a stream the first.
fn someip_head(bytes: &[u8], transport: Transport) -> Step<SomeIp> {
    let mut c = Cursor::new(bytes);
    let mut first = None;
    loop {
        let (service, method, len) = (c.u16()?, c.u16()?, c.u32()?);
        ensure((8..=65_536).contains(&len))?;
        let mut head = c.clone();
        let request = head.u32()?;
        let (version, _interface, kind, code) = (head.u8()?, head.u8()?, head.u8()?, head.u8()?);
        ensure(version == 1 && matches!(kind & 0xdf, 0..=2 | 0x40..=0x42 | 0x80 | 0x81 | 0xc0 | 0xc1))?;
        ensure(code <= 0x5e && (code == 0 || kind & 0x80 != 0))?;
        c.skip(len as usize)?;
        let first = *first.get_or_insert((service, method, request, kind));
        if c.is_empty() || transport == Transport::Tcp {
            let (service, method, request, kind) = first;
            return Ok(SomeIp { service, method, request, kind: kind & 0xdf });
        }
    }
}

fn doip(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, inverse, kind, len) = (c.u8()?, c.u8()?, c.u16()?, c.u32()?);
    ensure(matches!(version, 1..=4 | 0xff) && version == !inverse)?;
    ensure(match kind {
        0 => len == 1,
        1 | 7 | 0x4001 | 0x4003 => len == 0,
        2 => len == 6,
        3 => len == 17,
        4 => matches!(len, 32 | 33),
        5 => matches!(len, 7 | 11),
        6 => matches!(len, 9 | 13),
        8 => len == 2,
        0x4002 => matches!(len, 3 | 7),
        0x4004 => len == 1,
        0x8001 => (5..=1 << 24).contains(&len),
        0x8002 | 0x8003 => (5..=4096).contains(&len),
        _ => false,
    })
}

/// Messages everyone sends, with the byte that their checksum takes in besides.
const MAVLINK_EXTRA: [(u32, u8); 15] = [
    (0, 50),
    (1, 124),
    (2, 137),
    (4, 237),
    (20, 214),
    (21, 159),
    (22, 220),
    (23, 168),
    (24, 24),
    (30, 39),
    (33, 104),
    (74, 20),
    (76, 152),
    (77, 143),
    (253, 83),
];

fn mavlink(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (magic, len) = (c.u8()?, usize::from(c.u8()?));
    let kind = if magic == 0xfe {
        c.skip(3)?;
        u32::from(c.u8()?)
    } else {
        ensure(magic == 0xfd && c.u8()? <= 1)?;
        c.skip(4)?;
        c.u24le()?
    };
    let extra = MAVLINK_EXTRA.iter().find(|known| known.0 == kind).ok_or(Stop::No)?.1;
    c.skip(len)?;
    let end = c.position();
    let sum = bytes[1..end].iter().chain([&extra]).fold(0xffffu16, |sum, &byte| {
        (0..8).fold(sum ^ u16::from(byte), |sum, _| if sum & 1 != 0 { sum >> 1 ^ 0x8408 } else { sum >> 1 })
    });
    ensure(c.u16le()? == sum)
}

fn rtps(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(matches!(c.take(4)?, b"RTPS" | b"RTPX"))?;
    ensure(c.u8()? <= 2 && c.u8()? <= 9)?;
    c.skip(2 + 12)?;
    let (kind, flags) = (c.u8()?, c.u8()?);
    ensure(kind != 0)?;
    let len = if flags & 1 != 0 { c.u16le()? } else { c.u16()? };
    ensure(len.is_multiple_of(4) || len as usize <= c.left())
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn messages_of_cars_are_told_by_their_heads() {
        let find = hex("ffff 8100 00000010 0000 0001 01 01 02 00 c0000000 00000000");
        udp().c(&find).is("someip");
        udp().c(hex("ffff 8100 00000011 0000 0001 01 01 02 00 c0000000 00000000")).is_nothing();
        udp().c(hex("ffff 8100 00000010 0000 0001 02 01 02 00 c0000000 00000000")).is_nothing();
        tcp().c(hex("02fd 0005 00000007 0e00 00 00000000")).is("doip");
        tcp().c(hex("02fc 0005 00000007 0e00 00 00000000")).is_nothing();
    }

    #[test]
    fn heartbeats_with_their_checksum_are_mavlink() {
        let body = hex("09 00 01 01 00 00000000 02 03 51 04 03");
        let sum = body.iter().chain([&50]).fold(0xffffu16, |s, &b| {
            (0..8).fold(s ^ u16::from(b), |s, _| if s & 1 != 0 { s >> 1 ^ 0x8408 } else { s >> 1 })
        });
        udp().c(cat(&[&[0xfe], &body, &sum.to_le_bytes()])).is("mavlink");
        udp().c(cat(&[&[0xfe], &body, &(sum ^ 1).to_le_bytes()])).is_nothing();
    }

    #[test]
    fn submessages_behind_their_magic_are_rtps() {
        udp().c(cat(&[b"RTPS\x02\x01\x01\x03", &[5; 12], &hex("09 01 0800"), &[0; 8]])).is("rtps");
        udp().c(cat(&[b"RTPS\x07\x01\x01\x03", &[5; 12], &hex("09 01 0800"), &[0; 8]])).is_nothing();
    }
}
