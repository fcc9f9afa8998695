//! Chat: XMPP, IRC, OSCAR, MSN, Yahoo, Gadu-Gadu, WhatsApp, Telegram, WeChat.

use super::super::cursor::Cursor;
use super::super::engine::WINDOW;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{contains, decimal, is_one_of, is_text, word};
use super::super::verdict::confidence::{ANSWERED, HELD, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};
use super::tls::awaited;

/// The family.
pub const FAMILY: Family = Family {
    name: "chat",
    protocols: &[
        Protocol {
            label: "xmpp",
            title: "Extensible Messaging and Presence Protocol",
            on: TCP,
            ports: &[5222, 5269],
            spec: "RFC 6120",
        },
        Protocol {
            label: "irc",
            title: "Internet Relay Chat",
            on: TCP,
            ports: &[6667, 6666, 6668, 6669, 7000],
            spec: "RFC 2812",
        },
        Protocol { label: "oscar", title: "AIM and ICQ", on: TCP, ports: &[5190], spec: "OSCAR, FLAP" },
        Protocol { label: "msnp", title: "MSN Messenger", on: TCP, ports: &[1863], spec: "MSNP" },
        Protocol { label: "ymsg", title: "Yahoo Messenger", on: TCP, ports: &[5050], spec: "YMSG" },
        Protocol {
            label: "gadu-gadu",
            title: "Gadu-Gadu",
            on: TCP,
            ports: &[8074],
            spec: "libgadu protocol notes",
        },
        Protocol {
            label: "whatsapp",
            title: "WhatsApp",
            on: TCP,
            ports: &[5222, 443],
            spec: "WhatsApp encryption overview",
        },
        Protocol {
            label: "mtproto",
            title: "Telegram",
            on: TCP,
            ports: &[443, 80, 5222],
            spec: "MTProto 2.0",
        },
        Protocol { label: "mmtls", title: "WeChat", on: TCP, ports: &[80, 8080], spec: "no public document" },
    ],
    rules: &[
        Rule {
            label: "xmpp",
            name: "stream",
            on: TCP,
            client: Starts::With(&[b"<?", b"<s"]),
            server: Starts::With(&[b"<?", b"<s"]),
            check: xmpp,
        },
        Rule {
            label: "irc",
            name: "registration",
            on: TCP,
            client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
            server: Starts::With(&[b":", b"NO", b"PI", b"ER", b"CA"]),
            check: irc,
        },
        Rule {
            label: "oscar",
            name: "flap",
            on: TCP,
            client: Starts::With(&[b"*\x01"]),
            server: Starts::With(&[b"*\x01"]),
            check: |v| v.pair(LIKELY, flap, flap, |(), ()| true),
        },
        Rule {
            label: "msnp",
            name: "version",
            on: TCP,
            client: Starts::With(&[b"VE"]),
            server: Starts::With(&[b"VE"]),
            check: |v| v.pair(SURE, msnp, msnp, |(), ()| true),
        },
        Rule {
            label: "ymsg",
            name: "message",
            on: TCP,
            client: Starts::With(&[b"YM"]),
            server: Starts::With(&[b"YM"]),
            check: |v| v.pair(SURE, ymsg, ymsg, |(), ()| true),
        },
        Rule {
            label: "gadu-gadu",
            name: "welcome",
            on: TCP,
            client: Starts::With(&[
                b"\x0c\x00",
                b"\x13\x00",
                b"\x15\x00",
                b"\x19\x00",
                b"\x31\x00",
                b"\x83\x00",
            ]),
            server: Starts::With(&[b"\x01\x00"]),
            check: gadu,
        },
        Rule {
            label: "whatsapp",
            name: "hello",
            on: TCP,
            client: Starts::With(&[b"WA", b"ED"]),
            server: Starts::With(&[b"\x00"]),
            check: whatsapp,
        },
        Rule {
            label: "mtproto",
            name: "plain",
            on: TCP,
            client: Starts::With(&[b"\xef\x0a", b"\xee\xee"]),
            server: Starts::Byte(|byte| byte < 0x80),
            check: |v| {
                maybe(v.server.parse(mtproto_answer))?; // alone it says nothing
                v.client.parse(mtproto).map(|()| Match::new(SURE))
            },
        },
        Rule {
            label: "mmtls",
            name: "records",
            on: TCP,
            client: MMTLS,
            server: MMTLS,
            check: |v| v.pair(LIKELY, mmtls, mmtls, |(), ()| true),
        },
    ],
};

const MMTLS: Starts = Starts::With(&[b"\x15\xf1", b"\x16\xf1", b"\x17\xf1", b"\x19\xf1"]);

/// A stream's head; when both ends then agree on TLS it is found below TLS.
fn xmpp(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(stream))?;
    let server = maybe(v.server.parse(stream))?;
    let sent = v.client.bytes;
    if client.is_some() && contains(&sent[..sent.len().min(WINDOW)], b"<starttls") {
        if sent.windows(3).any(|w| w == [b'>', 22, 3]) {
            return Ok(Match::new(ANSWERED).under("tls").want(awaited(sent)));
        }
        return Ok(Match::new(if v.done { ANSWERED } else { HELD }));
    }
    let offers = contains(v.server.bytes, b"<starttls");
    match (client, server) {
        (Some(()), Some(())) if offers && !v.done => Ok(Match::new(HELD)),
        (Some(()), Some(())) => Ok(Match::new(if v.done { ANSWERED } else { HELD })),
        (Some(()), None) => Ok(Match::new(STRONG)),
        (None, Some(())) => Ok(Match::new(STRONG).at(Who::Server, 0, 12)),
        (None, None) => Err(Stop::More),
    }
}

fn stream(bytes: &[u8]) -> Step<()> {
    let shown = &bytes[..bytes.len().min(600)];
    ensure(shown.starts_with(b"<?xml") || shown.starts_with(b"<stream:") || shown.len() < 8)?;
    let whole = contains(shown, b"<stream:stream")
        && (contains(shown, b"jabber:client")
            || contains(shown, b"jabber:server")
            || contains(shown, b"etherx.jabber"));
    if whole {
        Ok(())
    } else {
        Err(if shown.len() == 600 { Stop::No } else { Stop::More })
    }
}

fn irc(v: &View<'_>) -> Verdict {
    let asked = maybe(v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let mut both = [false; 2];
        for _ in 0..4 {
            let line = match c.text_line(510) {
                Err(Stop::More) if both != [false; 2] => break,
                line => line?,
            };
            let (verb, rest) = word(line);
            if is_one_of(verb, &[b"NICK"]) {
                ensure(!rest.is_empty() && rest.len() <= 64)?;
                both[0] = true;
            } else if is_one_of(verb, &[b"USER"]) {
                ensure(rest.split(|&byte| byte == b' ').count() > 3)?;
                both[1] = true;
            } else if is_one_of(verb, &[b"CAP"]) {
                ensure(is_one_of(word(rest).0, &[b"LS", b"REQ", b"LIST", b"END"]))?;
                both[0] = true;
            } else {
                ensure(is_one_of(verb, &[b"PASS", b"SERVER", b"PROTOCTL", b"WEBIRC"]) || both != [false; 2])?;
            }
        }
        if both == [false; 2] {
            return Err(Stop::More);
        }
        Ok(both == [true; 2])
    }))?;
    let told = maybe(v.server.parse(|bytes| {
        let (first, rest) = word(Cursor::new(bytes).text_line(510)?);
        if first.starts_with(b":") {
            let (verb, rest) = word(rest);
            ensure(
                decimal(verb).is_some_and(|code| verb.len() == 3 && code < 999)
                    || is_one_of(verb, &[b"NOTICE", b"CAP", b"PING", b"MODE"]),
            )?;
            // A server with a name of several parts that greets.
            let greets = is_one_of(verb, &[b"NOTICE", b"001", b"CAP"]) && contains(rest, b" :");
            return Ok(greets && first.contains(&b'.'));
        }
        ensure(is_one_of(first, &[b"NOTICE", b"PING", b"ERROR", b"CAP"]) && !rest.is_empty())?;
        Ok(false)
    }))?;
    match (asked, told) {
        (Some(_), Some(_)) => Ok(Match::new(ANSWERED)),
        (Some(true), None) => Ok(Match::new(STRONG)),
        (None, Some(true)) if v.done => Ok(Match::new(LIKELY).at(Who::Server, 0, 16)),
        _ => Err(Stop::More),
    }
}

/// The hello of FLAP: channel 1, and version 1 in front.
fn flap(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0x2a && c.u8()? == 1)?;
    c.skip(2)?;
    let len = usize::from(c.u16()?);
    ensure((4..=2000).contains(&len))?;
    let mut body = c.sub(len)?;
    ensure(body.u32()? == 1)?;
    body.tlvs((2, 2), |_, _| Ok(())).map(|_| ()).map_err(|_| Stop::No)
}

fn msnp(bytes: &[u8]) -> Step<()> {
    let line = Cursor::new(bytes).line(200)?;
    let (verb, rest) = word(line);
    let (number, versions) = word(rest);
    ensure(verb == b"VER" && decimal(number).is_some() && versions.starts_with(b"MSNP") && is_text(line))
}

fn ymsg(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"YMSG")?;
    ensure(c.u16()? <= 0x1f)?;
    c.skip(2)?;
    let (len, service) = (c.u16()?, c.u16()?);
    ensure(service != 0 && service < 0x0500)?;
    c.skip(8)?;
    ensure(len == 0 || (c.u8()?.is_ascii_digit() && len >= 4))
}

/// The server welcomes with a seed, the client logs in.
fn gadu(v: &View<'_>) -> Verdict {
    v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        ensure(c.u32le()? == 1 && c.u32le()? == 4)?;
        c.skip(4)?;
        ensure(c.is_empty())
    })?;
    v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let (kind, len) = (c.u32le()?, c.u32le()? as usize);
        ensure(matches!(kind, 0x0c | 0x13 | 0x15 | 0x19 | 0x31 | 0x83) && (20..=1024).contains(&len))?;
        c.skip(len)
    })?;
    Ok(Match::new(ANSWERED).at(Who::Server, 0, 12))
}

/// Version and the first message of the handshake, which holds a key of 32 bytes.
fn whatsapp(v: &View<'_>) -> Verdict {
    v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        if bytes[0] == b'E' {
            c.expect(b"ED\0\x01")?;
            ensure(c.counted(3)?.len() <= 512)?;
        }
        c.expect(b"WA")?;
        ensure((1..=9).contains(&c.u8()?) && c.u8()? <= 16)?;
        let hello = c.counted(3)?;
        ensure(hello.len() >= 36 && hello[0] == 0x12)?;
        ensure(hello[2..4] == [0x0a, 0x20] || hello[3..5] == [0x0a, 0x20])
    })?;
    Ok(Match::new(SURE))
}

/// The first request of MTProto, not encrypted: no key, a message of 20 or more bytes that asks for numbers.
fn mtproto(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    if c.u8()? == 0xef {
        c.expect(b"\x0a")?;
    } else {
        ensure(c.take(3)? == [bytes[0]; 3] && c.u32le()? >= 40)?;
    }
    ensure(c.u64()? == 0)?;
    c.skip(8)?;
    ensure(c.u32le()? == 20 && matches!(c.u32()?, 0xf18e_7ebe | 0x7897_4660))
}

/// An answer without a key, in either framing.
fn mtproto_answer(bytes: &[u8]) -> Step<()> {
    let head = Cursor::new(bytes).take(12)?;
    ensure(head[1..9] == [0; 8] && head[0] != 0 || head[4..] == [0; 8] && head[3] == 0)
}

/// Records in which each says its length.
fn mmtls(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let mut count = 0;
    while c.left() >= 3 && count < 8 {
        let (kind, version) = (c.u8()?, c.u16()?);
        ensure(matches!(kind, 0x15 | 0x16 | 0x17 | 0x19) && matches!(version, 0xf103 | 0xf104))?;
        let len = usize::from(c.u16()?);
        ensure((1..=16_384).contains(&len))?;
        match c.skip(len) {
            Err(_) if count > 0 => return Ok(()),
            step => step?,
        }
        count += 1;
    }
    ensure(count > 0)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    #[test]
    fn streams_are_xmpp_and_may_go_on_in_tls() {
        let open = "<?xml version='1.0'?><stream:stream to='a' xmlns='jabber:client' version='1.0'>";
        tcp().c(open).s(open).is("xmpp");
        tcp().c(open).is("xmpp");
        tcp()
            .c(open)
            .s(cat(&[open.as_bytes(), b"<stream:features><starttls/></stream:features>"]))
            .c("<starttls xmlns='x'/>")
            .s("<proceed/>")
            .c([22, 3, 1, 0, 9, 1])
            .is("tls/xmpp");
        tcp().c("<?xml version='1.0'?><stream:stream to='a' xmlns='other'>").is_nothing();
    }

    #[test]
    fn registrations_are_irc() {
        tcp().c("NICK joe\r\nUSER joe 0 * :Joe\r\n").s(":a.example 001 joe :hi\r\n").is("irc");
        tcp().c("NICK joe\r\nUSER joe 0 * :Joe\r\n").is("irc");
        tcp().s("NOTICE AUTH :hi\r\n").c("CAP LS 302\r\n").is("irc");
        tcp().c("NICK joe\r\nUSER joe\r\n").is_nothing();
        tcp().c("NICK joe\r\n").is_nothing();
    }

    #[test]
    fn old_messengers_are_told_by_their_heads() {
        tcp().c(hex("2a01 1234 0004 00000001")).s(hex("2a01 4321 0004 00000001")).is("oscar");
        tcp().c(hex("2a01 1234 0004 00000002")).is_nothing();
        tcp().c("VER 1 MSNP18 CVR0\r\n").s("VER 1 MSNP18\r\n").is("msnp");
        tcp().c("VER x MSNP18 CVR0\r\n").is_nothing();
        tcp().c(cat(&[b"YMSG", &hex("0010 0000 0000 004c 00000000 00000000")])).is("ymsg");
        tcp().c(cat(&[b"YMSG", &hex("0020 0000 0000 004c 00000000 00000000")])).is_nothing();
        let login = cat(&[&hex("31000000 14000000"), &[7; 20]]);
        tcp().s(hex("01000000 04000000 12345678")).c(&login).is("gadu-gadu");
        tcp().s(hex("01000000 05000000 12345678")).c(&login).is_nothing();
    }

    #[test]
    fn phones_are_told_by_their_first_message() {
        let hello = cat(&[b"WA\x06\x03", &hex("000024 1222 0a20"), &[9; 32]]);
        tcp().c(&hello).is("whatsapp");
        tcp().c(cat(&[b"WA\x06\x03", &hex("000024 1222 0a21"), &[9; 32]])).is_nothing();
        let body = cat(&[&[0; 8], &[1; 8], &hex("14000000 f18e7ebe"), &[2; 16]]);
        tcp().c(cat(&[&hex("ef0a"), &body])).is("mtproto");
        tcp().c(cat(&[&hex("eeeeeeee 28000000"), &body])).is("mtproto");
        tcp().c(cat(&[&hex("ef0a"), &[1], &body])).is_nothing();
        tcp().c(hex("16f104 0002 0102 16f103 0001 00")).is("mmtls");
        tcp().c(hex("16f105 0002 0102")).is_nothing();
    }
}
