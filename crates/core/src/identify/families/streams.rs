//! Video and sound: RTMP, MPEG transport streams, SRT, announcements of sessions, recorders of Dahua.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_ascii_lines;
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{Side, View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "streams",
    protocols: &[
        Protocol {
            label: "rtmp",
            title: "Real-Time Messaging Protocol",
            on: TCP,
            ports: &[1935],
            spec: "Adobe RTMP 1.0",
        },
        Protocol {
            label: "mpeg-ts",
            title: "MPEG transport stream",
            on: UDP | TCP,
            ports: &[1234, 5004],
            spec: "ISO 13818-1",
        },
        Protocol {
            label: "srt",
            title: "Secure Reliable Transport, UDT",
            on: UDP,
            ports: &[9000],
            spec: "draft-sharabayko-srt-01",
        },
        Protocol {
            label: "sap",
            title: "Session Announcement Protocol",
            on: UDP,
            ports: &[9875],
            spec: "RFC 2974",
        },
        Protocol {
            label: "dvrip",
            title: "Recorders of Dahua, XiongMai",
            on: TCP,
            ports: &[37777, 34567],
            spec: "no public document",
        },
    ],
    rules: &[
        Rule {
            label: "rtmp",
            name: "handshake",
            on: TCP,
            client: Starts::With(&[b"\x03"]),
            server: Starts::With(&[b"\x03"]),
            check: rtmp,
        },
        Rule {
            label: "mpeg-ts",
            name: "packets",
            on: UDP | TCP,
            client: Starts::With(&[b"G"]),
            server: Starts::With(&[b"G"]),
            check: mpeg,
        },
        Rule {
            label: "srt",
            name: "handshake",
            on: UDP,
            client: Starts::With(&[b"\x80\x00"]),
            server: Starts::With(&[b"\x80\x00"]),
            check: |v| v.pair(STRONG, srt, srt, |q, r| q == r),
        },
        Rule {
            label: "sap",
            name: "announcement",
            on: UDP,
            client: Starts::Byte(|byte| byte & 0xe0 == 0x20),
            server: Starts::Any,
            check: sap,
        },
        Rule {
            label: "dvrip",
            name: "message",
            on: TCP,
            client: Starts::With(&[b"\xff", b"\xa0", b"\xa3"]),
            server: Starts::With(&[b"\xff", b"\xb0"]),
            check: |v| v.pair(LIKELY, dvrip, dvrip, |q, r| q == r),
        },
    ],
};

/// C0 and C1; the server's S2 repeats C1, the client's C2 repeats S1.
fn rtmp(v: &View<'_>) -> Verdict {
    let one = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        ensure(c.u8()? == 3)?;
        c.skip(8)?;
        Ok(())
    };
    maybe(v.server.parse(one))?;
    v.client.parse(one)?;
    let client = v.client.bytes;
    if client.len() < 1537 {
        return Err(Stop::More);
    }
    // A version of zeros or of the player; the rest is random.
    let version = &client[5..9];
    ensure(version[0] <= 0x80)?;
    ensure(client[9..1537].windows(2).filter(|w| w[0] != w[1]).count() > 200)?;
    match maybe(v.server.parse(|bytes| {
        let (first, second) = (bytes.get(..1537).ok_or(Stop::More)?, bytes.get(1537..1541));
        ensure(first[0] == 3)?;
        second.ok_or(Stop::More)
    }))? {
        // S2 begins with the time of C1, or is a digest when the version was not zero.
        Some(second) => {
            ensure(second == &client[1..5] || version != [0; 4])?;
            Ok(Match::new(if second == &client[1..5] { ANSWERED } else { LIKELY }))
        }
        None => Err(Stop::More),
    }
}

/// Every 188 bytes a sync byte; counters of one program go on.
fn mpeg(v: &View<'_>) -> Verdict {
    let read = |side: &Side<'_>| {
        side.parse(|bytes| {
            let whole = side.first_len();
            ensure(side.grams.is_empty() || whole.is_multiple_of(188))?;
            let mut count = 0;
            for packet in bytes.chunks(188) {
                ensure(packet[0] == 0x47)?;
                if packet.len() < 4 {
                    break;
                }
                // An error mark is rare, adaptation 0 is reserved.
                ensure(packet[1] & 0x80 == 0 && packet[3] & 0x30 != 0)?;
                if packet[3] & 0x20 != 0 && packet.len() > 4 {
                    ensure(packet[4] <= 183)?;
                }
                count += 1;
            }
            if count >= 4 {
                Ok(count)
            } else {
                Err(Stop::More)
            }
        })
    };
    for (side, who) in [(&v.client, Who::Client), (&v.server, Who::Server)] {
        if !side.is_silent() && maybe(read(side))?.is_some() {
            return Ok(Match::new(STRONG).at(who, 0, 8));
        }
    }
    Err(Stop::More)
}

/// A handshake packet of control; the version.
fn srt(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    ensure(c.u32()? == 0x8000_0000 && c.u32()? == 0)?;
    c.skip(8)?;
    let version = c.u32()?;
    ensure(matches!(version, 4 | 5))?;
    let _encryption = c.u32()?;
    c.skip(4)?;
    let (size, window, kind) = (c.u32()?, c.u32()?, c.u32()?);
    ensure((500..=9000).contains(&size) && (16..=1 << 20).contains(&window))?;
    ensure(matches!(kind, 1 | 0 | 0xffff_ffff | 0xffff_fffe | 0xffff_fffd) || (1000..3000).contains(&kind))?;
    c.skip(8 + 16)?;
    Ok(0)
}

/// A header of version 1, an address, and a description that begins with `v=0` (RFC 2974 §6, RFC 8866).
fn sap(v: &View<'_>) -> Verdict {
    ensure(v.server.is_silent())?;
    v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let (flags, keys) = (c.u8()?, c.u8()?);
        ensure(flags & 0xe8 == 0x20 && flags & 3 == 0)?;
        c.skip(2 + if flags & 0x10 != 0 { 16 } else { 4 } + 4 * usize::from(keys))?;
        if c.peek()? != b'v' {
            ensure(c.until(0, 40)? == b"application/sdp")?;
        }
        c.expect(b"v=0")?;
        let next = c.u8()?;
        ensure(matches!(next, b'\r' | b'\n'))?;
        ensure(is_ascii_lines(&c.rest()[..c.left().min(6)]))
    })?;
    Ok(Match::new(SURE))
}

/// Which of the two forms: a head of 20 bytes with `ff` in front (XiongMai), or of 32 (Dahua).
fn dvrip(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    if c.u8()? == 0xff {
        let (version, reserved) = (c.u8()?, c.u16()?);
        ensure(version <= 1 && reserved == 0)?;
        c.skip(8 + 2)?;
        let (message, len) = (c.u16le()?, c.u32le()? as usize);
        ensure((1000..=2200).contains(&message) && (2..=1 << 16).contains(&len))?;
        ensure(c.u8()? == b'{' && matches!(c.u8()?, b'"' | b' ' | b'\n' | b'\t'))?;
        return Ok(0xff);
    }
    let kind = bytes[0];
    ensure(matches!(kind, 0xa0 | 0xa3 | 0xb0))?;
    let rest = c.take(31)?;
    ensure(rest[0] == 0 && rest[1] == 0 || rest[..3] == [5, 0, 0x60] || rest[..3] == [1, 0, 0x60])?;
    let len = u32::from_le_bytes([rest[3], rest[4], rest[5], rest[6]]);
    // A login ends its head with this mark.
    ensure(
        len <= 4096
            && (kind == 0xb0
                || rest[23..] == [5, 2, 1, 1, 0, 0, 0xa1, 0xaa]
                || rest[23..31] == [5, 2, 0, 1, 0, 0, 0xa1, 0xaa]),
    )?;
    if kind == 0xb0 {
        return Err(Stop::More);
    }
    Ok(0xa0)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp, Dice};

    #[test]
    fn handshakes_that_repeat_each_other_are_rtmp() {
        let mut dice = Dice(3);
        let first = cat(&[&hex("03 00000009 00000000"), &dice.bytes(1528)]);
        let second = cat(&[&hex("03 0000000a 00000000"), &dice.bytes(1528), &first[1..]]);
        tcp().c(&first).s(&second).is("rtmp");
        let mut odd = second.clone();
        odd[1540] ^= 1;
        tcp().c(&first).s(&odd).is_nothing();
    }

    #[test]
    fn sync_bytes_at_their_distance_are_mpeg() {
        let packet = cat(&[&hex("47 01 00 10"), &[5; 184]]);
        let datagram = packet.repeat(7);
        udp().c(&datagram).is("mpeg-ts");
        udp().c(&datagram[..1315]).is_nothing();
        let mut odd = datagram.clone();
        odd[188] = 0x48;
        udp().c(&odd).is_nothing();
    }

    #[test]
    fn handshakes_and_announcements_are_told() {
        let ask = cat(&[
            &hex("80000000 00000000 00000001 00000000 00000004 00000002 00001234 000005dc 00002000 00000001"),
            &[7; 24],
        ]);
        udp().c(&ask).s(&ask).is("srt");
        let mut odd = ask.clone();
        odd[19] = 6;
        udp().c(&odd).is_nothing();
        let head = hex("20 00 1234 c0000201");
        udp().c(cat(&[&head, b"application/sdp\0v=0\r\no=- 1 1 IN IP4 a\r\n"])).is("sap");
        udp().c(cat(&[&head, b"application/sdp\0v=1\r\no=- 1 1 IN IP4 a\r\n"])).is_nothing();
        let login =
            cat(&[&hex("ff010000 00000000 00000000 0000 e803 14000000"), b"{\"LoginType\":\"DVRIP\"}"]);
        tcp().c(&login).is("dvrip");
        let mut odd = login.clone();
        odd[2] = 1;
        tcp().c(&odd).is_nothing();
    }
}
