//! Routing over TCP and UDP: BGP, LDP, BFD, RIP, RIPng, HSRP, GLBP.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, Step, Stop};

/// The family.
pub const FAMILY: Family = Family {
    name: "routing",
    protocols: &[
        Protocol {
            label: "bgp",
            title: "Border Gateway Protocol 4",
            on: TCP,
            ports: &[179],
            spec: "RFC 4271",
        },
        Protocol {
            label: "ldp",
            title: "Label Distribution Protocol",
            on: TCP | UDP,
            ports: &[646],
            spec: "RFC 5036",
        },
        Protocol {
            label: "bfd",
            title: "Bidirectional Forwarding Detection",
            on: UDP,
            ports: &[3784, 4784],
            spec: "RFC 5880",
        },
        Protocol {
            label: "rip",
            title: "Routing Information Protocol",
            on: UDP,
            ports: &[520],
            spec: "RFC 2453",
        },
        Protocol { label: "ripng", title: "RIP for IPv6", on: UDP, ports: &[521], spec: "RFC 2080" },
        Protocol {
            label: "hsrp",
            title: "Hot Standby Router Protocol",
            on: UDP,
            ports: &[1985, 2029],
            spec: "RFC 2281",
        },
        Protocol {
            label: "glbp",
            title: "Gateway Load Balancing Protocol",
            on: UDP,
            ports: &[3222],
            spec: "Cisco IOS, GLBP",
        },
    ],
    rules: &[
        Rule {
            label: "bgp",
            name: "message",
            on: TCP,
            client: Starts::With(&[b"\xff\xff"]),
            server: Starts::With(&[b"\xff\xff"]),
            check: |v| v.pair(SURE, bgp, bgp, |(), ()| true),
        },
        Rule {
            label: "ldp",
            name: "unit",
            on: TCP,
            client: LDP,
            server: LDP,
            check: |v| v.pair(STRONG, |b| ldp(b, None), |b| ldp(b, None), |(), ()| true),
        },
        Rule {
            label: "ldp",
            name: "hello",
            on: UDP,
            client: LDP,
            server: LDP,
            check: |v| v.alike(STRONG, SURE, |bytes, len| ldp(bytes, Some(len))),
        },
        Rule {
            label: "bfd",
            name: "control",
            on: UDP,
            client: Starts::Byte(|byte| (0x20..=0x29).contains(&byte)),
            server: Starts::Byte(|byte| (0x20..=0x29).contains(&byte)),
            check: |v| v.alike(LIKELY, SURE, bfd),
        },
        Rule {
            label: "rip",
            name: "table",
            on: UDP,
            client: RIP,
            server: RIP,
            check: |v| {
                v.alike(LIKELY, SURE, |bytes, len| {
                    ensure((24..=504).contains(&len) && (len - 4).is_multiple_of(20))?;
                    rip(bytes)
                })
            },
        },
        Rule {
            label: "ripng",
            name: "table",
            on: UDP,
            client: RIP,
            server: RIP,
            check: |v| {
                v.alike(LIKELY, SURE, |bytes, len| {
                    ensure(len >= 24 && (len - 4).is_multiple_of(20))?;
                    ripng(bytes)
                })
            },
        },
        Rule {
            label: "hsrp",
            name: "hello",
            on: UDP,
            client: Starts::With(&[b"\x00", b"\x01", b"\x02"]),
            server: Starts::With(&[b"\x00", b"\x01", b"\x02"]),
            check: |v| v.alike(LIKELY, SURE, hsrp),
        },
        Rule {
            label: "glbp",
            name: "hello",
            on: UDP,
            client: Starts::With(&[b"\x01\x00"]),
            server: Starts::With(&[b"\x01\x00"]),
            check: |v| v.alike(LIKELY, SURE, |bytes, _| glbp(bytes)),
        },
    ],
};

const LDP: Starts = Starts::With(&[b"\x00\x01"]);
const RIP: Starts = Starts::With(&[b"\x01\x01", b"\x01\x02", b"\x02\x01", b"\x02\x02"]);

/// A marker of ones, a length, a type (§4.1).
fn bgp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(&[0xff; 16])?;
    let (len, kind) = (c.u16()?, c.u8()?);
    match kind {
        1 => ensure((29..=4096).contains(&len) && c.u8()? == 4),
        2 => ensure(len >= 23),
        3 => ensure(len >= 21 && (1..=8).contains(&c.u8()?)),
        4 => ensure(len == 19),
        5 => ensure(len >= 23),
        _ => Err(Stop::No),
    }
}

/// Header of a unit and of the first message, whose lengths agree (§3.1, §3.5).
fn ldp(bytes: &[u8], whole: Option<usize>) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, len) = (c.u16()?, usize::from(c.u16()?));
    ensure(version == 1 && (14..=4096).contains(&len) && whole.is_none_or(|whole| whole == len + 4))?;
    let (router, _space) = (c.u32()?, c.u16()?);
    ensure(router != 0)?;
    let (kind, size, _id) = (c.u16()? & 0x7fff, usize::from(c.u16()?), c.u32()?);
    ensure(size >= 4 && size + 10 <= len)?;
    match kind {
        0x0100 => ensure(c.u16()? == 0x0400 && c.u16()? == 4),
        0x0200 => ensure(c.u16()? == 0x0500 && c.u16()? >= 14),
        0x0001 => ensure(c.u16()? & 0x3fff == 0x0300),
        0x0201 | 0x0300 | 0x0301 | 0x0400..=0x0404 => ensure(whole.is_none()),
        _ => Err(Stop::No),
    }
}

fn bfd(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (first, flags, multiplier, len) = (c.u8()?, c.u8()?, c.u8()?, usize::from(c.u8()?));
    ensure(first & 0xe0 == 0x20 && flags & 1 == 0 && flags & 0x30 != 0x30 && multiplier > 0)?;
    ensure(len == whole && if flags & 4 == 0 { len == 24 } else { (26..=52).contains(&len) })?;
    let (mine, yours, send) = (c.u32()?, c.u32()?, c.u32()?);
    // Only while down may the other end be unknown (§6.8.6).
    ensure(mine != 0 && (yours != 0 || flags & 0xc0 <= 0x40))?;
    let (receive, echo) = (c.u32()?, c.u32()?);
    let slow = 120_000_000;
    ensure((1_000..=slow).contains(&send) && receive <= slow && echo <= slow)
}

fn rip(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (command, version, zero) = (c.u8()?, c.u8()?, c.u16()?);
    ensure(matches!(command, 1 | 2) && matches!(version, 1 | 2) && (zero == 0 || version == 2))?;
    let mut first = true;
    while !c.is_empty() {
        let (family, tag) = (c.u16()?, c.u16()?);
        let (address, mask, next, metric) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?);
        match family {
            2 => {
                ensure((1..=16).contains(&metric) && address >> 24 != 127)?;
                let ones = mask.leading_ones() + mask.trailing_zeros();
                ensure(if version == 1 { tag == 0 && mask == 0 && next == 0 } else { ones >= 32 })?;
            }
            0 => ensure(command == 1 && first && tag == 0 && address == 0 && metric == 16)?,
            0xffff => ensure(version == 2 && matches!(tag, 1..=3))?,
            _ => return Err(Stop::No),
        }
        first = false;
    }
    Ok(())
}

fn ripng(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (command, version, zero) = (c.u8()?, c.u8()?, c.u16()?);
    ensure(matches!(command, 1 | 2) && version == 1 && zero == 0)?;
    while !c.is_empty() {
        let (prefix, _tag, len, metric) = (c.take(16)?, c.u16()?, usize::from(c.u8()?), c.u8()?);
        ensure(len <= 128 && (matches!(metric, 1..=16) || metric == 0xff))?;
        // Behind its length a prefix is zeros.
        ensure(metric == 0xff || prefix[len.div_ceil(8)..].iter().all(|&byte| byte == 0))?;
        ensure(len > 0 || prefix[0] == 0 && (command == 1 || metric <= 16))?;
        ensure(matches!(prefix[0], 0x20..=0x3f | 0xfc..=0xfe) || len <= 8)?;
    }
    Ok(())
}

fn hsrp(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    if matches!(bytes, [1, 40, ..] | [2, 4, ..]) {
        return hsrp2(&mut c);
    }
    let (version, code, state) = (c.u8()?, c.u8()?, c.u8()?);
    ensure(version == 0 && code <= 2 && matches!(state, 0 | 1 | 2 | 4 | 8 | 16))?;
    let (hello, hold, _priority, _group, zero) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(hello > 0 && hello < hold && zero == 0)?;
    let secret = c.take(8)?;
    let end = secret.iter().position(|&byte| byte == 0).unwrap_or(8);
    ensure(
        end > 0
            && secret[..end].iter().all(u8::is_ascii_graphic)
            && secret[end..].iter().all(|&byte| byte == 0),
    )?;
    c.skip(4)?;
    ensure(whole == 20 || (whole > 20 && c.peek()? == 4))
}

/// Version 2 is made of elements to its end: the state of a group, that of an interface, authentication.
fn hsrp2(c: &mut Cursor<'_>) -> Step<()> {
    while !c.is_empty() {
        let (kind, len) = (c.u8()?, usize::from(c.u8()?));
        let mut element = c.sub(len)?;
        match (kind, len) {
            (1, 40) => {
                let (version, operation, state, family) =
                    (element.u8()?, element.u8()?, element.u8()?, element.u8()?);
                ensure(
                    version == 2 && operation <= 2 && (1..=6).contains(&state) && matches!(family, 4 | 6),
                )?;
                element.skip(2 + 6 + 4)?;
                let (hello, hold) = (element.u32()?, element.u32()?);
                ensure(hello > 0 && hello < hold && hold < 10_000_000)?;
            }
            // Groups that are active and passive.
            (2, 4) => ensure(element.u16()? < 4096 && element.u16()? < 4096)?,
            (3, 8) => {}
            (4, 28) => ensure(element.u8()? == 1)?,
            _ => return Err(Stop::No),
        }
    }
    Ok(())
}

/// A group, an owner, and elements to the end.
fn glbp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, zero, _group, also_zero) = (c.u8()?, c.u8()?, c.u16()?, c.u16()?);
    ensure(version == 1 && zero == 0 && also_zero == 0)?;
    let owner = c.take(6)?;
    ensure(owner.iter().any(|&byte| byte != 0) && !c.is_empty())?;
    while !c.is_empty() {
        let (kind, len) = (c.u8()?, usize::from(c.u8()?));
        ensure(matches!((kind, len), (1, 28..) | (2, 20) | (3 | 4, 3..)))?;
        c.skip(len - 2)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn a_marker_and_an_open_are_bgp() {
        let open = cat(&[&[0xff; 16], &hex("001d 01 04 fde8 00b4 0a000001 00")]);
        tcp().c(&open).s(&open).is("bgp");
        tcp().c(&open).is("bgp");
        for (at, value) in [(15, 0xfe), (16, 0x20), (18, 6), (19, 3)] {
            let mut odd = open.clone();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn hellos_with_lengths_that_agree_are_ldp() {
        let hello = hex("0001 001e 0a000001 0000 0100 0014 00000001 0400 0004 000f 0000 0401 0004 0a000001");
        udp().c(&hello).is("ldp");
        udp().c(&hello[..33]).is_nothing();
        let start =
            hex("0001 0020 0a000001 0000 0200 0016 00000001 0500 000e 0001 00b4 00 00 0000 0a000002 0000");
        tcp().c(&start).s(&start).is("ldp");
        let mut odd = start;
        odd[10] = 3;
        odd[11] = 9;
        tcp().c(&odd).is_nothing();
    }

    #[test]
    fn control_packets_are_bfd() {
        let packet = hex("20 c0 03 18 00000001 00000002 000f4240 000f4240 00000000");
        udp().c(&packet).is("bfd");
        for (at, value) in [(0, 0x40), (1, 0xc1), (2, 0), (3, 25), (7, 0), (11, 0)] {
            let mut odd = packet.clone();
            odd[at] = value;
            udp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn tables_are_rip() {
        let two = hex("02 02 0000 0002 0000 0a000000 ff000000 00000000 00000001");
        udp().c(&two).is("rip");
        udp().c(hex("01 01 0000 0000 0000 00000000 00000000 00000000 00000010")).is("rip");
        udp().c(&two[..23]).is_nothing();
        for (at, value) in [(1, 3), (5, 3), (13, 1), (23, 17)] {
            let mut odd = two.clone();
            odd[at] = value;
            udp().c(&odd).is_nothing();
        }
        let six = cat(&[&hex("02 01 0000 20010db8"), &[0; 12], &hex("0000 20 01")]);
        udp().c(&six).is("ripng");
        let mut odd = six;
        odd[10] = 1;
        udp().c(&odd).is_nothing();
    }

    #[test]
    fn routers_that_stand_by_are_told() {
        let one = cat(&[&hex("00 00 10 03 0a 64 01 00"), b"cisco\0\0\0", &[10, 0, 0, 1]]);
        udp().c(&one).is("hsrp");
        for (at, value) in [(2, 3), (3, 11), (7, 1), (8, 0)] {
            let mut odd = one.clone();
            odd[at] = value;
            udp().c(&odd).is_nothing();
        }
        let two =
            cat(&[&hex("01 28 02 00 06 04 0001 0000000000aa 00000064 00000bb8 00002710 0a000001"), &[0; 12]]);
        udp().c(&two).is("hsrp");
        let signed = cat(&[&two, &hex("04 1c 01 00 0000 00000000 00000001"), &[9; 16]]);
        udp().c(&signed).c(hex("02 04 0000 0001")).is("hsrp");
        udp().c(&signed[..60]).is_nothing();
        let hello = cat(&[&hex("01 00 0001 0000 0007b4000101 01 1c"), &[1; 26]]);
        udp().c(&hello).is("glbp");
        udp().c(&hello[..38]).is_nothing();
    }
}
