//! Telephony and voice chat: IAX2, MGCP, MEGACO, SCCP, TeamSpeak 3, Mumble, Discord.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{decimal, is_ascii, is_one_of, is_text, word};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "calls",
    protocols: &[
        Protocol {
            label: "iax2",
            title: "Inter-Asterisk Exchange 2",
            on: UDP,
            ports: &[4569],
            spec: "RFC 5456",
        },
        Protocol {
            label: "mgcp",
            title: "Media Gateway Control Protocol",
            on: UDP,
            ports: &[2427, 2727],
            spec: "RFC 3435",
        },
        Protocol {
            label: "megaco",
            title: "Gateway Control Protocol H.248, text",
            on: UDP | TCP,
            ports: &[2944],
            spec: "RFC 3525",
        },
        Protocol {
            label: "sccp-skinny",
            title: "Skinny Client Control Protocol",
            on: TCP,
            ports: &[2000],
            spec: "no public document",
        },
        Protocol {
            label: "teamspeak3",
            title: "TeamSpeak 3",
            on: UDP,
            ports: &[9987],
            spec: "no public document",
        },
        Protocol {
            label: "mumble-ping",
            title: "Mumble server ping",
            on: UDP,
            ports: &[64738],
            spec: "Mumble protocol documentation",
        },
        Protocol {
            label: "discord-voice",
            title: "Discord voice, address discovery",
            on: UDP,
            ports: &[],
            spec: "Discord developer documentation, Voice",
        },
    ],
    rules: &[
        Rule {
            label: "iax2",
            name: "full-frame",
            on: UDP,
            client: Starts::Byte(|byte| byte >= 0x80),
            server: Starts::Byte(|byte| byte >= 0x80),
            check: |v| v.pair(LIKELY, |b| iax(b, false), |b| iax(b, true), |q, r| q.0 == r.1),
        },
        Rule {
            label: "mgcp",
            name: "message",
            on: UDP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::Byte(|byte| byte.is_ascii_digit()),
            check: |v| v.asked(STRONG, mgcp, mgcp_answer, |q, r| q == r),
        },
        Rule {
            label: "megaco",
            name: "message",
            on: UDP | TCP,
            client: Starts::With(&[b"ME", b"!/", b"me", b"\x03\x00"]),
            server: Starts::With(&[b"ME", b"!/", b"me", b"\x03\x00"]),
            check: |v| v.pair(STRONG, megaco, megaco, |(), ()| true),
        },
        Rule {
            label: "sccp-skinny",
            name: "message",
            on: TCP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.asked(LIKELY, |b| skinny(b, true), |b| skinny(b, false), |(), ()| true),
        },
        Rule {
            label: "sccp-skinny",
            name: "stream",
            on: TCP,
            client: Starts::Byte(|byte| byte >= 4 && byte.is_multiple_of(4)),
            server: Starts::Byte(|byte| byte >= 4 && byte.is_multiple_of(4)),
            check: skinny_stream,
        },
        Rule {
            label: "teamspeak3",
            name: "init",
            on: UDP,
            client: Starts::With(&[b"TS"]),
            server: Starts::With(&[b"TS"]),
            check: |v| v.pair(SURE, teamspeak, teamspeak, |(), ()| true),
        },
        Rule {
            label: "mumble-ping",
            name: "ping",
            on: UDP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x01", b"\x00\x02"]),
            check: |v| v.both(mumble, mumble_answer, |q, r| q == r),
        },
        Rule {
            label: "discord-voice",
            name: "address",
            on: UDP,
            client: Starts::With(&[b"\x00\x01"]),
            server: Starts::With(&[b"\x00\x02"]),
            check: |v| v.asked(STRONG, |b| discord(b, 1), |b| discord(b, 2), |q, r| q == r),
        },
    ],
};

/// A full frame of control (RFC 5456 §8.1): the numbers of both calls.
fn iax(bytes: &[u8], answers: bool) -> Step<(u16, u16)> {
    let mut c = Cursor::new(bytes);
    let (source, target) = (c.u16()?, c.u16()?);
    ensure(source & 0x8000 != 0 && source & 0x7fff != 0)?;
    ensure(answers == (target & 0x7fff != 0))?;
    c.skip(4)?;
    let (out, inward, kind, subclass) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(kind == 6 && (1..=40).contains(&subclass))?;
    // The first frame of a call, and the first answer to it.
    ensure(out <= 1 && (answers || inward == 0) && inward <= 1)?;
    let count = c.tlvs((1, 1), |kind, value| {
        ensure(((1..=60).contains(&kind) || kind == 0xff) && value.len() < 200)
    })?;
    ensure(count > 0 || subclass != 1)?; // a new call says its version
    ensure(answers || matches!(subclass, 1 | 2 | 13 | 17 | 20 | 30 | 34 | 37))?;
    Ok((source & 0x7fff, target & 0x7fff))
}

const VERBS: &[&[u8]] =
    &[b"EPCF", b"CRCX", b"MDCX", b"DLCX", b"RQNT", b"NTFY", b"AUEP", b"AUCX", b"RSIP", b"MESG"];

/// Verb, transaction, endpoint, `MGCP 1.0`; the transaction.
fn mgcp(bytes: &[u8]) -> Step<u32> {
    let line = Cursor::new(bytes).line(256)?;
    ensure(is_ascii(line))?;
    let (verb, rest) = word(line);
    ensure(is_one_of(verb, VERBS))?;
    let (number, rest) = word(rest);
    let (endpoint, version) = word(rest);
    ensure(!endpoint.is_empty() && version.get(..5).is_some_and(|v| v.eq_ignore_ascii_case(b"MGCP ")))?;
    decimal(number).ok_or(Stop::No)
}

fn mgcp_answer(bytes: &[u8]) -> Step<u32> {
    let line = Cursor::new(bytes).line(256)?;
    let (code, rest) = word(line);
    ensure(code.len() == 3 && decimal(code).is_some() && is_text(line))?;
    decimal(word(rest).0).ok_or(Stop::No)
}

/// `MEGACO/1 [address] …` or `!/1 [address] …` (RFC 3525 annex B).
fn megaco(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    if bytes[0] == 3 {
        let len = usize::from(c.u32()? as u16);
        ensure(bytes[1] == 0 && len >= 16)?;
    }
    let rest = c.rest();
    let start: &[u8] = if rest.first() == Some(&b'!') { b"!/" } else { b"MEGACO/" };
    let head = c.take(start.len())?;
    ensure(head.eq_ignore_ascii_case(start) && (b'1'..=b'3').contains(&c.u8()?))?;
    ensure(matches!(c.u8()?, b' ' | b'\r' | b'\n'))?;
    let shown = c.rest();
    let shown = &shown[..shown.len().min(40)];
    let shown = shown.trim_ascii_start();
    match shown.first() {
        None => Err(Stop::More),
        Some(b'[' | b'<') => Ok(()),
        Some(byte) => ensure(byte.is_ascii_alphanumeric()),
    }
}

/// A connection seen from the middle: messages of the phone one way, of the manager the other.
fn skinny_stream(v: &View<'_>) -> Verdict {
    let phone = skinny_chain(v.client.bytes, |message| message <= 0x54)?;
    let manager = skinny_chain(v.server.bytes, |message| matches!(message, 0x81..=0x9f | 0x100..=0x15f))?;
    match (phone, manager) {
        (1.., 2..) | (2.., 1..) => Ok(Match::new(ANSWERED)),
        (4.., _) => Ok(Match::new(STRONG)),
        (_, 4..) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        _ => Err(Stop::More),
    }
}

/// Messages one behind the other, each a length, a version and a number of those allowed; how many.
fn skinny_chain(bytes: &[u8], allowed: fn(u32) -> bool) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    let mut count = 0;
    while c.left() >= 12 && count < 8 {
        let (len, version, message) = (c.u32le()? as usize, c.u32le()?, c.u32le()?);
        ensure((4..=2000).contains(&len) && matches!(version, 0 | 0x0b | 0x11..=0x16) && allowed(message))?;
        if c.skip(len - 4).is_err() {
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// Length, version and a message the phone (or the manager) begins with.
fn skinny(bytes: &[u8], phone: bool) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, version, message) = (c.u32le()? as usize, c.u32le()?, c.u32le()?);
    ensure((4..=2000).contains(&len) && matches!(version, 0 | 0x0b | 0x11..=0x16))?;
    let mut body = c.sub(len - 4)?;
    if !phone {
        return ensure(
            matches!(message, 0x81..=0x9f | 0x100 | 0x105..=0x15f) && (len > 4 || message == 0x100),
        );
    }
    match message {
        // A register message begins with the device's name.
        1 => {
            ensure(len >= 40)?;
            let name = body.take(16)?;
            let end = name.iter().position(|&byte| byte == 0).ok_or(Stop::No)?;
            ensure(end >= 3 && name[..end].iter().all(u8::is_ascii_alphanumeric))
        }
        _ => Err(Stop::No),
    }
}

fn teamspeak(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"TS3INIT1")?;
    ensure(c.left() >= 4)
}

fn mumble(bytes: &[u8]) -> Step<u64> {
    let mut c = Cursor::new(bytes);
    ensure(bytes.len() == 12 && c.u32()? == 0)?;
    let id = c.u64()?;
    ensure(id != 0)?;
    Ok(id)
}

fn mumble_answer(bytes: &[u8]) -> Step<u64> {
    let mut c = Cursor::new(bytes);
    ensure(bytes.len() == 24 && matches!(c.u16()?, 1 | 2))?;
    c.skip(2)?;
    let id = c.u64()?;
    let (users, most, width) = (c.u32()?, c.u32()?, c.u32()?);
    ensure(users <= most && most <= 100_000 && width >= 1000)?;
    Ok(id)
}

/// 70 bytes behind type and length: the source, an address as text, a port.
fn discord(bytes: &[u8], kind: u16) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    ensure(bytes.len() == 74 && c.u16()? == kind && c.u16()? == 70)?;
    let source = c.u32()?;
    let address = c.take(64)?;
    ensure(source != 0)?;
    if kind == 1 {
        ensure(address.iter().all(|&byte| byte == 0))?;
    } else {
        let end = address.iter().position(|&byte| byte == 0).ok_or(Stop::No)?;
        ensure(end >= 3 && address[..end].iter().all(|&b| b.is_ascii_hexdigit() || b == b'.' || b == b':'))?;
    }
    Ok(source)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn first_frames_of_calls_are_iax2() {
        let ask = cat(&[&hex("8001 0000 00000001 00 00 06 01 0b 02 0002 06 03"), b"joe"]);
        udp().c(&ask).s(hex("8002 0001 00000002 00 01 06 03 0e 00")).is("iax2");
        udp().c(&ask).is("iax2");
        udp().c(&ask[..ask.len() - 1]).is_nothing();
        udp().c(&ask).s(hex("8002 0003 00000002 00 01 06 03 0e 00")).is_nothing();
    }

    #[test]
    fn gateways_and_phones_are_told() {
        udp().c("RSIP 1201 aaln/1@gw.example MGCP 1.0\r\n").s("200 1201 OK\r\n").is("mgcp");
        udp().c("RSIP 1201 aaln/1@gw.example MGCP 1.0\r\n").is("mgcp");
        udp().c("RSIP x aaln/1@gw.example MGCP 1.0\r\n").is_nothing();
        udp().c("RSIP 1201 aaln/1@gw.example MGCP 1.0\r\n").s("200 1202 OK\r\n").is_nothing();
        udp().c("MEGACO/1 [10.0.0.1]:2944 Transaction=1{").is("megaco");
        udp().c("MEGACO/x [10.0.0.1]:2944 Transaction=1{").is_nothing();
        let register = cat(&[&hex("28000000 00000000 01000000"), b"SEP001122334455\0", &[0; 20]]);
        tcp().c(&register).is("sccp-skinny");
        let alive = tcp().midway().c(hex("04000000 00000000 00000000")).s(hex("04000000 00000000 00010000"));
        alive.clone().is_nothing();
        alive.clone().s(hex("08000000 00000000 8f000000 01000000")).is("sccp-skinny");
        alive.s(hex("08000000 00000000 ff000000 01000000")).is_nothing();
        tcp().c(cat(&[&hex("28000000 00000000 02000000"), b"SEP001122334455\0", &[0; 20]])).is_nothing();
    }

    #[test]
    fn voice_chats_are_told() {
        udp().c(cat(&[b"TS3INIT1", &[0x65, 0, 0, 0x88, 7, 7]])).is("teamspeak3");
        udp().c(cat(&[b"TS3INIT2", &[0x65, 0, 0, 0x88, 7, 7]])).is_nothing();
        let answer = hex("00010204 0102030405060708 00000001 00000064 00011170");
        udp().c(hex("00000000 0102030405060708")).s(&answer).is("mumble-ping");
        udp().c(hex("00000000 0102030405060709")).s(&answer).is_nothing();
        let ask = cat(&[&hex("0001 0046 00001234"), &[0; 66]]);
        let answer = cat(&[&hex("0002 0046 00001234"), b"192.0.2.1", &[0; 55], &hex("c001")]);
        udp().c(&ask).s(&answer).is("discord-voice");
        udp().c(&ask).is("discord-voice");
        udp().c(&ask[..73]).is_nothing();
    }
}
