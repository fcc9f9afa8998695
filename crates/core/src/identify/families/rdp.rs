//! RDP: the negotiation in an X.224 connection request (MS-RDPBCGR §2.2.1.1).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_ascii;
use super::super::verdict::confidence::{STRONG, SURE, WEAK};
use super::super::verdict::{ensure, Step, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "rdp",
    protocols: &[Protocol {
        label: "rdp",
        title: "Remote Desktop Protocol",
        on: TCP | UDP,
        ports: &[3389],
        spec: "MS-RDPBCGR",
    }],
    rules: &[
        Rule {
            label: "rdp",
            name: "negotiation",
            on: TCP,
            client: Starts::With(&[b"\x03\x00"]),
            server: Starts::With(&[b"\x03\x00"]),
            check: rdp,
        },
        Rule {
            label: "rdp",
            name: "udp-syn",
            on: UDP,
            client: Starts::With(&[b"\xff\xff"]),
            server: Starts::Any,
            check: |v| {
                ensure(v.first_speaker() == Who::Client)?;
                v.pair(SURE, syn, syn_ack, |&asked, &answered| asked == answered)
            },
        },
    ],
};

/// Opens RDP over UDP (MS-RDPEUDP §2.2.2.1, §2.2.2.5): no acknowledgment yet, the SYN flag, both MTUs, and zeros
/// up to the size of the MTU. Gives the initial sequence number.
fn syn(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    ensure(c.u32()? == u32::MAX && c.u16()? > 0)?;
    ensure(c.u16()? & 0x0005 == 1)?;
    let number = c.u32()?;
    ensure(mtu(c.u16()?) && mtu(c.u16()?) && bytes.len() >= 1132)?;
    // Correlation, extension and the hash of a cookie take 32, 4 and 32 bytes (§2.2.2.8, §2.2.2.9).
    c.skip(68)?;
    ensure(c.rest().iter().all(|&byte| byte == 0))?;
    Ok(number)
}

/// Answers: what is acknowledged, SYN and ACK.
fn syn_ack(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    let number = c.u32()?;
    c.skip(2)?;
    ensure(c.u16()? & 0x0005 == 5)?;
    c.skip(4)?;
    ensure(mtu(c.u16()?) && mtu(c.u16()?))?;
    Ok(number)
}

fn mtu(value: u16) -> bool {
    (1132..=1232).contains(&value)
}

fn rdp(v: &View<'_>) -> Verdict {
    let asked = v.client.parse(request)?;
    v.pair(if asked { STRONG } else { WEAK }, request, confirm, |&asked, &answered| asked || answered)
}

/// The head of TPKT and X.224; the bytes behind it, which fill it.
pub(super) fn tpkt<'a>(c: &mut Cursor<'a>, kind: u8) -> Step<&'a [u8]> {
    ensure(c.u16()? == 0x0300)?;
    let len = usize::from(c.u16()?);
    ensure((11..=1024).contains(&len))?;
    let mut inner = c.sub(len - 4)?;
    ensure(usize::from(inner.u8()?) == len - 5 && inner.u8()? & 0xf0 == kind)?;
    inner.skip(4)?;
    ensure(inner.u8()? == 0)?;
    Ok(inner.rest())
}

/// Whether it is more than a bare request.
fn request(bytes: &[u8]) -> Step<bool> {
    let rest = tpkt(&mut Cursor::new(bytes), 0xe0)?;
    let mut c = Cursor::new(rest);
    let mut told = false;
    if rest.starts_with(b"Cookie:") || rest.starts_with(b"tsv:") || rest.starts_with(b"mth:") {
        ensure(is_ascii(c.line(600)?))?;
        told = true;
    }
    if !c.is_empty() {
        // Negotiation request, and what may follow it (§2.2.1.1.1, §2.2.1.1.2).
        let (kind, flags, len) = (c.u8()?, c.u8()?, c.u16le()?);
        ensure(kind == 1 && flags & !0x0b == 0 && len == 8 && c.u32le()? & !0x1f == 0)?;
        ensure(matches!(c.left(), 0 | 36))?;
        told = true;
    }
    Ok(told)
}

fn confirm(bytes: &[u8]) -> Step<bool> {
    let rest = tpkt(&mut Cursor::new(bytes), 0xd0)?;
    let mut c = Cursor::new(rest);
    if c.is_empty() {
        return Ok(false);
    }
    let (kind, _flags, len) = (c.u8()?, c.u8()?, c.u16le()?);
    ensure(matches!(kind, 2 | 3) && len == 8 && c.u32le()? < 32 && c.is_empty())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn a_negotiation_is_rdp() {
        let ask = hex("03000013 0ee0 0000 0000 00 0100 0800 0b000000");
        let answer = hex("03000013 0ed0 0000 1234 00 0200 0800 02000000");
        tcp().c(&ask).s(&answer).is("rdp");
        let cookie = b"Cookie: mstshash=joe\r\n";
        let len = 11 + cookie.len() as u8;
        tcp().c(cat(&[&[3, 0, 0, len, len - 5, 0xe0, 0, 0, 0, 0, 0], cookie])).is("rdp");
    }

    #[test]
    fn an_opening_of_its_own_transport_is_rdp() {
        let open = |text: &str, len: usize| {
            let mut bytes = hex(text);
            bytes.resize(len, 0);
            bytes
        };
        let ask = open("ffffffff 0040 1201 12345678 04d0 04d0 1111 0001 0002", 1232);
        let answer = open("12345678 0040 0005 9abcdef0 04d0 04d0", 1232);
        udp().c(&ask).s(&answer).is("rdp");
        udp().c(&ask).is("rdp");
        udp().c(open("ffffffff 0040 1201 12345678 04d0 05d0", 1232)).is_nothing();
        udp().c(open("ffffffff 0040 1201 12345678 04d0 04d0", 80)).is_nothing();
    }

    #[test]
    fn other_users_of_x224_are_not() {
        // S7 asks with parameters C0, C1, C2.
        tcp().c(hex("03000016 11e0 0000 0001 00 c0010a c1020100 c2020102")).is_nothing();
        tcp().c(hex("03000013 0fe0 0000 0000 00 0100 0800 0b000000")).is_nothing();
        tcp().c(hex("03000013 0ee0 0000 0000 00 0100 0900 0b000000")).is_nothing();
        tcp().c(hex("0300000b 06e0 0000 0000 00")).s(hex("0300000b 06d0 0000 1234 00")).is_nothing();
    }
}
