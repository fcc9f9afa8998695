//! Reports of devices that nobody answers: syslog, GELF, collectd, StatsD, Graphite, NetFlow, IPFIX, sFlow.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{decimal, is_ascii, is_text};
use super::super::verdict::confidence::{LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, Match, Step, Stop, Verdict};
use super::super::view::{Transport, View};

/// The family.
pub const FAMILY: Family = Family {
    name: "logs",
    protocols: &[
        Protocol {
            label: "syslog",
            title: "Syslog",
            on: TCP | UDP,
            ports: &[514, 601, 6514, 1514],
            spec: "RFC 5424",
        },
        Protocol {
            label: "collectd",
            title: "collectd binary protocol",
            on: UDP,
            ports: &[25826],
            spec: "collectd, Binary protocol",
        },
        Protocol { label: "statsd", title: "StatsD", on: UDP, ports: &[8125], spec: "StatsD metric types" },
        Protocol {
            label: "graphite",
            title: "Graphite plaintext protocol",
            on: TCP | UDP,
            ports: &[2003],
            spec: "Graphite, Feeding In Your Data",
        },
        Protocol {
            label: "netflow",
            title: "NetFlow 1, 5, 7, 9",
            on: UDP,
            ports: &[2055, 9995, 9996],
            spec: "RFC 3954",
        },
        Protocol {
            label: "ipfix",
            title: "IP Flow Information Export",
            on: TCP | UDP,
            ports: &[4739],
            spec: "RFC 7011",
        },
        Protocol { label: "sflow", title: "sFlow 5", on: UDP, ports: &[6343], spec: "sFlow Version 5" },
    ],
    rules: &[
        Rule {
            label: "syslog",
            name: "datagram",
            on: UDP,
            client: Starts::With(&[b"<"]),
            server: Starts::With(&[b"<"]),
            check: |v| {
                let alone = if v.client.parse(message) == Ok(true) { STRONG } else { LIKELY };
                v.alike(alone, SURE, |bytes, _| message(bytes).map(|_| ()))
            },
        },
        Rule {
            label: "syslog",
            name: "stream",
            on: TCP,
            client: Starts::Byte(|byte| byte == b'<' || byte.is_ascii_digit()),
            server: Starts::Any,
            check: |v| {
                ensure(v.server.is_silent())?;
                let dated = v.client.parse(|bytes| {
                    let mut c = Cursor::new(bytes);
                    if bytes[0] != b'<' {
                        // So many octets follow (RFC 6587 §3.4.1).
                        ensure(decimal(c.until(b' ', 5)?).is_some_and(|len| len >= 16))?;
                    }
                    message(c.rest())
                })?;
                ensure(dated)?;
                Ok(Match::new(STRONG))
            },
        },
        Rule {
            label: "collectd",
            name: "parts",
            on: UDP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.alike(STRONG, SURE, |bytes, _| parts(bytes)),
        },
        Rule {
            label: "statsd",
            name: "metrics",
            on: UDP,
            client: Starts::Byte(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            server: Starts::Byte(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            check: |v| v.alike(LIKELY, SURE, |bytes, _| metric(bytes)),
        },
        Rule {
            label: "graphite",
            name: "lines",
            on: TCP | UDP,
            client: Starts::Byte(|byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            server: Starts::Any,
            check: graphite,
        },
        Rule {
            label: "netflow",
            name: "export",
            on: UDP,
            client: Starts::With(&[b"\x00\x01", b"\x00\x05", b"\x00\x07", b"\x00\x09"]),
            server: Starts::With(&[b"\x00\x01", b"\x00\x05", b"\x00\x07", b"\x00\x09"]),
            check: |v| v.alike(STRONG, SURE, netflow),
        },
        Rule {
            label: "ipfix",
            name: "message",
            on: UDP | TCP,
            client: Starts::With(&[b"\x00\x0a"]),
            server: Starts::With(&[b"\x00\x0a"]),
            check: |v| {
                if v.transport == Transport::Tcp {
                    v.client.parse(|bytes| ipfix(bytes, usize::MAX))?;
                    return Ok(Match::new(STRONG));
                }
                v.alike(STRONG, SURE, ipfix)
            },
        },
        Rule {
            label: "sflow",
            name: "samples",
            on: UDP,
            client: Starts::With(&[b"\x00\x00"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.alike(STRONG, SURE, |bytes, _| sflow(bytes)),
        },
    ],
};

const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A priority and text; whether a version or a date comes first, as it should.
fn message(bytes: &[u8]) -> Step<bool> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == b'<')?;
    let digits = c.until(b'>', 3)?;
    ensure(
        decimal(digits).is_some_and(|priority| priority <= 191) && (digits[0] != b'0' || digits.len() == 1),
    )?;
    let text = &c.rest()[..c.left().min(48)];
    if text.len() < 16 {
        return Err(Stop::More);
    }
    ensure(text.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\r' | b'\n' | 0 | 0x1b)))?;
    let version = text[0] == b'1' && text[1] == b' ' && (text[2] == b'-' || text[2].is_ascii_digit());
    let date = MONTHS.iter().any(|month| text.starts_with(month)) && text[3] == b' ';
    if version || date {
        return Ok(true);
    }
    ensure(text[0].is_ascii_alphanumeric() || b" %-[*:".contains(&text[0]))?;
    ensure(text.contains(&b':') && text.contains(&b' '))?;
    Ok(false)
}

/// Parts of a type and a length that fill the datagram; the first is the host.
fn parts(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let mut first = true;
    while !c.is_empty() {
        let (kind, len) = (c.u16()?, usize::from(c.u16()?));
        ensure(len >= 5 && (!first || (kind == 0 && len >= 6)))?;
        let body = c.take(len - 4)?;
        match kind {
            0 | 2..=5 | 0x100 => {
                ensure(body.last() == Some(&0) && is_text(&body[..body.len() - 1]))?;
                ensure(!first || body.len() >= 2)?;
            }
            1 | 7..=9 | 0x101 => ensure(len == 12)?,
            6 => ensure(
                body.len() >= 2
                    && body.len() == 2 + 9 * usize::from(body[0]) * 256 + 9 * usize::from(body[1]),
            )?,
            0x200 | 0x210 => {}
            _ => return Err(Stop::No),
        }
        first = false;
    }
    Ok(())
}

/// A name, a value, a type.
fn metric(bytes: &[u8]) -> Step<()> {
    let shown = &bytes[..bytes.len().min(200)];
    let line = shown.split(|&byte| byte == b'\n').next().unwrap_or(shown);
    ensure(is_text(line))?;
    let bar = line.iter().position(|&byte| byte == b'|').ok_or(Stop::No)?;
    let colon = line[..bar].iter().rposition(|&byte| byte == b':').ok_or(Stop::No)?;
    let value = &line[colon + 1..bar];
    ensure(colon >= 3 && !line[..colon].contains(&b' ') && !value.is_empty())?;
    let kind = line[bar + 1..].split(|&byte| byte == b'|').next().unwrap_or(&[]);
    ensure(matches!(kind, b"c" | b"g" | b"ms" | b"h" | b"s" | b"d" | b"m"))?;
    ensure(kind == b"s" || value.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte)))
}

/// Lines of a path, a number and the seconds since 1970.
fn graphite(v: &View<'_>) -> Verdict {
    ensure(v.server.is_silent())?;
    v.client.parse(|bytes| {
        let shown = &bytes[..bytes.len().min(300)];
        ensure(is_ascii(shown.split(|&byte| byte == b'\n').next().unwrap_or(&[])))?;
        let line = Cursor::new(bytes).line(300)?;
        let mut words = line.split(|&byte| byte == b' ');
        let (path, value, time) = (words.next(), words.next(), words.next());
        ensure(path.is_some_and(|path| path.contains(&b'.') && path.len() >= 3) && words.next().is_none())?;
        ensure(value.is_some_and(|value| {
            !value.is_empty() && value.iter().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(byte))
        }))?;
        ensure(time.is_some_and(|time| time.len() >= 10 && time[..10].iter().all(u8::is_ascii_digit)))
    })?;
    Ok(Match::new(STRONG))
}

/// Seconds since 1970, of which the first years were before all this.
fn is_time(seconds: u32) -> bool {
    seconds >= 0x3000_0000
}

fn netflow(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, count) = (c.u16()?, usize::from(c.u16()?));
    let (_uptime, seconds) = (c.u32()?, c.u32()?);
    let (head, record) = match version {
        1 => (16, 52),
        5 => (24, 48),
        7 => (24, 52),
        9 => {
            ensure(is_time(seconds) && (1..=400).contains(&count))?;
            c.skip(8)?;
            return sets(&mut c, 0..=1);
        }
        _ => return Err(Stop::No),
    };
    ensure(is_time(seconds) && c.u32()? < 1_000_000_000)?;
    ensure((1..=30).contains(&count) && whole == head + record * count)
}

/// Sets to the end: templates of these numbers, data from 256 on.
fn sets(c: &mut Cursor<'_>, templates: std::ops::RangeInclusive<u16>) -> Step<()> {
    ensure(!c.is_empty())?;
    while !c.is_empty() {
        let (kind, len) = (c.u16()?, usize::from(c.u16()?));
        ensure((templates.contains(&kind) || kind >= 256) && len >= 4)?;
        c.skip(len - 4)?;
    }
    Ok(())
}

fn ipfix(bytes: &[u8], whole: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, len, seconds) = (c.u16()?, usize::from(c.u16()?), c.u32()?);
    ensure(version == 10 && len >= 20 && (len == whole || whole == usize::MAX) && is_time(seconds))?;
    c.skip(8)?;
    let mut body = c.sub(len - 16)?;
    sets(&mut body, 2..=3)
}

fn sflow(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, family) = (c.u32()?, c.u32()?);
    ensure(version == 5 && matches!(family, 1 | 2))?;
    c.skip(if family == 1 { 4 } else { 16 })?;
    let (_agent, _number, _uptime, count) = (c.u32()?, c.u32()?, c.u32()?, c.u32()?);
    ensure((1..=200).contains(&count))?;
    let (format, len) = (c.u32()?, c.u32()? as usize);
    ensure((format >> 12 != 0 || (1..=5).contains(&format)) && len.is_multiple_of(4))?;
    ensure((8..=9000).contains(&len) && (count > 1 || c.left() <= len))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn priorities_and_text_are_syslog() {
        udp().c("<34>Oct 11 22:14:15 mymachine su: 'su root' failed").is("syslog");
        udp().c("<165>1 2003-10-11T22:14:15.003Z a.example app - ID47 - hi").is("syslog");
        udp().c("<189>29: *Apr 4 2007: %SYS-5-CONFIG_I: hi").is("syslog");
        tcp().c("46 <165>1 2003-10-11T22:14:15.003Z a.example app hi").is("syslog");
        udp().c("<192>Oct 11 22:14:15 mymachine su: 'su root' failed").is_nothing();
        udp().c("<b>bold and more: this is text</b> of some kind").is_nothing();
        tcp().c("<34>Oct 11 22:14:15 mymachine su: x").s("what?").is_nothing();
    }

    #[test]
    fn measurements_are_told_by_their_form() {
        let part = |kind: u8, text: &[u8]| cat(&[&[0, kind, 0, text.len() as u8 + 5], text, &[0]]);
        let time = hex("0001 000c 0000000060000000");
        udp().c(cat(&[&part(0, b"host"), &time, &part(2, b"cpu")])).is("collectd");
        udp().c(cat(&[&part(0, b"host"), &time, &part(10, b"cpu")])).is_nothing();
        udp().c("gorets:1|c").is("statsd");
        udp().c("gorets:1|x").is_nothing();
        udp().c("gorets:a|c").is_nothing();
        tcp().c("local.random.diceroll 4 1700000000\n").is("graphite");
        tcp().c("local.random.diceroll four 1700000000\n").is_nothing();
        udp().c(r#"{"version":"1.1","host":"a","short_message":"b"}"#).is("gelf");
    }

    #[test]
    fn exports_as_long_as_they_say_are_told() {
        let five = cat(&[&hex("0005 0001 00001000 60000000 00000001 00000007 0000 0000"), &[1; 48]]);
        udp().c(&five).is("netflow");
        udp().c(&five[..71]).is_nothing();
        let nine = hex("0009 0001 00001000 60000000 00000001 00000000 0000 000c 0100 0001 0008 0004");
        udp().c(&nine).c(&nine).is("netflow");
        udp().c(&nine[..30]).is_nothing();
        let ten = hex("000a 001c 60000000 00000001 00000000 0002 000c 0100 0001 0008 0004");
        udp().c(&ten).is("ipfix");
        let mut odd = ten;
        odd[17] = 4;
        udp().c(&odd).is_nothing();
        let flow = cat(&[
            &hex("00000005 00000001 0a000001 00000000 00000001 00001000 00000001 00000001 00000010"),
            &[0; 16],
        ]);
        udp().c(&flow).is("sflow");
        let mut odd = flow;
        odd[7] = 3;
        udp().c(&odd).is_nothing();
        udp().c([0; 500]).c([0; 500]).is_nothing();
    }
}
