//! Cars, drones and things at home: CoAP, LwM2M, SOME/IP, DoIP, MAVLink, RTPS, Matter, lamps and plugs.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_ascii;
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{Transport, View};

/// The family.
pub const FAMILY: Family = Family {
    name: "things",
    protocols: &[
        Protocol {
            label: "coap",
            title: "Constrained Application Protocol",
            on: UDP | TCP,
            ports: &[5683],
            spec: "RFC 7252",
        },
        Protocol {
            label: "lwm2m",
            title: "Lightweight Machine to Machine",
            on: UDP,
            ports: &[5683, 5685],
            spec: "OMA LwM2M 1.2",
        },
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
        Protocol { label: "matter", title: "Matter", on: UDP, ports: &[5540], spec: "CSA Matter 1.0" },
        Protocol {
            label: "kasa",
            title: "TP-Link smart home",
            on: UDP | TCP,
            ports: &[9999],
            spec: "no public document",
        },
        Protocol {
            label: "tuya",
            title: "Tuya devices",
            on: UDP | TCP,
            ports: &[6666, 6667, 6668],
            spec: "no public document",
        },
        Protocol {
            label: "miio",
            title: "Xiaomi miIO",
            on: UDP,
            ports: &[54321],
            spec: "no public document",
        },
        Protocol { label: "lifx", title: "LIFX lamps", on: UDP, ports: &[56700], spec: "LIFX LAN Protocol" },
        Protocol { label: "art-net", title: "Art-Net", on: UDP, ports: &[6454], spec: "Art-Net 4" },
        Protocol { label: "sacn", title: "Streaming ACN", on: UDP, ports: &[5568], spec: "ANSI E1.31" },
    ],
    rules: &[
        Rule { label: "coap", name: "message", on: UDP, client: COAP, server: COAP, check: coap },
        Rule {
            label: "coap",
            name: "settings",
            on: TCP,
            client: Starts::Byte(|byte| byte & 15 == 0 && byte < 0xd0),
            server: Starts::Byte(|byte| byte & 15 == 0 && byte < 0xd0),
            check: |v| v.both(settings, settings, |(), ()| true),
        },
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
        Rule {
            label: "matter",
            name: "session",
            on: UDP,
            client: Starts::Byte(|byte| byte < 8),
            server: Starts::Byte(|byte| byte < 8),
            check: |v| v.pair(STRONG, matter, matter, |q, r| q == r),
        },
        Rule {
            label: "kasa",
            name: "message",
            on: UDP | TCP,
            client: Starts::With(&[b"\xd0\xf2", b"\x00\x00"]),
            server: Starts::With(&[b"\xd0\xf2", b"\x00\x00"]),
            check: |v| v.pair(STRONG, |b| kasa(b, v.transport), |b| kasa(b, v.transport), |(), ()| true),
        },
        Rule {
            label: "tuya",
            name: "message",
            on: UDP | TCP,
            client: TUYA,
            server: TUYA,
            check: |v| v.pair(SURE, tuya, tuya, |(), ()| true),
        },
        Rule {
            label: "miio",
            name: "message",
            on: UDP,
            client: Starts::With(&[b"\x21\x31"]),
            server: Starts::With(&[b"\x21\x31"]),
            check: |v| v.pair(STRONG, miio, miio, |(), ()| true),
        },
        Rule {
            label: "lifx",
            name: "message",
            on: UDP,
            client: Starts::Byte(|byte| byte >= 36),
            server: Starts::Byte(|byte| byte >= 36),
            check: |v| v.pair(STRONG, lifx, lifx, |(), ()| true),
        },
        Rule {
            label: "art-net",
            name: "message",
            on: UDP,
            client: Starts::With(&[b"Ar"]),
            server: Starts::With(&[b"Ar"]),
            check: |v| v.pair(SURE, art_net, art_net, |(), ()| true),
        },
        Rule {
            label: "sacn",
            name: "root",
            on: UDP,
            client: Starts::With(&[b"\x00\x10"]),
            server: Starts::With(&[b"\x00\x10"]),
            check: |v| v.pair(SURE, sacn, sacn, |(), ()| true),
        },
    ],
};

const COAP: Starts = Starts::Byte(|byte| byte & 0xc0 == 0x40 && byte & 15 <= 8);
const DOIP: Starts = Starts::Byte(|byte| matches!(byte, 1..=4 | 0xff));
const MAVLINK: Starts = Starts::With(&[b"\xfe", b"\xfd"]);
const TUYA: Starts = Starts::With(&[b"\x00\x00"]);

struct Coap<'a> {
    kind: u8,
    code: u8,
    id: u16,
    token: &'a [u8],
    /// Bytes of paths and queries, all plain text.
    text: usize,
    registers: bool,
}

fn coap(v: &View<'_>) -> Verdict {
    let q = v.client.parse(coap_message)?;
    let found = |confidence, q: &Coap<'_>| {
        let found = Match::new(confidence);
        if q.registers {
            found.named("lwm2m").under("coap")
        } else {
            found
        }
    };
    ensure(q.code < 32)?;
    match maybe(v.server.parse(coap_message))? {
        Some(r) => {
            let same = r.id == q.id || (!q.token.is_empty() && r.token == q.token);
            ensure(same || r.code < 32)?;
            // An empty message asks and is reset, or acknowledged before the answer comes.
            ensure(same && (q.code > 0 || r.kind == 3) || q.text >= 3)?;
            Ok(found(ANSWERED, &q))
        }
        None if q.text >= 3 && q.code > 0 && q.kind < 2 => Ok(found(LIKELY, &q)),
        None => Err(Stop::More),
    }
}

fn coap_message(bytes: &[u8]) -> Step<Coap<'_>> {
    let mut c = Cursor::new(bytes);
    let (first, code, id) = (c.u8()?, c.u8()?, c.u16()?);
    let kind = first >> 4 & 3;
    ensure(first >> 6 == 1 && first & 15 <= 8)?;
    ensure(matches!(code, 0..=7 | 0x41..=0x45 | 0x5f | 0x80..=0x8f | 0x96 | 0x9d | 0xa0..=0xa8))?;
    let token = c.take(usize::from(first & 15))?;
    ensure(code != 0 || bytes.len() == 4)?;
    let mut coap = Coap { kind, code, id, token, text: 0, registers: false };
    let (mut path, mut name) = (false, false);
    options(&mut c, |number, value| {
        match number {
            3 | 8 | 11 | 15 | 20 | 35 | 39 => {
                ensure(is_ascii(value))?;
                coap.text += value.len();
                path |= number == 11 && value == b"rd";
                name |= number == 15 && value.starts_with(b"ep=");
            }
            1 | 4 | 9 | 252 => ensure(value.len() <= 40)?,
            5 | 21 => ensure(value.is_empty())?,
            6 | 7 | 12 | 14 | 16 | 17 | 19 | 23 | 27 | 28 | 60 | 258 | 292 | 2048.. => {
                ensure(value.len() <= 8)?;
            }
            _ => return Err(Stop::No),
        }
        Ok(())
    })?;
    coap.registers = path && name;
    Ok(coap)
}

/// Options to the end or to the payload, of which there is at least one byte (RFC 7252 §3.1).
fn options<'a>(c: &mut Cursor<'a>, mut visit: impl FnMut(u32, &'a [u8]) -> Step<()>) -> Step<()> {
    let mut number = 0;
    while !c.is_empty() {
        let head = c.u8()?;
        if head == 0xff {
            return ensure(!c.is_empty());
        }
        let mut size = |nibble: u8| match nibble {
            13 => c.u8().map(|more| u32::from(more) + 13),
            14 => c.u16().map(|more| u32::from(more) + 269),
            15 => Err(Stop::No),
            _ => Ok(u32::from(nibble)),
        };
        number += size(head >> 4)?;
        let len = size(head & 15)?;
        visit(number, c.take(len as usize)?)?;
    }
    Ok(())
}

/// The first message of CoAP over TCP (RFC 8323 §5.3).
fn settings(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = usize::from(c.u8()? >> 4);
    ensure(len <= 12 && c.u8()? == 0xe1)?;
    let mut c = c.sub(len)?;
    closed(options(&mut c, |number, value| ensure(matches!(number, 2 | 4 | 6) && value.len() <= 4)))
}

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

/// An exchange in the open that makes a secure session: its number.
fn matter(bytes: &[u8]) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (flags, session, security) = (c.u8()?, c.u16()?, c.u8()?);
    ensure(flags & 0xf8 == 0 && flags & 3 != 3 && session == 0 && security == 0)?;
    c.skip(4)?;
    c.skip(if flags & 4 != 0 { 8 } else { 0 })?;
    c.skip([0, 8, 2, 0][usize::from(flags & 3)])?;
    let (exchange, opcode, id, protocol) = (c.u8()?, c.u8()?, c.u16()?, c.u16()?);
    ensure(exchange & 0xe0 == 0 && protocol == 0)?;
    c.skip(if exchange & 2 != 0 { 4 } else { 0 })?;
    match opcode {
        0x10 => ensure(c.is_empty() && exchange & 2 != 0)?,
        // Key exchanges are structures of TLV.
        0x20..=0x24 | 0x30..=0x33 => ensure(c.u8()? == 0x15 && c.rest().last() == Some(&0x18))?,
        0x40 => ensure(c.left() == 8)?,
        _ => return Err(Stop::No),
    }
    Ok(id)
}

/// JSON of which each byte is hidden by the one before.
fn kasa(bytes: &[u8], transport: Transport) -> Step<()> {
    let mut c = Cursor::new(bytes);
    if transport == Transport::Tcp {
        let len = c.u32()?;
        ensure((8..=1 << 20).contains(&len))?;
    }
    let mut last = 171;
    let head = c.take(12)?;
    ensure(head.iter().enumerate().all(|(index, &byte)| {
        let plain = byte ^ last;
        last = byte;
        match index {
            0 => plain == b'{',
            1 => plain == b'"',
            _ => (0x20..0x7f).contains(&plain),
        }
    }))
}

fn tuya(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let magic = c.u32()?;
    if magic == 0x6699 {
        ensure(c.u16()? == 0)?;
    } else {
        ensure(magic == 0x55aa)?;
    }
    let (_number, command, len) = (c.u32()?, c.u32()?, c.u32()? as usize);
    ensure(command <= 0x7f && (8..=2000).contains(&len))?;
    let end: [u8; 4] = if magic == 0x6699 { [0, 0, 0x99, 0x66] } else { [0, 0, 0xaa, 0x55] };
    let body = c.take(len + if magic == 0x6699 { 4 } else { 0 })?;
    ensure(body.ends_with(&end))
}

fn miio(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16()? == 0x2131)?;
    let len = usize::from(c.u16()?);
    ensure(len == bytes.len() && len >= 32)?;
    let unknown = c.u32()?;
    ensure(unknown == 0 || (unknown == u32::MAX && len == 32))?;
    ensure((len - 32).is_multiple_of(16))
}

fn lifx(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, kind) = (usize::from(c.u16le()?), c.u16le()?);
    ensure(len == bytes.len() && len >= 36 && kind & 0xdfff == 0x1400)?;
    c.skip(4 + 6)?;
    ensure(c.u16()? == 0)?;
    c.skip(6 + 2 + 8)?;
    ensure(c.u16le()? <= 1000 && c.u16()? == 0)
}

fn art_net(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"Art-Net\0")?;
    ensure(c.u16le()? >= 0x1000)
}

fn sacn(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"\0\x10\0\0ASC-E1.17\0\0\0")?;
    ensure(c.u16()? >> 12 == 7)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn requests_with_paths_and_answers_are_coap() {
        let ask = cat(&[&hex("41 01 1234 aa bb"), b".well-known\x04core"]);
        udp().c(&ask).s(hex("61 45 1234 aa c1 28 ff 3c")).is("coap");
        udp().c(&ask).is("coap");
        udp().c(cat(&[&hex("41 02 1234 aa b2"), b"rd", &hex("11 28 36"), b"ep=abc"])).is("coap/lwm2m");
        udp().c(hex("41 01 1234 aa b1 61")).is_nothing();
        udp().c(cat(&[&hex("41 01 1234 aa ba"), b".well-known\x04core"])).is_nothing();
        tcp().c(hex("20 e1 21 40")).s(hex("00 e1")).is("coap");
        tcp().c(hex("20 e1 21 40")).s(hex("00 e2")).is_nothing();
    }

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
    fn magics_with_lengths_are_devices() {
        udp().c(cat(&[b"RTPS\x02\x01\x01\x03", &[5; 12], &hex("09 01 0800"), &[0; 8]])).is("rtps");
        udp().c(cat(&[b"RTPS\x07\x01\x01\x03", &[5; 12], &hex("09 01 0800"), &[0; 8]])).is_nothing();
        let pase = cat(&[&hex("04 0000 00 11223344"), &[8; 8], &hex("05 20 1234 0000"), b"\x15\x30\x01\x18"]);
        udp().c(&pase).is("matter");
        udp().c(&pase[..pase.len() - 1]).is_nothing();
        let json: Vec<u8> = b"{\"system\":{\"get_sysinfo\":{}}}"
            .iter()
            .scan(171u8, |key, &byte| {
                *key ^= byte;
                Some(*key)
            })
            .collect();
        udp().c(&json).is("kasa");
        tcp().c(cat(&[&[0, 0, 0, json.len() as u8], &json])).is("kasa");
        udp().c(&json[1..]).is_nothing();
        udp().c(hex("000055aa 00000000 00000009 00000008 00000000 0000aa55")).is("tuya");
        udp().c(hex("000055aa 00000000 00000009 00000008 00000000 0000aa56")).is_nothing();
        udp().c(cat(&[&hex("21310020"), &[0xff; 28]])).is("miio");
        udp().c(cat(&[&hex("21310021"), &[0xff; 28]])).is_nothing();
        let lamp = cat(&[&hex("2400 0034 01000000"), &[0; 14], &hex("0100"), &[0; 8], &hex("0200 0000")]);
        udp().c(&lamp).is("lifx");
        udp().c(&lamp[..35]).is_nothing();
        udp().c(cat(&[b"Art-Net\0", &hex("0020 000e 00 00")])).is("art-net");
        udp().c(cat(&[b"Art-Not\0", &hex("0020 000e 00 00")])).is_nothing();
        udp().c(cat(&[b"\0\x10\0\0ASC-E1.17\0\0\0", &hex("726e 00000004")])).is("sacn");
        udp().c(cat(&[b"\0\x10\0\0ASC-E1.17\0\0\0", &hex("626e 00000004")])).is_nothing();
    }
}
