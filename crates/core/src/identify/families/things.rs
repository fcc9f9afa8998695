//! Things at home: CoAP, LwM2M, Matter, lamps and plugs.

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
    fn magics_with_lengths_are_devices() {
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
