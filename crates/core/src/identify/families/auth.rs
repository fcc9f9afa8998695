//! Authentication: Kerberos (RFC 4120) and its change of passwords (RFC 3244), RADIUS (RFC 2865), TACACS+
//! (RFC 8907), Diameter (RFC 6733).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, SCTP, TCP, UDP};
use super::super::verdict::confidence::{LIKELY, STRONG};
use super::super::verdict::{ensure, Step, Verdict};
use super::super::view::{Transport, View};

/// The family.
pub const FAMILY: Family = Family {
    name: "authentication",
    protocols: &[
        Protocol { label: "kerberos", title: "Kerberos 5", on: TCP | UDP, ports: &[88], spec: "RFC 4120" },
        Protocol {
            label: "kpasswd",
            title: "Kerberos, change of passwords",
            on: TCP | UDP,
            ports: &[464],
            spec: "RFC 3244",
        },
        Protocol {
            label: "radius",
            title: "Remote Authentication Dial In User Service",
            on: UDP,
            ports: &[1812, 1813, 1645, 1646, 3799],
            spec: "RFC 2865",
        },
        Protocol { label: "tacacs-plus", title: "TACACS+", on: TCP, ports: &[49], spec: "RFC 8907" },
        Protocol {
            label: "diameter",
            title: "Diameter",
            on: TCP | SCTP,
            ports: &[3868, 5868],
            spec: "RFC 6733",
        },
    ],
    rules: &[
        Rule {
            label: "kerberos",
            name: "datagram",
            on: UDP,
            client: Starts::With(&[b"\x6a", b"\x6c"]),
            server: Starts::With(&[b"\x6b", b"\x6d", b"\x7e"]),
            check: |v| v.pair(STRONG, |b| krb(b, true), |b| krb(b, false), |_, _| true),
        },
        Rule {
            label: "kerberos",
            name: "stream",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.pair(STRONG, |b| framed(b, true), |b| framed(b, false), |_, _| true),
        },
        Rule {
            label: "kpasswd",
            name: "message",
            on: TCP | UDP,
            client: Starts::Byte(|byte| byte < 0x20),
            server: Starts::Byte(|byte| byte < 0x20 || byte == 0x7e),
            check: |v| {
                let tcp = v.transport == Transport::Tcp;
                v.asked(STRONG, |b| password(b, tcp, 0x6e), |b| password(b, tcp, 0x6f), |(), ()| true)
            },
        },
        Rule {
            label: "radius",
            name: "packet",
            on: UDP,
            client: Starts::With(&[b"\x01", b"\x04", b"\x0c", b"\x0d", b"\x28", b"\x2b"]),
            server: Starts::With(&[b"\x02", b"\x03", b"\x05", b"\x0b", b"\x29", b"\x2a", b"\x2c", b"\x2d"]),
            check: radius,
        },
        Rule {
            label: "tacacs-plus",
            name: "packet",
            on: TCP,
            client: Starts::With(&[b"\xc0", b"\xc1"]),
            server: Starts::With(&[b"\xc0", b"\xc1"]),
            check: |v| v.asked(LIKELY, |b| tacacs(b, 1), |b| tacacs(b, 2), |q, r| q == r),
        },
        Rule {
            label: "diameter",
            name: "message",
            on: TCP | SCTP,
            client: Starts::With(&[b"\x01\x00"]),
            server: Starts::With(&[b"\x01\x00"]),
            check: |v| {
                // After the exchange of capabilities either end may ask.
                v.pair(STRONG, |b| diameter(b, true), |b| diameter(b, false), |q, r| q == r)
            },
        },
    ],
};

/// A message of the Kerberos exchange (§5.4, §5.9): its tag, version 5, and the same type again.
fn krb(bytes: &[u8], asks: bool) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let (tag, len) = c.ber_head()?;
    ensure(matches!((tag, asks), (0x6a | 0x6c, true) | (0x6b | 0x6d | 0x7e, false)))?;
    let inside = c.position();
    let (sequence, size) = c.ber_head()?;
    ensure(sequence == 0x30 && size + (c.position() - inside) == len && size >= 12)?;
    let first = if asks { 0xa1 } else { 0xa0 };
    for (number, want) in [(first, 5), (first + 1, u32::from(tag & 0x1f))] {
        let mut field = Cursor::new(c.ber_tag(number)?);
        ensure(field.ber_uint() == Ok(want) && field.is_empty())?;
    }
    Ok(tag)
}

fn framed(bytes: &[u8], asks: bool) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let len = c.u32()? as usize;
    ensure((16..=1 << 20).contains(&len))?;
    krb(c.rest(), asks)
}

/// Lengths of the message and of the AP-REQ or AP-REP in it (RFC 3244 §2).
fn password(bytes: &[u8], framed: bool, tag: u8) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let outer = if framed { Some(c.u32()?) } else { None };
    if tag == 0x6f && c.peek()? == 0x7e {
        return krb(c.rest(), false).map(|_| ());
    }
    let (len, version, inner) = (c.u16()?, c.u16()?, c.u16()?);
    ensure(outer.is_none_or(|outer| outer == u32::from(len)) && len > 8)?;
    ensure(matches!(version, 1 | 0xff80) && u32::from(inner) + 6 <= u32::from(len))?;
    if inner == 0 {
        return ensure(tag == 0x6f && c.peek()? == 0x7e);
    }
    let (found, size) = c.ber_head()?;
    ensure(found == tag && size < usize::from(inner) && size + 6 >= usize::from(inner))
}

/// Code and identifier of a packet whose attributes fill it (§3, §5), and how many there are.
fn attributes(bytes: &[u8]) -> Step<(u8, u8, usize)> {
    let mut c = Cursor::new(bytes);
    let (code, id, len) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    ensure((20..=4096).contains(&len) && len >= bytes.len())?;
    // Some requests sign nothing and fill the authenticator with zeros (RFC 2866 §3, of old).
    ensure(c.take(16)?.iter().any(|&byte| byte != 0) || matches!(code, 4 | 12 | 13 | 40 | 43))?;
    let mut count = 0;
    while c.position() < len {
        let (kind, size) = (c.u8()?, usize::from(c.u8()?));
        let fits = match kind {
            4 | 5 | 6 | 7 | 8 | 40 | 41 | 61 => size == 6,
            26 => size >= 7,
            80 => size == 18,
            _ => kind != 0 && size >= 2,
        };
        ensure(fits)?;
        c.skip(size - 2)?;
        count += 1;
    }
    Ok((code, id, count))
}

fn radius(v: &View<'_>) -> Verdict {
    v.asked(
        LIKELY,
        |bytes| {
            let (code, id, count) = attributes(bytes)?;
            ensure(
                matches!(code, 1 | 4 | 12 | 13 | 40 | 43) && count > usize::from(!matches!(code, 12 | 13)),
            )?;
            Ok((code, id))
        },
        |bytes| {
            let (code, id, _) = attributes(bytes)?;
            Ok((code, id))
        },
        |q, r| {
            let fits = match q.0 {
                1 => matches!(r.0, 2 | 3 | 11),
                4 => r.0 == 5,
                12 | 13 => matches!(r.0, 2 | 5 | 13),
                40 => matches!(r.0, 41 | 42),
                _ => matches!(r.0, 44 | 45),
            };
            fits && q.1 == r.1
        },
    )
}

/// Type and session of a packet with this number (§4.1).
fn tacacs(bytes: &[u8], number: u8) -> Step<(u8, u32)> {
    let mut c = Cursor::new(bytes);
    let (version, kind, sequence, flags) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(version & 0xfe == 0xc0 && (1..=3).contains(&kind) && sequence == number && flags & !5 == 0)?;
    let (session, len) = (c.u32()?, c.u32()? as usize);
    ensure((5..=8192).contains(&len) && (c.left() <= len || number == 2))?;
    if number == 1 {
        c.skip(len)?;
    }
    Ok((kind, session))
}

/// Command and hop-by-hop number; the first AVP begins well (§3, §4.1).
fn diameter(bytes: &[u8], asks: bool) -> Step<(u32, u32)> {
    let mut c = Cursor::new(bytes);
    let (version, len, flags, command) = (c.u8()?, c.u24()?, c.u8()?, c.u24()?);
    ensure(version == 1 && len >= 28 && len.is_multiple_of(4) && flags & 15 == 0)?;
    ensure((flags & 0x80 != 0) == asks && (flags & 0x20 == 0 || !asks) && command >= 257)?;
    let (_application, hop, _end) = (c.u32()?, c.u32()?, c.u32()?);
    let (code, flags, size) = (c.u32()?, c.u8()?, c.u24()?);
    ensure((1..1 << 16).contains(&code) && flags & 0x1f == 0)?;
    let least = if flags & 0x80 != 0 { 12 } else { 8 };
    ensure((least..=len - 20).contains(&size))?;
    Ok((command, hop))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, over, tcp, udp};
    use super::super::super::view::Transport;

    const ASK: &str = "6a18 3016 a103 020105 a203 02010a a30a 3008 3006 a103 020102 3000";
    const ERROR: &str = "7e12 3010 a003 020105 a103 02011e a404 02020000 0000";

    #[test]
    fn requests_and_errors_are_kerberos() {
        let mut ask = hex(ASK);
        ask.truncate(26);
        udp().c(&ask).s(&hex(ERROR)[..20]).is("kerberos");
        udp().c(&ask).is("kerberos");
        tcp().c(cat(&[&[0, 0, 0, 26], &ask])).is("kerberos");
        for (at, value) in [(0, 0x6e), (3, 0x15), (8, 4), (13, 12)] {
            let mut odd = ask.clone();
            odd[at] = value;
            udp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn a_request_to_change_a_password_is_kpasswd() {
        let ask = cat(&[&hex("0030 ff80 0014 6e12"), &[0x30; 18], &[7; 22]]);
        udp().c(&ask).s(cat(&[&hex("0020 0001 0010 6f0e"), &[0x30; 24]])).is("kpasswd");
        udp().c(&ask).is("kpasswd");
        let mut odd = ask;
        odd[3] = 0x81;
        udp().c(&odd).is_nothing();
    }

    fn access(code: u8, id: u8) -> Vec<u8> {
        cat(&[&[code, id, 0, 31], &[9; 16], &[1, 5, b'j', b'o', b'e', 4, 6, 10, 0, 0, 1]])
    }

    #[test]
    fn packets_filled_with_attributes_are_radius() {
        udp().c(access(1, 7)).s(access(2, 7)).is("radius");
        udp().c(access(1, 7)).is("radius");
        udp().c(access(4, 7)).s(cat(&[&[5, 7, 0, 20], &[3; 16]])).is("radius");
        udp().c(access(1, 7)).s(access(2, 8)).is_nothing();
        udp().c(access(1, 7)).s(access(5, 7)).is_nothing();
        for (at, value) in [(3, 30), (21, 4), (26, 5)] {
            let mut odd = access(1, 7);
            odd[at] = value;
            udp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn a_session_is_tacacs() {
        let packet =
            |number: u8, session: u8| cat(&[&[0xc0, 1, number, 0, 1, 2, 3, session, 0, 0, 0, 6], &[5; 6]]);
        tcp().c(packet(1, 9)).s(packet(2, 9)).is("tacacs-plus");
        tcp().c(packet(1, 9)).is("tacacs-plus");
        tcp().c(packet(1, 9)).s(packet(2, 8)).is_nothing();
        tcp().c(packet(2, 9)).is_nothing();
        tcp().c(cat(&[&packet(1, 9), &[1]])).is_nothing();
    }

    #[test]
    fn commands_with_numbers_are_diameter() {
        let message = |flags: u8, hop: u8| {
            cat(&[
                &[1, 0, 0, 0x2c, flags],
                &hex("000101 00000000 000000"),
                &[hop],
                &hex("00000009 00000108 4000000c 612e6200 0000010a 4000000c 00000000"),
            ])
        };
        tcp().c(message(0x80, 1)).s(message(0, 1)).is("diameter");
        over(Transport::Sctp).c(message(0x80, 1)).s(message(0, 1)).is("diameter");
        tcp().c(message(0x80, 1)).is("diameter");
        tcp().c(message(0x80, 1)).s(message(0, 2)).is_nothing();
        tcp().c(message(0x81, 1)).is_nothing();
    }
}
