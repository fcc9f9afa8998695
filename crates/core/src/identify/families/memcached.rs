//! Memcached and Couchbase: text, binary, and both over UDP (memcached protocol.txt, BinaryProtocolRevamped).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{decimal, is_ascii, is_text, word};
use super::super::verdict::confidence::{LIKELY, STRONG};
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "databases",
    protocols: &[Protocol {
        label: "memcached",
        title: "Memcached, Couchbase",
        on: TCP | UDP,
        ports: &[11211, 11210],
        spec: "memcached protocol.txt",
    }],
    rules: &[
        Rule {
            label: "memcached",
            name: "text",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_lowercase()),
            server: Starts::Byte(|byte| byte.is_ascii_alphanumeric()),
            check: lines,
        },
        Rule {
            label: "memcached",
            name: "binary",
            on: TCP,
            client: Starts::With(&[b"\x80"]),
            server: Starts::With(&[b"\x81"]),
            check: |v| v.asked(LIKELY, |b| binary(b, 0x80), |b| binary(b, 0x81), |q, r| q == r),
        },
        Rule {
            label: "memcached",
            name: "datagram",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: datagrams,
        },
    ],
};

/// Whether it stores a value, with the length of it in its place.
fn command(bytes: &[u8]) -> Step<bool> {
    let shown = &bytes[..bytes.len().min(300)];
    let end = shown.iter().position(|&byte| byte == b'\n').unwrap_or(shown.len());
    ensure(is_ascii(shown[..end].strip_suffix(b"\r").unwrap_or(&shown[..end])))?;
    let (verb, rest) = word(Cursor::new(bytes).line(2000)?);
    let words = || rest.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
    let key = words().next().is_some_and(|key| key.len() <= 250);
    let number = |at: usize| words().nth(at).is_some_and(|word| decimal(word).is_some());
    match verb {
        b"get" | b"gets" | b"delete" | b"mg" | b"md" | b"me" | b"ma" => ensure(key).map(|()| false),
        b"gat" | b"gats" => ensure(number(0)).map(|()| false),
        b"incr" | b"decr" | b"touch" => ensure(key && words().nth(1).is_some()).map(|()| false),
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
            let count = words().count();
            ensure(key && number(1) && number(3) && (4..=6).contains(&count))?;
            Ok(true)
        }
        b"ms" => ensure(key && number(1)).map(|()| false),
        b"stats" | b"version" | b"flush_all" | b"verbosity" | b"mn" | b"slabs" | b"lru_crawler"
        | b"config" => ensure(words().count() <= 4).map(|()| false),
        _ => Err(Stop::No),
    }
}

fn reply(bytes: &[u8]) -> Step<()> {
    let line = Cursor::new(bytes).line(2000)?;
    ensure(is_text(line))?;
    let (first, rest) = word(line);
    match first {
        b"VALUE" => ensure(rest.split(|&byte| byte == b' ').skip(1).take(2).filter_map(decimal).count() == 2),
        b"END" | b"STORED" | b"NOT_STORED" | b"EXISTS" | b"NOT_FOUND" | b"DELETED" | b"TOUCHED" | b"OK"
        | b"ERROR" | b"RESET" | b"BUSY" => ensure(rest.is_empty()),
        b"STAT" | b"VERSION" | b"CLIENT_ERROR" | b"SERVER_ERROR" | b"CONFIG" => ensure(!rest.is_empty()),
        b"HD" | b"EN" | b"NS" | b"EX" | b"NF" | b"MN" | b"ME" => Ok(()),
        b"VA" => ensure(decimal(word(rest).0).is_some()),
        _ => ensure(first.len() <= 20 && first.iter().all(u8::is_ascii_digit) && rest.is_empty()),
    }
}

fn lines(v: &View<'_>) -> Verdict {
    ensure(v.first_speaker() == Who::Client)?;
    if v.client.parse(command)? {
        return v.pair(STRONG, command, reply, |_, ()| true);
    }
    v.both(command, reply, |_, ()| true)
}

/// Operation and number of a packet.
fn binary(bytes: &[u8], magic: u8) -> Step<(u8, u32)> {
    let mut c = Cursor::new(bytes);
    let (first, code, key, extras) = (c.u8()?, c.u8()?, u32::from(c.u16()?), u32::from(c.u8()?));
    let (kind, _status, body, number) = (c.u8()?, c.u16()?, c.u32()?, c.u32()?);
    ensure(first == magic && extras <= 32 && key <= 250 && body <= 32 << 20 && key + extras <= body)?;
    // Types: raw; Couchbase has JSON, Snappy and extended attributes.
    ensure(kind <= 7 && (magic == 0x81 || kind == 0))?;
    let fits = match code {
        // Of these the length of the extras is fixed (BinaryProtocolRevamped, "Command").
        0x00 | 0x04 | 0x09 | 0x0c | 0x0d => magic == 0x81 || (extras == 0 && key > 0 && key == body),
        0x01..=0x03 => magic == 0x81 || (extras == 8 && key > 0),
        0x05 | 0x06 => magic == 0x81 || (extras == 20 && key > 0),
        0x07 | 0x0a | 0x0b | 0x10 | 0x20 => extras == 0,
        0x08 => extras == 0 || extras == 4,
        0x0e | 0x0f | 0x11..=0x1a | 0x1c..=0x1e | 0x21 | 0x22 => true,
        0x1f | 0x89 | 0xb5 => extras <= 4, // Couchbase: hello, select bucket, get configuration
        _ => false,
    };
    ensure(fits)?;
    Ok((code, number))
}

/// Number of request, of datagram, of datagrams, and zero before each one.
fn datagrams(v: &View<'_>) -> Verdict {
    let head = |c: &mut Cursor<'_>| {
        let (id, at, of, zero) = (c.u16()?, c.u16()?, c.u16()?, c.u16()?);
        ensure(at < of && of <= 8192 && zero == 0)?;
        Ok(id)
    };
    let alone = if v.client.is_silent() { LIKELY } else { STRONG };
    v.pair(
        alone,
        |bytes| {
            let mut c = Cursor::new(bytes);
            let id = head(&mut c)?;
            if c.peek()? == 0x80 {
                binary(c.rest(), 0x80)?;
            } else {
                command(c.rest())?;
            }
            Ok(id)
        },
        |bytes| {
            let mut c = Cursor::new(bytes);
            let id = head(&mut c)?;
            match c.peek()? {
                0x81 => binary(c.rest(), 0x81).map(|_| ())?,
                first => {
                    ensure(first.is_ascii_uppercase())?;
                    reply(c.rest())?;
                }
            }
            Ok(id)
        },
        |q, r| q == r,
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn commands_and_replies_are_memcached() {
        tcp().c("get a\r\n").s("VALUE a 0 1\r\nx\r\nEND\r\n").is("memcached");
        tcp().c("get a\r\n").s("END\r\n").is("memcached");
        tcp().c("set a 0 0 3\r\nabc\r\n").is("memcached");
        tcp().c("stats\r\n").s("STAT pid 1\r\n").is("memcached");
        tcp().c("version\r\n").s("VERSION 1.6\r\n").is("memcached");
    }

    #[test]
    fn binary_packets_are_memcached() {
        let ask = hex("80 00 0001 00 00 0000 00000001 00000007 0000000000000000 61");
        tcp()
            .c(&ask)
            .s(hex("81 00 0000 04 00 0000 00000005 00000007 0000000000000001 00000000 78"))
            .is("memcached");
        tcp()
            .c(&ask)
            .s(hex("81 00 0000 04 00 0000 00000005 00000008 0000000000000001 00000000 78"))
            .is_nothing();
        tcp().c(&ask).is("memcached");
    }

    #[test]
    fn both_work_over_udp() {
        let head = hex("1234 0000 0001 0000");
        udp().c(cat(&[&head, b"stats\r\n"])).s(cat(&[&head, b"STAT pid 1\r\n"])).is("memcached");
        udp().c(cat(&[&head, b"stats\r\n"])).is("memcached");
        udp().s(cat(&[&hex("1234 0000 0004 0000"), b"VALUE a 0 900\r\nx"])).is("memcached");
        udp().c(cat(&[&hex("1234 0001 0001 0000"), b"stats\r\n"])).is_nothing();
    }

    #[test]
    fn near_misses_are_not() {
        tcp().c("get a\r\n").is_nothing();
        tcp().c("set a 0 0\r\n").is_nothing();
        tcp().c("get a\r\n").s("hello\r\n").is_nothing();
        tcp().s("END\r\n").c("get a\r\n").is_nothing();
        tcp().c(hex("80 00 0001 00 01 0000 00000001 00000007 0000000000000000 61")).is_nothing();
        tcp().c(hex("80 00 0002 00 00 0000 00000001 00000007 0000000000000000 61")).is_nothing();
    }
}
