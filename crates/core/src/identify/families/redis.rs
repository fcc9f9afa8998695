//! Redis: RESP 2 and 3 (Redis serialization protocol specification).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{decimal, is_one_of, is_text, word};
use super::super::verdict::confidence::STRONG;
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "redis",
    protocols: &[Protocol {
        label: "redis",
        title: "Redis",
        on: TCP,
        ports: &[6379, 26379],
        spec: "Redis serialization protocol specification",
    }],
    rules: &[
        Rule {
            label: "redis",
            name: "command",
            on: TCP,
            client: Starts::With(&[b"*"]),
            server: REPLY,
            check: |v| {
                v.client.first()?;
                v.pair(STRONG, command, reply, |(), ()| true)
            },
        },
        Rule {
            label: "redis",
            name: "inline",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: REPLY,
            check: inline,
        },
    ],
};

const REPLY: Starts = Starts::Byte(|byte| b"+-:$*%_#~,(>".contains(&byte));

/// An array of bulk strings, the first of which is a command's name.
fn command(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"*")?;
    let count = decimal(c.line(9)?).ok_or(Stop::No)?;
    ensure((1..=1 << 20).contains(&count))?;
    for index in 0..count.min(4) {
        let head = bulk(&mut c);
        if index > 0 && head == Err(Stop::More) {
            return Ok(()); // the name is enough, arguments may be long
        }
        let text = head?;
        ensure(
            index > 0
                || (text.len() <= 64
                    && !text.is_empty()
                    && text.iter().all(|&b| b.is_ascii_alphanumeric() || b"._-|".contains(&b))),
        )?;
    }
    Ok(())
}

fn bulk<'a>(c: &mut Cursor<'a>) -> Step<&'a [u8]> {
    ensure(c.u8()? == b'$')?;
    let len = decimal(c.line(11)?).ok_or(Stop::No)?;
    let text = c.take(len as usize)?;
    c.expect(b"\r\n")?;
    Ok(text)
}

fn reply(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let kind = c.u8()?;
    let line = c.line(2000)?;
    ensure(bytes[c.position() - 2] == b'\r' && is_text(line))?;
    match kind {
        b'+' | b'-' | b',' | b'(' => ensure(!line.is_empty()),
        b'_' => ensure(line.is_empty()),
        b'#' => ensure(matches!(line, b"t" | b"f")),
        _ => {
            let digits = line.strip_prefix(b"-").unwrap_or(line);
            ensure(!digits.is_empty() && digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit))
        }
    }
}

/// A line typed by hand or sent by a health check.
fn inline(v: &View<'_>) -> Verdict {
    ensure(v.first_speaker() == Who::Client)?;
    v.both(
        |bytes| {
            let line = Cursor::new(bytes).text_line(512)?;
            ensure(is_one_of(
                word(line).0,
                &[
                    b"PING",
                    b"INFO",
                    b"COMMAND",
                    b"CONFIG",
                    b"KEYS",
                    b"SELECT",
                    b"FLUSHALL",
                    b"DBSIZE",
                    b"HELLO",
                    b"SET",
                    b"ECHO",
                ],
            ))
        },
        |bytes| {
            reply(bytes)?;
            // POP3 and others say "+OK" too: a reply must be one of Redis's own.
            ensure(bytes[0] != b'+' || bytes.starts_with(b"+PONG") || !bytes.starts_with(b"+OK "))
        },
        |(), ()| true,
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::tcp;

    #[test]
    fn commands_and_replies_are_redis() {
        tcp().c("*2\r\n$3\r\nGET\r\n$1\r\na\r\n").s("$-1\r\n").is("redis");
        tcp().c("*1\r\n$4\r\nPING\r\n").is("redis");
        tcp().c("PING\r\n").s("+PONG\r\n").is("redis");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().c("*2\r\n$3\r\nGETS\r\n$1\r\na\r\n").is_nothing();
        tcp().c("*1\r\n$4\r\nPI\0G\r\n").is_nothing();
        tcp().c("*1\r\n$4\r\nPING\r\n").s("hello\r\n").is_nothing();
        tcp().c("* hello\r\n").is_nothing();
    }
}
