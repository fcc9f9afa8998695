//! Services of lines: ident, finger, whois, gopher, NNTP, DICT, chargen.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{contains, decimal, has_prefix, is_ascii, is_one_of, is_text, replies, word};
use super::super::verdict::confidence::{LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{Transport, View, Who};
use super::mail::{command, with_starttls};

/// The family.
pub const FAMILY: Family = Family {
    name: "lines",
    protocols: &[
        Protocol {
            label: "ident",
            title: "Identification Protocol",
            on: TCP,
            ports: &[113],
            spec: "RFC 1413",
        },
        Protocol { label: "finger", title: "Finger", on: TCP, ports: &[79], spec: "RFC 1288" },
        Protocol { label: "whois", title: "Whois", on: TCP, ports: &[43, 4321], spec: "RFC 3912" },
        Protocol { label: "gopher", title: "Gopher", on: TCP, ports: &[70], spec: "RFC 1436" },
        Protocol {
            label: "nntp",
            title: "Network News Transfer Protocol",
            on: TCP,
            ports: &[119, 433, 563],
            spec: "RFC 3977",
        },
        Protocol {
            label: "dict",
            title: "Dictionary Server Protocol",
            on: TCP,
            ports: &[2628],
            spec: "RFC 2229",
        },
        Protocol {
            label: "chargen",
            title: "Character Generator Protocol",
            on: TCP | UDP,
            ports: &[19],
            spec: "RFC 864",
        },
    ],
    rules: &[
        Rule {
            label: "ident",
            name: "ports",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_digit()),
            server: Starts::Byte(|byte| byte.is_ascii_digit() || byte == b' '),
            check: |v| v.both(|bytes| ports(Cursor::new(bytes).line(64)?), identity, |q, r| q == r),
        },
        Rule {
            label: "finger",
            name: "user",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_graphic() || byte == b'\r'),
            server: Starts::Byte(|byte| byte.is_ascii_graphic()),
            check: |v| {
                query(v, |line| {
                    ensure(
                        line.starts_with(b"Login: ")
                            || line.starts_with(b"Login name: ")
                            || line.starts_with(b"Login  ")
                            || (line.starts_with(b"finger: ") && contains(line, b"no such user")),
                    )
                })
            },
        },
        Rule {
            label: "whois",
            name: "record",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_graphic()),
            server: Starts::Byte(|byte| matches!(byte, b' ' | b'\r' | b'\n') || byte.is_ascii_graphic()),
            check: whois,
        },
        Rule {
            label: "gopher",
            name: "menu",
            on: TCP,
            client: Starts::Byte(|byte| byte == b'\r' || byte == b'\n' || byte.is_ascii_graphic()),
            server: Starts::Byte(|byte| b"0123456789+gIThisd:;<".contains(&byte)),
            check: |v| {
                ensure(v.first_speaker() == Who::Client)?;
                v.both(
                    |bytes| {
                        let line = Cursor::new(bytes).text_line(300)?;
                        ensure(line.is_empty() || line.starts_with(b"/") || !line.contains(&b' '))
                    },
                    menu,
                    |(), ()| true,
                )
            },
        },
        Rule {
            label: "nntp",
            name: "dialogue",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::Byte(|byte| matches!(byte, b'2' | b'4' | b'5')),
            check: nntp,
        },
        Rule {
            label: "dict",
            name: "dialogue",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::With(&[b"22"]),
            check: dict,
        },
        Rule {
            label: "chargen",
            name: "pattern",
            on: TCP | UDP,
            client: Starts::Any,
            server: Starts::Byte(|byte| byte.is_ascii_graphic() || byte == b' '),
            check: |v| {
                // Over TCP nothing is asked, over UDP by something short (RFC 864).
                ensure(v.client.first_len() <= if v.transport == Transport::Tcp { 0 } else { 64 })?;
                v.server.parse(pattern)?;
                Ok(Match::new(STRONG).at(Who::Server, 0, 12))
            },
        },
    ],
};

/// Two ports with a comma between them.
fn ports(text: &[u8]) -> Step<(u32, u32)> {
    let comma = text.iter().position(|&byte| byte == b',').ok_or(Stop::No)?;
    let port =
        |text: &[u8]| decimal(text.trim_ascii()).filter(|port| (1..65_536).contains(port)).ok_or(Stop::No);
    Ok((port(&text[..comma])?, port(&text[comma + 1..])?))
}

fn identity(bytes: &[u8]) -> Step<(u32, u32)> {
    let line = Cursor::new(bytes).line(1000)?;
    let mut parts = line.splitn(3, |&byte| byte == b':');
    let asked = ports(parts.next().ok_or(Stop::No)?)?;
    let kind = parts.next().ok_or(Stop::No)?.trim_ascii();
    ensure(is_one_of(kind, &[b"USERID", b"ERROR"]) && parts.next().is_some_and(is_text))?;
    Ok(asked)
}

/// A line asks, and what answers begins with a line that `known` knows.
fn query(v: &View<'_>, known: fn(&[u8]) -> Step<()>) -> Verdict {
    ensure(v.first_speaker() == Who::Client)?;
    v.both(
        |bytes| {
            let shown = &bytes[..bytes.len().min(200)];
            ensure(shown.iter().all(|&byte| byte >= 0x20 || matches!(byte, b'\r' | b'\n')))?;
            let mut c = Cursor::new(bytes);
            ensure(c.line(200)?.len() <= 190 && c.is_empty())
        },
        |bytes| {
            let shown = &bytes[..bytes.len().min(200)];
            let end = shown.iter().position(|&byte| byte == b'\n').unwrap_or(shown.len());
            if end == shown.len() && end < 80 {
                ensure(is_text(shown.strip_suffix(b"\r").unwrap_or(shown)))?;
                return Err(Stop::More);
            }
            known(&shown[..end])
        },
        |(), ()| true,
    )
}

fn whois(v: &View<'_>) -> Verdict {
    ensure(v.first_speaker() == Who::Client)?;
    v.both(
        |bytes| {
            let mut c = Cursor::new(bytes);
            ensure(!c.text_line(200)?.is_empty() && c.is_empty())
        },
        |bytes| {
            const KEYS: [&[u8]; 10] = [
                b"Domain Name:",
                b"domain:",
                b"refer:",
                b"inetnum:",
                b"No match for",
                b"Domain:",
                b"Registry Domain ID:",
                b"NetRange:",
                b"Whois Server Version",
                b"NOT FOUND",
            ];
            let mut c = Cursor::new(bytes);
            let mut comments = 0;
            for _ in 0..12 {
                let line = c.text_line(400)?.trim_ascii();
                if line.starts_with(b"%") || line.starts_with(b"#") {
                    comments += 1;
                } else if KEYS.iter().any(|key| has_prefix(line, key)) {
                    return Ok(());
                } else if !line.is_empty() {
                    return Err(Stop::No);
                }
                if comments >= 2 && contains(line, b"whois") {
                    return Ok(());
                }
            }
            Err(Stop::No)
        },
        |(), ()| true,
    )
}

/// Lines of a type and a name, a selector, a host and a port between tabs.
fn menu(bytes: &[u8]) -> Step<()> {
    let mut parts = Cursor::new(bytes).text_line(1000)?.split(|&byte| byte == b'\t').skip(1);
    let (_selector, host, port) = (parts.next(), parts.next(), parts.next());
    ensure(host.is_some_and(is_ascii) && port.is_some_and(|port| decimal(port.trim_ascii()).is_some()))
}

fn nntp(v: &View<'_>) -> Verdict {
    let greeting = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let code = replies(&mut c)?;
        ensure(matches!(code, 200 | 201 | 400 | 502))?;
        let line = &bytes[..c.position().min(300)];
        Ok(contains(line, b"NNTP") || contains(line, b"InterNetNews") || contains(line, b"NNRP"))
    }))?;
    let asked = maybe(v.client.parse(|bytes| {
        let (verb, rest) = command(bytes)?;
        let own = (is_one_of(verb, &[b"MODE"]) && is_one_of(word(rest).0, &[b"READER", b"STREAM"]))
            || (is_one_of(verb, &[b"AUTHINFO"]) && is_one_of(word(rest).0, &[b"USER", b"SASL", b"GENERIC"]))
            || (is_one_of(verb, &[b"IHAVE", b"CHECK", b"TAKETHIS", b"ARTICLE"]) && rest.starts_with(b"<"))
            || (is_one_of(verb, &[b"GROUP", b"LISTGROUP"]) && rest.contains(&b'.'))
            || is_one_of(verb, &[b"XOVER", b"NEWGROUPS", b"NEWNEWS"])
            || (is_one_of(verb, &[b"LIST"])
                && is_one_of(word(rest).0, &[b"ACTIVE", b"NEWSGROUPS", b"OVERVIEW.FMT"]));
        let shared = is_one_of(
            verb,
            &[
                b"CAPABILITIES",
                b"STARTTLS",
                b"HELP",
                b"DATE",
                b"QUIT",
                b"POST",
                b"LIST",
                b"STAT",
                b"ARTICLE",
                b"HEAD",
            ],
        );
        ensure(own || shared)?;
        Ok(own || is_one_of(verb, &[b"CAPABILITIES"]))
    }))?;
    match (greeting, asked) {
        (Some(said), Some(own)) if said || own => Ok(with_starttls(v, b"STARTTLS", 2)),
        (Some(true), None) => Ok(Match::new(LIKELY).at(Who::Server, 0, 16)),
        (Some(_), Some(_)) if v.done => Err(Stop::No),
        _ => Err(Stop::More),
    }
}

/// The greeting ends with capabilities and a number, both in angle brackets (§3.1).
fn dict(v: &View<'_>) -> Verdict {
    v.pair(
        LIKELY,
        |bytes| {
            let (verb, rest) = command(bytes)?;
            ensure(
                is_one_of(verb, &[b"CLIENT", b"DEFINE", b"MATCH", b"SHOW", b"OPTION", b"AUTH"])
                    && !rest.is_empty(),
            )
        },
        |bytes| {
            let line = Cursor::new(bytes).line(1024)?;
            ensure(is_text(line) && has_prefix(line, b"220 ") && line.ends_with(b">"))?;
            ensure(line.split(|&byte| byte == b'<').count() >= 3 && line.contains(&b'@'))
        },
        |(), ()| true,
    )
    .and_then(|found| {
        if found.who == Who::Client && found.confidence < STRONG {
            Err(Stop::More)
        } else {
            Ok(found)
        }
    })
}

/// 72 characters that follow each other, the last of them by the first, and the next line begins one later.
fn pattern(bytes: &[u8]) -> Step<()> {
    let shown = &bytes[..bytes.len().min(74)];
    let (line, end) = shown.split_at(shown.len().min(72));
    let follows =
        |pair: &[u8]| pair[1] == pair[0] + 1 || (pair[0] >= 0x7d && (0x20..=0x21).contains(&pair[1]));
    ensure(line.iter().all(|byte| (0x20..=0x7e).contains(byte)) && line.windows(2).all(follows))?;
    ensure(b"\r\n".starts_with(end))?;
    if end.len() == 2 {
        Ok(())
    } else {
        Err(Stop::More)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{tcp, udp};

    #[test]
    fn ident_repeats_the_ports() {
        tcp().c("6193, 23\r\n").s("6193, 23 : USERID : UNIX : joe\r\n").is("ident");
        tcp().c("6193,23\r\n").s("6193 , 23 : ERROR : NO-USER\r\n").is("ident");
        tcp().c("6193,23\r\n").s("6193 , 24 : ERROR : NO-USER\r\n").is_nothing();
        tcp().c("6193,23\r\n").is_nothing();
        tcp().c("99193,23\r\n").s("99193 , 23 : ERROR : NO-USER\r\n").is_nothing();
    }

    #[test]
    fn queries_are_told_by_their_answers() {
        tcp().c("joe\r\n").s("Login: joe           Name: Joe\r\n").is("finger");
        tcp().c("joe\r\n").s("Hello joe\r\n").is_nothing();
        tcp().c("example.com\r\n").s("% IANA WHOIS server\r\n% for more\r\n\r\nrefer: x\r\n").is("whois");
        tcp().c("example.com\r\n").s("   Domain Name: EXAMPLE.COM\r\n").is("whois");
        tcp().c("example.com\r\n").s("% nothing\r\nhere\r\n").is_nothing();
        tcp().c("\r\n").s("1Files\t/f\thost.example\t70\r\n0x\t/\th\t70\r\n").is("gopher");
        tcp().c("\r\n").s("1Files\t/f\thost.example\tx\r\n").is_nothing();
    }

    #[test]
    fn dialogues_are_told_by_both_ends() {
        tcp().s("200 news.example ready\r\n").c("MODE READER\r\n").s("200 ok\r\n").is("nntp");
        tcp().s("200 x InterNetNews NNRP server\r\n").is("nntp");
        tcp().s("200 ready\r\n").c("CAPABILITIES\r\n").is("nntp");
        tcp().s("200 ready\r\n").c("QUIT\r\n").is_nothing();
        tcp().s("220 dict.example dictd <auth.mime> <1.2.3@dict.example>\r\n").c("DEFINE * x\r\n").is("dict");
        tcp().s("220 dict.example dictd <auth.mime>\r\n").c("DEFINE * x\r\n").is_nothing();
    }

    #[test]
    fn characters_that_follow_each_other_are_chargen() {
        let line: Vec<u8> = (0..72).map(|step| 0x20 + (step + 30) % 95).chain(*b"\r\n").collect();
        tcp().s(&line).is("chargen");
        udp().c([0]).s(line.repeat(3)).is("chargen");
        let mut odd = line;
        odd[50] = b'x';
        tcp().s(&odd).is_nothing();
    }
}
