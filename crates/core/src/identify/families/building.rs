//! Buildings and small controllers: BACnet/IP, KNXnet/IP, Niagara Fox, Ether-S-Bus, CODESYS, PCWorx, GE SRTP.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{contains, is_text};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::View;
use super::grid::crc_ccitt;

/// The family.
pub const FAMILY: Family = Family {
    name: "building",
    protocols: &[
        Protocol {
            label: "bacnet",
            title: "BACnet/IP",
            on: UDP,
            ports: &[47808],
            spec: "ASHRAE 135 annex J",
        },
        Protocol {
            label: "knxnet-ip",
            title: "KNXnet/IP",
            on: UDP | TCP,
            ports: &[3671],
            spec: "EN 13321-2",
        },
        Protocol {
            label: "fox",
            title: "Niagara Fox",
            on: TCP,
            ports: &[1911, 3011],
            spec: "no public document",
        },
        Protocol {
            label: "ether-s-bus",
            title: "SAIA Ether-S-Bus",
            on: UDP,
            ports: &[5050],
            spec: "no public document",
        },
        Protocol {
            label: "codesys",
            title: "CODESYS runtime",
            on: TCP,
            ports: &[1200, 2455, 11740],
            spec: "no public document",
        },
        Protocol { label: "pcworx", title: "PC Worx", on: TCP, ports: &[1962], spec: "no public document" },
        Protocol {
            label: "ge-srtp",
            title: "GE Service Request Transport Protocol",
            on: TCP,
            ports: &[18245, 18246],
            spec: "no public document",
        },
    ],
    rules: &[
        Rule {
            label: "bacnet",
            name: "bvlc",
            on: UDP,
            client: Starts::With(&[b"\x81"]),
            server: Starts::With(&[b"\x81"]),
            check: |v| v.pair(STRONG, bacnet, bacnet, |(), ()| true),
        },
        Rule {
            label: "knxnet-ip",
            name: "message",
            on: UDP | TCP,
            client: Starts::With(&[b"\x06\x10"]),
            server: Starts::With(&[b"\x06\x10"]),
            check: |v| v.pair(STRONG, knx, knx, |(), ()| true),
        },
        Rule {
            label: "fox",
            name: "hello",
            on: TCP,
            client: Starts::With(&[b"fo"]),
            server: Starts::With(&[b"fo"]),
            check: |v| v.pair(SURE, fox, fox, |(), ()| true),
        },
        Rule {
            label: "ether-s-bus",
            name: "telegram",
            on: UDP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.pair(SURE, sbus, sbus, |q, r| q == r),
        },
        Rule {
            label: "codesys",
            name: "block",
            on: TCP,
            client: CODESYS,
            server: CODESYS,
            check: |v| v.pair(STRONG, codesys, codesys, |q, r| q == r),
        },
        Rule {
            label: "pcworx",
            name: "login",
            on: TCP,
            client: Starts::With(&[b"\x01\x01"]),
            server: Starts::With(&[b"\x81"]),
            check: pcworx,
        },
        Rule {
            label: "ge-srtp",
            name: "open",
            on: TCP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x01\x00"]),
            check: srtp,
        },
    ],
};

const CODESYS: Starts = Starts::With(&[b"\x00\x01", b"\xbb\xbb"]);

/// The virtual link's head measures the datagram; a network message follows (annex J.2, §6.2).
fn bacnet(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (kind, function, len) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    ensure(kind == 0x81 && function <= 12 && len == bytes.len())?;
    match function {
        0 => return ensure(len == 6 && matches!(c.u16()?, 0 | 0x10 | 0x20 | 0x30 | 0x40 | 0x50 | 0x60)),
        1 | 3 => return ensure(c.left().is_multiple_of(10)),
        2 | 6 => return ensure(len == 4),
        5 => return ensure(len == 6),
        7 => return ensure(c.left().is_multiple_of(10)),
        8 => return ensure(len == 10),
        4 => c.skip(6)?,
        _ => {}
    }
    let (version, control) = (c.u8()?, c.u8()?);
    ensure(version == 1 && control & 0x50 == 0)?;
    if control & 0x20 != 0 {
        c.skip(2)?;
        ensure(c.counted(1)?.len() <= 8)?;
    }
    if control & 0x08 != 0 {
        ensure(c.u16()? != 0xffff)?;
        ensure(matches!(c.counted(1)?.len(), 1..=8))?;
    }
    if control & 0x20 != 0 {
        c.skip(1)?;
    }
    let first = c.u8()?;
    if control & 0x80 != 0 {
        return ensure(first <= 0x13 || first >= 0x80);
    }
    ensure(first >> 4 <= 7)?;
    match first >> 4 {
        1 => ensure(first == 0x10 && c.u8()? <= 12), // unconfirmed service
        0 => ensure(first & 1 == 0 && c.left() >= 3),
        _ => ensure(c.left() >= 2),
    }
}

fn knx(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16()? == 0x0610)?;
    let (service, len) = (c.u16()?, usize::from(c.u16()?));
    ensure((6..=1024).contains(&len))?;
    ensure(matches!(service, 0x0201..=0x020c | 0x0310..=0x0313 | 0x0420..=0x0425 | 0x0530..=0x0533
        | 0x0740..=0x0744 | 0x0950..=0x0955))?;
    let mut body = c.sub(len - 6)?;
    match service {
        // An address of the host, 8 bytes, or the head of a connection, 4 bytes.
        0x0201 | 0x0203 | 0x0205 => ensure(body.u8()? == 8 && matches!(body.u8()?, 1 | 2)),
        0x0420 | 0x0421 | 0x0310 | 0x0311 => ensure(body.u8()? == 4),
        0x0530 => ensure(matches!(body.u8()?, 0x29 | 0x11 | 0x2b)),
        _ => Ok(()),
    }
}

fn fox(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"fox a ")?;
    let line = c.line(64)?;
    ensure(line.ends_with(b" fox hello") && is_text(line) && line[0].is_ascii_digit())
}

/// A telegram as long as it says, with its checksum; the number.
fn sbus(bytes: &[u8]) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (len, version, kind, number, attribute) = (c.u32()?, c.u8()?, c.u8()?, c.u16()?, c.u8()?);
    ensure(len as usize == bytes.len() && bytes.len() >= 11 && version <= 1 && kind == 0 && attribute <= 2)?;
    let (body, sum) = bytes.split_at(bytes.len() - 2);
    ensure(crc_ccitt(0, body).to_be_bytes() == sum)?;
    Ok(number)
}

/// The magic of version 3 or 2 (either byte order); which of them.
fn codesys(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    if c.u8()? == 0 {
        c.expect(b"\x01\x17\xe8")?;
        ensure((8..=1 << 20).contains(&c.u32le()?))?;
        return Ok(3);
    }
    ensure(bytes[0] == 0xbb)?;
    c.expect(b"\xbb")?;
    let rest = c.take(4)?;
    let len = if rest[0] == 0 && rest[1] == 0 {
        u32::from(rest[2]) << 8 | u32::from(rest[3])
    } else {
        ensure(rest[2] == 0 && rest[3] == 0)?;
        u32::from(rest[1]) << 8 | u32::from(rest[0])
    };
    ensure((1..=4096).contains(&len) && c.left() as u32 >= len && c.left() as u32 <= len + 16)?;
    Ok(2)
}

fn pcworx(v: &View<'_>) -> Verdict {
    v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        ensure(c.u16()? == 0x0101)?;
        let len = usize::from(c.u16()?);
        ensure((12..=256).contains(&len))?;
        let body = c.take(len - 4)?;
        ensure(contains(body, b"IBETH"))
    })?;
    let answered = maybe(v.server.parse(|bytes| ensure(Cursor::new(bytes).u8()? == 0x81)))?.is_some();
    Ok(Match::new(if answered { ANSWERED } else { STRONG }))
}

/// 56 zeros, and 56 bytes that begin with a one.
fn srtp(v: &View<'_>) -> Verdict {
    let opens = |bytes: &[u8]| ensure(bytes.get(..56).ok_or(Stop::More)?.iter().all(|&byte| byte == 0));
    v.client.parse(opens)?;
    ensure(v.turns().next().is_some_and(|turn| turn.1 == 56))?;
    v.server.parse(|bytes| {
        let head = bytes.get(..56).ok_or(Stop::More)?;
        ensure(head[0] == 1 && head[1..8] == [0; 7])
    })?;
    let second = v.turns().nth(1).ok_or(Stop::More)?;
    ensure(second.1 == 56)?;
    Ok(Match::new(LIKELY))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};
    use super::*;

    #[test]
    fn a_link_that_measures_its_datagram_is_bacnet() {
        let who_is = hex("81 0b 000c 01 20 ffff 00 ff 10 08");
        udp().c(&who_is).s(hex("81 0b 0014 01 00 10 00 c4 02000001 22 0400 91 00 21 05")).is("bacnet");
        udp().c(&who_is).is("bacnet");
        udp().c(hex("81 0b 000d 01 20 ffff 00 ff 10 08")).is_nothing();
        udp().c(hex("81 0b 000c 02 20 ffff 00 ff 10 08")).is_nothing();
    }

    #[test]
    fn messages_with_their_length_are_knx() {
        let ask = hex("0610 0203 000e 0801 c0a80001 0e57");
        udp().c(&ask).is("knxnet-ip");
        udp().c(hex("0610 0203 000f 0801 c0a80001 0e57")).is_nothing();
        udp().c(hex("0610 0203 000e 0701 c0a80001 0e57")).is_nothing();
    }

    #[test]
    fn hellos_of_controllers_are_known() {
        tcp().c("fox a 1 -1 fox hello\n{\n").s("fox a 0 -1 fox hello\n{\n").is("fox");
        tcp().c("fox a 1 -1 fox hullo\n{\n").is_nothing();
        tcp().c(hex("000117e8 10000000 0102030405060708")).is("codesys");
        tcp().c(hex("000117e9 10000000 0102030405060708")).is_nothing();
        tcp().c(hex("bbbb 01000000 01")).s(hex("bbbb 02000000 0100")).is("codesys");
        let login = cat(&[&hex("0101 001a 0000 0000 7880 0003 000c"), b"IBETH01N0_M\0"]);
        tcp().c(&login).s(hex("8101 0014 0000")).is("pcworx");
        tcp().c(&login[..20]).is_nothing();
        let answer = cat(&[&[1], &[0; 55]]);
        tcp().c([0; 56]).s(&answer).is("ge-srtp");
        tcp().c([0; 57]).s(&answer).is_nothing();
    }

    #[test]
    fn a_telegram_with_its_checksum_is_sbus() {
        let body = hex("0000000d 01 00 0001 00 01 20");
        let sum = crc_ccitt(0, &body).to_be_bytes();
        udp().c(cat(&[&body, &sum])).is("ether-s-bus");
        udp().c(cat(&[&body, &[sum[0] ^ 1, sum[1]]])).is_nothing();
    }
}
