//! Message queues: AMQP 0-9-1 and 1.0, NATS, STOMP, ZeroMQ, nanomsg.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{contains, has_prefix, is_text};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "queues",
    protocols: &[
        Protocol {
            label: "amqp",
            title: "Advanced Message Queuing Protocol 0-8 to 0-10",
            on: TCP,
            ports: &[5672],
            spec: "AMQP 0-9-1",
        },
        Protocol {
            label: "amqp1",
            title: "Advanced Message Queuing Protocol 1.0",
            on: TCP,
            ports: &[5672],
            spec: "OASIS AMQP 1.0",
        },
        Protocol { label: "nats", title: "NATS", on: TCP, ports: &[4222], spec: "NATS client protocol" },
        Protocol { label: "stomp", title: "STOMP", on: TCP, ports: &[61613], spec: "STOMP 1.2" },
        Protocol { label: "zmtp", title: "ZeroMQ", on: TCP, ports: &[4505, 4506, 5555], spec: "ZMTP 3.1" },
        Protocol {
            label: "nanomsg",
            title: "nanomsg scalability protocols",
            on: TCP,
            ports: &[],
            spec: "nanomsg sp-tcp-mapping-01",
        },
    ],
    rules: &[
        Rule {
            label: "amqp",
            name: "header",
            on: TCP,
            client: Starts::With(&[b"AM"]),
            server: Starts::With(&[b"AM", b"\x01\x00", b"\x00\x00"]),
            check: amqp,
        },
        Rule {
            label: "nats",
            name: "info",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::With(&[b"IN", b"in", b"-E"]),
            check: nats,
        },
        Rule {
            label: "stomp",
            name: "connect",
            on: TCP,
            client: Starts::With(&[b"CO", b"ST"]),
            server: Starts::With(&[b"CO", b"ER"]),
            check: |v| {
                v.client.first()?;
                v.pair(STRONG, stomp_ask, stomp_answer, |(), ()| true)
            },
        },
        Rule {
            label: "zmtp",
            name: "greeting",
            on: TCP,
            client: Starts::With(&[b"\xff\x00"]),
            server: Starts::With(&[b"\xff\x00"]),
            check: |v| v.pair(STRONG, zmtp, zmtp, |(), ()| true),
        },
        Rule {
            label: "nanomsg",
            name: "greeting",
            on: TCP,
            client: Starts::With(&[b"\x00S"]),
            server: Starts::With(&[b"\x00S"]),
            check: |v| v.pair(STRONG, nanomsg, nanomsg, |(), ()| true),
        },
    ],
};

fn header(bytes: &[u8]) -> Step<&'static str> {
    let mut c = Cursor::new(bytes);
    c.expect(b"AMQP")?;
    match c.take(4)? {
        [0, 0, 9, 0 | 1] | [1, 1, 0, 9 | 10] | [1, 1, 8, 0] | [1, 1, 9, 1] => Ok("amqp"),
        [0 | 2 | 3, 1, 0, 0] => Ok("amqp1"),
        _ => Err(Stop::No),
    }
}

/// The header; then its like, or the frame Connection.Start.
fn amqp(v: &View<'_>) -> Verdict {
    let label = v.client.parse(header)?;
    let answered = maybe(v.server.parse(|bytes| {
        if bytes[0] == b'A' {
            return header(bytes).map(|_| ());
        }
        let mut c = Cursor::new(bytes);
        ensure(c.u8()? == 1 && c.u16()? == 0)?;
        let len = c.u32()?;
        ensure((8..=1 << 20).contains(&len) && c.u16()? == 10 && c.u16()? == 10)
    }))?;
    Ok(Match::new(if answered.is_some() { ANSWERED } else { SURE }).named(label))
}

fn nats(v: &View<'_>) -> Verdict {
    let told = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        ensure(has_prefix(c.take(6)?, b"INFO {"))?;
        let shown = &bytes[..bytes.len().min(400)];
        ensure(is_text(&shown[..shown.iter().position(|&b| b < 0x20).unwrap_or(shown.len())]))?;
        if contains(shown, b"\"server_id\"") || contains(shown, b"\"version\"") {
            Ok(())
        } else {
            Err(if bytes.len() >= 400 { Stop::No } else { Stop::More })
        }
    }))?;
    let asked = maybe(v.client.parse(|bytes| {
        let head = Cursor::new(bytes).take(9)?;
        ensure(has_prefix(head, b"CONNECT {") || has_prefix(head, b"PING\r\n"))
    }))?;
    match (told, asked) {
        (Some(()), Some(())) => Ok(Match::new(ANSWERED)),
        (Some(()), None) => Ok(Match::new(STRONG).at(Who::Server, 0, 6)),
        (None, Some(())) if has_prefix(v.client.bytes, b"CONNECT {") => Ok(Match::new(LIKELY)),
        _ => Err(Stop::More),
    }
}

/// A command line, header lines with a colon, an empty line.
fn stomp(bytes: &[u8], commands: &[&[u8]], needed: &[&[u8]]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let command = c.line(12)?;
    ensure(commands.contains(&command))?;
    let mut seen = false;
    for _ in 0..32 {
        let line = c.line(1024)?;
        if line.is_empty() {
            return ensure(seen);
        }
        ensure(is_text(line) && line.iter().skip(1).any(|&byte| byte == b':'))?;
        seen |= needed.iter().any(|name| line.starts_with(name));
    }
    Err(Stop::No)
}

fn stomp_ask(bytes: &[u8]) -> Step<()> {
    stomp(bytes, &[b"CONNECT", b"STOMP"], &[b"accept-version:", b"login:", b"host:", b"passcode:"])
}

fn stomp_answer(bytes: &[u8]) -> Step<()> {
    stomp(bytes, &[b"CONNECTED", b"ERROR"], &[b"version:", b"session:", b"message:", b"server:", b"content-"])
}

/// Signature, version, and mechanism as far as they are there (ZMTP 3.1 §3.1).
fn zmtp(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let signature = c.take(10)?;
    ensure(
        signature[0] == 0xff && signature[1..8] == [0; 7] && signature[8] <= 0x80 && signature[9] == 0x7f,
    )?;
    if c.is_empty() {
        return Ok(());
    }
    let version = c.u8()?;
    ensure(version <= 3)?;
    if version < 3 || c.left() < 25 {
        return Ok(());
    }
    ensure(c.u8()? <= 2)?;
    let name = c.take(20)?;
    let name = &name[..name.iter().position(|&byte| byte == 0).unwrap_or(20)];
    ensure(matches!(name, b"NULL" | b"PLAIN" | b"CURVE" | b"GSSAPI"))
}

fn nanomsg(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"\0SP\0")?;
    let kind = c.u16()?;
    ensure((0x10..=0x7f).contains(&kind) && c.u16()? == 0)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    #[test]
    fn headers_of_both_generations_are_amqp() {
        tcp().c(b"AMQP\0\0\x09\x01").s(hex("01 0000 00000010 000a 000a 0009")).is("amqp");
        tcp().c(b"AMQP\0\0\x09\x01").is("amqp");
        tcp().c(b"AMQP\x03\x01\0\0").s(b"AMQP\x03\x01\0\0").is("amqp1");
        tcp().c(b"AMQP\x04\x01\0\0").is_nothing();
    }

    #[test]
    fn greetings_of_servers_are_nats_and_stomp() {
        let info = "INFO {\"server_id\":\"N\",\"version\":\"2.9\"}\r\n";
        tcp().s(info).c("CONNECT {\"verbose\":false}\r\n").is("nats");
        tcp().s(info).is("nats");
        tcp().s("INFO {\"hello\":1}\r\n").is_nothing();
        let ask = "CONNECT\naccept-version:1.2\nhost:a\n\n\0";
        tcp().c(ask).s("CONNECTED\nversion:1.2\n\n\0").is("stomp");
        tcp().c(ask).is("stomp");
        tcp().c("CONNECT\naccept-version\n\n\0").is_nothing();
    }

    #[test]
    fn signatures_are_zmtp_and_nanomsg() {
        let hello = cat(&[&hex("ff 0000000000000001 7f 03 00"), b"NULL", &[0; 48]]);
        tcp().c(&hello).s(&hello).is("zmtp");
        tcp().c(&hello[..10]).is("zmtp");
        let mut odd = hello.clone();
        odd[12] = b'X';
        tcp().c(&odd).is_nothing();
        tcp().c(b"\0SP\0\0\x30\0\0").is("nanomsg");
        tcp().c(b"\0SP\0\0\x30\0\x01").is_nothing();
    }
}
