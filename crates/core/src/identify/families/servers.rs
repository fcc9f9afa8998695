//! Parts of servers that talk to each other: Erlang, Java RMI and debugging, AJP, FastCGI, uWSGI, SCGI.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{decimal, is_ascii, is_text};
use super::super::verdict::confidence::{ANSWERED, STRONG, SURE};
use super::super::verdict::{closed, ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "servers",
    protocols: &[
        Protocol {
            label: "epmd",
            title: "Erlang Port Mapper Daemon",
            on: TCP,
            ports: &[4369],
            spec: "Erlang distribution protocol",
        },
        Protocol {
            label: "erlang",
            title: "Erlang distribution",
            on: TCP,
            ports: &[25672],
            spec: "Erlang distribution protocol",
        },
        Protocol {
            label: "java-rmi",
            title: "Java Remote Method Invocation",
            on: TCP,
            ports: &[1099, 1098],
            spec: "Java RMI wire protocol",
        },
        Protocol {
            label: "jdwp",
            title: "Java Debug Wire Protocol",
            on: TCP,
            ports: &[5005, 8000],
            spec: "JDWP specification",
        },
        Protocol { label: "ajp", title: "Apache JServ Protocol", on: TCP, ports: &[8009], spec: "AJP 1.3" },
        Protocol { label: "fastcgi", title: "FastCGI", on: TCP, ports: &[9000], spec: "FastCGI 1.0" },
        Protocol { label: "uwsgi", title: "uWSGI", on: TCP, ports: &[3031], spec: "uwsgi protocol" },
        Protocol { label: "scgi", title: "Simple CGI", on: TCP, ports: &[4000], spec: "SCGI 1" },
    ],
    rules: &[
        Rule {
            label: "epmd",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::Byte(|byte| matches!(byte, b'w' | b'y' | b'v' | 0)),
            check: epmd,
        },
        Rule {
            label: "erlang",
            name: "name",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.pair(STRONG, erlang, erlang_status, |(), ()| true),
        },
        Rule {
            label: "java-rmi",
            name: "header",
            on: TCP,
            client: Starts::With(&[b"JR"]),
            server: Starts::With(&[b"\x4e\x00", b"\x4f"]),
            check: |v| {
                v.client.parse(|bytes| {
                    let mut c = Cursor::new(bytes);
                    c.expect(b"JRMI\0")?;
                    ensure((1..=2).contains(&c.u8()?) && matches!(c.u8()?, 0x4b..=0x4d))
                })?;
                Ok(Match::new(SURE))
            },
        },
        Rule {
            label: "jdwp",
            name: "handshake",
            on: TCP,
            client: Starts::With(&[b"JD"]),
            server: Starts::With(&[b"JD"]),
            check: |v| v.pair(SURE, jdwp, jdwp, |(), ()| true),
        },
        Rule {
            label: "ajp",
            name: "packet",
            on: TCP,
            client: Starts::With(&[b"\x12\x34"]),
            server: Starts::With(&[b"AB"]),
            check: |v| v.pair(STRONG, ajp, ajp_answer, |(), ()| true),
        },
        Rule {
            label: "fastcgi",
            name: "records",
            on: TCP,
            client: Starts::With(&[b"\x01\x01", b"\x01\x09"]),
            server: Starts::With(&[b"\x01\x06", b"\x01\x07", b"\x01\x03", b"\x01\x0a"]),
            check: |v| v.pair(STRONG, fastcgi, fastcgi_answer, |q, r| q == r),
        },
        Rule {
            label: "uwsgi",
            name: "variables",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"HT", b"St"]),
            check: |v| v.client.parse(uwsgi).map(|()| Match::new(STRONG)),
        },
        Rule {
            label: "scgi",
            name: "headers",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_digit()),
            server: Starts::With(&[b"St", b"HT", b"Co"]),
            check: |v| v.client.parse(scgi).map(|()| Match::new(SURE)),
        },
    ],
};

/// A request of one message, and an answer that is its own.
fn epmd(v: &View<'_>) -> Verdict {
    let ask = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let len = usize::from(c.u16()?);
        ensure((1..=512).contains(&len))?;
        let mut body = c.sub(len)?;
        ensure(c.is_empty())?;
        let kind = body.u8()?;
        match kind {
            b'n' | b'd' => ensure(len == 1)?,
            b'z' => ensure(len >= 2 && is_name(body.rest()))?,
            b'x' => {
                // Port, type, protocol, versions, name, extra.
                body.skip(2)?;
                ensure(matches!(body.u8()?, 72 | 77) && body.u8()? == 0)?;
                ensure((4..=8).contains(&body.u16()?) && (4..=8).contains(&body.u16()?))?;
                ensure(is_name(closed(body.counted(2))?))?;
                closed(body.counted(2))?;
            }
            _ => return Err(Stop::No),
        }
        Ok((kind, len))
    };
    let answer = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let first = c.u8()?;
        match first {
            b'w' | b'y' | b'v' => ensure(c.u8()? <= 1 || bytes.len() == 4)?,
            _ => {
                // The daemon's own port, then lines of text.
                ensure(first == 0 && c.u8()? == 0)?;
                let port = c.u16()?;
                ensure(port != 0 && is_text(&c.rest()[..c.left().min(5)]))?;
                ensure(c.is_empty() || c.rest().starts_with(b"name ") || c.left() < 5)?;
            }
        }
        Ok(first)
    };
    let answered = maybe(v.server.parse(answer))?;
    let (kind, _) = v.client.parse(ask)?;
    match answered {
        Some(first) => {
            ensure(matches!((kind, first), (b'n' | b'd', 0) | (b'z', b'w') | (b'x', b'y' | b'v')))?;
            Ok(Match::new(ANSWERED))
        }
        None if kind == b'x' => Ok(Match::new(STRONG)),
        None => Err(Stop::More),
    }
}

fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| b.is_ascii_alphanumeric() || b"_-.@+".contains(&b))
}

/// The name message, old and new form.
fn erlang(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = usize::from(c.u16()?);
    ensure((10..=300).contains(&len))?;
    c.inner(len, |c| {
        match c.u8()? {
            b'n' => {
                ensure(c.u16()? == 5)?;
                c.skip(4)?;
            }
            b'N' => {
                c.skip(8 + 4)?;
                let len = usize::from(c.u16()?);
                ensure(len == c.left())?;
            }
            _ => return Err(Stop::No),
        }
        let name = c.take(c.left())?;
        ensure(is_name(name) && name.split(|&byte| byte == b'@').count() == 2)
    })
}

fn erlang_status(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = usize::from(c.u16()?);
    ensure((3..=300).contains(&len) && c.u8()? == b's')?;
    let text = c.take(len - 1)?;
    ensure(
        matches!(text, b"ok" | b"ok_simultaneous" | b"nok" | b"not_allowed" | b"alive")
            || text.starts_with(b"named:"),
    )
}

fn jdwp(bytes: &[u8]) -> Step<()> {
    Cursor::new(bytes).expect(b"JDWP-Handshake")
}

/// To the container: a forwarded request, a ping, a shutdown.
fn ajp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u16()? == 0x1234)?;
    let len = usize::from(c.u16()?);
    ensure((1..=16_384).contains(&len))?;
    match c.u8()? {
        2 => {
            ensure(len >= 12 && (1..=28).contains(&c.u8()?))?;
            ensure(c.counted(2)?.starts_with(b"HTTP/") && c.u8()? == 0)
        }
        10 | 7 => ensure(len == 1),
        8 => ensure(len > 1),
        _ => Err(Stop::No),
    }
}

fn ajp_answer(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"AB")?;
    let len = c.u16()?;
    ensure((1..=16_384).contains(&len))?;
    match c.u8()? {
        4 => ensure((100..1000).contains(&c.u16()?)),
        9 => ensure(len == 1),
        3 | 5 | 6 => Ok(()),
        _ => Err(Stop::No),
    }
}

/// BEGIN_REQUEST, or a question for values; the request's number.
fn fastcgi(bytes: &[u8]) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (version, kind, id, len) = (c.u8()?, c.u8()?, c.u16()?, c.u16()?);
    let (padding, reserved) = (c.u8()?, c.u8()?);
    ensure(version == 1 && reserved == 0 && padding < 8)?;
    if kind == 9 {
        ensure(id == 0 && (7..=256).contains(&len))?;
        c.skip(2)?;
        c.expect(b"FCGI_")?; // the first name
        return Ok(0);
    }
    ensure(kind == 1 && len == 8 && id != 0)?;
    ensure((1..=3).contains(&c.u16()?) && c.u8()? <= 1 && c.take(5)? == [0; 5])?;
    c.skip(usize::from(padding))?;
    ensure(c.u8()? == 1 && matches!(c.u8()?, 4 | 5) && c.u16()? == id)?;
    Ok(id)
}

fn fastcgi_answer(bytes: &[u8]) -> Step<u16> {
    let mut c = Cursor::new(bytes);
    let (version, kind, id) = (c.u8()?, c.u8()?, c.u16()?);
    c.skip(3)?;
    ensure(version == 1 && matches!(kind, 3 | 6 | 7 | 10) && c.u8()? == 0)?;
    Ok(id)
}

/// Counted names and values that fill the packet; a request has a method.
fn uwsgi(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0)?;
    let len = usize::from(c.u16le()?);
    ensure((16..=16_384).contains(&len) && c.u8()? <= 5)?;
    let mut method = false;
    let end = c.position() + len;
    for _ in 0..6 {
        if c.position() >= end {
            break;
        }
        let size = usize::from(c.u16le()?);
        let name = c.take(size)?;
        ensure(
            !name.is_empty()
                && name.iter().all(|&b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'),
        )?;
        let size = usize::from(c.u16le()?);
        ensure(is_text(c.take(size)?))?;
        method |= matches!(name, b"REQUEST_METHOD" | b"QUERY_STRING" | b"REQUEST_URI" | b"SERVER_NAME");
    }
    ensure(method && c.position() <= end)
}

/// A netstring that begins with CONTENT_LENGTH.
fn scgi(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = decimal(c.until(b':', 6)?).ok_or(Stop::No)?;
    ensure(len >= 24)?;
    c.expect(b"CONTENT_LENGTH\0")?;
    ensure(decimal(c.until(0, 10)?).is_some() && is_ascii(&c.rest()[..c.left().min(3)]))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    #[test]
    fn nodes_of_erlang_are_told() {
        tcp().c(b"\0\x01n").s(b"\0\0\x11\x11name rabbit at port 25672\n").is("epmd");
        tcp().c(b"\0\x07zrabbit").s(hex("77 01")).is("epmd");
        tcp().c(b"\0\x01n").is_nothing();
        tcp().c(b"\0\x02n").s(b"\0\0\x11\x11name").is_nothing();
        let name = cat(&[&hex("0010 6e 0005 00000fbd"), b"a@b.examp"]);
        tcp().c(&name).s(b"\0\x03sok").is("erlang");
        let mut odd = name.clone();
        odd[4] = 6;
        tcp().c(&odd).is_nothing();
    }

    #[test]
    fn java_is_told_by_its_greetings() {
        tcp().c(b"JRMI\0\x02\x4b").is("java-rmi");
        tcp().c(b"JRMI\0\x02\x4a").is_nothing();
        tcp().c("JDWP-Handshake").s("JDWP-Handshake").is("jdwp");
        tcp().c("JDWP-Handshape").is_nothing();
        let ask = cat(&[&hex("1234 0020 02 02 0008"), b"HTTP/1.1\0", &[0; 8]]);
        tcp().c(&ask).s(hex("4142 0005 04 00c8 0002 4f4b 00")).is("ajp");
        tcp().c(hex("1234 0001 0a")).s(hex("4142 0001 09")).is("ajp");
        tcp().c(hex("1234 0002 0a")).is_nothing();
    }

    #[test]
    fn gateways_are_told_by_their_records() {
        let ask = hex("01 01 0001 0008 00 00 0001 00 0000000000 01 04 0001 0010 00 00");
        tcp().c(&ask).s(hex("01 06 0001 0010 00 00")).is("fastcgi");
        tcp().c(&ask).is("fastcgi");
        tcp().c(&ask).s(hex("01 06 0002 0010 00 00")).is_nothing();
        tcp().c(cat(&[&hex("00 1500 00 0e00"), b"REQUEST_METHOD", &hex("0300"), b"GET"])).is("uwsgi");
        tcp().c(cat(&[&hex("00 1400 00 0e00"), b"REQUEST_METHOD", &hex("0300"), b"GET"])).is_nothing();
        tcp().c("70:CONTENT_LENGTH\x0027\0SCGI\x001\0").is("scgi");
        tcp().c("70:CONTENT_LENGHT\x0027\0SCGI\x001\0").is_nothing();
    }
}
