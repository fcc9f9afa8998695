//! SMB 1 and 2/3 (MS-CIFS, MS-SMB2) over NetBIOS sessions (RFC 1002 §4.3), NetBIOS datagrams (§4.4).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "smb",
    protocols: &[
        Protocol {
            label: "smb1",
            title: "Server Message Block 1, CIFS",
            on: TCP,
            ports: &[445, 139],
            spec: "MS-CIFS",
        },
        Protocol {
            label: "smb2",
            title: "Server Message Block 2 and 3",
            on: TCP,
            ports: &[445, 139],
            spec: "MS-SMB2",
        },
        Protocol {
            label: "netbios-ssn",
            title: "NetBIOS session service",
            on: TCP,
            ports: &[139],
            spec: "RFC 1002",
        },
        Protocol {
            label: "netbios-dgm",
            title: "NetBIOS datagram service",
            on: UDP,
            ports: &[138],
            spec: "RFC 1002",
        },
    ],
    rules: &[
        Rule { label: "smb2", name: "messages", on: TCP, client: ZERO, server: ZERO, check: smb },
        Rule {
            label: "netbios-ssn",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"\x81\x00"]),
            server: Starts::With(&[b"\x82\x00", b"\x83\x00", b"\x84\x00"]),
            check: session,
        },
        Rule {
            label: "netbios-dgm",
            name: "datagram",
            on: UDP,
            client: Starts::Byte(|byte| (0x10..=0x16).contains(&byte)),
            server: Starts::Byte(|byte| (0x10..=0x16).contains(&byte)),
            check: datagram,
        },
    ],
};

const ZERO: Starts = Starts::With(&[b"\x00"]);

/// Which of them a message is.
fn message(c: &mut Cursor<'_>) -> Step<&'static str> {
    ensure(c.u8()? == 0)?;
    let len = c.u24()?;
    ensure((32..1 << 24).contains(&len))?;
    match c.take(4)? {
        [0xff, b'S', b'M', b'B'] => {
            let command = c.u8()?;
            ensure(
                matches!(command, 0..=0x3f | 0x70..=0x75 | 0x80..=0x84 | 0xa0..=0xa5 | 0xc0..=0xc3 | 0xd0..=0xda),
            )?;
            Ok("smb1")
        }
        [0xfe, b'S', b'M', b'B'] => {
            ensure(c.u16le()? == 64 && len >= 64)?;
            c.skip(6)?;
            ensure(c.u16le()? <= 0x13)?;
            Ok("smb2")
        }
        [0xfd | 0xfc, b'S', b'M', b'B'] => Ok("smb2"),
        _ => Err(Stop::No),
    }
}

fn smb(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(|bytes| message(&mut Cursor::new(bytes))))?;
    let server = maybe(v.server.parse(|bytes| message(&mut Cursor::new(bytes))))?;
    match (client, server) {
        // A client may begin with version 1 and be answered in version 2 (MS-SMB2 §3.3.5.3).
        (Some(_), Some(answer)) => Ok(Match::new(ANSWERED).named(answer).at(Who::Server, 0, 9)),
        (Some(asked), None) => Ok(Match::new(STRONG).named(asked).at(Who::Client, 0, 9)),
        (None, Some(answer)) => Ok(Match::new(STRONG).named(answer).at(Who::Server, 0, 9)),
        (None, None) => Err(Stop::More),
    }
}

/// A name in half-bytes (RFC 1001 §14.1).
fn name(c: &mut Cursor<'_>) -> Step<()> {
    ensure(c.u8()? == 32)?;
    ensure(c.take(32)?.iter().all(|byte| (b'A'..=b'P').contains(byte)))?;
    while c.u8()? != 0 {
        ensure(c.position() < 300)?;
    }
    Ok(())
}

fn session(v: &View<'_>) -> Verdict {
    let after = v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        ensure(c.u16()? == 0x8100)?;
        let len = usize::from(c.u16()?);
        ensure((68..=512).contains(&len))?;
        c.inner(len, |c| {
            name(c)?;
            name(c)
        })?;
        Ok(c.rest())
    })?;
    let answer = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let (kind, flags, len) = (c.u8()?, c.u8()?, c.u16()?);
        ensure(matches!((kind, flags, len), (0x82, 0, 0) | (0x83, 0, 1) | (0x84, 0, 6)))?;
        c.skip(usize::from(len))?;
        Ok((kind, c.rest()))
    }))?;
    let carried = |bytes| message(&mut Cursor::new(bytes));
    match answer {
        Some((0x82, rest)) => match (carried(after), carried(rest)) {
            (_, Ok(label)) => Ok(Match::new(ANSWERED).named(label).under("netbios-ssn")),
            (Ok(label), Err(Stop::More)) => Ok(Match::new(STRONG).named(label).under("netbios-ssn")),
            _ => Ok(Match::new(STRONG)),
        },
        Some(_) => Ok(Match::new(ANSWERED)),
        None => Ok(Match::new(STRONG)),
    }
}

fn datagram(v: &View<'_>) -> Verdict {
    let side = if v.client.is_silent() { &v.server } else { &v.client };
    let sure = side.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let (kind, flags) = (c.u8()?, c.u8()?);
        ensure((0x10..=0x16).contains(&kind) && flags & 0xf0 == 0)?;
        c.skip(8)?;
        if kind <= 0x12 {
            let (len, offset) = (usize::from(c.u16()?), c.u16()?);
            ensure(len == c.left() && offset == 0)?;
            name(&mut c)?;
        } else {
            ensure(kind >= 0x14)?;
        }
        name(&mut c)?;
        ensure(kind <= 0x12 || c.is_empty())?;
        Ok(kind <= 0x12)
    })?;
    let who = if v.client.is_silent() { Who::Server } else { Who::Client };
    Ok(Match::new(if sure { SURE } else { LIKELY }).at(who, 0, 12))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    fn smb1() -> Vec<u8> {
        cat(&[&hex("00000023 ff534d42 72"), &[0; 30]])
    }

    fn smb2() -> Vec<u8> {
        cat(&[&hex("00000042 fe534d42 4000 0000 00000000 0000 0100"), &[0; 46]])
    }

    #[test]
    fn the_answer_says_which_smb() {
        tcp().c(smb1()).s(smb1()).is("smb1");
        tcp().c(smb2()).s(smb2()).is("smb2");
        assert_eq!(tcp().c(smb1()).s(smb2()).label(), "smb2");
        tcp().c(smb2()).is("smb2");
        tcp().c(cat(&[&[0; 4], &hex("fe534d42 4000"), &[0; 60]])).is_nothing();
        tcp().c(cat(&[&hex("00000042 fe534d42 4100"), &[0; 60]])).is_nothing();
    }

    #[test]
    fn a_session_request_carries_smb() {
        let name = cat(&[&[32], &[b'C'; 32], &[0]]);
        let ask = cat(&[&[0x81, 0, 0, 68], &name, &name]);
        tcp().c(&ask).s([0x82, 0, 0, 0]).is("netbios-ssn");
        assert_eq!(tcp().c(&ask).s([0x82, 0, 0, 0]).c(smb1()).s(smb1()).label(), "netbios-ssn/smb1");
        tcp().c(&ask[..60]).is_nothing();
    }

    #[test]
    fn datagrams_with_two_names_are_netbios_dgm() {
        let name = cat(&[&[32], &[b'C'; 32], &[0]]);
        let text = cat(&[&[0x11, 2, 0, 1, 10, 0, 0, 1, 0, 138, 0, 78, 0, 0], &name, &name, &[5; 10]]);
        udp().c(&text).is("netbios-dgm");
        udp().c(cat(&[&text, &[0]])).is_nothing();
    }
}
