//! Mobile networks: GTP, PFCP, SMPP, UCP, SIGTRAN (M3UA, SUA, M2UA, M2PA), S1AP, NGAP, X2AP, F1AP.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, SCTP, TCP, UDP};
use super::super::text::{decimal, is_ascii};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE, WEAK};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "telecom",
    protocols: &[
        Protocol {
            label: "gtp-u",
            title: "GPRS Tunnelling Protocol, user plane",
            on: UDP,
            ports: &[2152],
            spec: "3GPP TS 29.281",
        },
        Protocol {
            label: "gtp-c",
            title: "GPRS Tunnelling Protocol, control plane, versions 1 and 2",
            on: UDP,
            ports: &[2123],
            spec: "3GPP TS 29.060, TS 29.274",
        },
        Protocol {
            label: "pfcp",
            title: "Packet Forwarding Control Protocol",
            on: UDP,
            ports: &[8805],
            spec: "3GPP TS 29.244",
        },
        Protocol {
            label: "smpp",
            title: "Short Message Peer-to-Peer",
            on: TCP,
            ports: &[2775, 2776],
            spec: "SMPP 5.0",
        },
        Protocol { label: "ucp", title: "UCP/EMI", on: TCP, ports: &[3810, 5000], spec: "EMI-UCP 4.6" },
        Protocol {
            label: "m3ua",
            title: "MTP3 User Adaptation",
            on: SCTP | TCP,
            ports: &[2905],
            spec: "RFC 4666",
        },
        Protocol { label: "sua", title: "SCCP User Adaptation", on: SCTP, ports: &[14001], spec: "RFC 3868" },
        Protocol { label: "m2ua", title: "MTP2 User Adaptation", on: SCTP, ports: &[2904], spec: "RFC 3331" },
        Protocol { label: "m2pa", title: "MTP2 Peer Adaptation", on: SCTP, ports: &[3565], spec: "RFC 4165" },
        Protocol {
            label: "s1ap",
            title: "S1 Application Protocol",
            on: SCTP,
            ports: &[36412],
            spec: "3GPP TS 36.413",
        },
        Protocol {
            label: "ngap",
            title: "NG Application Protocol",
            on: SCTP,
            ports: &[38412],
            spec: "3GPP TS 38.413",
        },
        Protocol {
            label: "x2ap",
            title: "X2 Application Protocol",
            on: SCTP,
            ports: &[36422],
            spec: "3GPP TS 36.423",
        },
        Protocol {
            label: "f1ap",
            title: "F1 Application Protocol",
            on: SCTP,
            ports: &[38472],
            spec: "3GPP TS 38.473",
        },
    ],
    rules: &[
        Rule { label: "gtp-u", name: "message", on: UDP, client: GTP1, server: GTP1, check: gtp_user },
        Rule { label: "gtp-c", name: "version1", on: UDP, client: GTP1, server: GTP1, check: gtp_control1 },
        Rule {
            label: "gtp-c",
            name: "version2",
            on: UDP,
            client: GTP2,
            server: GTP2,
            check: |v| v.pair(STRONG, gtp2, gtp2, |q, r| q.1 == r.1 && answers(q.0, r.0)),
        },
        Rule {
            label: "pfcp",
            name: "message",
            on: UDP,
            client: PFCP,
            server: PFCP,
            check: |v| v.pair(STRONG, pfcp, pfcp, |q, r| q.1 == r.1 && answers(q.0, r.0)),
        },
        Rule {
            label: "smpp",
            name: "bind",
            on: TCP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.pair(STRONG, |b| smpp(b, 0), |b| smpp(b, 0x8000_0000), |q, r| q == r),
        },
        Rule {
            label: "ucp",
            name: "message",
            on: TCP,
            client: Starts::With(&[b"\x02"]),
            server: Starts::With(&[b"\x02"]),
            check: |v| v.pair(SURE, ucp, ucp, |q, r| q == r),
        },
        Rule { label: "m3ua", name: "message", on: SCTP | TCP, client: ONE, server: ONE, check: sigtran },
        Rule { label: "s1ap", name: "message", on: SCTP, client: PER, server: PER, check: ran },
    ],
};

const GTP1: Starts = Starts::Byte(|byte| byte & 0xf8 == 0x30);
const GTP2: Starts = Starts::Byte(|byte| byte & 0xe3 == 0x40);
const PFCP: Starts = Starts::Byte(|byte| byte & 0xf8 == 0x20);
const ONE: Starts = Starts::With(&[b"\x01\x00"]);
const PER: Starts = Starts::With(&[b"\x00", b"\x20", b"\x40"]);

/// A response has the number behind its request; both ends may ask.
fn answers(q: u8, r: u8) -> bool {
    r == q + 1 || r == q
}

/// Type, tunnel and what follows the header of version 1, which is as long as it says.
fn gtp1(bytes: &[u8]) -> Step<(u8, u32, Cursor<'_>)> {
    let mut c = Cursor::new(bytes);
    let (flags, kind, len, tunnel) = (c.u8()?, c.u8()?, usize::from(c.u16()?), c.u32()?);
    ensure(flags & 0xf8 == 0x30 && len + 8 >= bytes.len() && (len + 8 == bytes.len() || bytes.len() >= 256))?;
    if flags & 7 != 0 {
        c.skip(3)?;
        let mut next = c.u8()?;
        ensure(flags & 4 != 0 || next == 0)?;
        while next != 0 && flags & 4 != 0 {
            let size = usize::from(c.u8()?);
            ensure(size > 0)?;
            c.skip(size * 4 - 2)?;
            next = c.u8()?;
        }
    }
    Ok((kind, tunnel, c))
}

/// Users' packets, an echo, or the end of a tunnel.
fn gtp_user(v: &View<'_>) -> Verdict {
    let read = |bytes| {
        let (kind, tunnel, mut c) = gtp1(bytes)?;
        let mut restart = 0;
        match kind {
            255 => {
                ensure(tunnel != 0)?;
                ip(&mut c)?;
            }
            1 => ensure(tunnel == 0 && (c.is_empty() || c.u8()? == 14))?,
            2 => {
                ensure(tunnel == 0 && c.u8()? == 14)?;
                restart = c.u8()?;
            }
            26 | 31 => ensure(c.left() >= 2)?,
            254 => ensure(tunnel != 0 && c.left() <= 16)?,
            _ => return Err(Stop::No),
        }
        Ok((kind, restart))
    };
    let q = maybe(v.client.parse(read))?;
    let r = maybe(v.server.parse(read))?;
    match (q, r) {
        // GTP-C asks so too, but counts its restarts (TS 29.281 §7.2.2).
        (Some((1, _)), Some((2, 0))) => Ok(Match::new(LIKELY)),
        (Some((1, _)), Some((2, _))) => Ok(Match::new(LIKELY).named("gtp-c")),
        (Some((255, _)), Some((255, _))) => Ok(Match::new(ANSWERED)),
        (Some((255, _)), _) => Ok(Match::new(STRONG)),
        (_, Some((255, _))) => Ok(Match::new(STRONG).at(Who::Server, 0, 8)),
        _ => Err(Stop::More),
    }
}

/// The head of an IP packet that fills what is left.
pub(super) fn ip(c: &mut Cursor<'_>) -> Step<()> {
    let left = c.left();
    let first = c.u8()?;
    match first >> 4 {
        4 => {
            ensure(first & 15 >= 5)?;
            c.skip(1)?;
            let len = usize::from(c.u16()?);
            c.skip(5)?;
            ensure(
                (20..=9000).contains(&len)
                    && len >= left
                    && matches!(c.u8()?, 1 | 2 | 4 | 6 | 17 | 41 | 47 | 50 | 132),
            )
        }
        6 => {
            c.skip(3)?;
            let len = usize::from(c.u16()?);
            ensure(len + 40 >= left && len <= 9000)?;
            ensure(matches!(c.u8()?, 0 | 6 | 17 | 43 | 44 | 50 | 58 | 59 | 132) && c.u8()? != 0)
        }
        _ => Err(Stop::No),
    }
}

fn gtp_control1(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let number = Cursor::new(bytes.get(8..).unwrap_or(&[])).u16()?;
        let (kind, _, mut c) = gtp1(bytes)?;
        ensure(bytes[0] & 2 != 0 && matches!(kind, 16..=23 | 26..=29 | 48..=60 | 128 | 129))?;
        // Elements in order of their type (TS 29.060 §7.7); those below 128 have fixed sizes.
        let first = c.u8()?;
        ensure(matches!(first, 1..=5 | 8 | 14..=20 | 127..))?;
        if first >= 128 {
            c.counted(2)?;
        }
        Ok((kind, number))
    };
    v.pair(LIKELY, read, read, |q, r| q.1 == r.1 && answers(q.0, r.0))
}

/// Type and number of version 2, whose elements fill it (TS 29.274 §5).
fn gtp2(bytes: &[u8]) -> Step<(u8, u32)> {
    let mut c = Cursor::new(bytes);
    let (flags, kind, len) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    ensure(flags & 0xe3 == 0x40 && kind != 0)?;
    let tunnel = flags & 8 != 0;
    ensure(tunnel == (kind > 3))?;
    let total = len + 4;
    ensure(total <= bytes.len() && (flags & 0x10 != 0 || total == bytes.len()))?;
    let mut c = Cursor::new(&bytes[4..total]);
    c.skip(if tunnel { 4 } else { 0 })?;
    let number = c.u24()?;
    ensure(c.u8()? == 0 || tunnel)?;
    let mut count = 0;
    while !c.is_empty() {
        let element = c.u8()?;
        let size = usize::from(c.u16()?);
        ensure(element != 0 && c.u8()? & 0xf0 == 0)?;
        c.skip(size)?;
        count += 1;
    }
    ensure(count > 0)?;
    Ok((kind, number))
}

fn pfcp(bytes: &[u8]) -> Step<(u8, u32)> {
    let mut c = Cursor::new(bytes);
    let (flags, kind, len) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    ensure(flags & 0xf8 == 0x20 && matches!(kind, 1..=15 | 50..=57))?;
    ensure((flags & 1 != 0) == (kind >= 50) && len + 4 == bytes.len())?;
    c.skip(if flags & 1 != 0 { 8 } else { 0 })?;
    let number = c.u24()?;
    c.skip(1)?;
    let count = c.tlvs((2, 2), |element, _| ensure(element != 0 && !(400..0x8000).contains(&element)))?;
    ensure(count > 0)?;
    Ok((kind, number))
}

/// A bind or what answers it; kind and number.
fn smpp(bytes: &[u8], answer: u32) -> Step<(u32, u32)> {
    let mut c = Cursor::new(bytes);
    let (len, command, status, number) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?);
    ensure((16..=1024).contains(&len))?;
    let kind = command ^ answer;
    ensure(number != 0 && number < 0x8000_0000 && status < 0x500)?;
    if answer == 0 {
        ensure(matches!(kind, 1 | 2 | 9 | 0x15 | 4 | 5) && status == 0)?;
        if matches!(kind, 1 | 2 | 9) {
            let body = c.take(len as usize - 16)?;
            let mut b = Cursor::new(body);
            for most in [15, 8, 12] {
                ensure(is_ascii(closed(b.until(0, most))?))?;
            }
            ensure(matches!(closed(b.u8())?, 0 | 0x33 | 0x34 | 0x50))?;
        } else {
            ensure((kind == 0x15) == (len == 16))?;
            ensure(kind != 0x15 || number > 0)?;
            // Mid-stream messages say little by themselves.
            return if kind == 0x15 { Err(Stop::More) } else { Ok((kind, number)) };
        }
    } else {
        ensure(matches!(kind, 1 | 2 | 9 | 0x15 | 4 | 5))?;
    }
    Ok((kind, number))
}

/// Between STX and ETX: number, length, O or R, operation (EMI-UCP §3).
fn ucp(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 2)?;
    let head = c.take(13)?;
    ensure(head[2] == b'/' && head[8] == b'/' && head[10] == b'/' && matches!(head[9], b'O' | b'R'))?;
    let number = decimal(&head[..2]).ok_or(Stop::No)?;
    let len = decimal(&head[3..8]).ok_or(Stop::No)? as usize;
    ensure((17..=2000).contains(&len) && decimal(&head[11..13]).is_some())?;
    c.skip(len - 13)?;
    ensure(c.u8()? == 3)?;
    Ok(number)
}

/// The common header (RFC 4666 §3.1): class and type name the layer; parameters fill the message.
fn sigtran(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(adaptation))?;
    let server = maybe(v.server.parse(adaptation))?;
    let label = match (client, server) {
        (Some(Some(label)), _) | (_, Some(Some(label))) => label,
        // An exchange of management, which all layers have: the usual one is meant.
        (Some(None), Some(None)) if v.done => return Ok(Match::new(WEAK)),
        _ => return Err(Stop::More),
    };
    let confidence = if client.is_some() && server.is_some() { ANSWERED } else { STRONG };
    Ok(Match::new(confidence).named(label).at(if client.is_some() { Who::Client } else { Who::Server }, 0, 8))
}

fn adaptation(bytes: &[u8]) -> Step<Option<&'static str>> {
    let mut c = Cursor::new(bytes);
    let (version, reserved, class, kind, len) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?, c.u32()? as usize);
    ensure(version == 1 && reserved == 0 && (8..=4096).contains(&len))?;
    let mut body = c.sub(len - 8)?;
    let label = match (class, kind) {
        (0, 0 | 1) | (3, 1..=6) | (4 | 9, 1..=4) => None,
        (1, 1) | (2, 1..=6) => Some("m3ua"),
        (6, 1..=15) => Some("m2ua"),
        (7, 1 | 2) | (8, 1..=12) => Some("sua"),
        (11, 1 | 2) => {
            // M2PA has sequence numbers instead of parameters.
            ensure(body.u8()? == 0)?;
            body.skip(3)?;
            ensure(body.u8()? == 0)?;
            body.skip(3)?;
            ensure(kind == 1 || body.left() >= 4 && matches!(body.u32()?, 1..=9))?;
            return Ok(Some("m2pa"));
        }
        _ => return Err(Stop::No),
    };
    while !body.is_empty() {
        let (tag, size) = (body.u16(), body.u16());
        let (tag, size) = (closed(tag)?, usize::from(closed(size)?));
        ensure(size >= 4 && tag != 0 && tag < 0x0400)?;
        closed(body.skip((size - 4).next_multiple_of(4).min(body.left().max(size - 4))))?;
    }
    ensure(len > 8 || class == 3 || class == 4)?;
    Ok(label)
}

/// A message of a radio network in aligned PER: choice, procedure, criticality, length, then elements.
fn ran(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(per))?;
    let server = maybe(v.server.parse(per))?;
    let ((Some(Some(label)), _) | (_, Some(Some(label)))) = (client, server) else {
        return Err(Stop::More);
    };
    let who = if client.flatten().is_some() { Who::Client } else { Who::Server };
    let confidence = if client.is_some() && server.is_some() { ANSWERED } else { STRONG };
    Ok(Match::new(confidence).named(label).at(who, 0, 8))
}

/// A length of PER: one byte below 128, else two with the top bit set.
fn per_len(c: &mut Cursor<'_>) -> Step<usize> {
    match c.u8()? {
        short @ 0..=0x7f => Ok(usize::from(short)),
        long @ 0x80..=0xbf => Ok(usize::from(long & 0x3f) << 8 | usize::from(c.u8()?)),
        _ => Err(Stop::No),
    }
}

fn per(bytes: &[u8]) -> Step<Option<&'static str>> {
    let mut c = Cursor::new(bytes);
    let (choice, procedure, criticality) = (c.u8()?, c.u8()?, c.u8()?);
    ensure(matches!(choice, 0 | 0x20 | 0x40) && procedure <= 100 && matches!(criticality, 0 | 0x40 | 0x80))?;
    let len = per_len(&mut c)?;
    ensure(len == c.left() && len >= 3)?;
    ensure(c.u8()? == 0)?;
    let count = c.u16()?;
    ensure((1..=64).contains(&count))?;
    let mut first = 0;
    for index in 0..count {
        let (id, criticality) = (c.u16()?, c.u8()?);
        ensure(id < 1024 && matches!(criticality, 0 | 0x40 | 0x80))?;
        let size = per_len(&mut c)?;
        ensure(size > 0)?;
        c.skip(size)?;
        if index == 0 {
            first = id;
        }
    }
    ensure(c.is_empty())?;
    // The first element of the messages that open an association or a user's context.
    Ok(match (procedure, first) {
        (17, 59 | 61 | 105) | (9 | 10 | 11 | 12 | 13 | 18 | 21 | 22 | 23, 0 | 8) => Some("s1ap"),
        (21, 27 | 1) | (4 | 14 | 15 | 29 | 41 | 42 | 46, 10 | 85) => Some("ngap"),
        (6, 21) => Some("x2ap"),
        (1, 78) | (5 | 11 | 12 | 13, 40 | 41) => Some("f1ap"),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, over, tcp, udp};
    use super::super::super::view::Transport;

    #[test]
    fn tunnels_of_users_are_gtp_u() {
        let packet = hex("4500 0014 0000 0000 4011 0000 0a000001 0a000002");
        udp().c(cat(&[&hex("30 ff 0014 00000007"), &packet])).is("gtp-u");
        udp().c(cat(&[&hex("34 ff 001c 00000007 0000 00 85 01 1001 00"), &packet])).is("gtp-u");
        udp().c(cat(&[&hex("30 ff 0015 00000007"), &packet])).is_nothing();
        udp()
            .c(hex("32 01 0004 00000000 0001 00 00"))
            .s(hex("32 02 0006 00000000 0001 00 00 0e 00"))
            .is("gtp-u");
        udp().c(hex("32 01 0004 00000000 0001 00 00")).is_nothing();
    }

    #[test]
    fn sessions_are_gtp_c_and_pfcp() {
        let ask = hex("48 20 0011 00000000 000001 00 01 0001 00 11 03 0000 00");
        udp().c(&ask).s(hex("48 21 000e 00000001 000001 00 02 0002 00 1000")).is("gtp-c");
        udp().c(&ask[..20]).is_nothing();
        udp().c(hex("32 10 0006 00000000 0001 00 00 0e 01")).is("gtp-c");
        let setup = hex("20 05 0011 000001 00 003c 0005 00 7f000001 0060 0000");
        udp().c(&setup).is("pfcp");
        udp().c(hex("20 05 0012 000001 00 003c 0005 00 7f000001 0060 0000")).is_nothing();
    }

    #[test]
    fn short_messages_are_smpp_and_ucp() {
        let bind = cat(&[&hex("00000020 00000009 00000000 00000001"), b"joe\0secret\0\0", &[0x34, 0, 0, 0]]);
        tcp().c(&bind).s(hex("00000010 80000009 00000000 00000001")).is("smpp");
        tcp().c(&bind).is("smpp");
        let mut odd = bind.clone();
        odd[28] = 0x35;
        tcp().c(&odd).is_nothing();
        tcp().c("\x0201/00023/O/31/012345/57\x03").is("ucp");
        tcp().c("\x0201/00024/O/31/012345/57\x03").is_nothing();
    }

    #[test]
    fn layers_of_signalling_are_told_by_class() {
        let up = hex("0100 03 01 00000008");
        let data = hex("0100 01 01 00000018 0210 0010 00000001 00000002 03020200");
        over(Transport::Sctp).c(&up).s(hex("0100 03 04 00000008")).is("m3ua");
        over(Transport::Sctp).c(&data).is("m3ua");
        over(Transport::Sctp).c(hex("0100 07 01 00000010 0115 0008 00000000")).is("sua");
        over(Transport::Sctp).c(hex("0100 06 02 00000010 0001 0008 00000000")).is("m2ua");
        over(Transport::Sctp).c(hex("0100 0b 02 00000014 00ffffff 00ffffff 00000001")).is("m2pa");
        over(Transport::Sctp).c(hex("0200 03 01 00000008")).is_nothing();
    }

    #[test]
    fn setups_of_radio_networks_are_told_by_their_first_element() {
        over(Transport::Sctp).c(hex("0011 00 0d 00 0001 003b 40 06 000102030405")).is("s1ap");
        over(Transport::Sctp).c(hex("0015 00 0d 00 0001 001b 00 06 000102030405")).is("ngap");
        over(Transport::Sctp).c(hex("0006 00 0d 00 0001 0015 00 06 000102030405")).is("x2ap");
        over(Transport::Sctp).c(hex("0001 00 0d 00 0001 004e 00 06 000102030405")).is("f1ap");
        over(Transport::Sctp).c(hex("0015 00 0e 00 0001 001b 00 06 000102030405")).is_nothing();
    }
}
