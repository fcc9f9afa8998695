//! ISO transport over TCP (RFC 1006, RFC 905) and what runs on it: S7comm, S7comm-plus, MMS; H.225 in the same frame.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::verdict::confidence::{ANSWERED, SURE, WEAK};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "cotp",
    protocols: &[
        Protocol {
            label: "cotp",
            title: "ISO transport services over TCP",
            on: TCP,
            ports: &[102],
            spec: "RFC 1006",
        },
        Protocol {
            label: "s7comm",
            title: "S7 communication",
            on: TCP,
            ports: &[102],
            spec: "no public document; IEC 61158 neighbours",
        },
        Protocol {
            label: "s7comm-plus",
            title: "S7 communication plus",
            on: TCP,
            ports: &[102],
            spec: "no public document",
        },
        Protocol {
            label: "mms",
            title: "Manufacturing Message Specification, ICCP",
            on: TCP,
            ports: &[102],
            spec: "ISO 9506",
        },
        Protocol {
            label: "h225",
            title: "H.323 call signalling",
            on: TCP,
            ports: &[1720],
            spec: "ITU-T H.225.0",
        },
    ],
    rules: &[
        Rule { label: "cotp", name: "data", on: TCP, client: TPKT, server: TPKT, check: cotp },
        Rule { label: "h225", name: "call", on: TCP, client: TPKT, server: TPKT, check: h225 },
    ],
};

const TPKT: Starts = Starts::With(&[b"\x03\x00"]);

/// The content of the next frame.
fn frame<'a>(c: &mut Cursor<'a>) -> Step<Cursor<'a>> {
    ensure(c.u16()? == 0x0300)?;
    let len = usize::from(c.u16()?);
    ensure(len >= 7)?;
    c.sub(len - 4)
}

/// What one end of a connection told so far.
enum Told {
    /// It asked for a connection, or confirmed one.
    Connection,
    /// The first data are of this protocol.
    Data(&'static str),
}

fn cotp(v: &View<'_>) -> Verdict {
    let read = |kind: u8| move |bytes| side(bytes, kind);
    let client = maybe(v.client.parse(read(0xe0)))?;
    let server = maybe(v.server.parse(read(0xd0)))?;
    let label = match (&client, &server) {
        (Some(Told::Data(label)), _) | (_, Some(Told::Data(label))) => *label,
        // The connection is made, but what for was not seen.
        (Some(_), Some(_)) if v.done => return Ok(Match::new(WEAK).at(Who::Client, 0, 12)),
        _ => return Err(Stop::More),
    };
    let both = matches!((&client, &server), (Some(Told::Data(a)), Some(Told::Data(b))) if a == b);
    let who = if matches!(client, Some(Told::Data(_))) { Who::Client } else { Who::Server };
    Ok(Match::new(if both { ANSWERED } else { SURE }).named(label).under("cotp").at(who, 0, 12))
}

/// A connection request (or confirmation) with its parameters and then data; or data alone.
fn side(bytes: &[u8], kind: u8) -> Step<Told> {
    let mut c = Cursor::new(bytes);
    let mut first = frame(&mut c)?;
    if first.rest()[1] & 0xf0 == kind {
        closed(connection(&mut first))?;
        if c.is_empty() {
            return Ok(Told::Connection);
        }
        first = match frame(&mut c) {
            Err(Stop::More) => return Ok(Told::Connection),
            step => step?,
        };
    }
    let label = closed(data(&mut first))?;
    Ok(Told::Data(label))
}

/// The head of a connection TPDU, whose parameters fill it (RFC 905 §13.3).
fn connection(c: &mut Cursor<'_>) -> Step<()> {
    let len = usize::from(c.u8()?);
    ensure(len == c.left() && len >= 6)?;
    c.skip(5)?;
    ensure(c.u8()? & 0x0f <= 3)?;
    let mut ends = 0;
    c.tlvs((1, 1), |kind, value| {
        match kind {
            0xc0 => ensure(value.len() == 1 && (7..=13).contains(&value[0]))?,
            0xc1 | 0xc2 => ends += 1,
            0xc3..=0xc8 | 0xf0 | 0x85..=0x8b => {}
            _ => return Err(Stop::No),
        }
        ensure(value.len() <= 32)
    })?;
    ensure(ends == 2)
}

fn data(c: &mut Cursor<'_>) -> Step<&'static str> {
    ensure(c.u8()? == 2 && c.u8()? == 0xf0 && c.u8()? & 0x7f == 0)?;
    let rest = c.rest();
    match c.u8()? {
        0x32 => {
            let kind = c.u8()?;
            ensure(matches!(kind, 1 | 2 | 3 | 7) && c.u16()? == 0)?;
            c.skip(2)?;
            let (parameters, values) = (usize::from(c.u16()?), usize::from(c.u16()?));
            c.skip(if matches!(kind, 2 | 3) { 2 } else { 0 })?;
            ensure(parameters + values == c.left())?;
            Ok("s7comm")
        }
        0x72 => {
            let version = c.u8()?;
            let len = usize::from(c.u16()?);
            ensure(matches!(version, 1..=3 | 0xfe | 0xff) && len <= c.left() && c.left() - len <= 40)?;
            Ok("s7comm-plus")
        }
        // CONNECT and ACCEPT of the session layer (X.225) with the abstract syntax of MMS (1.0.9506.2).
        0x0d | 0x0e => {
            ensure(rest.windows(4).any(|w| w == [0x28, 0xca, 0x22, 2]))?;
            Ok("mms")
        }
        // GIVE TOKENS, DATA TRANSFER, then user data of the presentation layer.
        0x01 => {
            ensure(rest.starts_with(&[1, 0, 1, 0]) && c.skip(3) == Ok(()))?;
            let len = c.ber_tag(0x61)?.len();
            ensure(c.is_empty() && len >= 6)?;
            Ok("mms")
        }
        _ => Err(Stop::No),
    }
}

/// Q.931 with a call reference and a user-user element for H.225 (ITU-T H.225.0 §7.2).
fn h225(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let mut f = frame(&mut Cursor::new(bytes))?;
        closed(call(&mut f))
    };
    v.pair(SURE, read, read, |q, r| q == r)
}

fn call(c: &mut Cursor<'_>) -> Step<u16> {
    ensure(c.u8()? == 8 && c.u8()? == 2)?;
    let reference = c.u16()? & 0x7fff;
    ensure(matches!(c.u8()?, 1 | 2 | 3 | 5 | 7 | 0x0d | 0x5a | 0x62 | 0x6e | 0x7b | 0x7d))?;
    while !c.is_empty() {
        match c.u8()? {
            0x7e => {
                let body = c.counted(2)?;
                ensure(body.first() == Some(&5) && body.len() > 6 && c.is_empty())?;
                return Ok(reference);
            }
            0x80.. => {}
            _ => {
                c.counted(1)?;
            }
        }
    }
    Err(Stop::No)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    const ASK: &str = "03000016 11e0 0000 0001 00 c0010a c1020100 c2020102";
    const ANSWER: &str = "03000016 11d0 0001 0002 00 c0010a c1020100 c2020102";

    #[test]
    fn data_after_the_connection_tell_what_it_is() {
        let setup = hex("03000019 02f080 32 01 0000 0400 0008 0000 f0000001000101e0");
        let done = hex("0300001b 02f080 32 03 0000 0400 0008 0000 0000 f0000001000101e0");
        tcp().c(hex(ASK)).s(hex(ANSWER)).c(&setup).s(&done).is("cotp/s7comm");
        tcp().midway().c(&setup).is("cotp/s7comm");
        let plus = hex("03000012 02f080 72 01 0003 010203 72010000");
        tcp().c(hex(ASK)).s(hex(ANSWER)).c(&plus).is("cotp/s7comm-plus");
        let mms = cat(&[&hex("0300001c 02f080 0d 13"), &[1; 14], &hex("28ca2202 01")]);
        tcp().c(hex(ASK)).s(hex(ANSWER)).c(&mms).is("cotp/mms");
    }

    #[test]
    fn a_connection_alone_is_cotp() {
        tcp().c(hex(ASK)).s(hex(ANSWER)).is("cotp");
        tcp().c(hex(ASK)).is_nothing();
        tcp().c(hex("03000016 11e0 0000 0001 00 c00120 c1020100 c2020102")).s(hex(ANSWER)).is_nothing();
        let odd = hex("03000019 02f080 32 01 0000 0400 0009 0000 f0000001000101e0");
        tcp().midway().c(&odd).is_nothing();
    }

    #[test]
    fn a_setup_is_h225() {
        let setup = hex("0300001a 08 02 0001 05 04038090a3 7e 0009 05 2000000000000000");
        tcp().c(&setup).is("h225");
        let mut odd = setup.clone();
        odd[17] = 4;
        tcp().c(&odd).is_nothing();
    }
}
