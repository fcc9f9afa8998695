//! Currencies: Bitcoin and its relatives, discovery of Ethereum, Stratum, Levin of Monero.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{contains, is_text};
use super::super::verdict::confidence::{STRONG, SURE};
use super::super::verdict::{closed, ensure, Match, Step, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "coins",
    protocols: &[
        Protocol {
            label: "bitcoin",
            title: "Bitcoin, Litecoin, Dogecoin and others",
            on: TCP,
            ports: &[8333, 18333, 9333, 22556],
            spec: "Bitcoin developer reference, P2P network",
        },
        Protocol {
            label: "ethereum-discovery",
            title: "Node Discovery of Ethereum, version 4",
            on: UDP,
            ports: &[30303],
            spec: "ethereum/devp2p discv4",
        },
        Protocol {
            label: "rlpx",
            title: "RLPx of Ethereum",
            on: TCP,
            ports: &[30303],
            spec: "ethereum/devp2p RLPx, EIP-8",
        },
        Protocol {
            label: "stratum",
            title: "Stratum mining",
            on: TCP,
            ports: &[3333, 4444, 5555],
            spec: "Stratum mining protocol, BIP 310",
        },
        Protocol {
            label: "levin",
            title: "Levin of Monero",
            on: TCP,
            ports: &[18080, 28080],
            spec: "Monero LEVIN_PROTOCOL",
        },
    ],
    rules: &[
        Rule {
            label: "bitcoin",
            name: "version",
            on: TCP,
            client: Starts::Byte(|byte| byte >= 0x80 || byte == 0x0b || byte == 0x0a || byte == 0x24),
            server: Starts::Byte(|byte| byte >= 0x80 || byte == 0x0b || byte == 0x0a || byte == 0x24),
            check: |v| v.pair(SURE, bitcoin, bitcoin, |q, r| q == r),
        },
        Rule {
            label: "ethereum-discovery",
            name: "message",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.pair(STRONG, discovery, discovery, |(), ()| true),
        },
        Rule {
            label: "rlpx",
            name: "handshake",
            on: TCP,
            client: Starts::Byte(|byte| byte <= 3),
            server: Starts::Byte(|byte| byte <= 3),
            check: rlpx,
        },
        Rule {
            label: "stratum",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"{"]),
            server: Starts::With(&[b"{"]),
            check: |v| v.asked(STRONG, stratum, |bytes| ensure(bytes[0] == b'{'), |(), ()| true),
        },
        Rule {
            label: "levin",
            name: "header",
            on: TCP,
            client: Starts::With(&[b"\x01\x21"]),
            server: Starts::With(&[b"\x01\x21"]),
            check: |v| v.pair(SURE, levin, levin, |(), ()| true),
        },
    ],
};

/// The network's magic, if the first message is a version.
fn bitcoin(bytes: &[u8]) -> Step<&[u8]> {
    let mut c = Cursor::new(bytes);
    let magic = c.take(4)?;
    c.expect(b"version\0\0\0\0\0")?;
    let len = c.u32le()?;
    ensure((85..=400).contains(&len))?;
    // Before February 2012 there was no checksum between the length and the version.
    let (sum, version) = (c.u32le()?, c.u32le()?);
    ensure((200..200_000).contains(&version) || (len == 85 && (200..60_000).contains(&sum)))?;
    Ok(magic)
}

/// The handshake of EIP-8: both ends send one packet with its length and a point of an elliptic curve that is not
/// compressed.
fn rlpx(v: &View<'_>) -> Verdict {
    for (who, side) in [(Who::Client, &v.client), (Who::Server, &v.server)] {
        let mut c = Cursor::new(side.first()?);
        let len = usize::from(c.u16()?);
        ensure((169..=2048).contains(&len) && c.u8()? == 4)?;
        let sent = v.turns().find(|turn| turn.0 == who).map_or(0, |turn| turn.1);
        ensure(sent == len + 2)?;
    }
    Ok(Match::new(STRONG))
}

/// Hash, signature with its recovery number, type, and a list of RLP to the end.
fn discovery(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.skip(96)?;
    ensure(c.u8()? <= 1)?;
    let kind = c.u8()?;
    ensure((1..=6).contains(&kind))?;
    let mut list = closed(rlp(&mut c, true))?;
    match kind {
        1 => ensure(list.u8()? <= 5 && rlp(&mut list, true).is_ok() && rlp(&mut list, true).is_ok())?,
        2 => {
            rlp(&mut list, true)?;
            ensure(rlp(&mut list, false)?.left() == 32)?;
        }
        3 => ensure(rlp(&mut list, false)?.left() == 64)?,
        4 => {
            rlp(&mut list, true)?;
        }
        5 => {}
        _ => ensure(rlp(&mut list, false)?.left() == 32)?,
    }
    // When it expires.
    ensure(rlp(&mut list, false)?.left() <= 8)
}

/// The content of an item of RLP that is a list or is none.
fn rlp<'a>(c: &mut Cursor<'a>, is_list: bool) -> Step<Cursor<'a>> {
    let first = c.u8()?;
    let base = if is_list { 0xc0 } else { 0x80 };
    ensure(first >= base && (is_list || first < 0xc0))?;
    let len = usize::from(first - base);
    if len < 56 {
        return c.sub(len);
    }
    ensure(len <= 57)?;
    let body = c.counted(len - 55)?;
    ensure(body.len() >= 56)?;
    Ok(Cursor::new(body))
}

/// One line of JSON with a method of Stratum.
fn stratum(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let line = c.line(2000)?;
    ensure(line.starts_with(b"{") && is_text(line) && contains(line, b"\"method\""))?;
    let mines = contains(line, b"\"mining.") || contains(line, b"\"eth_submitLogin\"");
    // Pools of Monero: a login with a password and the name of the program.
    let login = contains(line, b"\"login\"") && contains(line, b"\"pass\"") && contains(line, b"\"params\"");
    ensure(mines || login)
}

fn levin(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"\x01\x21\x01\x01\x01\x01\x01\x01")?;
    ensure(c.u64le()? <= 100 << 20 && c.u8()? <= 1)?;
    ensure((1001..=3000).contains(&c.u32le()?))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn two_packets_of_their_length_with_a_point_are_rlpx() {
        let sealed = |len: u16| {
            let mut out = len.to_be_bytes().to_vec();
            out.push(4);
            out.resize(usize::from(len) + 2, 0xa7);
            out
        };
        tcp().c(sealed(400)).s(sealed(333)).is("rlpx");
        tcp().c(sealed(400)).is_nothing();
        tcp().c(sealed(400)).s(&sealed(333)[..300]).is_nothing();
    }

    #[test]
    fn a_version_is_bitcoin() {
        let hello =
            cat(&[&hex("f9beb4d9"), b"version\0\0\0\0\0", &hex("66000000 11223344 80110100"), &[0; 98]]);
        tcp().c(&hello).s(&hello).is("bitcoin");
        tcp().c(&hello).is("bitcoin");
        let mut odd = hello.clone();
        odd[11] = b'1';
        tcp().c(&odd).is_nothing();
    }

    #[test]
    fn lists_to_the_end_are_discovery() {
        let end = |ip: u8| cat(&[&[0xcb, 0x84, ip, 0, 0, 1], &hex("82 765f 82 765f")]);
        let list = cat(&[&[4], &end(1), &end(2), &hex("84 5f000000")]);
        let ping = cat(&[&[7; 96], &[1, 1], &[0xc0 + list.len() as u8], &list]);
        udp().c(&ping).is("ethereum-discovery");
        let mut odd = ping.clone();
        odd[96] = 2;
        udp().c(&odd).is_nothing();
        udp().c(&ping[..ping.len() - 1]).is_nothing();
    }

    #[test]
    fn mining_is_stratum_and_levin_is_monero() {
        let ask = "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n";
        tcp().c(ask).s("{\"id\":1,\"result\":[]}\n").is("stratum");
        tcp().c("{\"id\":1,\"method\":\"set_power\",\"params\":[]}\n").is_nothing();
        tcp().c(hex("0121010101010101 e200000000000000 01 e9030000 00000000 01000000")).is("levin");
        tcp().c(hex("0121010101010102 e200000000000000 01 e9030000 00000000 01000000")).is_nothing();
    }
}
