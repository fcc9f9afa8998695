//! BitTorrent: peers (BEP 3), DHT (BEP 5), trackers over UDP (BEP 15), uTP (BEP 29), local discovery (BEP 14).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::contains;
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE, WEAK};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "bittorrent",
    protocols: &[
        Protocol {
            label: "bittorrent",
            title: "BitTorrent peers",
            on: TCP | UDP,
            ports: &[6881, 6882, 6883, 6884, 6885, 6886, 6887, 6888, 6889, 51413],
            spec: "BEP 3",
        },
        Protocol {
            label: "bittorrent-dht",
            title: "BitTorrent distributed hash table",
            on: UDP,
            ports: &[6881],
            spec: "BEP 5",
        },
        Protocol {
            label: "bittorrent-tracker",
            title: "BitTorrent tracker over UDP",
            on: UDP,
            ports: &[6969, 80],
            spec: "BEP 15",
        },
        Protocol {
            label: "utp",
            title: "Micro Transport Protocol of BitTorrent",
            on: UDP,
            ports: &[6881],
            spec: "BEP 29",
        },
    ],
    rules: &[
        Rule {
            label: "bittorrent",
            name: "handshake",
            on: TCP,
            client: Starts::With(&[b"\x13B"]),
            server: Starts::With(&[b"\x13B"]),
            check: peers,
        },
        Rule {
            label: "bittorrent",
            name: "local-discovery",
            on: UDP,
            client: Starts::With(&[b"BT"]),
            server: Starts::With(&[b"BT"]),
            check: local,
        },
        Rule {
            label: "bittorrent-dht",
            name: "message",
            on: UDP,
            client: Starts::With(&[b"d1", b"d2"]),
            server: Starts::With(&[b"d1", b"d2"]),
            check: dht,
        },
        Rule {
            label: "bittorrent-tracker",
            name: "connect",
            on: UDP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: tracker,
        },
        Rule {
            label: "utp",
            name: "connect",
            on: UDP,
            client: Starts::With(&[b"\x41"]),
            server: Starts::Byte(|byte| matches!(byte, 0x01 | 0x11 | 0x21 | 0x31)),
            check: utp,
        },
    ],
};

fn peers(v: &View<'_>) -> Verdict {
    let read = |bytes| {
        let mut c = Cursor::new(bytes);
        c.expect(b"\x13BitTorrent protocol")?;
        c.skip(8)?;
        c.take(20)
    };
    v.pair(SURE, read, read, |q, r| q == r)
}

fn local(v: &View<'_>) -> Verdict {
    v.client.parse(|bytes| {
        Cursor::new(bytes).expect(b"BT-SEARCH * HTTP/1.1\r\n")?;
        ensure(contains(bytes, b"Infohash:"))
    })?;
    Ok(Match::new(SURE))
}

/// What a bencoded message of the DHT says of itself.
struct Dht<'a> {
    kind: u8,
    transaction: &'a [u8],
}

fn dht(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(message))?;
    let server = maybe(v.server.parse(message))?;
    match (client, server) {
        (Some(q), Some(r)) => {
            let answers = q.kind == b'q' && matches!(r.kind, b'r' | b'e') && q.transaction == r.transaction;
            Ok(Match::new(if answers { ANSWERED } else { STRONG }))
        }
        (Some(_), None) => Ok(Match::new(STRONG)),
        (None, Some(_)) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        (None, None) => Err(Stop::More),
    }
}

fn message(bytes: &[u8]) -> Step<Dht<'_>> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == b'd')?;
    let mut dht = Dht { kind: 0, transaction: &[] };
    let mut named = false;
    while c.peek()? != b'e' {
        let key = string(&mut c)?;
        match key {
            b"y" => {
                let kind = string(&mut c)?;
                ensure(matches!(kind, b"q" | b"r" | b"e"))?;
                dht.kind = kind[0];
            }
            b"t" => dht.transaction = string(&mut c)?,
            b"q" => {
                let query = string(&mut c)?;
                named = !query.is_empty() && query.iter().all(|&b| b.is_ascii_lowercase() || b == b'_');
                ensure(named)?;
            }
            b"a" | b"r" => {
                ensure(c.peek()? == b'd')?;
                element(&mut c)?;
            }
            _ => element(&mut c)?,
        }
    }
    c.skip(1)?;
    ensure(c.is_empty() && dht.kind != 0 && (dht.kind != b'q' || named))?;
    Ok(dht)
}

/// A bencoded string: a length in decimal, a colon, bytes.
pub(super) fn string<'a>(c: &mut Cursor<'a>) -> Step<&'a [u8]> {
    let digits = c.until(b':', 5)?;
    let len = super::super::text::decimal(digits).ok_or(Stop::No)?;
    c.take(len as usize)
}

/// Goes over one bencoded element, however deep, without recursion.
pub(super) fn element(c: &mut Cursor<'_>) -> Step<()> {
    let mut depth = 0;
    loop {
        match c.peek()? {
            b'd' | b'l' => {
                c.skip(1)?;
                depth += 1;
                ensure(depth <= 16)?;
            }
            b'e' => {
                c.skip(1)?;
                ensure(depth > 0)?;
                depth -= 1;
            }
            b'i' => {
                let digits = c.until(b'e', 24)?;
                ensure(digits[1..].iter().all(|&b| b.is_ascii_digit() || b == b'-'))?;
            }
            b'0'..=b'9' => {
                string(c)?;
            }
            _ => return Err(Stop::No),
        }
        if depth == 0 {
            return Ok(());
        }
    }
}

fn tracker(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        ensure(bytes.len() == 16 && c.u64()? == 0x0417_2710_1980 && c.u32()? == 0)?;
        c.u32()
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (action, transaction) = (c.u32()?, c.u32()?);
        ensure(matches!((action, bytes.len()), (0, 16) | (3, 8..=256)))?;
        Ok(transaction)
    };
    v.client.first()?; // an answer alone says nothing
    v.pair(SURE, ask, answer, |q, r| q == r)
}

/// A SYN and the STATE that acknowledges it; the SYN alone proves little.
fn utp(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (first, extension, id) = (c.u8()?, c.u8()?, c.u16()?);
        let (time, lag, window) = (c.u32()?, c.u32()?, c.u32()?);
        let (number, acked) = (c.u16()?, c.u16()?);
        ensure(first == 0x41 && lag == 0 && window <= 1 << 24 && acked == 0 && number != 0)?;
        let _ = time;
        extensions(&mut c, extension)?;
        ensure(c.is_empty())?;
        Ok((id, number))
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (first, extension, id) = (c.u8()?, c.u8()?, c.u16()?);
        c.skip(12)?;
        let (_number, acked) = (c.u16()?, c.u16()?);
        ensure(matches!(first, 0x01 | 0x11 | 0x21 | 0x31))?;
        extensions(&mut c, extension)?;
        Ok((id, acked))
    };
    v.client.first()?;
    let alone = if v.client.first_len() == 20 { LIKELY } else { WEAK };
    v.pair(alone, ask, answer, |q, r| q == r)
}

fn extensions(c: &mut Cursor<'_>, mut kind: u8) -> Step<()> {
    while kind != 0 {
        ensure(kind <= 3)?;
        kind = c.u8()?;
        c.counted(1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn handshakes_for_one_torrent_are_bittorrent() {
        let shake = |hash: u8| cat(&[b"\x13BitTorrent protocol", &[0; 8], &[hash; 20], &[7; 20]]);
        tcp().c(shake(1)).s(shake(1)).is("bittorrent");
        tcp().c(shake(1)).is("bittorrent");
        tcp().c(b"\x13BitTorrent protocoX").is_nothing();
    }

    #[test]
    fn dictionaries_with_a_query_are_dht() {
        let ask = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
        udp().c(ask).s(b"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re").is("bittorrent-dht");
        udp().c(ask).is("bittorrent-dht");
        udp().c(&ask[..ask.len() - 1]).is_nothing();
        udp().c(b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:xe").is_nothing();
        udp().c([b'd'; 2000]).is_nothing();
        udp().c(cat(&[b"d1:a", &[b'l'; 1500]])).is_nothing();
    }

    #[test]
    fn trackers_and_utp_are_told_by_their_answers() {
        udp()
            .c(hex("00000417 27101980 00000000 12345678"))
            .s(hex("00000000 12345678 1122334455667788"))
            .is("bittorrent-tracker");
        let syn = hex("4100 1234 00001111 00000000 00380000 0001 0000");
        udp().c(&syn).s(hex("2100 1234 00001111 00002222 00380000 0007 0001")).is("utp");
        udp().c(&syn).s(hex("2100 1235 00001111 00002222 00380000 0007 0001")).is_nothing();
    }
}
