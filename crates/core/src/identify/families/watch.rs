//! Watching and steering machines: Zabbix, NRPE, Munin, Checkmk, OpenFlow, OVSDB.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{contains, is_ascii, is_one_of, is_text, word};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family =
    Family {
        name: "monitoring",
        protocols: &[
            Protocol {
                label: "zabbix",
                title: "Zabbix",
                on: TCP,
                ports: &[10050, 10051],
                spec: "Zabbix protocols",
            },
            Protocol {
                label: "nrpe",
                title: "Nagios Remote Plugin Executor",
                on: TCP,
                ports: &[5666],
                spec: "NRPE",
            },
            Protocol {
                label: "munin",
                title: "Munin node",
                on: TCP,
                ports: &[4949],
                spec: "Munin, Network protocol",
            },
            Protocol {
                label: "checkmk",
                title: "Checkmk agent",
                on: TCP,
                ports: &[6556],
                spec: "Checkmk, Agent output",
            },
            Protocol {
                label: "openflow",
                title: "OpenFlow",
                on: TCP,
                ports: &[6633, 6653],
                spec: "OpenFlow Switch Specification 1.5",
            },
            Protocol {
                label: "ovsdb",
                title: "Open vSwitch Database Management Protocol",
                on: TCP,
                ports: &[6640],
                spec: "RFC 7047",
            },
        ],
        rules: &[
            Rule {
                label: "zabbix",
                name: "header",
                on: TCP,
                client: Starts::Byte(|byte| byte.is_ascii_graphic()),
                server: Starts::With(&[b"ZB"]),
                check: ask_agent,
            },
            Rule {
                label: "nrpe",
                name: "packet",
                on: TCP,
                client: Starts::With(&[b"\x00\x02", b"\x00\x03", b"\x00\x04"]),
                server: Starts::With(&[b"\x00\x02", b"\x00\x03", b"\x00\x04"]),
                check: |v| v.pair(LIKELY, |b| nrpe(b, 1), |b| nrpe(b, 2), |q, r| q == r),
            },
            Rule {
                label: "munin",
                name: "greeting",
                on: TCP,
                client: Starts::Byte(|byte| byte.is_ascii_lowercase()),
                server: Starts::With(&[b"# "]),
                check: |v| {
                    v.pair(
                        STRONG,
                        |bytes| {
                            let verb = word(Cursor::new(bytes).line(200)?).0;
                            ensure(is_one_of(
                                verb,
                                &[b"cap", b"list", b"nodes", b"config", b"fetch", b"version", b"quit"],
                            ))
                        },
                        |bytes| {
                            let mut c = Cursor::new(bytes);
                            c.expect(b"# munin node at ")?;
                            ensure(is_text(c.line(200)?))
                        },
                        |(), ()| true,
                    )
                    .and_then(|found| {
                        if v.server.is_silent() {
                            Err(Stop::More)
                        } else {
                            Ok(found)
                        }
                    })
                },
            },
            Rule {
                label: "checkmk",
                name: "sections",
                on: TCP,
                client: Starts::Any,
                server: Starts::With(&[b"<<"]),
                check: |v| {
                    ensure(v.client.is_silent())?; // it is not asked, the connection is the question
                    v.server.parse(|bytes| {
                        let mut c = Cursor::new(bytes);
                        c.expect(b"<<<")?;
                        let line = c.line(80)?;
                        ensure(line.ends_with(b">>>") && is_ascii(line))?;
                        ensure(contains(line, b"check_mk") || c.line(400)?.contains(&b':'))
                    })?;
                    Ok(Match::new(STRONG).at(Who::Server, 0, 12))
                },
            },
            Rule {
                label: "openflow",
                name: "hello",
                on: TCP,
                client: OPENFLOW,
                server: OPENFLOW,
                check: |v| v.both(openflow, openflow, |(), ()| true),
            },
            Rule {
                label: "ovsdb",
                name: "method",
                on: TCP,
                client: Starts::With(&[b"{\""]),
                server: Starts::With(&[b"{\""]),
                check: ovsdb,
            },
        ],
    };

const OPENFLOW: Starts =
    Starts::With(&[b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x04\x00", b"\x05\x00", b"\x06\x00"]);

/// Both ends use the header, or an agent is asked by a bare key.
fn ask_agent(v: &View<'_>) -> Verdict {
    let answered = maybe(v.server.parse(zabbix))?;
    let asked = match v.client.first() {
        Ok([b'Z', ..]) => maybe(v.client.parse(zabbix))?,
        Ok(bytes) => {
            let line = maybe(Cursor::new(bytes).text_line(255))?;
            ensure(line.is_none_or(is_ascii))?;
            line.filter(|_| answered.is_some()).map(|_| ())
        }
        Err(_) => None,
    };
    match (asked, answered) {
        (Some(()), Some(())) => Ok(Match::new(ANSWERED)),
        (Some(()), None) => Ok(Match::new(STRONG)),
        (None, Some(())) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        (None, None) => Err(Stop::More),
    }
}

/// Mark, flags, length and room for a length more.
fn zabbix(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"ZBXD")?;
    let (flags, len) = (c.u8()?, c.u32le()?);
    ensure(flags & 1 == 1 && flags <= 7 && len <= 1 << 30)
}

/// Version of a query (1) or a response (2).
fn nrpe(bytes: &[u8], want: u16) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (version, kind, sum, result) = (c.u16()?, c.u16()?, c.u32()?, c.u16()?);
    ensure(kind == want && sum != 0 && (result <= 4 || want == 1))?;
    if version > 2 {
        let (zero, len) = (c.u16()?, c.u32()? as usize);
        ensure(zero == 0 && (1..=65_536).contains(&len))?;
    }
    // Text that ends with a zero; what is behind it is rubbish.
    let text = c.until(0, 1024)?;
    ensure(
        text.len() >= 2 && text.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\t' | b'\n' | b'\r')),
    )?;
    if version == 2 {
        ensure(bytes.len() <= 1040)?;
        let used = c.position();
        c.skip(1034 - used)?;
    }
    Ok(version)
}

/// A hello, alone or with the versions it speaks (§7.5.1); what else was sent at once begins with a version.
fn openflow(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, kind, len, _number) = (c.u8()?, c.u8()?, usize::from(c.u16()?), c.u32()?);
    ensure((1..=6).contains(&version) && kind == 0 && matches!(len, 8 | 16))?;
    if len == 16 {
        let (kind, size, bits) = (c.u16()?, c.u16()?, c.u32()?);
        ensure(kind == 1 && size == 8 && bits != 0 && bits < 0x100)?;
    }
    ensure(c.is_empty() || (1..=6).contains(&c.peek()?))
}

fn ovsdb(v: &View<'_>) -> Verdict {
    let call = |bytes: &[u8]| {
        let shown = &bytes[..bytes.len().min(600)];
        ensure(is_text(&shown[..shown.len().min(64)]))?;
        let named = [
            &b"list_dbs"[..],
            b"get_schema",
            b"transact",
            b"monitor",
            b"monitor_cond",
            b"monitor_cond_since",
        ]
        .iter()
        .any(|name| {
            contains(shown, name)
                && super::super::text::find(shown, b"\"method\":").is_some_and(|at| {
                    let rest = shown[at + 9..].trim_ascii_start();
                    rest.len() > name.len() + 2
                        && rest[0] == b'"'
                        && rest[1..].starts_with(name)
                        && rest[name.len() + 1] == b'"'
                })
        });
        ensure(named && contains(shown, b"\"params\":["))
    };
    let answer = |bytes: &[u8]| {
        let shown = &bytes[..bytes.len().min(600)];
        ensure(
            contains(shown, b"\"result\":") || contains(shown, b"\"method\":") || contains(shown, b"\"id\":"),
        )
    };
    v.asked(STRONG, call, answer, |(), ()| true)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    #[test]
    fn agents_are_told() {
        tcp().c("ZBXD\x01\x05\0\0\0\0\0\0\0hello").s("ZBXD\x01\x02\0\0\0\0\0\0\0ok").is("zabbix");
        tcp().c("agent.ping\n").s("ZBXD\x01\x01\0\0\0\0\0\0\x001").is("zabbix");
        tcp().c("ZBXD\x08\x05\0\0\0\0\0\0\0hello").is_nothing();
        let query = cat(&[&hex("0002 0001 01020304 0000"), b"check_load\0", &[b'x'; 1015]]);
        let mut answer = query.clone();
        answer[3] = 2;
        tcp().c(&query).s(&answer).is("nrpe");
        tcp().c(&query).is("nrpe");
        tcp().c(&query[..1000]).is_nothing();
        tcp().c(&query).s(&query).is_nothing();
        tcp().s("# munin node at a.example\n").c("list\n").is("munin");
        tcp().s("# munin node at a.example\n").c("hello\n").is_nothing();
        tcp().c("list\n").is_nothing();
        tcp().s("<<<check_mk>>>\nVersion: 2.1\n").is("checkmk");
        tcp().s("<<<what>>\nVersion: 2.1\n").is_nothing();
    }

    #[test]
    fn switches_are_told() {
        let hello = hex("04 00 0010 00000001 0001 0008 00000010");
        tcp().c(&hello).s(hex("01 00 0008 00000002")).is("openflow");
        tcp().c(&hello).is_nothing();
        tcp().c(&hello).s(hex("01 00 0009 00000002")).is_nothing();
        tcp()
            .c(r#"{"method":"list_dbs","id":"x","params":[]}"#)
            .s(r#"{"id":"x","result":["a"],"error":null}"#)
            .is("ovsdb");
        tcp().c(r#"{"method":"listdbs","id":"x","params":[]}"#).is_nothing();
    }
}
