//! Logs and agents: Beats, Splunk, Fluentd, GELF, Thrift, NDMP, LISP.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_text;
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "agents",
    protocols: &[
        Protocol {
            label: "lumberjack",
            title: "Lumberjack of Elastic Beats, versions 1 and 2",
            on: TCP,
            ports: &[5043, 5044],
            spec: "elastic/go-lumber",
        },
        Protocol {
            label: "splunk-s2s",
            title: "Splunk forwarders",
            on: TCP,
            ports: &[9997],
            spec: "no public document",
        },
        Protocol {
            label: "fluentd",
            title: "Fluentd forward",
            on: TCP,
            ports: &[24224],
            spec: "Forward Protocol 1.5",
        },
        Protocol {
            label: "gelf",
            title: "Graylog extended log format",
            on: UDP | TCP,
            ports: &[12201],
            spec: "GELF 1.1",
        },
        Protocol { label: "thrift", title: "Apache Thrift", on: TCP, ports: &[9090], spec: "Thrift RPC" },
        Protocol {
            label: "ndmp",
            title: "Network Data Management Protocol",
            on: TCP,
            ports: &[10000],
            spec: "NDMP 4",
        },
        Protocol {
            label: "lisp",
            title: "Locator/ID Separation Protocol, control",
            on: UDP,
            ports: &[4342],
            spec: "RFC 9301",
        },
    ],
    rules: &[
        Rule {
            label: "lumberjack",
            name: "window",
            on: TCP,
            client: Starts::With(&[b"1W", b"2W"]),
            server: Starts::With(&[b"1A", b"2A"]),
            check: |v| v.pair(LIKELY, window, acknowledgement, |q, r| q == r),
        },
        Rule {
            label: "splunk-s2s",
            name: "signature",
            on: TCP,
            client: Starts::With(&[b"--"]),
            server: Starts::With(&[b"\x00\x00"]),
            check: |v| v.client.parse(splunk).map(|()| Match::new(SURE)),
        },
        Rule {
            label: "fluentd",
            name: "entry",
            on: TCP,
            client: Starts::Byte(|byte| (0x92..=0x96).contains(&byte)),
            server: Starts::Byte(|byte| byte == 0x81 || (0x92..=0x96).contains(&byte)),
            check: |v| v.pair(LIKELY, fluentd, fluentd_answer, |(), ()| true),
        },
        Rule {
            label: "gelf",
            name: "chunk",
            on: UDP,
            client: Starts::With(&[b"\x1e\x0f"]),
            server: Starts::Any,
            check: gelf_chunks,
        },
        Rule {
            label: "gelf",
            name: "object",
            on: UDP | TCP,
            client: Starts::With(&[b"{"]),
            server: Starts::With(&[b"{"]),
            check: |v| v.pair(STRONG, gelf, gelf, |(), ()| true),
        },
        Rule {
            label: "thrift",
            name: "call",
            on: TCP,
            client: Starts::With(&[b"\x80\x01", b"\x00", b"\x82"]),
            server: Starts::With(&[b"\x80\x01", b"\x00", b"\x82"]),
            check: |v| v.pair(LIKELY, |b| thrift(b, &[1, 4]), |b| thrift(b, &[2, 3]), |q, r| q == r),
        },
        Rule {
            label: "ndmp",
            name: "record",
            on: TCP,
            client: Starts::With(&[b"\x80\x00"]),
            server: Starts::With(&[b"\x80\x00"]),
            check: ndmp,
        },
        Rule {
            label: "lisp",
            name: "map",
            on: UDP,
            client: Starts::Byte(|byte| matches!(byte >> 4, 1..=4)),
            server: Starts::Byte(|byte| matches!(byte >> 4, 1..=4)),
            check: lisp,
        },
    ],
};

fn window(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let version = c.u8()?;
    ensure(matches!(version, b'1' | b'2') && c.u8()? == b'W')?;
    ensure((1..=65_536).contains(&c.u32()?))?;
    // Compressed, data, or JSON frames follow.
    ensure(c.u8()? == version && matches!(c.u8()?, b'C' | b'D' | b'J'))?;
    Ok(version)
}

fn acknowledgement(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    let version = c.u8()?;
    ensure(matches!(version, b'1' | b'2') && c.u8()? == b'A' && c.u32()? <= 65_536)?;
    Ok(version)
}

fn splunk(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"--splunk-cooked-mode-v")?;
    ensure(matches!(c.u8()?, b'1'..=b'9'))?;
    c.expect(b"--")
}

/// An array of a tag, then a time or entries; HELO from the other end.
fn fluentd(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure((0x92..=0x94).contains(&c.u8()?))?;
    let tag = text(&mut c)?;
    ensure(!tag.is_empty() && tag.iter().all(|&b| b.is_ascii_alphanumeric() || b"._-/:*".contains(&b)))?;
    if tag == b"PING" {
        return ensure(matches!(c.u8()?, 0xa1..=0xbf | 0xd9));
    }
    match c.u8()? {
        0xce => ensure((1_000_000_000..4_000_000_000).contains(&c.u32()?) && is_map(c.u8()?)),
        0xd7 => {
            ensure(c.u8()? == 0 && c.u32()? >= 1_000_000_000 && c.u32()? < 1_000_000_000 && is_map(c.u8()?))
        }
        0x90..=0x9f => ensure(c.u8()? == 0x92),
        0xdc => ensure(c.u16()? > 0 && c.u8()? == 0x92),
        0xdd => ensure(c.u32()? > 0 && c.u8()? == 0x92),
        0xc4 | 0xd9 => ensure(c.u8()? > 0 && matches!(c.u8()?, 0x92 | 0x1f)),
        0xc5 | 0xda => ensure(c.u16()? > 0 && matches!(c.u8()?, 0x92 | 0x1f)),
        0xc6 | 0xdb => ensure(c.u32()? > 0 && matches!(c.u8()?, 0x92 | 0x1f)),
        _ => Err(Stop::No),
    }
}

fn is_map(byte: u8) -> bool {
    (0x80..=0x8f).contains(&byte) || matches!(byte, 0xde | 0xdf)
}

/// A string of MessagePack of less than 256 bytes.
fn text<'a>(c: &mut Cursor<'a>) -> Step<&'a [u8]> {
    let len = match c.u8()? {
        short @ 0xa0..=0xbf => short & 0x1f,
        0xd9 => c.u8()?,
        _ => return Err(Stop::No),
    };
    c.take(usize::from(len))
}

fn fluentd_answer(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    match c.u8()? {
        0x81 => ensure(text(&mut c)? == b"ack"),
        _ => ensure(matches!(text(&mut c)?, b"HELO" | b"PONG")),
    }
}

/// A message in chunks: number and count; all of one message.
fn gelf_chunks(v: &View<'_>) -> Verdict {
    let mut seen: Option<(&[u8], u8)> = None;
    let mut steps = 0;
    for (bytes, _) in v.client.datagrams() {
        let mut c = Cursor::new(bytes);
        ensure(closed(c.u16())? == 0x1e0f)?;
        let (id, number, count) = (closed(c.take(8))?, closed(c.u8())?, closed(c.u8())?);
        ensure((1..=128).contains(&count) && number < count && !c.is_empty())?;
        steps += u32::from(seen == Some((id, count)));
        seen = Some((id, count));
    }
    ensure(v.server.is_silent())?;
    match steps {
        0 => Err(Stop::More),
        _ => Ok(Match::new(STRONG)),
    }
}

fn gelf(bytes: &[u8]) -> Step<()> {
    let has = |needle: &[u8]| bytes.windows(needle.len()).any(|w| w == needle);
    ensure(is_text(&bytes[..bytes.len().min(8)]))?;
    if has(b"\"version\"") && has(b"\"host\"") && has(b"\"short_message\"") {
        return Ok(());
    }
    Err(if bytes.len() >= 1500 { Stop::No } else { Stop::More })
}

/// A call of the binary (or compact) protocol, framed or not: its name and number.
fn thrift<'a>(bytes: &'a [u8], kinds: &[u8]) -> Step<(&'a [u8], u32)> {
    let mut c = Cursor::new(bytes);
    if bytes[0] == 0 {
        let len = c.u32()?;
        ensure((9..=1 << 24).contains(&len))?;
    }
    let (name, number) = match c.u8()? {
        0x80 => {
            ensure(c.u8()? == 1 && c.u8()? == 0 && kinds.contains(&c.u8()?))?;
            let name = c.counted(4)?;
            (name, c.u32()?)
        }
        0x82 => {
            let kind = c.u8()?;
            ensure(kind & 0x1f == 1 && kinds.contains(&(kind >> 5)))?;
            let number = c.base128(5)?;
            let len = c.base128(2)? as usize;
            ensure(len > 2)?;
            (c.take(len)?, number)
        }
        _ => return Err(Stop::No),
    };
    ensure((2..=128).contains(&name.len()))?;
    ensure(name.iter().all(|&b| b.is_ascii_alphanumeric() || b"_.:".contains(&b)))?;
    Ok((name, number))
}

/// Records of ONC RPC marking with NDMP's own header: the server notifies first.
fn ndmp(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let len = c.u32()?;
        ensure((0x8000_0018..=0x8000_4000).contains(&len))?;
        let (number, time, kind, message, reply, error) =
            (c.u32()?, c.u32()?, c.u32()?, c.u32()?, c.u32()?, c.u32()?);
        ensure((1..1 << 20).contains(&number) && (500_000_000..4_000_000_000).contains(&time) && kind <= 1)?;
        ensure((0x100..0xa00).contains(&message) && error < 0x40 && (kind == 1) == (reply != 0))
    };
    let told = maybe(v.server.parse(read))?;
    let asked = maybe(v.client.parse(read))?;
    match (told, asked) {
        (Some(()), Some(())) => Ok(Match::new(ANSWERED).at(Who::Server, 0, 12)),
        (Some(()), None) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        (None, Some(())) => Ok(Match::new(STRONG)),
        (None, None) => Err(Stop::More),
    }
}

/// Map-Request, -Reply, -Register and -Notify (RFC 9301 §5): the request's nonce comes back.
fn lisp(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let head = c.u32()?;
        let kind = head >> 28;
        let records = head & 0xff;
        ensure((1..=4).contains(&kind) && (1..=16).contains(&records))?;
        let nonce = c.u64()?;
        match kind {
            1 => {
                ensure(head & 0x000f_8000 == 0)?;
                let family = c.u16()?;
                ensure(matches!(family, 0..=2))?;
                for _ in 0..=(head >> 8 & 0x1f) {
                    address(&mut c)?;
                }
                for _ in 0..records {
                    c.skip(1)?;
                    let mask = c.u8()?;
                    let family = c.u16()?;
                    ensure(matches!((family, mask), (1, 0..=32) | (2, 0..=128) | (16_387, _)))?;
                    c.skip(match family {
                        1 => 4,
                        2 => 16,
                        _ => return Ok((kind, nonce)),
                    })?;
                }
            }
            2 => {
                record(&mut c)?;
            }
            _ => {
                c.skip(2)?;
                let size = c.u16()?;
                ensure(matches!(size, 0 | 12 | 16 | 20 | 32))?;
                c.skip(usize::from(size))?;
                record(&mut c)?;
            }
        }
        Ok((kind, nonce))
    };
    let q = maybe(v.client.parse(read))?;
    let r = maybe(v.server.parse(read))?;
    match (q, r) {
        (Some((a, n)), Some((b, m))) => {
            ensure(n == m && matches!((a, b), (1, 2) | (3, 4)))?;
            Ok(Match::new(ANSWERED))
        }
        (Some((3, _)), None) => Ok(Match::new(LIKELY)),
        _ => Err(Stop::More),
    }
}

fn address(c: &mut Cursor<'_>) -> Step<()> {
    match c.u16()? {
        0 => Ok(()),
        1 => c.skip(4),
        2 => c.skip(16),
        _ => Err(Stop::No),
    }
}

/// The head of a record: time to live, locators, mask, family.
fn record(c: &mut Cursor<'_>) -> Step<()> {
    c.skip(4)?;
    let (locators, mask, action, reserved) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    let (version, family) = (c.u16()?, c.u16()?);
    ensure(locators <= 16 && mask <= 128 && action & 0x0f == 0 && reserved == 0 && version < 0x1000)?;
    ensure(matches!(family, 1 | 2 | 6 | 16_387))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn frames_of_shippers_are_told() {
        tcp().c(hex("3257 00000001 3243 00000010")).s(hex("3241 00000001")).is("lumberjack");
        tcp().c(hex("3257 00000001 3143 00000010")).is_nothing();
        tcp().c(cat(&[b"--splunk-cooked-mode-v3--", &[0; 103]])).is("splunk-s2s");
        tcp().c(cat(&[b"--splunk-cooked-mode-vx--", &[0; 103]])).is_nothing();
        tcp().c(cat(&[&hex("93 a5"), b"app.x", &hex("ce 5f000000 81 a1 61 01")])).is("fluentd");
        tcp().c(cat(&[&hex("93 a5"), b"app x", &hex("ce 5f000000 81 a1 61 01")])).is_nothing();
        let chunk = |number: u8| cat(&[&hex("1e0f 0102030405060708"), &[number, 2], &[7; 40]]);
        udp().c(chunk(0)).c(chunk(1)).is("gelf");
        udp().c(chunk(0)).c(chunk(2)).is_nothing();
        udp().c("{\"version\":\"1.1\",\"host\":\"a\",\"short_message\":\"x\"}").is("gelf");
        udp().c("{\"version\":\"1.1\",\"host\":\"a\"}").is_nothing();
    }

    #[test]
    fn calls_are_told_by_names_and_numbers() {
        let ask = cat(&[&hex("80010001 00000004"), b"ping", &hex("00000001 00")]);
        tcp().c(&ask).s(cat(&[&hex("80010002 00000004"), b"ping", &hex("00000001 00")])).is("thrift");
        tcp().c(&ask).is("thrift");
        tcp().c(&ask).s(cat(&[&hex("80010002 00000004"), b"pong", &hex("00000001 00")])).is_nothing();
        tcp().c(cat(&[&hex("80010001 00000004"), b"pi g", &hex("00000001 00")])).is_nothing();
        tcp().s(hex("80000024 00000001 5f000000 00000000 00000502 00000000 00000000 00000000")).is("ndmp");
        tcp().s(hex("80000024 00000001 5f000000 00000002 00000502 00000000 00000000 00000000")).is_nothing();
    }

    #[test]
    fn maps_that_return_the_nonce_are_lisp() {
        let ask = hex("10000001 0102030405060708 0000 0001 0a000001 00 20 0001 0a000002");
        let answer = hex("20000001 0102030405060708 000005a0 00 20 00 00 0000 0001 0a000002");
        udp().c(&ask).s(&answer).is("lisp");
        udp().c(&ask).is_nothing();
        let mut odd = answer.clone();
        odd[4] = 9;
        udp().c(&ask).s(&odd).is_nothing();
    }
}
