//! Power grids and meters: DNP3 (IEEE 1815), IEC 60870-5-104, synchrophasors (IEEE C37.118.2), DLMS (IEC 62056-47).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "grid",
    protocols: &[
        Protocol {
            label: "dnp3",
            title: "Distributed Network Protocol 3",
            on: TCP | UDP,
            ports: &[20000],
            spec: "IEEE 1815",
        },
        Protocol {
            label: "iec104",
            title: "IEC 60870-5-104 telecontrol",
            on: TCP,
            ports: &[2404],
            spec: "IEC 60870-5-104",
        },
        Protocol {
            label: "synchrophasor",
            title: "Synchrophasor data transfer",
            on: TCP | UDP,
            ports: &[4712, 4713],
            spec: "IEEE C37.118.2",
        },
        Protocol {
            label: "dlms",
            title: "DLMS/COSEM meters",
            on: TCP | UDP,
            ports: &[4059],
            spec: "IEC 62056-47",
        },
    ],
    rules: &[
        Rule { label: "dnp3", name: "link", on: TCP | UDP, client: DNP3, server: DNP3, check: dnp3 },
        Rule { label: "iec104", name: "frames", on: TCP, client: IEC, server: IEC, check: iec104 },
        Rule {
            label: "synchrophasor",
            name: "frame",
            on: TCP | UDP,
            client: Starts::With(&[b"\xaa"]),
            server: Starts::With(&[b"\xaa"]),
            check: |v| v.pair(STRONG, phasor, phasor, |q, r| q == r),
        },
        Rule {
            label: "dlms",
            name: "association",
            on: TCP | UDP,
            client: Starts::With(&[b"\x00\x01"]),
            server: Starts::With(&[b"\x00\x01"]),
            check: |v| v.pair(STRONG, |b| dlms(b, 0x60), |b| dlms(b, 0x61), |q, r| *q == (r.1, r.0)),
        },
    ],
};

const DNP3: Starts = Starts::With(&[b"\x05\x64"]);
const IEC: Starts = Starts::With(&[b"\x68"]);

/// CRC-16/DNP over the head of the link layer tells it; the ends are named crosswise.
fn dnp3(v: &View<'_>) -> Verdict {
    v.pair(STRONG, link, link, |q, r| q.0 == r.1 || q.1 == r.0)
}

fn link(bytes: &[u8]) -> Step<(u16, u16)> {
    let mut c = Cursor::new(bytes);
    c.expect(b"\x05\x64")?;
    ensure(c.u8()? >= 5)?;
    c.skip(1)?;
    let ends = (c.u16le()?, c.u16le()?);
    let sum = bytes[..8].iter().fold(0u16, |sum, &byte| {
        (0..8).fold(sum ^ u16::from(byte), |sum, _| if sum & 1 != 0 { sum >> 1 ^ 0xa6bc } else { sum >> 1 })
    });
    ensure(c.u16le()? == !sum)?;
    Ok(ends)
}

#[derive(Clone, Copy, PartialEq)]
enum Frame {
    Start,
    Confirm,
    Other,
    Data,
}

fn iec104(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(frames))?;
    let server = maybe(v.server.parse(frames))?;
    match (client, server) {
        (Some((Frame::Start, _)), Some((Frame::Confirm, _))) => Ok(Match::new(ANSWERED)),
        (Some((_, a)), Some((_, b))) if a + b >= 2 => Ok(Match::new(ANSWERED)),
        (Some((Frame::Start, _)), None) => Ok(Match::new(STRONG)),
        (Some((Frame::Data, count)), None) if count >= 1 => Ok(Match::new(LIKELY)),
        (None, Some((Frame::Data, count))) if count >= 1 => Ok(Match::new(LIKELY).at(Who::Server, 0, 8)),
        _ => Err(Stop::More),
    }
}

/// The first frame and how many data frames there are; every frame must be well formed.
fn frames(bytes: &[u8]) -> Step<(Frame, u32)> {
    let mut c = Cursor::new(bytes);
    let first = frame(&mut c)?;
    let mut data = u32::from(first == Frame::Data);
    while c.left() >= 2 && data < 8 {
        match frame(&mut c) {
            Ok(kind) => data += u32::from(kind == Frame::Data),
            Err(Stop::More) => break,
            Err(Stop::No) => return Err(Stop::No),
        }
    }
    Ok((first, data))
}

fn frame(c: &mut Cursor<'_>) -> Step<Frame> {
    ensure(c.u8()? == 0x68)?;
    let len = usize::from(c.u8()?);
    ensure((4..=253).contains(&len))?;
    let mut f = c.sub(len)?;
    let control = f.take(4)?;
    match control[0] & 3 {
        3 => {
            ensure(len == 4 && control[1..] == [0, 0, 0])?;
            match control[0] {
                0x07 => Ok(Frame::Start),
                0x0b => Ok(Frame::Confirm),
                0x13 | 0x23 | 0x43 | 0x83 => Ok(Frame::Other),
                _ => Err(Stop::No),
            }
        }
        1 => {
            ensure(len == 4 && control[0] == 1 && control[1] == 0 && control[2] & 1 == 0)?;
            Ok(Frame::Other)
        }
        _ => {
            ensure(len >= 10 && control[2] & 1 == 0)?;
            let (kind, count, cause) = (f.u8()?, f.u8()?, f.u8()?);
            ensure(
                matches!(kind, 1..=21 | 30..=41 | 45..=51 | 58..=64 | 70 | 100..=107 | 110..=113 | 120..=127),
            )?;
            ensure(count & 0x7f != 0 && matches!(cause & 0x3f, 1..=13 | 20..=41 | 44..=47))?;
            Ok(Frame::Data)
        }
    }
}

/// A frame to its checksum (CRC-CCITT); the identification code.
fn phasor(bytes: &[u8]) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (sync, kind, len, id) = (c.u8()?, c.u8()?, usize::from(c.u16()?), c.u16()?);
    ensure(sync == 0xaa && kind & 0x80 == 0 && kind >> 4 <= 5 && matches!(kind & 15, 1..=3))?;
    ensure(len >= 16)?;
    let frame = bytes.get(..len).ok_or(Stop::More)?;
    let (body, sum) = frame.split_at(len - 2);
    ensure(crc_ccitt(0xffff, body).to_be_bytes() == sum)?;
    Ok(id)
}

/// CRC with the polynomial x^16 + x^12 + x^5 + 1, most significant bit first.
pub(super) fn crc_ccitt(start: u16, bytes: &[u8]) -> u16 {
    bytes.iter().fold(start, |sum, &byte| {
        (0..8).fold(
            sum ^ u16::from(byte) << 8,
            |sum, _| {
                if sum & 0x8000 != 0 {
                    sum << 1 ^ 0x1021
                } else {
                    sum << 1
                }
            },
        )
    })
}

/// The wrapper and an association request or response with a name below 2.16.756.5.8 (DLMS UA).
fn dlms(bytes: &[u8], tag: u8) -> Step<(u16, u16)> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16()? == 1)?;
    let ends = (c.u16()?, c.u16()?);
    let len = usize::from(c.u16()?);
    ensure((20..=2000).contains(&len))?;
    c.inner(len, |c| {
        let body = c.ber_tag(tag)?;
        ensure(body.windows(5).take(24).any(|w| w == [0x60, 0x85, 0x74, 5, 8]))
    })?;
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};
    use super::*;

    #[test]
    fn a_link_head_with_its_checksum_is_dnp3() {
        let ask = hex("0564 05 c0 0100 0004 e921");
        let sum = |head: &[u8]| {
            head.iter().fold(0u16, |s, &b| {
                (0..8).fold(s ^ u16::from(b), |s, _| if s & 1 != 0 { s >> 1 ^ 0xa6bc } else { s >> 1 })
            })
        };
        assert_eq!((!sum(&ask[..8])).to_le_bytes(), ask[8..], "the checksum of a known frame");
        let head = hex("0564 05 0b 0004 0100");
        let answer = cat(&[&head, &(!sum(&head)).to_le_bytes()]);
        tcp().c(&ask).s(&answer).is("dnp3");
        udp().c(&ask).is("dnp3");
        tcp().c(hex("0564 05 c0 0100 0004 e922")).is_nothing();
    }

    #[test]
    fn start_and_confirmation_are_iec104() {
        tcp().c(hex("680407000000")).s(hex("68040b000000")).is("iec104");
        let poll = hex("680e 0000 0000 64 01 06 00 0100 000000 14");
        tcp().c(cat(&[&hex("680407000000"), &poll])).is("iec104");
        tcp().midway().c(&poll).s(hex("680e 0000 0200 64 01 07 00 0100 000000 14")).is("iec104");
        tcp().c(hex("680407000100")).is_nothing();
        tcp().c(hex("680e 0000 0000 64 00 06 00 0100 000000 14")).is_nothing();
    }

    #[test]
    fn frames_with_their_checksum_are_synchrophasors() {
        let command = hex("aa41 0012 0001 5f000000 00000000 0002");
        let sum = crc_ccitt(0xffff, &command).to_be_bytes();
        tcp().c(cat(&[&command, &sum])).is("synchrophasor");
        udp().c(cat(&[&command, &[sum[0], sum[1] ^ 1]])).is_nothing();
        assert_eq!(crc_ccitt(0xffff, b"123456789"), 0x29b1);
    }

    #[test]
    fn an_association_is_dlms() {
        let ask = hex(
            "0001 0001 0010 001f 601d a109 0607 60857405080101 be10 040e 01000000 065f1f0400 0000 0000ffff",
        );
        let ask = ask[..8 + 31].to_vec();
        tcp().c(&ask).is("dlms");
        let mut odd = ask.clone();
        odd[15] = 0x61;
        tcp().c(&odd).is_nothing();
    }
}
