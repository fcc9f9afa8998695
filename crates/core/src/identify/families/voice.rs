//! STUN (RFC 8489, RFC 3489), SIP (RFC 3261) and RTSP (RFC 7826).

use super::super::cursor::Cursor;
use super::super::names::http::{Request, Response};
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{has_prefix, header, is_token};
use super::super::verdict::confidence::{LIKELY, STRONG, SURE};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "voice",
    protocols: &[
        Protocol {
            label: "stun",
            title: "Session Traversal Utilities for NAT, TURN",
            on: UDP | TCP,
            ports: &[3478, 3479, 5349, 19302],
            spec: "RFC 8489",
        },
        Protocol {
            label: "sip",
            title: "Session Initiation Protocol",
            on: UDP | TCP,
            ports: &[5060, 5061],
            spec: "RFC 3261",
        },
        Protocol {
            label: "rtsp",
            title: "Real Time Streaming Protocol",
            on: TCP,
            ports: &[554, 8554],
            spec: "RFC 7826",
        },
    ],
    rules: &[
        Rule {
            label: "stun",
            name: "message",
            on: UDP | TCP,
            client: Starts::Byte(|byte| byte & 0xfe == 0),
            server: Starts::Byte(|byte| byte & 0xfe == 0),
            check: stun,
        },
        Rule {
            label: "stun",
            name: "framed",
            on: TCP,
            client: Starts::Byte(|byte| byte < 0x06),
            server: Starts::Byte(|byte| byte < 0x06),
            check: |v| both(v, framed),
        },
        Rule {
            label: "sip",
            name: "messages",
            on: UDP | TCP,
            client: Starts::Byte(|byte| byte.is_ascii_uppercase()),
            server: Starts::Byte(|byte| byte.is_ascii_uppercase()),
            check: |v| text(v, b"SIP/2.0"),
        },
        Rule {
            label: "rtsp",
            name: "messages",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_uppercase()),
            server: Starts::Byte(|byte| byte.is_ascii_uppercase()),
            check: |v| text(v, b"RTSP/1.0"),
        },
    ],
};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Type, transaction, and whether it has the cookie of RFC 5389 and later.
struct Stun<'a> {
    kind: u16,
    transaction: &'a [u8],
    modern: bool,
    attributes: u32,
}

fn stun(v: &View<'_>) -> Verdict {
    both(v, message)
}

/// A message behind its length (RFC 4571 §2), as ICE over TCP sends it (RFC 6544 §3).
fn framed(bytes: &[u8]) -> Step<Stun<'_>> {
    let mut c = Cursor::new(bytes);
    let len = usize::from(c.u16()?);
    ensure((20..=1500).contains(&len))?;
    if c.left() >= 8 {
        ensure(c.rest()[4..8] == COOKIE)?;
    }
    let stun = message(c.take(len)?)?;
    ensure(stun.modern)?;
    Ok(stun)
}

fn both<'a>(v: &View<'a>, read: fn(&'a [u8]) -> Step<Stun<'a>>) -> Verdict {
    let client = maybe(v.client.parse(read))?;
    let server = maybe(v.server.parse(read))?;
    if let (Some(q), Some(r)) = (&client, &server) {
        // Both ends may ask at the same time; an answer must fit its question.
        let answers = r.kind & 0x0110 == 0x0100 || r.kind & 0x0110 == 0x0110;
        let fits = q.transaction == r.transaction && q.kind & 0x3eef == r.kind & 0x3eef;
        ensure(if answers && q.kind & 0x0110 == 0 {
            fits || (q.modern && r.modern)
        } else {
            q.modern && r.modern
        })?;
        return Ok(Match::new(super::super::verdict::confidence::ANSWERED).at(Who::Client, 0, 8));
    }
    let (one, who) = match (client, server) {
        (Some(q), _) => (q, Who::Client),
        (_, Some(r)) => (r, Who::Server),
        _ => return Err(Stop::More),
    };
    let confidence = if one.modern { STRONG } else { LIKELY };
    // Without the cookie a request of nothing is 20 bytes that could be anything.
    ensure(one.modern || (one.attributes > 0 && one.transaction.iter().any(|&byte| byte >= 32)))?;
    Ok(Match::new(confidence).at(who, 0, 8))
}

fn message(bytes: &[u8]) -> Step<Stun<'_>> {
    let mut c = Cursor::new(bytes);
    let kind = c.u16()?;
    let len = usize::from(c.u16()?);
    ensure(kind < 0x4000 && kind != 0 && len <= 4096)?;
    let transaction = c.take(16)?;
    let modern = transaction[..4] == COOKIE;
    // Some pad nothing at all, though RFC 8489 §14 says so; the cookie tells them.
    ensure(modern || len.is_multiple_of(4))?;
    // Methods in use: binding, shared secret, and those of TURN (RFC 8656, RFC 6062).
    let method = (kind & 0xf) | (kind & 0xe0) >> 1 | (kind & 0x3e00) >> 2;
    ensure(if modern { method <= 0x0fff } else { method == 1 || method == 2 })?;
    let mut attributes = 0;
    if c.left() >= len || modern {
        let list = c.left().min(len);
        let mut a = c.sub(list)?;
        while !a.is_empty() {
            let attribute = a.u16()?;
            // The comprehension-required and -optional ranges in use; older ones are the low ones.
            ensure(modern || attribute <= 0x0021 || (0x8000..0x8100).contains(&attribute))?;
            let value = a.counted(2);
            if value.is_err() && list < len {
                break;
            }
            let size = closed(value)?.len();
            let pad = size.next_multiple_of(4) - size;
            ensure(modern || pad == 0)?;
            a.skip(pad.min(a.left()))?;
            attributes += 1;
        }
        if list < len {
            return Err(Stop::More);
        }
    } else {
        return Err(Stop::More);
    }
    Ok(Stun { kind, transaction, modern, attributes })
}

/// SIP and RTSP: messages like those of HTTP with another version.
fn text(v: &View<'_>, version: &'static [u8]) -> Verdict {
    let request = |bytes| {
        let request = Request::read(bytes)?;
        ensure(request.protocol == version && is_token(request.method))?;
        if version.starts_with(b"SIP") {
            ensure(
                [&b"sip:"[..], b"sips:", b"tel:", b"im:", b"pres:", b"urn:"]
                    .iter()
                    .any(|s| has_prefix(request.target, s)),
            )
        } else {
            ensure(
                has_prefix(request.target, b"rtsp")
                    || request.target == b"*"
                    || request.target.starts_with(b"/"),
            )
        }
    };
    let response = |bytes: &[u8]| {
        let shown = bytes.len().min(version.len());
        ensure(bytes[..shown] == version[..shown])?;
        let response = Response::read(bytes)?;
        ensure(response.protocol == version && (100..700).contains(&response.status))
    };
    // Either end may ask first.
    let read = |bytes| match request(bytes) {
        Err(Stop::No) => response(bytes),
        step => step,
    };
    let client = maybe(v.client.parse(read))?;
    let server = maybe(v.server.parse(read))?;
    match (client, server) {
        (Some(()), Some(())) => Ok(Match::new(super::super::verdict::confidence::ANSWERED)),
        (Some(()), None) => {
            let call = header(v.client.first()?, b"CSeq").is_some();
            Ok(Match::new(if call { SURE } else { STRONG }))
        }
        (None, Some(())) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        (None, None) => Err(Stop::More),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{hex, tcp, udp};

    const ASK: &str = "0001 0008 2112a442 0102030405060708090a0b0c 0020 0004 00000000";
    const ANSWER: &str = "0101 000c 2112a442 0102030405060708090a0b0c 0020 0008 0001a147 e112a643";

    #[test]
    fn attributes_that_fill_the_message_are_stun() {
        udp().c(hex(ASK)).s(hex(ANSWER)).is("stun");
        udp().c(hex("0001 0000 2112a442 0102030405060708090a0b0c")).is("stun");
        tcp().c(hex(ASK)).s(hex(ANSWER)).is("stun");
        let framed = |message: &str| hex(&format!("{:04x} {message}", hex(message).len()));
        tcp().c(framed(ASK)).s(framed(ANSWER)).is("stun");
        tcp().s(framed(ANSWER)).midway().is("stun");
        tcp().c(hex(&format!("001d {ASK}"))).is_nothing();
        udp().c(hex("0001 0008 a1a2a3a405060708090a0b0c0d0e0f10 0003 0004 00000000")).is("stun");
    }

    #[test]
    fn near_misses_are_not_stun() {
        udp().c(hex("0001 0008 2112a442 0102030405060708090a0b0c 0020 0008 00000000")).is_nothing();
        udp().c(hex("0001 0004 0102030405060708090a0b0c0d0e0f10 0300 0000")).is_nothing();
        udp().c(hex("0001 0000 0102030405060708090a0b0c0d0e0f10")).is_nothing();
        udp().c([0; 20]).is_nothing();
    }

    #[test]
    fn requests_to_sip_addresses_are_sip() {
        let invite = "INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCSeq: 1 INVITE\r\n\r\n";
        udp().c(invite).s("SIP/2.0 100 Trying\r\n\r\n").is("sip");
        tcp().c(invite).is("sip");
        udp().c("INVITE http://b.example SIP/2.0\r\n\r\n").is_nothing();
        udp().c("INVITE sip:bob SIP/3.0\r\n\r\n").is_nothing();
    }

    #[test]
    fn options_with_its_version_are_rtsp() {
        tcp().c("OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n").s("RTSP/1.0 200 OK\r\n\r\n").is("rtsp");
    }
}
