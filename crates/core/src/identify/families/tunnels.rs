//! Proxies and tunnels: SOCKS 4 and 5, VXLAN, Geneve, Teredo.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_ascii;
use super::super::verdict::confidence::{ANSWERED, STRONG};
use super::super::verdict::{closed, ensure, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};
use super::telecom::ip;

/// The family.
pub const FAMILY: Family = Family {
    name: "tunnels",
    protocols: &[
        Protocol {
            label: "socks4",
            title: "SOCKS 4 and 4a",
            on: TCP,
            ports: &[1080],
            spec: "SOCKS 4 (Koblas)",
        },
        Protocol { label: "socks5", title: "SOCKS 5", on: TCP, ports: &[1080, 9050], spec: "RFC 1928" },
        Protocol {
            label: "vxlan",
            title: "Virtual Extensible LAN",
            on: UDP,
            ports: &[4789, 8472],
            spec: "RFC 7348",
        },
        Protocol {
            label: "geneve",
            title: "Generic Network Virtualization Encapsulation",
            on: UDP,
            ports: &[6081],
            spec: "RFC 8926",
        },
        Protocol { label: "teredo", title: "Teredo", on: UDP, ports: &[3544], spec: "RFC 4380" },
    ],
    rules: &[
        Rule {
            label: "socks4",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"\x04\x01", b"\x04\x02"]),
            server: Starts::With(&[b"\x00"]),
            check: socks4,
        },
        Rule {
            label: "socks5",
            name: "methods",
            on: TCP,
            client: Starts::With(&[b"\x05"]),
            server: Starts::With(&[b"\x05"]),
            check: socks5,
        },
        Rule {
            label: "vxlan",
            name: "frame",
            on: UDP,
            client: Starts::With(&[b"\x08\x00"]),
            server: Starts::With(&[b"\x08\x00"]),
            check: |v| v.pair(STRONG, vxlan, vxlan, |(), ()| true),
        },
        Rule {
            label: "geneve",
            name: "frame",
            on: UDP,
            client: Starts::Byte(|byte| byte < 0x40),
            server: Starts::Byte(|byte| byte < 0x40),
            check: |v| v.pair(STRONG, geneve, geneve, |(), ()| true),
        },
        Rule {
            label: "teredo",
            name: "packet",
            on: UDP,
            client: Starts::With(&[b"\x00\x00", b"\x00\x01", b"\x60"]),
            server: Starts::With(&[b"\x00\x00", b"\x00\x01", b"\x60"]),
            check: |v| v.pair(STRONG, teredo, teredo, |(), ()| true),
        },
    ],
};

/// The first packets of both ends are exactly the request and its answer.
fn turns(v: &View<'_>, asked: usize, answered: usize) -> Step<()> {
    let mut turns = v.turns();
    ensure(turns.next() == Some((Who::Client, asked)))?;
    match turns.next() {
        None => Err(Stop::More),
        turn => ensure(turn == Some((Who::Server, answered))),
    }
}

fn socks4(v: &View<'_>) -> Verdict {
    let len = v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        ensure(c.u8()? == 4 && matches!(c.u8()?, 1 | 2) && c.u16()? != 0)?;
        let address = c.take(4)?;
        ensure(is_ascii(c.until(0, 64)?))?;
        if address[..3] == [0; 3] && address[3] != 0 {
            let name = c.until(0, 255)?;
            ensure(!name.is_empty() && is_ascii(name))?;
        } else {
            ensure(address[0] != 0)?;
        }
        Ok(c.position())
    })?;
    turns(v, len, 8)?;
    v.server
        .parse(|bytes| ensure(bytes[0] == 0 && (0x5a..=0x5d).contains(bytes.get(1).ok_or(Stop::More)?)))?;
    Ok(Match::new(ANSWERED))
}

fn socks5(v: &View<'_>) -> Verdict {
    let (len, methods) = v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        ensure(c.u8()? == 5)?;
        let methods = c.counted(1)?;
        ensure((1..=10).contains(&methods.len()))?;
        ensure(
            methods
                .iter()
                .enumerate()
                .all(|(at, m)| matches!(m, 0..=9 | 0x80..) && !methods[..at].contains(m)),
        )?;
        Ok((c.position(), methods))
    })?;
    turns(v, len, 2)?;
    v.server.parse(|bytes| {
        let chosen = *bytes.get(1).ok_or(Stop::More)?;
        ensure(bytes[0] == 5 && (chosen == 0xff || methods.contains(&chosen)))
    })?;
    // The request, if it is there: version, command, reserved, kind of address.
    if let Some(request) = v.client.bytes.get(len..len + 4) {
        let known = request[0] == 5 && (1..=3).contains(&request[1]) && request[2] == 0;
        ensure(known && matches!(request[3], 1 | 3 | 4) || request[0] == 1)?;
    }
    Ok(Match::new(ANSWERED))
}

/// An Ethernet frame: two addresses, a type, and the packet it names.
fn frame(c: &mut Cursor<'_>) -> Step<()> {
    c.skip(12)?;
    let mut kind = c.u16()?;
    if kind == 0x8100 {
        c.skip(2)?;
        kind = c.u16()?;
    }
    match kind {
        0x0800 | 0x86dd => {
            // Short frames are padded: only the head is looked at.
            let rest = c.rest();
            let first = *rest.first().ok_or(Stop::More)?;
            ensure(first >> 4 == if kind == 0x0800 { 4 } else { 6 } && rest.len() >= 20)?;
            ensure(kind != 0x0800 || first & 15 >= 5)
        }
        0x0806 => ensure(c.u16()? == 1 && c.u16()? == 0x0800 && c.u16()? == 0x0604),
        _ => Err(Stop::No),
    }
}

fn vxlan(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u32()? == 0x0800_0000 && c.u32()? & 0xff == 0)?;
    frame(&mut c)
}

fn geneve(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (first, flags, protocol, network) = (c.u8()?, c.u8()?, c.u16()?, c.u32()?);
    ensure(first >> 6 == 0 && flags & 0x3f == 0 && network & 0xff == 0)?;
    let mut options = c.sub(usize::from(first & 0x3f) * 4)?;
    while !options.is_empty() {
        closed(options.skip(3))?;
        let words = closed(options.u8())?;
        ensure(words & 0xe0 == 0)?;
        closed(options.skip(usize::from(words) * 4))?;
    }
    match protocol {
        0x6558 => frame(&mut c),
        0x0800 | 0x86dd => ip(&mut c),
        _ => Err(Stop::No),
    }
}

const PREFIX: [u8; 4] = [0x20, 1, 0, 0];

/// An authentication or an origin (RFC 4380 §5.1.1), or none, then IPv6 from or to 2001:0::/32.
fn teredo(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    if bytes.starts_with(&[0, 1]) {
        c.skip(2)?;
        let (id, code) = (usize::from(c.u8()?), usize::from(c.u8()?));
        c.skip(id + code + 9)?;
    }
    if c.rest().starts_with(&[0, 0]) {
        c.skip(8)?;
    }
    let packet = c.rest();
    ip(&mut c)?;
    let ends = packet.get(8..40).ok_or(Stop::More)?;
    let len = usize::from(packet[4]) << 8 | usize::from(packet[5]);
    ensure(packet[0] >> 4 == 6 && len + 40 >= packet.len())?;
    let local = |end: &[u8]| end[..2] == [0xfe, 0x80];
    // A client that asks for its address has a local one and asks all routers.
    let asks = local(&ends[..16]) && (ends[16] == 0xff || local(&ends[16..]));
    ensure(ends[..4] == PREFIX || ends[16..20] == PREFIX || asks)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn requests_and_answers_of_their_size_are_socks() {
        let ask = hex("05 01 00");
        tcp().c(&ask).s(hex("0500")).c(hex("05 01 00 01 c0000201 0050")).is("socks5");
        tcp().c(&ask).s(hex("0500")).is("socks5");
        tcp().c(&ask).s(hex("0502")).is_nothing();
        tcp().c(&ask).is_nothing();
        tcp().c(hex("05 02 00 00")).s(hex("0500")).is_nothing();
        tcp().c(hex("04 01 0050 c0000201 00")).s(hex("00 5a 0000 00000000")).is("socks4");
        tcp().c(hex("04 01 0050 00000001 00 612e62 00")).s(hex("00 5a 0000 00000000")).is("socks4");
        tcp().c(hex("04 01 0050 c0000201 00")).s(hex("00 5e 0000 00000000")).is_nothing();
    }

    #[test]
    fn frames_inside_are_vxlan_and_geneve() {
        let packet = hex("4500 0014 0000 0000 4011 0000 0a000001 0a000002");
        let frame = cat(&[&[2; 12], &hex("0800"), &packet]);
        udp().c(cat(&[&hex("08000000 00000700"), &frame])).is("vxlan");
        udp().c(cat(&[&hex("08000000 00000701"), &frame])).is_nothing();
        udp().c(cat(&[&hex("00 00 6558 00000700"), &frame])).is("geneve");
        udp().c(cat(&[&hex("01 00 0800 00000700 0102 80 00"), &packet])).is("geneve");
        udp().c(cat(&[&hex("00 00 6559 00000700"), &frame])).is_nothing();
    }

    #[test]
    fn packets_of_its_prefix_are_teredo() {
        let packet = cat(&[&hex("60000000 0000 3b 15 20010000"), &[1; 12], &hex("20010db8"), &[2; 12]]);
        udp().c(&packet).is("teredo");
        udp().c(cat(&[&hex("0000 1234 01020304"), &packet])).is("teredo");
        let mut odd = packet.clone();
        odd[9] = 2;
        udp().c(&odd).is_nothing();
    }
}
