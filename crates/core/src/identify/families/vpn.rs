//! Virtual private networks: OpenVPN, WireGuard, IKE, L2TP, PPTP, SSTP.

use super::super::cursor::Cursor;
use super::super::names::http::Request;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{Side, Transport, View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "vpn",
    protocols: &[
        Protocol {
            label: "openvpn",
            title: "OpenVPN",
            on: UDP | TCP,
            ports: &[1194, 443],
            spec: "OpenVPN wire protocol",
        },
        Protocol {
            label: "wireguard",
            title: "WireGuard",
            on: UDP,
            ports: &[51820, 2408],
            spec: "WireGuard protocol",
        },
        Protocol {
            label: "ike",
            title: "Internet Key Exchange",
            on: UDP,
            ports: &[500, 4500],
            spec: "RFC 7296, RFC 2409",
        },
        Protocol { label: "esp-udp", title: "ESP inside UDP", on: UDP, ports: &[4500], spec: "RFC 3948" },
        Protocol {
            label: "l2tp",
            title: "Layer 2 Tunneling Protocol",
            on: UDP,
            ports: &[1701],
            spec: "RFC 2661",
        },
        Protocol {
            label: "pptp",
            title: "Point-to-Point Tunneling Protocol",
            on: TCP,
            ports: &[1723],
            spec: "RFC 2637",
        },
        Protocol {
            label: "sstp",
            title: "Secure Socket Tunneling Protocol without TLS",
            on: TCP,
            ports: &[80],
            spec: "MS-SSTP",
        },
    ],
    rules: &[
        Rule { label: "openvpn", name: "reset", on: UDP | TCP, client: OVPN, server: OVPN, check: openvpn },
        Rule {
            label: "wireguard",
            name: "handshake",
            on: UDP,
            client: Starts::With(&[b"\x01\x00", b"\x02\x00", b"\x04\x00"]),
            server: Starts::With(&[b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x04\x00"]),
            check: wireguard,
        },
        Rule { label: "ike", name: "header", on: UDP, client: Starts::Any, server: Starts::Any, check: ike },
        Rule {
            label: "esp-udp",
            name: "sequence",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: esp,
        },
        Rule {
            label: "l2tp",
            name: "control",
            on: UDP,
            client: Starts::With(&[b"\xc8\x02"]),
            server: Starts::With(&[b"\xc8\x02"]),
            check: |v| v.pair(STRONG, l2tp, l2tp, |(), ()| true),
        },
        Rule {
            label: "pptp",
            name: "control",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.pair(SURE, pptp, pptp, |(), ()| true),
        },
        Rule {
            label: "sstp",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"SS"]),
            server: Starts::With(&[b"HT"]),
            check: sstp,
        },
    ],
};

/// Opcodes of OpenVPN in the upper five bits, the key in the lower three; for TCP a length is in front.
const OVPN: Starts = Starts::Byte(|byte| byte < 8 || matches!(byte >> 3, 4 | 5 | 7 | 8 | 10));

struct Reset<'a> {
    opcode: u8,
    session: &'a [u8],
    /// What stands behind the session, with its authentication.
    rest: &'a [u8],
}

fn openvpn(v: &View<'_>) -> Verdict {
    let client = maybe(reset(&v.client, v.transport))?;
    let server = maybe(reset(&v.server, v.transport))?;
    match (client, server) {
        (Some(q), Some(r)) => {
            ensure(matches!(q.opcode, 7 | 10) && r.opcode == 8)?;
            // The answer acknowledges the reset and names its session (behind the authentication, if any).
            let names = r.rest.windows(8).any(|w| w == q.session);
            ensure(names || (crypt(&q) && crypt(&r)))?;
            Ok(Match::new(ANSWERED))
        }
        (Some(q), None) if matches!(q.opcode, 7 | 10) && (plain(q.rest) || crypt(&q)) => {
            Ok(Match::new(LIKELY))
        }
        (Some(q), None) if matches!(q.opcode, 7 | 10) && v.done && repeats(&v.client) => {
            Ok(Match::new(LIKELY))
        }
        _ => Err(Stop::More),
    }
}

fn reset<'a>(side: &Side<'a>, transport: Transport) -> Step<Reset<'a>> {
    side.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        if transport == Transport::Tcp {
            let len = usize::from(c.u16()?);
            ensure((14..=1200).contains(&len))?;
            c = c.sub(len)?;
        }
        let first = c.u8()?;
        ensure(matches!(first >> 3, 7 | 8 | 10) && first & 7 == 0)?;
        let session = c.take(8)?;
        ensure(session.iter().any(|&byte| byte != session[0]))?;
        ensure(c.left() >= 5 && (first >> 3 == 10 || c.left() <= 128))?;
        Ok(Reset { opcode: first >> 3, session, rest: c.rest() })
    })
}

/// No acknowledgements and packet number 0, at the end; in front of them nothing, or an HMAC of a usual
/// length with its packet number and a time.
fn plain(rest: &[u8]) -> bool {
    let ends = rest.ends_with(&[0; 5]);
    match rest.len() {
        5 => ends,
        // SHA-1, MD5, SHA-256, SHA-512: then number 1 and the time.
        29 | 33 | 45 | 77 => {
            let head = &rest[rest.len() - 13..];
            ends && head[..4] == [0, 0, 0, 1] && (0x40..=0x90).contains(&head[4])
        }
        _ => false,
    }
}

/// Encrypted control messages (`tls-crypt`) have number 1 and the time in the clear behind the session.
fn crypt(reset: &Reset<'_>) -> bool {
    let numbered = matches!(reset.rest, [0 | 0x0f, 0, 0, 1, 0x40..=0x90, ..]);
    numbered && (reset.opcode == 10 || matches!(reset.rest.len(), 45 | 57 | 61))
}

/// The same opcode and session again in a later datagram.
fn repeats(side: &Side<'_>) -> bool {
    let mut all = side.datagrams().map(|(bytes, _)| bytes.get(..9));
    match all.next().flatten() {
        Some(first) => all.len() >= 2 && all.all(|other| other == Some(first)),
        None => false,
    }
}

fn wireguard(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (kind, sender) = (c.u32le()?, c.u32le()?);
        ensure(match kind {
            1 => bytes.len() == 148,
            4 => bytes.len() >= 32 && bytes.len().is_multiple_of(16),
            _ => false,
        })?;
        if kind == 1 {
            // The second code is zero unless the other end is under load.
            let used = bytes[..132].windows(2).filter(|w| w[0] == w[1]).count() < 16;
            ensure(used)?;
        }
        Ok((kind, sender, bytes[132.min(bytes.len())..].iter().all(|&byte| byte == 0)))
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (kind, first, second) = (c.u32le()?, c.u32le()?, c.u32le()?);
        ensure(match kind {
            1 => bytes.len() == 148,
            2 => bytes.len() == 92,
            3 => bytes.len() == 64,
            4 => bytes.len() >= 32 && bytes.len().is_multiple_of(16),
            _ => false,
        })?;
        Ok((kind, if kind == 2 { second } else { first }))
    };
    let asked = maybe(v.client.parse(ask))?;
    let answered = maybe(v.server.parse(answer))?;
    match (asked, answered) {
        (Some((1, sender, _)), Some((2 | 3, receiver))) => {
            ensure(sender == receiver)?;
            Ok(Match::new(ANSWERED))
        }
        (Some((1, ..)), Some((1, _))) => Ok(Match::new(STRONG)),
        (Some((1, _, zero)), _) => Ok(Match::new(if zero { STRONG } else { LIKELY })),
        (Some((4, index, _)), _) => {
            // Data of one direction: one receiver, numbers that count up.
            let mut last = None;
            let mut steps = 0;
            for (bytes, len) in v.client.datagrams() {
                let mut c = Cursor::new(bytes);
                if bytes.first() != Some(&4) {
                    continue;
                }
                ensure(c.u32le()? == 4 && len.is_multiple_of(16) && len >= 32)?;
                if c.u32le()? != index {
                    continue;
                }
                let number = c.u64le()?;
                ensure(number < 1 << 48)?;
                if let Some(last) = last {
                    ensure(number > last || last - number < 64)?;
                    ensure(number.abs_diff(last) < 1 << 16)?;
                    steps += 1;
                }
                last = Some(number);
            }
            match steps {
                0 => Err(Stop::More),
                1 => Ok(Match::new(LIKELY)),
                _ => Ok(Match::new(STRONG)),
            }
        }
        _ => Err(Stop::More),
    }
}

/// Initiator, responder, and whether it answers.
struct Ike {
    initiator: u64,
    major: u8,
    response: bool,
    first: bool,
}

fn ike(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(ike_head))?;
    let server = maybe(v.server.parse(ike_head))?;
    match (client, server) {
        (Some(q), Some(r)) => {
            ensure(q.initiator == r.initiator && q.major == r.major)?;
            Ok(Match::new(ANSWERED).at(Who::Client, 0, 12))
        }
        (Some(q), None) => Ok(Match::new(if q.first { STRONG } else { LIKELY }).at(Who::Client, 0, 12)),
        (None, Some(r)) if r.response || r.major == 1 => Ok(Match::new(LIKELY).at(Who::Server, 0, 12)),
        _ => Err(Stop::More),
    }
}

/// The header (RFC 7296 §3.1, RFC 2408 §3.1), behind the marker of RFC 3948 if it is there.
fn ike_head(bytes: &[u8]) -> Step<Ike> {
    let marked = bytes.starts_with(&[0; 4]);
    let at = if marked { 4 } else { 0 };
    let mut c = Cursor::new(&bytes[at..]);
    let whole = c.left();
    let (initiator, responder) = (c.u64()?, c.u64()?);
    let (next, version, exchange, flags) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    let (number, len) = (c.u32()?, c.u32()? as usize);
    ensure(initiator > u64::from(u32::MAX))?;
    // A datagram that is not there to its end is longer than what is.
    ensure((28..=65_535).contains(&len) && len >= whole && (len == whole || whole >= 200))?;
    let major = version >> 4;
    match major {
        1 => {
            ensure(version == 0x10 && next <= 20 || next == 130 || next == 131)?;
            ensure(matches!(exchange, 1 | 2 | 4 | 5 | 6 | 32 | 33) && flags & 0xf8 == 0)?;
            ensure((exchange <= 4) == (number == 0) || exchange == 5)?;
        }
        2 => {
            ensure(version & 0x0f <= 1 && (next == 0 || (33..=54).contains(&next)))?;
            ensure(matches!(exchange, 34..=43) && flags & 0xc7 == 0)?;
        }
        _ => return Err(Stop::No),
    }
    let clear = flags & 1 == 0 && major == 1 || exchange == 34 && major == 2;
    if clear && next != 0 {
        // The first payload (RFC 7296 §3.2) fits.
        let (_, reserved, size) = (c.u8()?, c.u8()?, c.u16()?);
        ensure(reserved & 0x7f == 0 && size >= 4 && usize::from(size) + 28 <= len)?;
    }
    let first = responder == 0;
    ensure(!first || matches!(exchange, 2 | 4 | 5 | 34 | 43))?;
    Ok(Ike { initiator, major, response: flags & 0x20 != 0, first })
}

/// Payloads of one direction with the same index and numbers that count up by small steps.
fn esp(v: &View<'_>) -> Verdict {
    let mut most = 0;
    let mut open = false;
    for side in [&v.client, &v.server] {
        let (mut index, mut last, mut steps) = (0, 0u32, 0);
        for (bytes, len) in side.datagrams() {
            if bytes == [0xff] {
                continue; // keep-alive
            }
            let mut c = Cursor::new(bytes);
            let (spi, number) = (c.u32().map_err(|_| Stop::No)?, c.u32().map_err(|_| Stop::No)?);
            ensure(spi > 255 && len >= 32 && len.is_multiple_of(2) && number < 1 << 28)?;
            let body = c.rest();
            ensure(body.len() < 16 || body.iter().take(64).any(|&byte| byte >= 0x80))?;
            if index != 0 {
                ensure(spi == index && number > last && number - last <= 64)?;
                steps += 1;
            } else {
                ensure(number != 0)?;
            }
            (index, last) = (spi, number);
        }
        most = most.max(steps);
        open |= !side.is_silent();
    }
    match most {
        0..=2 => {
            ensure(open)?;
            Err(Stop::More)
        }
        3 | 4 => Ok(Match::new(LIKELY).at(v.first_speaker(), 0, 8)),
        _ => Ok(Match::new(STRONG).at(v.first_speaker(), 0, 8)),
    }
}

/// A control message: its first value pair says its type (RFC 2661 §4.1).
fn l2tp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16()? == 0xc802)?;
    let len = usize::from(c.u16()?);
    ensure(len == bytes.len() && len >= 12)?;
    c.skip(8)?;
    if c.is_empty() {
        return Ok(());
    }
    let (head, vendor, kind, message) = (c.u16()?, c.u16()?, c.u16()?, c.u16()?);
    ensure(head & 0x3fff == 8 && vendor == 0 && kind == 0 && (1..=29).contains(&message))
}

fn pptp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (len, kind, magic, control) = (c.u16()?, c.u16()?, c.u32()?, c.u16()?);
    ensure((12..=220).contains(&len) && kind == 1 && magic == 0x1a2b_3c4d && (1..=15).contains(&control))
}

fn sstp(v: &View<'_>) -> Verdict {
    let request = v.client.parse(Request::read)?;
    ensure(request.method == b"SSTP_DUPLEX_POST" && request.protocol.starts_with(b"HTTP/1"))?;
    Ok(Match::new(SURE).under("http"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp, Dice};

    #[test]
    fn resets_that_name_each_other_are_openvpn() {
        let ask = hex("38 0102030405060708 00 00000000");
        let answer = hex("40 1112131415161718 01 00000000 0102030405060708 00000000");
        udp().c(&ask).s(&answer).is("openvpn");
        udp().c(&ask).is("openvpn");
        tcp().c(cat(&[&[0, 14], &ask])).s(cat(&[&[0, 26], &answer])).is("openvpn");
        let signed = cat(&[&hex("38 0102030405060708"), &[0xaa; 20], &hex("00000001 5f000000 00 00000000")]);
        udp().c(&signed).is("openvpn");
        let hidden = |opcode: u8, len| {
            cat(&[&[opcode, 1, 2, 3, 4, 5, 6, 7, 8], &hex("00000001 5f000000"), &vec![9; len]])
        };
        udp().c(hidden(0x38, 37)).s(hidden(0x40, 49)).is("openvpn");
        udp().c(hidden(0x38, 37)).s(hidden(0x40, 50)).is_nothing();
        udp().c(&ask).s(hex("40 1112131415161718 01 00000000 0102030405060709 00000000")).is_nothing();
        udp().c(hex("39 0102030405060708 00 00000000")).is_nothing();
        udp().c(hex("38 0102030405060708 00 00000001")).is_nothing();
    }

    #[test]
    fn handshakes_of_their_sizes_are_wireguard() {
        let mut dice = Dice(7);
        let ask = cat(&[&hex("01000000 11223344"), &dice.bytes(124), &[0; 16]]);
        let answer = cat(&[&hex("02000000 55667788 11223344"), &dice.bytes(64), &[0; 16]]);
        udp().c(&ask).s(&answer).is("wireguard");
        udp().c(&ask).is("wireguard");
        udp().c(&ask[..147]).is_nothing();
        udp().c(&ask).s(cat(&[&hex("02000000 55667788 11223345"), &dice.bytes(64), &[0; 16]])).is_nothing();
        let data = |number: u8| cat(&[&hex("04000000 11223344"), &[number, 0, 0, 0, 0, 0, 0, 0], &[9; 32]]);
        udp().c(data(1)).c(data(2)).c(data(3)).is("wireguard");
        udp().c(data(1)).is_nothing();
    }

    #[test]
    fn headers_of_both_versions_are_ike() {
        let ask = hex("0102030405060708 0000000000000000 21 20 22 08 00000000 00000024 00 00 0008 00000000");
        let answer =
            hex("0102030405060708 1112131415161718 21 20 22 20 00000000 00000024 00 00 0008 00000000");
        udp().c(&ask).s(&answer).is("ike");
        udp().c(&ask).is("ike");
        udp().c(cat(&[&[0; 4], &ask])).is("ike");
        let old = hex("0102030405060708 0000000000000000 01 10 02 00 00000000 00000024 00 00 0008 00000000");
        udp().c(&old).is("ike");
        let mut odd = ask.clone();
        odd[27] = 0x25;
        udp().c(&odd).is_nothing();
        let mut odd = ask.clone();
        odd[18] = 0x30;
        udp().c(&odd).is_nothing();
    }

    #[test]
    fn numbers_that_count_are_esp() {
        let mut dice = Dice(9);
        let mut packet = |number: u8| cat(&[&hex("c1c2c3c4 000000"), &[number], &dice.bytes(80)]);
        udp().c(packet(1)).c(packet(2)).c(packet(3)).c(packet(4)).is("esp-udp");
        udp().c(packet(1)).c(packet(2)).is_nothing();
        udp().c(packet(1)).c(packet(3)).c(packet(2)).c(packet(4)).c(packet(5)).is_nothing();
    }

    #[test]
    fn control_messages_are_tunnels() {
        udp().c(hex("c802 0014 0000 0000 0000 0000 8008 0000 0000 0001")).is("l2tp");
        udp().c(hex("c802 0015 0000 0000 0000 0000 8008 0000 0000 0001")).is_nothing();
        let start = cat(&[&hex("009c 0001 1a2b3c4d 0001 0000 0100 0000"), &[0; 140]]);
        tcp().c(&start).is("pptp");
        tcp().c(hex("009c 0001 1a2b3c4e 0001 0000 0100 0000")).is_nothing();
        tcp()
            .c("SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n\r\n")
            .is("http/sstp");
    }
}
