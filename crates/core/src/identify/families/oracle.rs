//! Older database servers: Oracle Net (TNS), DRDA of DB2 and Derby, Firebird.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::is_text;
use super::super::verdict::confidence::STRONG;
use super::super::verdict::{ensure, Step, Stop};

/// The family.
pub const FAMILY: Family = Family {
    name: "databases",
    protocols: &[
        Protocol {
            label: "oracle-tns",
            title: "Oracle Net, Transparent Network Substrate",
            on: TCP,
            ports: &[1521, 1522, 1526],
            spec: "Oracle Net Services Administrator's Guide",
        },
        Protocol {
            label: "drda",
            title: "Distributed Relational Database Architecture",
            on: TCP,
            ports: &[446, 50000, 1527],
            spec: "The Open Group C112 (DRDA 5 volume 3)",
        },
        Protocol {
            label: "firebird",
            title: "Firebird, InterBase",
            on: TCP,
            ports: &[3050],
            spec: "Firebird Wire Protocol",
        },
    ],
    rules: &[
        Rule {
            label: "oracle-tns",
            name: "connect",
            on: TCP,
            client: Starts::Byte(|byte| byte < 0x20),
            server: Starts::Byte(|byte| byte < 0x20),
            check: |v| v.asked(STRONG, connect, accept, |(), ()| true),
        },
        Rule {
            label: "drda",
            name: "attributes",
            on: TCP,
            client: Starts::Byte(|byte| byte < 0x20),
            server: Starts::Byte(|byte| byte < 0x80),
            check: |v| {
                v.pair(STRONG, |b| dss(b, &[0x1041, 0x106d]), |b| dss(b, &[0x1443, 0x14ac]), |(), ()| true)
            },
        },
        Rule {
            label: "firebird",
            name: "connect",
            on: TCP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.asked(STRONG, open, opened, |(), ()| true),
        },
    ],
};

fn connect(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, sum, kind, _flags, head_sum) = (usize::from(c.u16()?), c.u16()?, c.u8()?, c.u8()?, c.u16()?);
    ensure((34..=4096).contains(&len) && sum == 0 && kind == 1 && head_sum == 0)?;
    let (version, least, _options) = (c.u16()?, c.u16()?, c.u16()?);
    ensure((300..=330).contains(&version) && (100..=330).contains(&least) && least <= version)?;
    let (unit, transport) = (c.u16()?, c.u16()?);
    ensure(unit >= 512 && transport >= 255)?;
    c.skip(4)?;
    ensure(matches!(c.u16()?, 1 | 0x0100))?; // 1, as the sender's hardware writes it
    let (data, offset) = (usize::from(c.u16()?), usize::from(c.u16()?));
    // Long data follow in a packet of their own.
    ensure(data > 0 && (offset + data == len || (offset == len && data > 200)) && offset >= 34)?;
    if offset < len {
        c.skip(offset - 28)?;
        ensure(c.u8()? == b'(')?;
    }
    Ok(())
}

/// Accept, refuse, redirect, resend.
fn accept(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, sum, kind, _flags, head_sum) = (c.u16()?, c.u16()?, c.u8()?, c.u8()?, c.u16()?);
    ensure((8..=8192).contains(&len) && sum == 0 && head_sum == 0 && matches!(kind, 2 | 4 | 5 | 11))
}

/// A data stream structure with one of these objects in it: both lengths agree, and the first parameter fits.
fn dss(bytes: &[u8], objects: &[u16]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, magic, form, _number) = (usize::from(c.u16()?), c.u8()?, c.u8()?, c.u16()?);
    ensure(magic == 0xd0 && matches!(form & 15, 1 | 2) && form & 0x80 == 0 && len > 14)?;
    let (inner, object) = (usize::from(c.u16()?), c.u16()?);
    ensure(inner == len - 6 && objects.contains(&object))?;
    let (size, parameter) = (usize::from(c.u16()?), c.u16()?);
    ensure((4..=inner - 4).contains(&size))?;
    ensure(matches!(
        parameter,
        0x1147 | 0x1149 | 0x115a | 0x115e | 0x116d | 0x1404 | 0x11a2 | 0x2110 | 0x11dc
    ))
}

fn open(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (what, next, version, machine) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?);
    ensure(
        what == 1 && matches!(next, 19 | 20 | 82) && matches!(version, 2 | 3) && (1..64).contains(&machine),
    )?;
    let len = c.u32()? as usize;
    ensure((1..=1024).contains(&len))?;
    ensure(is_text(c.take(len)?))?;
    c.skip(len.wrapping_neg() & 3)?;
    ensure((1..=32).contains(&c.u32()?))?;
    ensure(c.u32()? <= 4096)
}

/// Accepts with a version, rejects, or reports an error.
fn opened(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    match (c.u32()?, bytes.len()) {
        (3 | 94 | 98, _) => ensure(matches!(c.u32()? & !0x8000, 3..=30 | 0xffff_0003..=0xffff_001e)),
        (4, 4) => Ok(()),
        (9, 8..) => Ok(()),
        _ => Err(Stop::No),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    fn connect() -> Vec<u8> {
        let data = b"(DESCRIPTION=(CONNECT_DATA=(SID=x)))";
        let head = hex("0000 0000 01 00 0000 013b 012c 0000 0800 7fff 860e 0000 0100 0000 003a 00000000 0101 00000000 00000000");
        let mut all = cat(&[&head, &vec![0; 58 - head.len()], data]);
        all[1] = all.len() as u8;
        all[25] = data.len() as u8;
        all
    }

    #[test]
    fn a_connect_is_oracle() {
        tcp().c(connect()).s(hex("0008 0000 0b 00 0000")).is("oracle-tns");
        tcp().c(connect()).is("oracle-tns");
        for (at, value) in [(1, 57), (2, 1), (4, 2), (8, 2), (23, 3), (25, 9), (58, b'x')] {
            let mut odd = connect();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
        tcp().c(connect()).s(hex("0008 0000 0d 00 0000")).is_nothing();
    }

    #[test]
    fn an_exchange_of_attributes_is_drda() {
        let ask = hex("0014 d0 41 0001 000e 1041 000a 115e 84828a888995 0000");
        let got = hex("0012 d0 42 0001 000c 1443 0008 115e 84828a88 0000");
        tcp().c(&ask).s(&got).is("drda");
        tcp().c(&ask).is("drda");
        for (at, value) in [(2, 0xd1), (7, 0x0f), (8, 0x11), (11, 0x40), (13, 0)] {
            let mut odd = ask.clone();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn opening_a_database_file_is_firebird() {
        let ask =
            hex("00000001 00000013 00000003 00000024 00000005 612e666462 000000 00000002 00000004 01020304");
        tcp().c(&ask).s(hex("0000005e ffff800d 00000001 00000005")).is("firebird");
        tcp().c(&ask).is("firebird");
        for (at, value) in [(3, 2), (7, 18), (11, 4), (20, 1), (31, 0)] {
            let mut odd = ask.clone();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
        tcp().c(&ask).s(hex("00000007 ffff800d")).is_nothing();
    }
}
