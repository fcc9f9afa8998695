//! SMTP (RFC 5321), POP3 (RFC 1939), IMAP (RFC 9051), each with STARTTLS (RFC 3207, RFC 2595).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{contains, find, is_one_of, is_text, replies, word};
use super::super::verdict::confidence::{ANSWERED, HELD, LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};
use super::tls::awaited;

/// The family.
pub const FAMILY: Family = Family {
    name: "mail",
    protocols: &[
        Protocol {
            label: "smtp",
            title: "Simple Mail Transfer Protocol",
            on: TCP,
            ports: &[25, 587, 465, 2525],
            spec: "RFC 5321",
        },
        Protocol {
            label: "pop3",
            title: "Post Office Protocol 3",
            on: TCP,
            ports: &[110, 995],
            spec: "RFC 1939",
        },
        Protocol {
            label: "imap",
            title: "Internet Message Access Protocol",
            on: TCP,
            ports: &[143, 993],
            spec: "RFC 9051",
        },
    ],
    rules: &[
        Rule {
            label: "smtp",
            name: "dialogue",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::Byte(|byte| matches!(byte, b'2' | b'4' | b'5')),
            check: smtp,
        },
        Rule {
            label: "pop3",
            name: "dialogue",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::With(&[b"+O", b"-E"]),
            check: pop3,
        },
        Rule {
            label: "imap",
            name: "dialogue",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphanumeric()),
            server: Starts::With(&[b"* "]),
            check: imap,
        },
    ],
};

/// First line of a client: a word of text; `No` for what is no line of text.
pub(super) fn command(bytes: &[u8]) -> Step<(&[u8], &[u8])> {
    let shown = &bytes[..bytes.len().min(512)];
    let end = shown.iter().position(|&byte| byte == b'\n').unwrap_or(shown.len());
    ensure(is_text(shown[..end].strip_suffix(b"\r").unwrap_or(&shown[..end])))?;
    Ok(word(Cursor::new(bytes).line(1024)?))
}

/// What to answer once the protocol is clear: more may follow as long as the client may still ask for TLS.
pub(super) fn with_starttls(v: &View<'_>, ask: &[u8], lines_before: usize) -> Match {
    let sent = v.client.bytes;
    if let Some(at) = find(&sent[..sent.len().min(512)], ask) {
        let rest = &sent[at + ask.len()..];
        let rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n")).unwrap_or(rest);
        if rest.starts_with(&[22, 3]) {
            return Match::new(ANSWERED).under("tls").at(Who::Client, at, ask.len()).want(awaited(sent));
        }
        return Match::new(if v.done { ANSWERED } else { HELD }).at(Who::Client, 0, 16);
    }
    let lines = sent.split(|&byte| byte == b'\n').count() - 1;
    Match::new(if v.done || lines > lines_before { ANSWERED } else { HELD }).at(Who::Client, 0, 16)
}

fn smtp(v: &View<'_>) -> Verdict {
    let greeting = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let code = replies(&mut c)?;
        ensure(matches!(code, 220 | 421 | 450..=452 | 521 | 554 | 250))?;
        Ok((code, contains(&bytes[..c.position().min(300)], b"SMTP")))
    }))?;
    let hello = maybe(v.client.parse(|bytes| {
        let (verb, rest) = command(bytes)?;
        ensure(is_one_of(
            verb,
            &[
                b"EHLO",
                b"HELO",
                b"LHLO",
                b"QUIT",
                b"NOOP",
                b"RSET",
                b"STARTTLS",
                b"HELP",
                b"MAIL",
                b"AUTH",
                b"VRFY",
                b"EXPN",
            ],
        ))?;
        Ok(is_one_of(verb, &[b"EHLO", b"HELO", b"LHLO"]) && !rest.is_empty())
    }))?;
    match (greeting, hello) {
        (Some((_, said)), Some(hello)) if hello || said => Ok(with_starttls(v, b"STARTTLS", 1)),
        (Some((_, true)), None) => Ok(Match::new(LIKELY).at(Who::Server, 0, 16)),
        (None, Some(true)) => Ok(Match::new(LIKELY).at(Who::Client, 0, 16)),
        (Some(_), Some(_)) if v.client.bytes.len() > 64 => Err(Stop::No),
        _ => Err(Stop::More),
    }
}

fn pop3(v: &View<'_>) -> Verdict {
    let greeting = maybe(v.server.parse(|bytes| {
        let shown = bytes.len().min(4);
        ensure(
            bytes[..shown] == b"+OK "[..shown]
                || bytes[..shown] == b"-ERR"[..shown]
                || bytes.starts_with(b"+OK\r"),
        )?;
        let line = Cursor::new(bytes).line(512)?;
        ensure(is_text(line))?;
        Ok(contains(line, b"POP"))
    }))?;
    let asked = maybe(v.client.parse(|bytes| {
        let (verb, rest) = command(bytes)?;
        let takes_none =
            is_one_of(verb, &[b"CAPA", b"STLS", b"QUIT", b"STAT", b"NOOP", b"LIST", b"UIDL", b"RSET"]);
        ensure(takes_none || (is_one_of(verb, &[b"USER", b"APOP", b"AUTH", b"LIST", b"RETR"])))?;
        ensure(!takes_none || rest.len() < 16)
    }))?;
    match (greeting, asked) {
        (Some(_), Some(())) => Ok(with_starttls(v, b"STLS", 1)),
        (Some(true), None) => Ok(Match::new(LIKELY).at(Who::Server, 0, 16)),
        _ => Err(Stop::More),
    }
}

/// Commands that a client may send first.
const IMAP: &[&[u8]] = &[
    b"CAPABILITY",
    b"LOGIN",
    b"STARTTLS",
    b"AUTHENTICATE",
    b"ID",
    b"NOOP",
    b"LOGOUT",
    b"SELECT",
    b"EXAMINE",
    b"LIST",
    b"LSUB",
    b"UID",
    b"FETCH",
    b"STATUS",
    b"NAMESPACE",
    b"ENABLE",
    b"COMPRESS",
    b"APPEND",
    b"IDLE",
];

fn imap(v: &View<'_>) -> Verdict {
    let greeting = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        c.expect(b"* ")?;
        let line = c.line(1024)?;
        ensure(is_text(line))?;
        let (status, rest) = word(line);
        ensure(is_one_of(status, &[b"OK", b"PREAUTH", b"BYE", b"CAPABILITY", b"ID"]))?;
        // Some say it in the greeting, others when they are asked.
        Ok(contains(rest, b"IMAP") || contains(&bytes[..bytes.len().min(512)], b"* CAPABILITY IMAP4"))
    }))?;
    let asked = maybe(v.client.parse(|bytes| {
        let (tag, rest) = command(bytes)?;
        ensure(!tag.is_empty() && tag.len() <= 32 && tag.iter().all(u8::is_ascii_graphic))?;
        let (verb, arguments) = word(rest);
        ensure(is_one_of(verb, IMAP))?;
        // Not said by any other protocol behind a tag.
        Ok(tag.iter().any(u8::is_ascii_digit)
            && (is_one_of(verb, &[b"CAPABILITY", b"STARTTLS", b"NAMESPACE"]) && arguments.is_empty()
                || is_one_of(verb, &[b"LOGIN", b"AUTHENTICATE", b"LIST", b"LSUB"]) && !arguments.is_empty()))
    }))?;
    match (greeting, asked) {
        (None, Some(true)) if v.done => Ok(Match::new(LIKELY)),
        (Some(_), Some(_)) => Ok(with_starttls(v, b"STARTTLS", 2)),
        (Some(true), None) => Ok(Match::new(STRONG).at(Who::Server, 0, 16)),
        _ => Err(Stop::More),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::tcp;

    #[test]
    fn greeting_and_hello_are_smtp() {
        tcp().s("220 mx.example ESMTP\r\n").c("EHLO a.example\r\n").s("250-mx\r\n250 OK\r\n").is("smtp");
        tcp().s("220-mx.example\r\n220 hi\r\n").c("helo a\r\n").is("smtp");
        tcp().s("220 mx.example ESMTP Postfix\r\n").is("smtp");
        tcp().c("EHLO a.example\r\n").midway().is("smtp");
    }

    #[test]
    fn starttls_makes_it_smtp_in_tls() {
        tcp()
            .s("220 mx ESMTP\r\n")
            .c("EHLO a.example\r\n")
            .s("250-mx\r\n250 STARTTLS\r\n")
            .c("STARTTLS\r\n")
            .s("220 go\r\n")
            .c([22, 3, 1, 0, 100, 1])
            .is("tls/smtp");
    }

    #[test]
    fn pop3_and_imap_are_told_by_their_dialogue() {
        tcp().s("+OK POP3 ready\r\n").c("CAPA\r\n").s("+OK\r\n.\r\n").is("pop3");
        tcp()
            .s("+OK hello\r\n")
            .c("USER joe\r\n")
            .s("+OK\r\n")
            .c("STLS\r\n")
            .s("+OK\r\n")
            .c([22, 3, 1, 0, 9])
            .is("tls/pop3");
        tcp().s("* OK [CAPABILITY IMAP4rev1] ready\r\n").c("a1 LOGIN x y\r\n").is("imap");
        tcp().s("* OK ready\r\n").c("a1 CAPABILITY\r\n").s("* CAPABILITY IMAP4\r\n").is("imap");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().s("220 hello\r\n").is_nothing();
        tcp().s("220 hello ESMTP\r\n").c([1, 2, 3, 4]).is_nothing();
        tcp().s("+OK\r\n").c("HELLO\r\n").is_nothing();
        tcp().s("* OK\r\n").c("CAPABILITY\r\n").is_nothing();
        tcp().s("22O hello ESMTP\r\n").is_nothing();
    }
}
