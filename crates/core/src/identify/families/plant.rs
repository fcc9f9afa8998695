//! Controllers in plants: EtherNet/IP with CIP, FINS, MELSEC, ADS, OPC UA, HART-IP, PROFINET, EtherCAT, HSE.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_ascii;
use super::super::verdict::confidence::{LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "plant",
    protocols: &[
        Protocol {
            label: "enip",
            title: "EtherNet/IP, encapsulated CIP",
            on: TCP | UDP,
            ports: &[44818],
            spec: "ODVA CIP volume 2",
        },
        Protocol {
            label: "cip-io",
            title: "CIP implicit messages",
            on: UDP,
            ports: &[2222],
            spec: "ODVA CIP volume 2",
        },
        Protocol { label: "fins", title: "Omron FINS", on: TCP | UDP, ports: &[9600], spec: "Omron W342" },
        Protocol {
            label: "melsec",
            title: "MELSEC communication protocol",
            on: TCP | UDP,
            ports: &[5000, 5001, 5006, 5007],
            spec: "Mitsubishi SH-080008",
        },
        Protocol {
            label: "ads",
            title: "Automation Device Specification over AMS/TCP",
            on: TCP,
            ports: &[48898],
            spec: "Beckhoff TwinCAT ADS/AMS",
        },
        Protocol {
            label: "opcua",
            title: "OPC Unified Architecture, binary",
            on: TCP,
            ports: &[4840],
            spec: "OPC 10000-6",
        },
        Protocol {
            label: "hart-ip",
            title: "HART over IP",
            on: TCP | UDP,
            ports: &[5094],
            spec: "FieldComm HCF_SPEC-085",
        },
        Protocol {
            label: "profinet-cm",
            title: "PROFINET context management",
            on: UDP,
            ports: &[34964],
            spec: "IEC 61158-6-10",
        },
        Protocol {
            label: "ethercat",
            title: "EtherCAT over UDP",
            on: UDP,
            ports: &[34980],
            spec: "IEC 61158-4-12",
        },
        Protocol {
            label: "ff-hse",
            title: "Foundation Fieldbus High Speed Ethernet",
            on: TCP | UDP,
            ports: &[1089, 1090, 1091],
            spec: "IEC 61158, FF-588",
        },
    ],
    rules: &[
        Rule { label: "enip", name: "message", on: TCP | UDP, client: ENIP, server: ENIP, check: enip },
        Rule {
            label: "cip-io",
            name: "items",
            on: UDP,
            client: Starts::With(&[b"\x02\x00"]),
            server: Starts::With(&[b"\x02\x00"]),
            check: |v| v.pair(STRONG, items, items, |(), ()| true),
        },
        Rule { label: "fins", name: "udp", on: UDP, client: FINS, server: FINS, check: fins },
        Rule {
            label: "fins",
            name: "tcp",
            on: TCP,
            client: Starts::With(&[b"FI"]),
            server: Starts::With(&[b"FI"]),
            check: |v| v.pair(SURE, fins_tcp, fins_tcp, |(), ()| true),
        },
        Rule {
            label: "melsec",
            name: "binary",
            on: TCP | UDP,
            client: Starts::With(&[b"\x50\x00", b"\x54\x00"]),
            server: Starts::With(&[b"\xd0\x00", b"\xd4\x00"]),
            check: |v| v.pair(STRONG, |b| melsec(b, 0), |b| melsec(b, 0x80), |q, r| q == r),
        },
        Rule {
            label: "melsec",
            name: "text",
            on: TCP | UDP,
            client: Starts::With(&[b"50"]),
            server: Starts::With(&[b"D0"]),
            check: |v| {
                v.pair(STRONG, |b| melsec_text(b, b"5000"), |b| melsec_text(b, b"D000"), |q, r| q == r)
            },
        },
        Rule {
            label: "ads",
            name: "message",
            on: TCP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.pair(STRONG, |b| ads(b, 4), |b| ads(b, 5), |q, r| q == r),
        },
        Rule {
            label: "opcua",
            name: "message",
            on: TCP,
            client: Starts::With(&[b"HE", b"OP", b"MS", b"CL"]),
            server: Starts::With(&[b"AC", b"ER", b"RH", b"OP", b"MS"]),
            check: |v| v.pair(STRONG, opcua, opcua, |(), ()| true),
        },
        Rule { label: "hart-ip", name: "message", on: TCP | UDP, client: HART, server: HART, check: hart },
        Rule {
            label: "profinet-cm",
            name: "rpc",
            on: UDP,
            client: Starts::With(&[b"\x04"]),
            server: Starts::With(&[b"\x04"]),
            check: |v| v.pair(SURE, profinet, profinet, |q, r| q == r),
        },
        Rule {
            label: "ethercat",
            name: "datagrams",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.pair(LIKELY, ethercat, ethercat, |(), ()| true),
        },
        Rule {
            label: "ff-hse",
            name: "message",
            on: TCP | UDP,
            client: Starts::With(&[b"\x01"]),
            server: Starts::With(&[b"\x01"]),
            check: |v| v.pair(LIKELY, hse, hse, |q, r| q == r),
        },
    ],
};

const ENIP: Starts =
    Starts::With(&[b"\x04\x00", b"\x63\x00", b"\x64\x00", b"\x65\x00", b"\x6f\x00", b"\x70\x00"]);
const FINS: Starts = Starts::Byte(|byte| matches!(byte, 0x80 | 0x81 | 0xc0 | 0xc1));
const HART: Starts = Starts::With(&[b"\x01\x00", b"\x01\x01"]);

fn enip(v: &View<'_>) -> Verdict {
    v.pair(
        STRONG,
        |b| capsule(b, true),
        |b| capsule(b, false),
        |q, r| q.0 == r.0 && (q.0 == 0x65 || q.1 == r.1),
    )
}

/// Command and session of an encapsulated message (CIP volume 2 §2-3).
fn capsule(bytes: &[u8], asks: bool) -> Step<(u16, u32)> {
    let mut c = Cursor::new(bytes);
    let (command, len) = (c.u16le()?, usize::from(c.u16le()?));
    let (session, status) = (c.u32le()?, c.u32le()?);
    c.skip(8)?;
    ensure(c.u32le()? == 0 && status <= 0x69 && (!asks || status == 0))?;
    let mut body = c.sub(len)?;
    match command {
        0x65 => {
            ensure(len == 4 && body.u16le()? == 1 && body.u16le()? == 0 && (session != 0) != asks)?;
        }
        0x6f | 0x70 if len > 0 => {
            ensure(session != 0 && body.u32le()? == 0)?;
            body.skip(2)?;
            list(&mut body, 4)?;
        }
        4 | 0x63 | 0x64 if !asks => list(&mut body, 16)?,
        // A question for identity is empty: 24 bytes, of which two and the empty rest tell.
        4 | 0x63 | 0x64 => ensure(len == 0 && session == 0 && c.is_empty())?,
        _ => return Err(Stop::No),
    }
    Ok((command, session))
}

/// Counted items that fill the bytes.
fn list(body: &mut Cursor<'_>, most: u16) -> Step<()> {
    let count = body.u16le()?;
    ensure((1..=most).contains(&count))?;
    for _ in 0..count {
        body.skip(2)?;
        let len = usize::from(body.u16le()?);
        body.skip(len)?;
    }
    ensure(body.is_empty())
}

fn items(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16le()? == 2 && c.u16le()? == 0x8002 && c.u16le()? == 8)?;
    c.skip(8)?;
    ensure(c.u16le()? == 0xb1)?;
    let len = usize::from(c.u16le()?);
    c.skip(len)?;
    ensure(c.is_empty())
}

/// Commands of FINS (W342 §5): main and sub request code.
fn known_fins(main: u8, sub: u8) -> bool {
    match main {
        1 | 2 => (1..=9).contains(&sub),
        3 => (4..=7).contains(&sub),
        4 => matches!(sub, 1 | 2),
        5 => matches!(sub, 1 | 2),
        6 => matches!(sub, 1 | 0x20),
        7 => matches!(sub, 1 | 2),
        8 => sub == 1,
        9 => sub == 0x20,
        0x0c => (1..=3).contains(&sub),
        0x21 => (1..=3).contains(&sub) || sub == 0x40,
        0x22 => sub <= 0x20,
        0x23 => matches!(sub, 1 | 2 | 0x0a),
        _ => false,
    }
}

struct Fins<'a> {
    answers: bool,
    target: &'a [u8],
    source: &'a [u8],
    number: u8,
    code: (u8, u8),
}

fn fins_frame<'a>(c: &mut Cursor<'a>) -> Step<Fins<'a>> {
    let (icf, reserved, gates) = (c.u8()?, c.u8()?, c.u8()?);
    ensure(icf & 0x3e == 0 && icf & 0x80 != 0 && reserved == 0 && (1..=7).contains(&gates))?;
    let (target, source, number, code) = (c.take(3)?, c.take(3)?, c.u8()?, (c.u8()?, c.u8()?));
    ensure(known_fins(code.0, code.1))?;
    ensure(target[0] <= 0x7f && source[0] <= 0x7f)?;
    Ok(Fins { answers: icf & 0x40 != 0, target, source, number, code })
}

fn fins(v: &View<'_>) -> Verdict {
    let read = |bytes| fins_frame(&mut Cursor::new(bytes));
    v.client.first()?;
    v.pair(LIKELY, read, read, |q, r| {
        !q.answers
            && r.answers
            && q.code == r.code
            && q.number == r.number
            && q.target == r.source
            && q.source == r.target
    })
}

fn fins_tcp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"FINS")?;
    let (len, command, error) = (c.u32()?, c.u32()?, c.u32()?);
    ensure((8..=4096).contains(&len) && command <= 0x11 && error <= 0x25)?;
    match command {
        0 => ensure(len == 12),
        1 => ensure(len == 16),
        2 => fins_frame(&mut c).map(|_| ()),
        _ => Ok(()),
    }
}

/// A frame of type 3E or 4E; network, station and unit, which the answer repeats.
fn melsec(bytes: &[u8], answer: u8) -> Step<&[u8]> {
    let mut c = Cursor::new(bytes);
    let kind = c.u8()? ^ answer;
    ensure(matches!(kind, 0x50 | 0x54) && c.u8()? == 0)?;
    if kind == 0x54 {
        c.skip(2)?;
        ensure(c.u16()? == 0)?;
    }
    let route = c.take(5)?;
    ensure(matches!(route[3], 3) && matches!(route[2], 0xff | 0xd0..=0xd3 | 0xe0..=0xe3))?;
    let len = usize::from(c.u16le()?);
    ensure((2..=2048).contains(&len))?;
    let mut body = c.sub(len)?;
    if answer == 0 {
        ensure(len >= 6)?;
        body.skip(2)?;
        let (command, sub) = (body.u16le()?, body.u16le()?);
        ensure(known_melsec(command) && sub & 0xff00 == 0)?;
    }
    Ok(route)
}

/// Commands of the MELSEC protocol (SH-080008 §3).
fn known_melsec(command: u16) -> bool {
    matches!(command,
        0x0101 | 0x0401 | 0x0403 | 0x0406 | 0x0601 | 0x0613 | 0x0619 | 0x0801 | 0x0802 | 0x1001..=0x1006
        | 0x1401..=0x1406 | 0x1601 | 0x1613 | 0x1617 | 0x1630 | 0x1631 | 0x1810 | 0x1811
        | 0x1820..=0x182a)
}

fn melsec_text<'a>(bytes: &'a [u8], start: &[u8]) -> Step<&'a [u8]> {
    let mut c = Cursor::new(bytes);
    c.expect(start)?;
    let route = c.take(10)?;
    let digits = c.take(4)?;
    ensure(route[4..6] == *b"03" && route.iter().chain(digits).all(u8::is_ascii_hexdigit))?;
    let len = digits.iter().fold(0, |n, &d| n << 4 | (d as char).to_digit(16).unwrap_or(0)) as usize;
    ensure(len >= 4)?;
    ensure(is_ascii(c.take(len)?))?;
    Ok(route)
}

/// The header of AMS; number of the invocation and command.
fn ads(bytes: &[u8], state: u16) -> Step<(u32, u16)> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16()? == 0)?;
    let len = c.u32le()?;
    ensure((32..=1 << 24).contains(&len))?;
    c.skip(16)?;
    let (command, flags, size) = (c.u16le()?, c.u16le()?, c.u32le()?);
    ensure((1..=9).contains(&command) && flags & !0x40 == state && size == len - 32)?;
    let (error, number) = (c.u32le()?, c.u32le()?);
    ensure(error < 0x2000 && (error == 0 || state == 5))?;
    Ok((number, command))
}

fn opcua(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let kind = c.take(3)?;
    ensure([b"HEL", b"ACK", b"ERR", b"RHE", b"OPN", b"MSG", b"CLO"].iter().any(|k| *k == kind))?;
    let (chunk, len) = (c.u8()?, c.u32le()?);
    match kind {
        b"HEL" => {
            ensure(chunk == b'F' && (32..=4128).contains(&len))?;
            c.skip(20)?;
            let url = c.u32le()?;
            ensure(url == u32::MAX && len == 32 || url == len - 32)
        }
        b"ACK" => {
            ensure(chunk == b'F' && len == 28 && c.u32le()? == 0)?;
            ensure(c.u32le()? >= 8192 && c.u32le()? >= 8192)
        }
        b"ERR" => {
            ensure(chunk == b'F' && (16..=4112).contains(&len) && c.u32le()? & 0x8000_0000 != 0)?;
            let text = c.u32le()?;
            ensure(text == u32::MAX && len == 16 || text == len - 16)
        }
        b"RHE" => {
            ensure(chunk == b'F' && (16..=8208).contains(&len))?;
            let name = c.counted_le()?;
            ensure(is_ascii(name) && name.len() as u32 <= len - 16)
        }
        b"OPN" => {
            ensure(chunk == b'F' && len >= 60)?;
            c.skip(4)?;
            ensure(c.counted_le()?.starts_with(b"http://opcfoundation.org/"))
        }
        _ => {
            ensure(matches!(chunk, b'F' | b'C' | b'A') && (24..=1 << 24).contains(&len))?;
            let (channel, token) = (c.u32le()?, c.u32le()?);
            ensure(channel != 0 && token != 0 && c.u32le()? != 0)
        }
    }
}

/// Kind, number and length of a message that is opened by a session.
fn hart(v: &View<'_>) -> Verdict {
    let read = |kind: u8| {
        move |bytes: &[u8]| {
            let mut c = Cursor::new(bytes);
            ensure(c.u8()? == 1 && c.u8()? == kind)?;
            let (id, status, number, len) = (c.u8()?, c.u8()?, c.u16()?, usize::from(c.u16()?));
            ensure(id <= 3 && (kind == 1 || status == 0) && (8..=1024).contains(&len))?;
            let mut body = c.sub(len - 8)?;
            match id {
                0 => {
                    ensure(len == 13 && body.u8()? <= 1)?;
                    ensure((1000..=86_400_000).contains(&body.u32()?))?;
                }
                1 | 2 => ensure(len == 8)?,
                _ => ensure(len > 8 + 4 && matches!(body.u8()? & 0x07, 1 | 2 | 6))?,
            }
            Ok((id, number))
        }
    };
    v.client.first()?;
    let opens = v.client.first()?.get(2) == Some(&0);
    match v.pair(LIKELY, read(0), read(1), |q, r| q == r) {
        Ok(found) if found.confidence == LIKELY && !opens => Err(Stop::More),
        verdict => verdict,
    }
}

const LITTLE: &[u8] = b"\x00\xa0\xde\x97\x6c\xd1\x11\x82\x71\x00\xa0\x24\x42\xdf\x7d";
const BIG: &[u8] = b"\xde\xa0\x00\x01\x6c\x97\x11\xd1\x82\x71\x00\xa0\x24\x42\xdf\x7d";

/// The activity of a connectionless DCE RPC for one of PROFINET's interfaces.
fn profinet(bytes: &[u8]) -> Step<&[u8]> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 4 && c.u8()? <= 10)?;
    c.skip(2)?;
    let order = c.u8()?;
    ensure(order & 0xef == 0)?;
    c.skip(3 + 16)?;
    let interface = c.take(16)?;
    ensure(if order & 0x10 != 0 {
        interface[1..] == *LITTLE && interface[0] < 6
    } else {
        interface[..3] == BIG[..3] && interface[4..] == BIG[4..]
    })?;
    c.take(16)
}

/// A frame whose datagrams fill it.
fn ethercat(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let head = c.u16le()?;
    ensure(head >> 12 == 1 && head & 0x0800 == 0 && head & 0x07ff >= 12)?;
    let all = c.clone();
    let mut c = c.sub(usize::from(head & 0x07ff))?;
    // Short frames are padded.
    ensure(all.rest()[usize::from(head & 0x07ff)..].iter().all(|&byte| byte == 0))?;
    loop {
        let command = c.u8()?;
        ensure((1..=14).contains(&command))?;
        c.skip(5)?;
        let len = c.u16le()?;
        ensure(len & 0x3800 == 0 && len & 0x07ff != 0)?;
        c.skip(2 + usize::from(len & 0x07ff) + 2)?;
        if len & 0x8000 == 0 {
            return ensure(c.is_empty());
        }
    }
}

/// Protocol and service of a message that is as long as it says.
fn hse(bytes: &[u8]) -> Step<(u8, u8)> {
    let mut c = Cursor::new(bytes);
    let (version, options, kind, service) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(version == 1 && options & 0x07 == 0 && (1..=4).contains(&(kind >> 2)) && kind & 3 < 3)?;
    // Sessions and system management have few services; which, depends on whether they are confirmed.
    ensure(match (kind >> 2, service >> 7, service & 0x7f) {
        (1, 1, 1 | 3) | (2, 0, 1 | 2 | 16) | (2, 1, 3 | 12 | 14 | 15) | (4, 0, 1) => true,
        (3, _, number) => number <= 96,
        (4, 1, number) => number <= 3,
        _ => false,
    })?;
    c.skip(4)?;
    let len = c.u32()? as usize;
    ensure((12..=4096).contains(&len) && len == bytes.len())?;
    Ok((kind >> 2, service & 0x3f))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn encapsulated_messages_are_enip() {
        let ask = hex("6500 0400 00000000 00000000 0000000000000000 00000000 0100 0000");
        let answer = hex("6500 0400 01000000 00000000 0000000000000000 00000000 0100 0000");
        tcp().c(&ask).s(&answer).is("enip");
        tcp().c(&ask).is("enip");
        tcp().c(&ask[..26]).is_nothing();
        tcp().c(hex("6500 0400 00000000 01000000 0000000000000000 00000000 0100 0000")).is_nothing();
        let io = hex("0200 0280 0800 01020304 05060708 b100 0400 aabbccdd");
        udp().c(&io).is("cip-io");
        udp().c(&io[..21]).is_nothing();
    }

    #[test]
    fn fins_frames_are_fins() {
        let ask = hex("80 00 02 00 0a 00 00 05 00 07 0101 82 0000 00 0001");
        let answer = hex("c0 00 02 00 05 00 00 0a 00 07 0101 0000 1234");
        udp().c(&ask).s(&answer).is("fins");
        udp().c(&ask).is("fins");
        udp().c(hex("80 00 02 00 0a 00 00 05 00 07 0100 82 0000 00 0001")).is_nothing();
        tcp().c(cat(&[b"FINS", &hex("0000000c 00000000 00000000 00000000")])).is("fins");
        tcp().c(cat(&[b"FINS", &hex("0000000d 00000000 00000000 00000000")])).is_nothing();
    }

    #[test]
    fn melsec_frames_of_bytes_and_text_are_melsec() {
        let ask = hex("5000 00 ff ff03 00 0c00 1000 0104 0000 640000 a8 0100");
        tcp().c(&ask).s(hex("d000 00 ff ff03 00 0400 0000 3412")).is("melsec");
        tcp().c(&ask).is("melsec");
        tcp().c(hex("5000 00 ff ff03 00 0c00 1000 0204 0000 640000 a8 0100")).is_nothing();
        tcp().c("500000FF03FF000018001004010000D*000100000").is_nothing();
        tcp().c("500000FF03FF000018001004010000D*0001000001").is("melsec");
    }

    #[test]
    fn the_header_of_ams_is_ads() {
        let head = "010101010101 5303 020202020202 0180 0100";
        let ask = hex(&format!("0000 20000000 {head} 0400 00000000 00000000 01000000"));
        let answer = hex(&format!("0000 20000000 {head} 0500 00000000 00000000 01000000"));
        tcp().c(&ask).s(&answer).is("ads");
        tcp().c(hex(&format!("0000 21000000 {head} 0400 00000000 00000000 01000000"))).is_nothing();
    }

    #[test]
    fn hello_and_acknowledgement_are_opcua() {
        let hello =
            cat(&[b"HELF", &hex("23000000 00000000 00000100 00000100 00000000 00000000 03000000"), b"opc"]);
        let ack = cat(&[b"ACKF", &hex("1c000000 00000000 00000100 00000100 00000000 00000000")]);
        tcp().c(&hello).s(&ack).is("opcua");
        tcp().c(&hello).is("opcua");
        tcp()
            .c(cat(&[
                b"HELF",
                &hex("24000000 00000000 00000100 00000100 00000000 00000000 03000000"),
                b"opc",
            ]))
            .is_nothing();
    }

    #[test]
    fn others_are_told_by_their_lengths() {
        let ask = hex("01 00 00 00 0001 000d 01 00007530");
        udp().c(&ask).s(hex("01 01 00 00 0001 000d 01 00007530")).is("hart-ip");
        udp().c(hex("01 00 00 00 0001 000e 01 00007530 00")).is_nothing();
        udp().c(hex("0e10 07 00 0000 3001 0200 0000 aabb 0100")).is("ethercat");
        udp().c(hex("0e10 0f 00 0000 3001 0200 0000 aabb 0100")).is_nothing();
        udp().c(hex("01 00 08 83 00000000 00000010 00000001")).is("ff-hse");
        udp().c(hex("01 00 08 03 00000000 00000010 00000001")).is_nothing();
        udp().c(hex("01 00 08 03 00000000 00000011 00000001")).is_nothing();
        let rpc = cat(&[
            &hex("04 00 20 00 10 00 00 00"),
            &[9; 16],
            &hex("0100a0de976cd111827100a02442df7d"),
            &[5; 40],
        ]);
        udp().c(&rpc).is("profinet-cm");
        let mut odd = rpc.clone();
        odd[30] = 0;
        udp().c(&odd).is_nothing();
    }
}
