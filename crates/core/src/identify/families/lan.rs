//! What devices say on their own network: SSDP, WS-Discovery, SLP, NAT-PMP, PCP, PTP, RMCP and IPMI, Wake-on-LAN,
//! CAPWAP, TZSP, discovery of MikroTik and Ubiquiti.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, UDP};
use super::super::text::{contains, has_prefix, is_ascii, is_ascii_lines};
use super::super::verdict::confidence::{LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, Match, Step, Stop, Verdict};
use super::super::view::View;

macro_rules! protocols {
    ($($label:literal $title:literal $ports:expr, $spec:literal;)*) => {
        &[$(Protocol { label: $label, title: $title, on: UDP, ports: &$ports, spec: $spec },)*]
    };
}

/// The family.
pub const FAMILY: Family = Family {
    name: "lan",
    protocols: protocols! {
        "ssdp" "Simple Service Discovery Protocol" [1900], "UPnP Device Architecture 2.0";
        "ws-discovery" "Web Services Dynamic Discovery" [3702], "OASIS WS-Discovery 1.1";
        "slp" "Service Location Protocol 2" [427], "RFC 2608";
        "nat-pmp" "NAT Port Mapping Protocol" [5351, 5350], "RFC 6886";
        "pcp" "Port Control Protocol" [5351, 5350], "RFC 6887";
        "ptp" "Precision Time Protocol 2" [319, 320], "IEEE 1588-2019";
        "rmcp" "Remote Management Control Protocol" [623, 664], "DMTF DSP0136";
        "ipmi" "Intelligent Platform Management Interface" [623], "IPMI 2.0";
        "wake-on-lan" "Wake-on-LAN, magic packet" [9, 7], "AMD Magic Packet Technology";
        "capwap" "Control And Provisioning of Wireless Access Points" [5246, 5247], "RFC 5415";
        "tzsp" "TaZmen Sniffer Protocol" [37008], "Wireshark TZSP";
        "mndp" "MikroTik Neighbor Discovery" [5678], "MikroTik RouterOS, Neighbor discovery";
        "ubiquiti" "Ubiquiti device discovery" [10001], "Ubiquiti discovery";
    },
    rules: &[
        Rule {
            label: "ssdp",
            name: "message",
            on: UDP,
            client: Starts::With(&[b"M-", b"NO"]),
            server: Starts::With(&[b"HT", b"NO"]),
            check: |v| v.pair(STRONG, ssdp, answer, |(), ()| true),
        },
        Rule {
            label: "ws-discovery",
            name: "envelope",
            on: UDP,
            client: Starts::With(&[b"<", b"\xef"]),
            server: Starts::With(&[b"<", b"\xef"]),
            check: |v| v.pair(STRONG, probe, probe, |(), ()| true),
        },
        Rule {
            label: "slp",
            name: "message",
            on: UDP,
            client: Starts::With(&[b"\x02"]),
            server: Starts::With(&[b"\x02"]),
            check: |v| v.alike(STRONG, SURE, slp),
        },
        Rule {
            label: "nat-pmp",
            name: "mapping",
            on: UDP,
            client: Starts::With(&[b"\x00\x00", b"\x00\x01", b"\x00\x02"]),
            server: Starts::With(&[b"\x00\x80", b"\x00\x81", b"\x00\x82"]),
            check: mapping,
        },
        Rule {
            label: "pcp",
            name: "mapping",
            on: UDP,
            client: Starts::With(&[b"\x02\x00", b"\x02\x01", b"\x02\x02"]),
            server: Starts::With(&[b"\x02\x80", b"\x02\x81", b"\x02\x82"]),
            check: |v| {
                let whole = v.client.first_len();
                v.asked(
                    LIKELY,
                    |b| pcp(b, whole),
                    |bytes| {
                        let mut c = Cursor::new(bytes);
                        let (_version, code, _zero, result) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
                        ensure(result <= 13)?;
                        c.skip(20)?;
                        Ok(code & 0x7f)
                    },
                    |q, r| q == r,
                )
            },
        },
        Rule {
            label: "ptp",
            name: "message",
            on: UDP,
            client: PTP,
            server: PTP,
            check: |v| v.alike(STRONG, SURE, ptp),
        },
        Rule {
            label: "rmcp",
            name: "presence",
            on: UDP,
            client: Starts::With(&[b"\x06\x00"]),
            server: Starts::With(&[b"\x06\x00"]),
            check: |v| {
                v.alike(STRONG, SURE, |bytes, len| {
                    let mut c = Cursor::new(bytes);
                    let (version, zero, _number, class) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
                    ensure(version == 6 && zero == 0 && class & 0x7f == 6)?;
                    if len == 4 {
                        return ensure(class == 0x86); // an acknowledgement
                    }
                    let (enterprise, kind, _tag, _zero, size) =
                        (c.u32()?, c.u8()?, c.u8()?, c.u8()?, c.u8()?);
                    ensure(
                        enterprise == 4542 && (0x10..=0xc4).contains(&kind) && len == 12 + usize::from(size),
                    )
                })
            },
        },
        Rule {
            label: "ipmi",
            name: "session",
            on: UDP,
            client: Starts::With(&[b"\x06\x00"]),
            server: Starts::With(&[b"\x06\x00"]),
            check: |v| v.alike(STRONG, SURE, ipmi).map(|found| found.under("rmcp")),
        },
        Rule {
            label: "wake-on-lan",
            name: "magic",
            on: UDP,
            client: Starts::With(&[b"\xff\xff"]),
            server: Starts::With(&[b"\xff\xff"]),
            check: |v| {
                v.alike(SURE, SURE, |bytes, len| {
                    let mut c = Cursor::new(bytes);
                    c.expect(&[0xff; 6])?;
                    let address = c.take(6)?;
                    ensure(address != [0xff; 6] && matches!(len, 102 | 106 | 108))?;
                    for _ in 1..16 {
                        c.expect(address)?;
                    }
                    Ok(())
                })
            },
        },
        Rule {
            label: "capwap",
            name: "control",
            on: UDP,
            client: CAPWAP,
            server: CAPWAP,
            check: |v| v.alike(STRONG, SURE, capwap),
        },
        Rule {
            label: "capwap",
            name: "data",
            on: UDP,
            client: CAPWAP,
            server: CAPWAP,
            check: |v| v.alike(0, STRONG, |bytes, len| station(bytes, len).or_else(|_| capwap(bytes, len))),
        },
        Rule {
            label: "tzsp",
            name: "packet",
            on: UDP,
            client: Starts::With(&[b"\x01\x00", b"\x01\x01"]),
            server: Starts::With(&[b"\x01\x00", b"\x01\x01"]),
            check: |v| v.alike(LIKELY, SURE, |bytes, _| tzsp(bytes)),
        },
        Rule {
            label: "mndp",
            name: "announcement",
            on: UDP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.alike(STRONG, SURE, |bytes, _| mndp(bytes)),
        },
        Rule {
            label: "ubiquiti",
            name: "announcement",
            on: UDP,
            client: Starts::With(&[b"\x01", b"\x02"]),
            server: Starts::With(&[b"\x01", b"\x02"]),
            check: |v| {
                let whole = v.server.first_len();
                v.pair(
                    0,
                    |bytes| ensure(matches!(bytes, [1, 0, 0, 0] | [2, 8 | 10, 0, 0])),
                    |b| ubiquiti(b, whole),
                    |(), ()| true,
                )
                .and_then(|found| match found.confidence {
                    0 if v.server.is_silent() => Err(Stop::More), // four bytes that ask
                    0 => Ok(Match { confidence: STRONG, ..found }),
                    _ => Ok(found),
                })
            },
        },
    ],
};

const CAPWAP: Starts = Starts::With(&[b"\x00\x10", b"\x00\x18", b"\x00\x20", b"\x01\x00"]);
const PTP: Starts = Starts::Byte(|byte| byte >> 4 <= 1 && matches!(byte & 15, 0..=3 | 8..=13));

fn ssdp(bytes: &[u8]) -> Step<()> {
    let line = Cursor::new(bytes).line(64)?;
    ensure(matches!(line, b"M-SEARCH * HTTP/1.1" | b"NOTIFY * HTTP/1.1" | b"NOTIFY * HTTP/1.0"))
}

fn answer(bytes: &[u8]) -> Step<()> {
    if bytes.starts_with(b"NOTIFY") {
        return ssdp(bytes);
    }
    let shown = &bytes[..bytes.len().min(1024)];
    ensure(has_prefix(bytes, b"HTTP/1.1 200") && is_ascii_lines(&shown[..shown.len().min(64)]))?;
    ensure(contains(shown, b"\nST:") || contains(shown, b"\nUSN:") || contains(shown, b"\nNT:"))
}

fn probe(bytes: &[u8]) -> Step<()> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    ensure(text.starts_with(b"<"))?;
    let shown = &text[..text.len().min(2048)];
    ensure(contains(&shown[..shown.len().min(512)], b"Envelope"))?;
    ensure(
        contains(shown, b"schemas.xmlsoap.org/ws/2005/04/discovery")
            || contains(shown, b"docs.oasis-open.org/ws-dd/ns/discovery"),
    )
}

/// Function, whole length, flags, extension, number, language (§8).
fn slp(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, function, len) = (c.u8()?, c.u8()?, c.u24()? as usize);
    let (flags, extension, _number) = (c.u16()?, c.u24()? as usize, c.u16()?);
    ensure(version == 2 && (1..=11).contains(&function) && len == whole)?;
    ensure(flags & 0x1fff == 0 && extension < len)?;
    let language = c.counted(2)?;
    ensure((2..=8).contains(&language.len()) && is_ascii(language) && language[0].is_ascii_alphabetic())
}

/// A request for the address or for a port, and the answer to it (RFC 6886 §3.2, §3.3).
fn mapping(v: &View<'_>) -> Verdict {
    let wanted = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (_version, code, zero) = (c.u8()?, c.u8()?, c.u16()?);
        let (inside, _outside, seconds) = (c.u16()?, c.u16()?, c.u32()?);
        ensure(matches!(code, 1 | 2) && zero == 0 && c.is_empty())?;
        Ok(inside >= 1024 && (60..=604_800).contains(&seconds))
    };
    let answered = v.both(
        |bytes| {
            if bytes.len() != 2 {
                wanted(bytes)?;
            }
            Ok(bytes[1])
        },
        |bytes| {
            let mut c = Cursor::new(bytes);
            let (_version, code, result) = (c.u8()?, c.u8()?, c.u16()?);
            ensure(result <= 5 && matches!((code, bytes.len()), (0x80, 8 | 12) | (0x81 | 0x82, 8 | 16)))?;
            Ok(code & 0x7f)
        },
        |q, r| q == r,
    );
    // A request for a port is repeated as long as nobody answers.
    if answered == Err(Stop::More)
        && v.client.each(|bytes, _| ensure(wanted(bytes)?)).is_ok_and(|count| count >= 2)
    {
        return Ok(Match::new(LIKELY));
    }
    answered
}

/// Lengths of requests (RFC 6887 §7.1, §11.1, §12.1); options may follow.
fn pcp(bytes: &[u8], whole: usize) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let (version, code, zero, _lifetime) = (c.u8()?, c.u8()?, c.u16()?, c.u32()?);
    let address = c.take(16)?;
    ensure(version == 2 && code <= 2 && zero == 0 && whole.is_multiple_of(4))?;
    ensure(whole >= [24, 60, 80][usize::from(code)] && whole <= 1100)?;
    ensure(
        address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
            || matches!(address[0], 0x20..=0x3f | 0xfc..=0xfe),
    )?;
    Ok(code)
}

/// Type, version, length and control fit each other (§13.3).
fn ptp(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (kind, version, len) = (c.u8()? & 15, c.u8()?, usize::from(c.u16()?));
    let least = match kind {
        0 | 1 | 8 => 44,
        2 | 3 | 9 | 10 => 54,
        11 => 64,
        12 => 44,
        13 => 48,
        _ => return Err(Stop::No),
    };
    ensure(version & 15 == 2 && version >> 4 <= 1 && len >= least && len <= whole && whole <= len + 32)?;
    c.skip(1 + 1 + 2 + 8 + 4)?;
    let (identity, port) = (c.take(8)?, c.u16()?);
    ensure(identity.iter().any(|&byte| byte != 0) && port != 0)?;
    let (_number, control) = (c.u16()?, c.u8()?);
    let usual = match kind {
        0 | 1 => kind,
        8 => 2,
        9 => 3,
        13 => 4,
        _ => 5,
    };
    ensure(control == usual || control == 0)
}

/// A session's head of version 1.5 or 2.0 (IPMI §13.6), with the length it gives.
fn ipmi(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, zero, number, class) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(version == 6 && zero == 0 && class == 7)?;
    let auth = c.u8()?;
    if auth == 6 {
        let kind = c.u8()?;
        ensure(matches!(kind & 0x3f, 0..=2 | 0x10..=0x15 | 0x20..=0x27))?;
        if kind & 0x3f == 2 {
            c.skip(6)?;
        }
        c.skip(8)?;
        let (len, at) = (usize::from(c.u16le()?), c.position());
        return ensure(at + len <= whole && whole <= at + len + 40 && len > 0);
    }
    ensure(matches!(auth, 0 | 1 | 2 | 4 | 5) && number >= 0x80)?;
    c.skip(if auth == 0 { 8 } else { 24 })?;
    let (len, at) = (usize::from(c.u8()?), c.position());
    // One byte of padding for the sake of old network cards.
    ensure(len >= 7 && (at + len == whole || at + len + 1 == whole))
}

/// A clear control message and its elements to the end (§4.3, §4.5.1).
fn capwap(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (preamble, head) = (c.u8()?, c.u24()?);
    if preamble == 1 {
        ensure(head == 0 && c.peek()? >= 20)?; // DTLS inside (§4.2)
        return super::tls::flight(c.rest()).map(|_| ());
    }
    let words = (head >> 19) as usize;
    // No frame of a station, no fragment, nothing reserved.
    ensure(preamble == 0 && (2..=8).contains(&words) && head & 0x187 == 0)?;
    c.skip(4 * words - 4)?;
    let (kind, _number, len, flags) = (c.u32()?, c.u8()?, usize::from(c.u16()?), c.u8()?);
    ensure((1..=26).contains(&(kind & 0xff)) && flags == 0 && len >= 3)?;
    ensure(kind >> 8 == 0 || kind >> 8 == 13_277)?;
    ensure(4 * words + 8 + len - 3 == whole)?;
    if kind >> 8 == 0 && bytes.len() == whole {
        let elements = c.tlvs((2, 2), |kind, _| ensure((1..=60).contains(&kind) || kind >= 1024))?;
        ensure(elements > 0)?;
    }
    Ok(())
}

/// A frame of a station, IEEE 802.11, behind the header (§4.3).
fn station(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (preamble, head) = (c.u8()?, c.u24()?);
    let words = (head >> 19) as usize;
    ensure(preamble == 0 && (2..=8).contains(&words) && head >> 9 & 0x1f == 1 && head & 7 == 0)?;
    c.skip(4)?;
    if head & 0x10 != 0 {
        ensure(words >= 4 && matches!(c.u8()?, 6 | 8))?;
    }
    ensure(head & 0x30 != 0 || words == 2)?;
    ensure(whole > 4 * words)
}

/// What is carried, tags to the end mark, and a frame behind them.
fn tzsp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, kind, carried) = (c.u8()?, c.u8()?, c.u16()?);
    ensure(version == 1 && kind <= 1 && matches!(carried, 1 | 18 | 119 | 127))?;
    for _ in 0..32 {
        match c.u8()? {
            0 => {}
            1 => {
                if carried != 1 {
                    return ensure(c.left() >= 10);
                }
                c.skip(12)?;
                return ensure(matches!(
                    c.u16()?,
                    0x0800 | 0x0806 | 0x86dd | 0x8100 | 0x8863 | 0x8864 | 0x88cc | ..=0x05dc
                ));
            }
            10..=60 => {
                c.counted(1)?;
            }
            _ => return Err(Stop::No),
        }
    }
    Err(Stop::No)
}

/// A number, then elements to the end; the first is the hardware address.
fn mndp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.skip(4)?;
    let mut seen = 0;
    let count = c.tlvs((2, 2), |kind, value| {
        seen += 1;
        ensure(
            matches!(kind, 1 | 5 | 7 | 8 | 10..=12 | 14..=17)
                && (seen > 1 || (kind == 1 && value.len() == 6)),
        )
    })?;
    ensure(count >= 3)
}

fn ubiquiti(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, code, len) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    ensure(matches!((version, code), (1, 0) | (2, 6 | 9 | 11)) && len + 4 == whole && len > 9)?;
    let mut addresses = 0;
    c.tlvs((1, 2), |kind, value| {
        addresses += u32::from(matches!((kind, value.len()), (1, 6) | (2, 10)));
        ensure(kind > 0)
    })?;
    ensure(addresses > 0)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, udp};

    #[test]
    fn searches_are_told_by_their_words() {
        udp().c("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\n\r\n").is("ssdp");
        udp().c("M-SEARCH * HTTP/1.1\r\n\r\n").s("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n").is("ssdp");
        udp().s("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n").is("ssdp");
        udp().c("M-SEARCH / HTTP/1.1\r\n\r\n").is_nothing();
        udp().s("HTTP/1.1 200 OK\r\nX: y\r\n\r\n").is_nothing();
        let envelope = |name: &str| format!("<?xml version=\"1.0\"?><s:Envelope xmlns:d=\"http://{name}\">");
        udp().c(envelope("schemas.xmlsoap.org/ws/2005/04/discovery")).is("ws-discovery");
        udp().c(envelope("schemas.xmlsoap.org/ws/2005/04/recovery")).is_nothing();
        let slp = cat(&[&hex("02 01 00001d 0000 000000 0001 0002"), b"en", &[0; 13]]);
        udp().c(&slp[..29]).is("slp");
        udp().c(&slp[..28]).is_nothing();
    }

    #[test]
    fn mappings_are_told() {
        udp().c([0, 0]).s(hex("0080 0000 00001000 0a000001")).is("nat-pmp");
        udp().c([0, 0]).is_nothing();
        let port = hex("0001 0000 32dd 32dd 00000e10");
        udp().c(&port).c(&port).is("nat-pmp");
        udp().c(&port).is_nothing();
        udp().c([0, 0]).s(hex("0081 0000 00001000 0a000001")).is_nothing();
        let ask = cat(&[&hex("0201 0000 00001c20 00000000 00000000 0000ffff c0a80002"), &[7; 36]]);
        udp().c(&ask).s(cat(&[&hex("0281 0000 00001c20 00001000"), &[0; 48]])).is("pcp");
        udp().c(&ask).is("pcp");
        let mut odd = ask;
        odd[18] = 0;
        udp().c(&odd).is_nothing();
    }

    #[test]
    fn clocks_and_boards_are_told() {
        let sync = cat(&[
            &hex("00 02 002c 00 00 0200 0000000000000000 00000000 0011223344556677 0001 0001 00 00"),
            &[1; 10],
        ]);
        udp().c(&sync).c(&sync).is("ptp");
        for (at, value) in [(1, 3), (3, 43), (29, 0), (32, 5)] {
            let mut odd = sync.clone();
            odd[at] = value;
            udp().c(&odd).is_nothing();
        }
        udp().c(hex("0600 ff 06 000011be 80 01 00 00")).is("rmcp");
        udp().c(hex("0600 ff 07 00 00000000 00000000 09 2018c88100388e04b5")).is("rmcp/ipmi");
        udp().c(hex("0600 ff 07 06 10 00000000 00000000 0020")).is_nothing();
        udp().c(hex("0600 ff 08 00 00000000 00000000 09 2018c88100388e04b5")).is_nothing();
        let wake = cat(&[&[0xff; 6], &[0, 1, 2, 3, 4, 5].repeat(16)]);
        udp().c(&wake).is("wake-on-lan");
        udp().c(&wake[..101]).is_nothing();
        udp().c([0xff; 102]).is_nothing();
    }

    #[test]
    fn access_points_and_sniffers_are_told() {
        let discover = hex("00 100200 00000000 00000001 00 0008 00 0014 0001 00");
        udp().c(&discover).is("capwap");
        let mut odd = discover;
        odd[11] = 27;
        udp().c(&odd).is_nothing();
        let data = cat(&[&hex("00 200310 00000000 06 001122334455 00"), &[9; 30]]);
        udp().c(&data).c(&data).is("capwap");
        udp().c(&data).is_nothing();
        let frame = cat(&[&hex("01 00 0001 01"), &[7; 12], &hex("0800 4500")]);
        udp().c(&frame).c(&frame).is("tzsp");
        let mut odd = frame;
        odd[17] = 0x77;
        udp().c(&odd).is_nothing();
    }

    #[test]
    fn neighbours_are_told() {
        let hello = hex("00000001 0001 0006 001122334455 0005 0002 4d54 0007 0001 36");
        udp().c(&hello).is("mndp");
        udp().c(&hello[..24]).is_nothing();
        let card = hex("0100 000d 02 000a 0011223344550a000001");
        udp().c([1, 0, 0, 0]).s(&card).is("ubiquiti");
        udp().c([1, 0, 0, 0]).is_nothing();
        udp().s(&card[..16]).is_nothing();
    }
}
