//! MongoDB, Cassandra, Elasticsearch (transport), Neo4j (Bolt), RethinkDB, ClickHouse (native).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{is_ascii, is_text};
use super::super::verdict::confidence::STRONG;
use super::super::verdict::{ensure, Step, Stop};

/// The family.
pub const FAMILY: Family = Family {
    name: "databases",
    protocols: &[
        Protocol {
            label: "mongodb",
            title: "MongoDB",
            on: TCP,
            ports: &[27017, 27018, 27019],
            spec: "MongoDB Wire Protocol",
        },
        Protocol {
            label: "cassandra",
            title: "Cassandra Query Language, native protocol",
            on: TCP,
            ports: &[9042, 9142],
            spec: "CQL Binary Protocol 5",
        },
        Protocol {
            label: "elasticsearch",
            title: "Elasticsearch and OpenSearch, transport",
            on: TCP,
            ports: &[9300],
            spec: "Elasticsearch TcpHeader",
        },
        Protocol { label: "bolt", title: "Bolt (Neo4j)", on: TCP, ports: &[7687], spec: "Bolt Protocol" },
        Protocol {
            label: "rethinkdb",
            title: "RethinkDB",
            on: TCP,
            ports: &[28015],
            spec: "RethinkDB, Writing drivers",
        },
        Protocol {
            label: "clickhouse",
            title: "ClickHouse, native protocol",
            on: TCP,
            ports: &[9000],
            spec: "ClickHouse, Native protocol",
        },
    ],
    rules: &[
        Rule {
            label: "mongodb",
            name: "message",
            on: TCP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.pair(STRONG, |b| mongo(b, true), |b| mongo(b, false), |(), ()| true),
        },
        Rule {
            label: "cassandra",
            name: "frame",
            on: TCP,
            client: Starts::Byte(|byte| (1..=6).contains(&byte)),
            server: Starts::Byte(|byte| (0x81..=0x86).contains(&byte)),
            check: |v| {
                let startup = v.client.parse(ask)?.1;
                if startup {
                    return v.pair(STRONG, ask, answer, |q, r| q.0 == r.0 || r.1);
                }
                v.both(ask, answer, |q, r| q.0 == r.0 || r.1)
            },
        },
        Rule {
            label: "elasticsearch",
            name: "header",
            on: TCP,
            client: Starts::With(&[b"ES"]),
            server: Starts::With(&[b"ES"]),
            check: |v| v.pair(STRONG, |b| elastic(b, 0), |b| elastic(b, 1), |(), ()| true),
        },
        Rule {
            label: "bolt",
            name: "handshake",
            on: TCP,
            client: Starts::With(&[b"\x60\x60"]),
            server: Starts::With(&[b"\x00"]),
            check: |v| v.asked(STRONG, versions, version, |(), ()| true),
        },
        Rule {
            label: "rethinkdb",
            name: "handshake",
            on: TCP,
            client: Starts::With(&[b"\xc3\xbd", b"\x20\x2d", b"\x3e\xe8", b"\xe1\x81", b"\x36\xba"]),
            server: Starts::Byte(|byte| b"{SE".contains(&byte)),
            check: |v| v.asked(STRONG, rethink, greeted, |(), ()| true),
        },
        Rule {
            label: "clickhouse",
            name: "hello",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x00", b"\x02"]),
            check: |v| v.pair(STRONG, click, clicked, |(), ()| true),
        },
    ],
};

/// Begins like a BSON document: its length, a type, a name (bsonspec.org).
fn bson(c: &mut Cursor<'_>) -> Step<()> {
    let len = c.u32le()?;
    ensure((5..=48_000_000).contains(&len))?;
    let kind = c.u8()?;
    if len == 5 {
        return ensure(kind == 0);
    }
    ensure(matches!(kind, 1..=19 | 0x7f | 0xff) && is_text(c.until(0, 128)?))
}

fn mongo(bytes: &[u8], asks: bool) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let len = c.u32le()?;
    ensure((21..=48_000_000).contains(&len))?;
    let (_id, answers, kind) = (c.u32le()?, c.u32le()?, c.u32le()?);
    ensure(!asks || answers == 0)?;
    match kind {
        2013 => {
            ensure(c.u32le()? & !0x1_0003 == 0)?;
            match c.u8()? {
                0 => bson(&mut c),
                1 => {
                    let size = c.u32le()?;
                    ensure((6..len).contains(&size) && is_ascii(c.until(0, 64)?))
                }
                _ => Err(Stop::No),
            }
        }
        2012 => {
            let (inner, size, how) = (c.u32le()?, c.u32le()?, c.u8()?);
            ensure(matches!(inner, 1 | 2004 | 2013) && (5..=48_000_000).contains(&size) && how <= 3)
        }
        2004 if asks => {
            ensure(c.u32le()? <= 0xff)?;
            let name = c.until(0, 200)?;
            ensure(is_text(name) && name.contains(&b'.'))?;
            c.skip(8)?;
            bson(&mut c)
        }
        2001 | 2002 | 2005 | 2006 if asks => {
            c.skip(4)?;
            let name = c.until(0, 200)?;
            ensure(is_text(name) && name.contains(&b'.'))
        }
        1 if !asks => {
            ensure(c.u32le()? <= 15)?;
            let (_cursor, _from, count) = (c.u64le()?, c.u32le()?, c.u32le()?);
            ensure(count <= 1 << 20)?;
            if count == 0 {
                return ensure(len == 36);
            }
            bson(&mut c)
        }
        _ => Err(Stop::No),
    }
}

/// Version, flags, stream, code and length of a frame (§2).
fn frame(c: &mut Cursor<'_>) -> Step<(u16, u8, u32)> {
    let (version, flags) = (c.u8()? & 0x7f, c.u8()?);
    ensure((1..=6).contains(&version) && flags & !0x1f == 0)?;
    let stream = if version < 3 { u16::from(c.u8()?) } else { c.u16()? };
    let (code, len) = (c.u8()?, c.u32()?);
    ensure(len <= 256 << 20)?;
    Ok((stream, code, len))
}

/// Its stream, and whether it is a STARTUP, which tells by itself.
fn ask(bytes: &[u8]) -> Step<(u16, bool)> {
    let mut c = Cursor::new(bytes);
    let (stream, code, len) = frame(&mut c)?;
    match code {
        1 => {
            ensure((8..=4096).contains(&len))?;
            c.inner(len as usize, |c| {
                for _ in 0..2 * u32::from(c.u16()?) {
                    ensure(is_text(c.counted(2)?))?;
                }
                Ok(())
            })?;
            let body = &bytes[..c.position()];
            ensure(super::super::text::contains(body, b"CQL_VERSION"))?;
            return Ok((stream, true));
        }
        5 => ensure(len == 0 && c.is_empty())?,
        7 | 9 => {
            ensure((5..=len).contains(&c.u32()?.saturating_add(4)) && is_text(c.take(c.left().min(8))?))?;
        }
        10 | 11 | 13 | 15 => ensure(len >= 2)?,
        _ => return Err(Stop::No),
    }
    Ok((stream, false))
}

/// Its stream, and whether it is an error, which may come for none.
fn answer(bytes: &[u8]) -> Step<(u16, bool)> {
    let mut c = Cursor::new(bytes);
    let (stream, code, len) = frame(&mut c)?;
    match code {
        0 => {
            ensure(c.u32()? <= 0x2600 && len >= 6)?;
            let size = usize::from(c.u16()?);
            ensure(size + 6 <= len as usize && is_text(&c.rest()[..c.left().min(size)]))?;
        }
        2 => ensure(len == 0)?,
        3 => ensure(usize::from(c.u16()?) + 2 == len as usize)?,
        6 => ensure(c.u16()? <= 64 && is_ascii(c.counted(2)?))?,
        8 => ensure(len >= 4 && (1..=5).contains(&c.u32()?))?,
        12 | 14 | 16 => ensure(len >= 2)?,
        _ => return Err(Stop::No),
    }
    Ok((stream, code == 0))
}

fn elastic(bytes: &[u8], answers: u8) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"ES")?;
    let (len, _id, status, version) = (c.u32()?, c.u64()?, c.u8()?, c.u32()?);
    ensure((13..=1 << 30).contains(&len) && status < 16 && status & 1 == answers)?;
    ensure((900_000..200_000_000).contains(&(version & 0x07ff_ffff)))
}

/// Four versions: range, minor, major behind a zero byte each (Bolt handshake).
fn versions(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(&[0x60, 0x60, 0xb0, 0x17])?;
    for _ in 0..4 {
        let version = c.take(4)?;
        ensure(version[0] == 0 && (version[3] <= 16 || version == [0, 0, 1, 0xff]))?;
    }
    Ok(())
}

fn version(bytes: &[u8]) -> Step<()> {
    let version = Cursor::new(bytes).take(4)?;
    ensure(version[..2] == [0, 0] && (version[3] <= 16 || version == [0, 0, 1, 0xff]))
}

fn rethink(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    match c.u32le()? {
        // Versions 0.1 to 0.4: the key of authentication follows.
        0x3f61_ba36 => Ok(()),
        0x7230_81e1 | 0x5f75_e83e | 0x400c_2d20 => ensure(c.u32le()? <= 2048),
        // 1.0: a text in JSON that ends with a zero.
        0x34c2_bdc3 => ensure(c.is_empty() || c.peek()? == b'{'),
        _ => Err(Stop::No),
    }
}

fn greeted(bytes: &[u8]) -> Step<()> {
    ensure(matches!(bytes[0], b'{' | b'S' | b'E'))?;
    ensure(is_text(Cursor::new(bytes).until(0, 1024)?))
}

fn text<'a>(c: &mut Cursor<'a>, most: usize) -> Step<&'a [u8]> {
    let len = c.base128(2)? as usize;
    ensure(len <= most)?;
    let shown = &c.rest()[..c.left().min(len)];
    ensure(is_text(shown))?;
    c.take(len)
}

fn click(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0)?;
    ensure(text(&mut c, 200)?.len() >= 3)?;
    let (major, minor, revision) = (c.base128(2)?, c.base128(2)?, c.base128(3)?);
    ensure(major < 100 && minor < 1000 && (50_000..60_000).contains(&revision))?;
    for _ in 0..2 {
        text(&mut c, 512)?; // database and user; the password may be anything
    }
    Ok(())
}

/// Its own hello, or an exception.
fn clicked(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    if c.u8()? == 0 {
        ensure(text(&mut c, 200)?.len() >= 3)?;
        let (major, minor, revision) = (c.base128(2)?, c.base128(2)?, c.base128(3)?);
        return ensure(major < 100 && minor < 1000 && (50_000..60_000).contains(&revision));
    }
    ensure(bytes[0] == 2 && c.u32le()? < 10_000)?;
    ensure(text(&mut c, 100)?.starts_with(b"DB::"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    #[test]
    fn documents_in_messages_are_mongodb() {
        let ask = hex("24000000 01000000 00000000 dd070000 00000000 00 0f000000 10 70696e6700 01000000 00");
        let got =
            hex("26000000 07000000 01000000 dd070000 00000000 00 11000000 01 6f6b00 000000000000f03f 00");
        tcp().c(&ask).s(&got).is("mongodb");
        tcp().s(&got).midway().is("mongodb");
        let old = cat(&[
            &hex("35000000 01000000 00000000 d4070000 00000000"),
            b"admin.$cmd\0",
            &hex("00000000 ffffffff 0f000000 10 70696e6700 01000000 00"),
        ]);
        tcp().c(&old).is("mongodb");
        for (at, value) in [(3, 9), (12, 0xde), (16, 4), (20, 2), (24, 9), (25, 0x60)] {
            let mut odd = ask.clone();
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn frames_of_a_stream_are_cassandra() {
        let ask = cat(&[&hex("04 00 0001 01 00000016 0001 000b"), b"CQL_VERSION", &hex("0005"), b"3.0.0"]);
        tcp().c(&ask).s(hex("84 00 0001 02 00000000")).is("cassandra");
        tcp().c(&ask).is("cassandra");
        let options = hex("04 00 0000 05 00000000");
        tcp().c(&options).is_nothing();
        tcp().c(&options).s(hex("84 00 0000 06 00000009 0001 0003 413a42 0000")).is("cassandra");
        tcp().c(&options).s(hex("84 00 0009 06 00000009 0001 0003 413a42 0000")).is_nothing();
        let mut odd = ask;
        odd[12] = b'X';
        tcp().c(&odd).is_nothing();
    }

    #[test]
    fn magic_and_header_are_elasticsearch() {
        let head =
            |status: u8| cat(&[b"ES", &hex("00000030 0000000000000007"), &[status], &hex("007a1200 00")]);
        tcp().c(head(0)).s(head(1)).is("elasticsearch");
        tcp().c(head(0)).is("elasticsearch");
        tcp().c(head(0x40)).is_nothing();
        tcp().c("ES la vie en rose, et plus").is_nothing();
    }

    #[test]
    fn offered_versions_are_bolt() {
        let ask = hex("6060b017 00040404 00000104 00000004 00000003");
        tcp().c(&ask).s(hex("00000404")).is("bolt");
        tcp().c(&ask).is("bolt");
        tcp().c(&ask).s("HTTP").is_nothing();
        tcp().c(hex("6060b017 01040404 00000104 00000004 00000003")).is_nothing();
    }

    #[test]
    fn magic_numbers_are_rethinkdb() {
        tcp().c(hex("c3bdc234")).s("{\"success\":true}\0").is("rethinkdb");
        tcp().c(hex("202d0c40 00000000 c70c6e7e")).s("SUCCESS\0").is("rethinkdb");
        tcp().c(hex("c3bdc235")).is_nothing();
        tcp().c(hex("202d0c40 00ffff00")).is_nothing();
    }

    #[test]
    fn hellos_with_revisions_are_clickhouse() {
        let ask = cat(&[&[0, 17], b"ClickHouse client", &hex("17 08 c2a903 00 07"), b"default", &[0]]);
        tcp().c(&ask).s(cat(&[&[0, 10], b"ClickHouse", &hex("17 08 c2a903 00")])).is("clickhouse");
        tcp().c(&ask).is("clickhouse");
        tcp().c(&ask).s(cat(&[&[2, 4, 2, 0, 0, 13], b"DB::Exception", &[0]])).is("clickhouse");
        let mut odd = ask;
        odd[23] = 9;
        tcp().c(&odd).is_nothing();
    }
}
