//! File sharing among peers: eDonkey with Kad, Gnutella, Direct Connect, Soulseek, libp2p.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{contains, is_ascii, is_text};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "peers",
    protocols: &[
        Protocol {
            label: "edonkey",
            title: "eDonkey, eMule",
            on: TCP | UDP,
            ports: &[4661, 4662, 4665, 4672],
            spec: "eMule protocol specification (Kulbak, Bickson)",
        },
        Protocol {
            label: "emule-kad",
            title: "Kademlia of eMule",
            on: UDP,
            ports: &[4672],
            spec: "eMule protocol specification (Kulbak, Bickson)",
        },
        Protocol {
            label: "gnutella",
            title: "Gnutella",
            on: TCP,
            ports: &[6346, 6347],
            spec: "Gnutella 0.6",
        },
        Protocol { label: "nmdc", title: "Direct Connect", on: TCP, ports: &[411, 412], spec: "NMDC 1.3" },
        Protocol {
            label: "adc",
            title: "Advanced Direct Connect",
            on: TCP,
            ports: &[1511, 5000],
            spec: "ADC 1.0",
        },
        Protocol {
            label: "soulseek",
            title: "Soulseek",
            on: TCP,
            ports: &[2234, 2242],
            spec: "Nicotine+ protocol notes",
        },
        Protocol {
            label: "libp2p",
            title: "libp2p, IPFS",
            on: TCP,
            ports: &[4001],
            spec: "multistream-select 1.0",
        },
    ],
    rules: &[
        Rule { label: "edonkey", name: "hello", on: TCP, client: ED2K, server: ED2K, check: edonkey },
        Rule { label: "emule-kad", name: "exchange", on: UDP, client: KAD, server: KAD, check: kad },
        Rule {
            label: "edonkey",
            name: "status",
            on: UDP,
            client: Starts::With(&[b"\xe3\x96"]),
            server: Starts::With(&[b"\xe3\x97"]),
            check: status,
        },
        Rule {
            label: "gnutella",
            name: "connect",
            on: TCP,
            client: Starts::With(&[b"GN"]),
            server: Starts::With(&[b"GN"]),
            check: |v| v.pair(SURE, gnutella, gnutella, |(), ()| true),
        },
        Rule {
            label: "gnutella",
            name: "message",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.alike(STRONG, SURE, gnutella_message),
        },
        Rule {
            label: "gnutella",
            name: "reliable",
            on: UDP,
            client: Starts::With(&[b"GN"]),
            server: Starts::With(&[b"GN"]),
            check: |v| v.alike(LIKELY, STRONG, gnutella_reliable),
        },
        Rule {
            label: "nmdc",
            name: "lock",
            on: TCP,
            client: Starts::With(&[b"$"]),
            server: Starts::With(&[b"$"]),
            check: |v| v.pair(STRONG, nmdc, nmdc, |(), ()| true),
        },
        Rule {
            label: "adc",
            name: "support",
            on: TCP,
            client: Starts::With(&[b"HS", b"CS", b"IS"]),
            server: Starts::With(&[b"HS", b"CS", b"IS"]),
            check: |v| v.pair(STRONG, adc, adc, |(), ()| true),
        },
        Rule {
            label: "soulseek",
            name: "login",
            on: TCP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.asked(STRONG, soulseek, soulseek_answer, |(), ()| true),
        },
        Rule {
            label: "libp2p",
            name: "multistream",
            on: TCP,
            client: Starts::With(&[b"\x13/"]),
            server: Starts::With(&[b"\x13/"]),
            check: |v| v.pair(SURE, libp2p, libp2p, |(), ()| true),
        },
    ],
};

const ED2K: Starts = Starts::With(&[b"\xe3", b"\xc5"]);
const KAD: Starts = Starts::With(&[b"\xe4"]);

/// A first message of eDonkey: length, opcode, and for a hello its hash and tags.
fn edonkey(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let magic = c.u8()?;
        let len = c.u32le()? as usize;
        ensure((1..=1 << 20).contains(&len))?;
        let opcode = c.u8()?;
        if magic != 0xe3 {
            return ensure(matches!(opcode, 1 | 2) && (8..=1024).contains(&len));
            // information of eMule
        }
        match opcode {
            // Hello to a peer has the size of its hash in front; login to a server has not.
            1 | 0x4c => {
                ensure((27..=2000).contains(&len))?;
                if c.peek()? == 16 {
                    c.skip(1)?;
                }
                c.skip(16 + 6)?;
                ensure(
                    (1..=64).contains(&c.u32le()?)
                        && matches!(c.u8()?, 2 | 3 | 0x82 | 0x83 | 0x89 | 0x91..=0xa4),
                )
            }
            0x38 => ensure(usize::from(c.u16le()?) + 3 == len && is_text(c.take(8.min(len - 3))?)),
            0x40 => ensure(len == 5 || len == 9 || len == 13 || len == 17 || len == 21),
            _ => Err(Stop::No),
        }
    };
    v.pair(LIKELY, read, read, |(), ()| true)
}

/// Requests of Kad 2 and what answers them; sizes are fixed but for lists.
fn kad(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        ensure(c.u8()? == 0xe4)?;
        let opcode = c.u8()?;
        match opcode {
            0x01 | 0x60 => ensure(bytes.len() == 2)?,
            0x11 => {
                c.skip(18)?;
                ensure((1..=12).contains(&c.u8()?) && c.u8()? <= 4)?;
            }
            0x21 => {
                ensure(bytes.len() == 35 && matches!(c.u8()?, 2 | 4 | 0x0b))?;
                ensure(c.take(16)? != c.take(16)?)?;
            }
            _ => return Err(Stop::No),
        }
        Ok(opcode)
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        ensure(c.u8()? == 0xe4)?;
        let opcode = c.u8()?;
        match opcode {
            0x09 => ensure(bytes.len() >= 23)?,
            0x19 => {
                c.skip(18)?;
                ensure((1..=12).contains(&c.u8()?) && c.u8()? <= 4)?;
            }
            0x29 => {
                c.skip(16)?;
                let count = usize::from(c.u8()?);
                ensure(count <= 32 && c.left() <= count * 25)?;
            }
            0x61 => ensure(bytes.len() == 4)?,
            _ => return Err(Stop::No),
        }
        Ok(opcode)
    };
    let asked = maybe(v.client.parse(ask))?;
    match (asked, maybe(v.server.parse(answer))?) {
        (Some(q), Some(r)) => {
            ensure((q | 8) == r || (q, r) == (0x60, 0x61))?;
            Ok(Match::new(ANSWERED))
        }
        (Some(0x21), None) => Ok(Match::new(LIKELY)),
        _ => Err(Stop::More),
    }
}

fn status(v: &View<'_>) -> Verdict {
    let read = |len: std::ops::RangeInclusive<usize>| {
        move |bytes: &[u8]| {
            ensure(len.contains(&bytes.len()))?;
            let mut c = Cursor::new(bytes);
            c.skip(2)?;
            c.u32le()
        }
    };
    v.both(read(6..=6), read(14..=64), |q, r| q == r)
}

fn gnutella(bytes: &[u8]) -> Step<()> {
    let line = Cursor::new(bytes).line(64)?;
    ensure(line.starts_with(b"GNUTELLA CONNECT/0.") || line.starts_with(b"GNUTELLA/0."))?;
    ensure(is_ascii(line))
}

/// A header of 23 bytes: GUID, type, time to live, hops, and the length of what follows.
fn gnutella_message(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    // A GUID is random, zeros are somebody else's.
    ensure(c.take(16)?.iter().filter(|&&byte| byte != 0).count() >= 12)?;
    let (kind, left, hops) = (c.u8()?, c.u8()?, c.u8()?);
    ensure(matches!(kind, 0..=2 | 0x30..=0x32 | 0x40 | 0x44 | 0x80 | 0x81) && left <= 15 && hops <= 15)?;
    ensure(kind == 0x44 || left + hops > 0)?;
    ensure(c.u32le()? as usize + 23 == len)
}

/// A part of a message over UDP: mark, flags, sequence number, its number and how many there are (0 acknowledges).
fn gnutella_reliable(bytes: &[u8], _: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"GND")?;
    let (flags, _sequence, part, count) = (c.u8()?, c.u16()?, c.u8()?, c.u8()?);
    ensure(flags & 0xe0 == 0 && part > 0 && (count == 0 || part <= count))
}

/// A command that ends with a bar.
fn nmdc(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let text = c.until(b'|', 512)?;
    ensure(is_text(text))?;
    if text.starts_with(b"$Lock ") {
        return ensure(contains(text, b" Pk=") || text.starts_with(b"$Lock EXTENDEDPROTOCOL"));
    }
    if text.starts_with(b"$Supports ") || text.starts_with(b"$MyNick ") {
        let next = c.rest();
        let want = if text[1] == b'S' { &b"$Key "[..] } else { b"$Lock " };
        let shown = next.len().min(want.len());
        ensure(next[..shown] == want[..shown])?;
        return if shown == want.len() { Ok(()) } else { Err(Stop::More) };
    }
    ensure(text.starts_with(b"$Key ") && contains(c.rest(), b"$ValidateNick "))
}

fn adc(bytes: &[u8]) -> Step<()> {
    let line = Cursor::new(bytes).line(512)?;
    ensure(line.get(1..7) == Some(b"SUP AD") && is_text(line))?;
    ensure(contains(line, b"ADBAS") || contains(line, b"ADTIGR"))
}

/// A login: name, password, version and the digest of both, in the lengths they say.
fn soulseek(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = c.u32le()? as usize;
    ensure((9..=512).contains(&len))?;
    if c.peek()? == 1 && c.rest().get(1..4) == Some(&[0, 0, 0]) {
        return c.inner(len, |c| {
            c.skip(4)?;
            ensure(is_text(c.counted_le()?))?;
            ensure(is_text(c.counted_le()?) && c.u32le()? <= 1000)?;
            let digest = c.counted_le()?;
            ensure(digest.len() == 32 && digest.iter().all(u8::is_ascii_hexdigit))?;
            c.skip(4)
        });
    }
    // To a peer: its name and the kind of connection.
    c.inner(len, |c| {
        ensure(c.u8()? == 1)?;
        let name = c.counted_le()?;
        ensure((2..=64).contains(&name.len()) && is_text(name))?;
        ensure(matches!(c.counted_le()?, b"P" | b"F" | b"D"))?;
        ensure(matches!(c.left(), 4 | 8))?;
        c.skip(c.left())
    })
}

fn soulseek_answer(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure((5..=1 << 20).contains(&c.u32le()?))?;
    ensure(c.u32le()? <= 1100)
}

fn libp2p(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"\x13/multistream/1.0.0\n")
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn hellos_are_edonkey() {
        let hello = cat(&[
            &hex("e3 30000000 01 10"),
            &[7; 16],
            &hex("01020304 3612 02000000 02 0100 01 0300"),
            b"joe",
        ]);
        tcp().c(&hello).is("edonkey");
        let mut odd = hello.clone();
        odd[33] = 9;
        tcp().c(&odd).is_nothing();
        udp().c(hex("e396 01020304")).s(hex("e397 01020304 00000001 00000002")).is("edonkey");
        udp().c(hex("e396 01020304")).is_nothing();
    }

    #[test]
    fn requests_and_their_answers_are_kad() {
        let ask = cat(&[&hex("e4 21 0b"), &[1; 16], &[2; 16]]);
        udp().c(&ask).s(cat(&[&hex("e4 29"), &[1; 16], &[0]])).is("emule-kad");
        udp().c(&ask).is("emule-kad");
        udp().c(hex("e460")).s(hex("e461 1234")).is("emule-kad");
        udp().c(&ask).s(hex("e461 1234")).is_nothing();
        udp().c(&ask[..34]).is_nothing();
    }

    #[test]
    fn lines_of_peers_are_told() {
        tcp()
            .c("GNUTELLA CONNECT/0.6\r\nUser-Agent: a\r\n\r\n")
            .s("GNUTELLA/0.6 200 OK\r\n\r\n")
            .is("gnutella");
        tcp().c("GNUTELLO CONNECT/0.6\r\n").is_nothing();
        tcp().s("$Lock EXTENDEDPROTOCOLabc Pk=x|").c("$Supports NoHello |$Key x|").is("nmdc");
        tcp().s("$Lock abc|").is_nothing();
        tcp().c("HSUP ADBASE ADTIGR\n").s("ISUP ADBAS0 ADTIGR\n").is("adc");
        tcp().c("HSUP XXBASE\n").is_nothing();
        tcp().c("\x13/multistream/1.0.0\n").s("\x13/multistream/1.0.0\n").is("libp2p");
        tcp().c("\x13/multistream/2.0.0\n").is_nothing();
    }

    #[test]
    fn logins_that_fill_their_length_are_soulseek() {
        let login = cat(&[
            &hex("3c000000 01000000 03000000"),
            b"joe",
            &hex("01000000"),
            b"x",
            &hex("a0000000 20000000"),
            &[b'a'; 32],
            &hex("01000000"),
        ]);
        tcp().c(&login).is("soulseek");
        let mut odd = login.clone();
        odd[0] += 1;
        odd.push(0);
        tcp().c(&odd).is_nothing();
        let peer = cat(&[&hex("12000000 01 03000000"), b"joe", &hex("01000000"), b"P", &hex("00000000 00")]);
        tcp().c(&peer[..22]).is_nothing();
    }
}
