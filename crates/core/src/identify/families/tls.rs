//! TLS from SSL 2 to 1.3 (RFC 8446, RFC 5246, RFC 6101, the SSL 2 draft) and DTLS (RFC 6347, RFC 9147).

use super::super::cursor::Cursor;
use super::super::names::tls::{handshake, hello_at, hello_span, record_head, ClientHello, ServerHello};
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE, WEAK};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "tls",
    protocols: &[
        Protocol {
            label: "tls",
            title: "Transport Layer Security, SSL",
            on: TCP,
            ports: &[443, 8443, 465, 563, 636, 853, 989, 990, 992, 993, 995, 5061, 5986, 6697, 8883],
            spec: "RFC 8446",
        },
        Protocol {
            label: "dtls",
            title: "Datagram Transport Layer Security",
            on: UDP,
            ports: &[443, 853, 2221, 4433, 5061, 5684],
            spec: "RFC 9147",
        },
    ],
    rules: &[
        Rule {
            label: "tls",
            name: "hello",
            on: TCP,
            client: Starts::With(&[&[22, 3]]),
            server: Starts::With(&[&[22, 3], &[21, 3]]),
            check: hello,
        },
        Rule {
            label: "tls",
            name: "records",
            on: TCP,
            client: Starts::Byte(|byte| (20..=24).contains(&byte)),
            server: Starts::Byte(|byte| (20..=24).contains(&byte)),
            check: records,
        },
        Rule {
            label: "tls",
            name: "ssl2",
            on: TCP,
            client: Starts::Byte(|byte| byte & 0xc0 == 0x80),
            server: Starts::Byte(|byte| byte & 0xc0 == 0x80 || byte == 22 || byte == 21),
            check: ssl2,
        },
        Rule {
            label: "dtls",
            name: "records",
            on: UDP,
            client: Starts::Byte(|byte| (20..=24).contains(&byte)),
            server: Starts::Byte(|byte| (20..=24).contains(&byte)),
            check: dtls,
        },
    ],
};

/// The stream begins with a ClientHello; its whole length, and whether it is there.
pub(super) fn client_hello(bytes: &[u8]) -> Step<(usize, bool)> {
    let span = hello_span(bytes)?;
    let mut room = Vec::new();
    let (kind, body, whole) = handshake(bytes, &mut room)?;
    ensure(kind == 1)?;
    ClientHello::read(body, whole, false)?;
    Ok((span, whole))
}

/// So many bytes of the client hold the hello with which another protocol goes on: for [`Match::want`].
pub(super) fn awaited(sent: &[u8]) -> usize {
    let Some(at) = hello_at(sent) else { return sent.len() + 1 };
    match client_hello(&sent[at..]) {
        Ok((span, false)) => at + span,
        Err(Stop::More) => sent.len() + 1,
        _ => 0,
    }
}

/// The stream begins with a ServerHello, or with an alert instead.
pub(super) fn server_hello(bytes: &[u8]) -> Step<()> {
    if bytes[0] == 21 {
        let (_, _, len) = record_head(&mut Cursor::new(bytes))?;
        ensure(len == 2)?;
        let alert = bytes.get(5..7).ok_or(Stop::More)?;
        return ensure(matches!(alert[0], 1 | 2) && (alert[1] <= 121 || alert[1] == 255));
    }
    let mut room = Vec::new();
    let (kind, body, whole) = handshake(bytes, &mut room)?;
    ensure(kind == 2)?;
    ServerHello::read(body, whole, false)?;
    Ok(())
}

fn hello(v: &View<'_>) -> Verdict {
    let asked = maybe(v.client.parse(client_hello))?;
    let answered = maybe(v.server.parse(server_hello))?;
    match (asked, answered) {
        (Some((span, whole)), _) => {
            // A head that holds is enough; the rest is worth having for the names in it.
            let confidence = if answered.is_some() { ANSWERED } else { SURE };
            Ok(Match::new(confidence).want(if whole { 0 } else { span }))
        }
        (None, Some(())) if v.server.bytes[0] == 22 => Ok(Match::new(STRONG).at(Who::Server, 0, 11)),
        _ => Err(Stop::More),
    }
}

/// A connection seen from the middle: records follow each other. One alone has to end where the bytes end, or to
/// be all that ever comes.
fn records(v: &View<'_>) -> Verdict {
    let (mut total, mut fits, mut common) = (0, false, false);
    let mut who = Who::Server;
    for (end, side) in [(Who::Server, &v.server), (Who::Client, &v.client)] {
        if let Some((count, exact)) = maybe(side.parse(chain))? {
            total += count;
            fits |= exact;
            if count > 0 {
                who = end;
                // Alone a handshake message would be readable, and a change of ciphers is one byte.
                common = matches!(side.bytes[0], 21 | 23);
            }
        }
    }
    let confidence = match total {
        5.. => STRONG,
        3.. => LIKELY,
        2 if v.done => LIKELY,
        1 if v.done && common => {
            if fits {
                LIKELY
            } else {
                WEAK
            }
        }
        _ => return Err(Stop::More),
    };
    Ok(Match::new(confidence).at(who, 0, 5))
}

/// Heads of records, one behind the other; how many, and whether the last one ends with the bytes.
fn chain(bytes: &[u8]) -> Step<(u32, bool)> {
    let mut c = Cursor::new(bytes);
    let mut count = 0;
    loop {
        if c.is_empty() {
            return Ok((count, true));
        }
        match record_head(&mut c) {
            Ok((_, 0x0301..=0x0304, len)) => {
                count += 1;
                if c.skip(len).is_err() {
                    return Ok((count, false));
                }
            }
            Err(Stop::More) => return Ok((count, false)),
            Ok((_, 0x0300, len)) if c.skip(len).is_ok() => count += 1,
            _ => return Err(Stop::No),
        }
    }
}

fn ssl2(v: &View<'_>) -> Verdict {
    let asked = maybe(v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let len = usize::from(c.u16()? & 0x3fff);
        let (kind, version) = (c.u8()?, c.u16()?);
        ensure(kind == 1 && matches!(version, 2 | 0x0300..=0x0303))?;
        let (ciphers, session, challenge) = (c.u16()?, c.u16()?, c.u16()?);
        ensure(ciphers > 0 && ciphers.is_multiple_of(3) && matches!(session, 0 | 16))?;
        ensure((16..=32).contains(&challenge))?;
        ensure(len == 9 + usize::from(ciphers) + usize::from(session) + usize::from(challenge))?;
        // Of each cipher the first byte is 0 (TLS) or at most 7 (SSL 2).
        ensure(c.take(usize::from(ciphers))?.chunks(3).all(|cipher| cipher[0] <= 7))
    }))?;
    let answered = maybe(v.server.parse(|bytes| {
        if bytes[0] & 0x80 == 0 {
            return server_hello(bytes);
        }
        let mut c = Cursor::new(bytes);
        let len = usize::from(c.u16()? & 0x3fff);
        let (kind, hit, form, version) = (c.u8()?, c.u8()?, c.u8()?, c.u16()?);
        ensure(kind == 4 && hit <= 1 && form <= 1 && version == 2)?;
        let parts = [c.u16()?, c.u16()?, c.u16()?];
        ensure(len == 11 + parts.iter().map(|&part| usize::from(part)).sum::<usize>())
    }))?;
    match (asked, answered) {
        (Some(()), Some(())) => Ok(Match::new(ANSWERED)),
        (Some(()), None) => Ok(Match::new(STRONG)),
        (None, Some(())) if v.server.bytes[0] & 0x80 != 0 => Ok(Match::new(STRONG).at(Who::Server, 0, 11)),
        _ => Err(Stop::More),
    }
}

fn dtls(v: &View<'_>) -> Verdict {
    let client = maybe(v.client.parse(flight))?;
    let server = maybe(v.server.parse(flight))?;
    match (client, server) {
        (Some(Some(1)), Some(_)) => Ok(Match::new(ANSWERED)),
        (Some(Some(1)), None) => Ok(Match::new(SURE)),
        (Some(_), Some(_)) => Ok(Match::new(STRONG)),
        (Some(kind), None) => Ok(Match::new(if kind.is_some() { STRONG } else { LIKELY })),
        (None, Some(kind)) => {
            Ok(Match::new(if kind.is_some() { STRONG } else { LIKELY }).at(Who::Server, 0, 13))
        }
        (None, None) => Err(Stop::More),
    }
}

/// A datagram of records to its last byte; the type of the first handshake message, if it is readable.
pub(super) fn flight(bytes: &[u8]) -> Step<Option<u8>> {
    let mut c = Cursor::new(bytes);
    let mut message = None;
    let mut first = true;
    while !c.is_empty() {
        let (kind, version) = (c.u8()?, c.u16()?);
        ensure((20..=25).contains(&kind) && matches!(version, 0xfeff | 0xfefd | 0x0100))?;
        let (epoch, _number) = (c.u16()?, c.take(6)?);
        let len = usize::from(c.u16()?);
        ensure(len > 0 && len <= 16_384 + 2048 && epoch < 16)?;
        let mut body = c.sub(len)?;
        if kind == 22 && epoch == 0 && first {
            let (kind, total, _) = (body.u8()?, body.u24()?, body.u16()?);
            let (offset, part) = (body.u24()?, body.u24()?);
            ensure(kind <= 24 && offset + part <= total && part as usize <= body.left() && total < 1 << 17)?;
            if kind == 1 && offset == 0 && part == total {
                ClientHello::read(&body.rest()[..part as usize], true, true)?;
            }
            message = Some(kind);
        }
        first = false;
    }
    Ok(message)
}

#[cfg(test)]
mod tests {
    use super::super::super::names::tls::tests::{client_hello as body, in_record};
    use super::super::super::testkit::{cat, hex, tcp, udp};

    fn server() -> Vec<u8> {
        in_record(2, &cat(&[&[3, 3], &[9; 32], &[0, 0x13, 1, 0, 0, 6, 0, 43, 0, 2, 3, 4]]))
    }

    #[test]
    fn hellos_of_both_ends_are_tls() {
        let client = in_record(1, &body("a.example", &["h2"]));
        tcp().c(&client).s(server()).is("tls");
        tcp().c(&client).s([21, 3, 1, 0, 2, 2, 40]).is("tls");
        tcp().s(server()).midway().is("tls");
        tcp().c(&client[..3]).c(&client[3..50]).c(&client[50..]).is("tls");
    }

    #[test]
    fn a_hello_over_many_segments_is_awaited_but_not_needed() {
        let mut large = body("a.example", &[]);
        let at = large.len() - 9;
        let pad = 3000usize;
        large.splice(at..at, cat(&[&[0xff, 1, (pad >> 8) as u8, pad as u8], &vec![0; pad]]));
        let size = large.len() - 45; // the length of all extensions stands before them
        large[43] = (size >> 8) as u8;
        large[44] = size as u8;
        let all = in_record(1, &large);
        let mut talk = tcp();
        for part in all.chunks(1000) {
            talk = talk.c(part);
        }
        talk.s(server()).is("tls");
        tcp().c(&all[..1000]).is("tls");
    }

    #[test]
    fn near_misses_are_not() {
        let mut odd = in_record(1, &body("a.example", &["h2"]));
        odd[5] = 7; // no such handshake message first
        tcp().c(&odd).is_nothing();
        tcp().c([22, 3, 9, 0, 5, 1, 0, 0, 1, 0]).is_nothing();
        let mut lies = in_record(1, &body("a.example", &["h2"]));
        lies[9 + 44] = 200; // a list longer than its message
        tcp().c(&lies).is_nothing();
        tcp().c([0; 4000]).is_nothing();
    }

    #[test]
    fn records_from_the_middle_are_tls() {
        let data = |len: u8| cat(&[&[23, 3, 3, 0, len], &vec![0xa5; usize::from(len)]]);
        tcp().c(cat(&[&data(30), &data(40)])).s(data(99)).midway().is("tls");
        tcp().c(data(30)).midway().is("tls");
        tcp().c(cat(&[&data(30), &[1, 2, 3]])).midway().is_nothing();
        tcp().c([22, 3, 3, 0, 5, 9, 9, 9, 9, 9]).midway().is_nothing();
    }

    #[test]
    fn the_hello_of_ssl_2_is_tls() {
        let hello = cat(&[&hex("802e 01 0002 0015 0000 0010"), &hex(&"010080".repeat(7)), &[7; 16]]);
        tcp().c(&hello).is("tls");
        let mut odd = hello;
        odd[1] = 0x2f;
        tcp().c(&odd).is_nothing();
    }

    fn dtls_hello() -> Vec<u8> {
        let body = cat(&[&[0xfe, 0xfd], &[3; 32], &[0, 0, 0, 2, 0xc0, 0x2b, 1, 0]]);
        let len = body.len() as u8;
        cat(&[
            &hex("16 feff 0000 000000000000 00"),
            &[len + 12, 1, 0, 0, len, 0, 0, 0, 0, 0, 0, 0, len],
            &body,
        ])
    }

    #[test]
    fn datagrams_of_records_are_dtls() {
        let verify = hex("16 feff 0000 000000000000 0023 03 000017 0000 000000 000017 feff 14");
        let verify = cat(&[&verify, &[5; 20]]);
        udp().c(dtls_hello()).s(&verify).is("dtls");
        let mut odd = dtls_hello();
        odd.push(0);
        udp().c(&odd).is_nothing();
    }
}
