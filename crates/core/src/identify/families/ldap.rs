//! LDAP (RFC 4511), also without a connection (RFC 1798, MS-ADTS §6.3.3), with StartTLS (RFC 4511 §4.14).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{contains, is_text};
use super::super::verdict::confidence::{ANSWERED, HELD, STRONG};
use super::super::verdict::{ensure, Match, Step, Stop, Verdict};
use super::super::view::View;
use super::tls::awaited;

/// The family.
pub const FAMILY: Family = Family {
    name: "directory",
    protocols: &[
        Protocol {
            label: "ldap",
            title: "Lightweight Directory Access Protocol",
            on: TCP,
            ports: &[389, 636, 3268, 3269],
            spec: "RFC 4511",
        },
        Protocol { label: "cldap", title: "Connectionless LDAP", on: UDP, ports: &[389], spec: "RFC 1798" },
    ],
    rules: &[
        Rule { label: "ldap", name: "message", on: TCP, client: SEQUENCE, server: SEQUENCE, check: ldap },
        Rule {
            label: "cldap",
            name: "message",
            on: UDP,
            client: SEQUENCE,
            server: SEQUENCE,
            check: |v| v.pair(STRONG, |b| message(b, request), |b| message(b, response), |q, r| q.0 == r.0),
        },
    ],
};

const SEQUENCE: Starts = Starts::With(&[b"\x30"]);

/// What the rule does with StartTLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Other,
    StartTls,
}

/// Number and kind of a message; `read` sees its operation, of which the end may be missing.
fn message(bytes: &[u8], read: fn(u8, &mut Cursor<'_>) -> Step<Kind>) -> Step<(u32, Kind)> {
    let mut c = Cursor::new(bytes);
    let (tag, len) = c.ber_head()?;
    ensure(tag == 0x30 && (5..=1 << 24).contains(&len))?;
    let inside = c.position();
    let id = c.ber_uint()?;
    let (tag, size) = c.ber_head()?;
    let used = c.position() - inside;
    // Only controls (§4.1.11) may follow.
    ensure(used + size <= len)?;
    if used + size < len && c.left() > size {
        ensure(c.rest()[size] == 0xa0)?;
    }
    let mut body = Cursor::new(&c.rest()[..c.left().min(size)]);
    let kind = match read(tag, &mut body) {
        Err(Stop::More) if c.left() >= size => Err(Stop::No),
        step => step,
    }?;
    Ok((id, kind))
}

fn enumerated(c: &mut Cursor<'_>, most: u8) -> Step<()> {
    match c.ber_tag(10)? {
        [value] => ensure(*value <= most),
        _ => Err(Stop::No),
    }
}

fn request(tag: u8, c: &mut Cursor<'_>) -> Step<Kind> {
    match tag {
        0x60 => {
            ensure((1..=3).contains(&c.ber_uint()?))?;
            ensure(is_text(c.ber_tag(4)?))?;
            let how = c.peek()?;
            ensure(matches!(how, 0x80 | 0xa3 | 0x89..=0x8b))?;
        }
        0x63 => {
            ensure(is_text(c.ber_tag(4)?))?;
            enumerated(c, 3)?;
            enumerated(c, 3)?;
            let _limits = (c.ber_uint()?, c.ber_uint()?);
            ensure(c.ber_tag(1)?.len() == 1)?;
            ensure(matches!(c.peek()?, 0xa0..=0xa9 | 0x87))?;
        }
        0x66 | 0x68 | 0x6c | 0x6e => ensure(is_text(c.ber_tag(4)?))?,
        0x4a => ensure(!c.is_empty() && is_text(c.rest()) && c.rest().contains(&b'='))?,
        0x42 => ensure(c.is_empty())?,
        0x77 => {
            let name = c.ber_tag(0x80)?;
            ensure(name.len() >= 3 && name.iter().all(|&b| b.is_ascii_digit() || b == b'.'))?;
            if name == b"1.3.6.1.4.1.1466.20037" {
                return Ok(Kind::StartTls);
            }
        }
        _ => return Err(Stop::No),
    }
    Ok(Kind::Other)
}

fn response(tag: u8, c: &mut Cursor<'_>) -> Step<Kind> {
    match tag {
        0x61 | 0x65 | 0x67 | 0x69 | 0x6b | 0x6d | 0x6f | 0x78 => {
            enumerated(c, 123)?;
            ensure(is_text(c.ber_tag(4)?))?;
            ensure(c.peek()? == 4)?;
        }
        0x64 => {
            ensure(is_text(c.ber_tag(4)?))?;
            ensure(c.peek()? == 0x30)?;
        }
        0x73 => ensure(c.ber_tag(4)?.starts_with(b"ldap"))?,
        0x79 => ensure(matches!(c.peek()?, 0x80 | 0x81))?,
        _ => return Err(Stop::No),
    }
    Ok(Kind::Other)
}

fn ldap(v: &View<'_>) -> Verdict {
    let found =
        v.pair(STRONG, |b| message(b, request), |b| message(b, response), |q, r| q.0 == r.0 || r.0 == 0)?;
    if found.confidence < ANSWERED {
        return Ok(found);
    }
    if let Ok((_, Kind::StartTls)) = v.client.parse(|b| message(b, request)) {
        let sent = v.client.bytes;
        let shown = &sent[..sent.len().min(128)];
        if contains(shown, &[22, 3]) {
            return Ok(Match::new(ANSWERED).under("tls").want(awaited(v.client.bytes)));
        }
        return Ok(Match::new(if v.done { ANSWERED } else { HELD }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    const BIND: &str = "300c 020101 6007 020103 0400 8000";
    const BOUND: &str = "300c 020101 6107 0a0100 0400 0400";

    #[test]
    fn binds_and_searches_are_ldap() {
        tcp().c(hex(BIND)).s(hex(BOUND)).is("ldap");
        tcp().c(hex(BIND)).is("ldap");
        tcp().s(hex(BOUND)).midway().is("ldap");
        let search = hex("3084 00000029 020107 6384 00000020 0400 0a0100 0a0100 020100 020178 010100 870b 6f626a656374636c617373 3000");
        udp().c(&search).is("cldap");
        let start = cat(&[&hex("301d 020101 7718 8016"), b"1.3.6.1.4.1.1466.20037"]);
        let talk = tcp().c(&start).s(hex("300c 020101 7807 0a0100 0400 0400"));
        talk.clone().is("ldap");
        talk.c(hex("16 0301 0064 01")).is("tls/ldap");
    }

    #[test]
    fn near_misses_are_not() {
        for (at, value) in [(1, 0x0b), (2, 3), (5, 0x62), (9, 4), (10, 5), (12, 0x30)] {
            let mut odd = hex(BIND);
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
        tcp().c(hex(BIND)).s(hex("300c 020102 6107 0a0100 0400 0400")).is_nothing();
    }
}
