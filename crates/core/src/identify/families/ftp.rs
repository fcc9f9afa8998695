//! FTP, the control connection (RFC 959, RFC 4217).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::{contains, is_one_of, replies};
use super::super::verdict::confidence::{ANSWERED, HELD, LIKELY};
use super::super::verdict::{ensure, maybe, Match, Stop, Verdict};
use super::super::view::{View, Who};
use super::mail::command;
use super::tls::awaited;

/// The family.
pub const FAMILY: Family = Family {
    name: "files",
    protocols: &[Protocol {
        label: "ftp",
        title: "File Transfer Protocol, control",
        on: TCP,
        ports: &[21, 990],
        spec: "RFC 959",
    }],
    rules: &[Rule {
        label: "ftp",
        name: "dialogue",
        on: TCP,
        client: Starts::Byte(|byte| byte.is_ascii_alphabetic()),
        server: Starts::Byte(|byte| matches!(byte, b'1' | b'2' | b'3' | b'4' | b'5')),
        check: ftp,
    }],
};

fn ftp(v: &View<'_>) -> Verdict {
    let greeting = maybe(v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let code = replies(&mut c)?;
        ensure(matches!(code, 120 | 220 | 331 | 230 | 234 | 421 | 500..=504 | 530 | 211 | 215))?;
        Ok(contains(&bytes[..c.position().min(400)], b"FTP"))
    }))?;
    let asked = maybe(v.client.parse(|bytes| {
        let (verb, rest) = command(bytes)?;
        if is_one_of(verb, &[b"USER"]) {
            return ensure(!rest.is_empty());
        }
        if is_one_of(verb, &[b"AUTH"]) {
            return ensure(is_one_of(rest, &[b"TLS", b"SSL", b"TLS-C", b"TLS-P", b"GSSAPI"]));
        }
        ensure(is_one_of(verb, &[b"FEAT", b"HOST", b"OPTS", b"SYST", b"CLNT"]))
    }))?;
    match (greeting, asked) {
        (Some(_), Some(())) => {
            let sent = v.client.bytes;
            if contains(&sent[..sent.len().min(64)], b"AUTH TLS") {
                if sent.windows(3).any(|w| w == [b'\n', 22, 3]) {
                    return Ok(Match::new(ANSWERED)
                        .under("tls")
                        .at(Who::Client, 0, 8)
                        .want(awaited(v.client.bytes)));
                }
                return Ok(Match::new(if v.done { ANSWERED } else { HELD }));
            }
            Ok(Match::new(ANSWERED))
        }
        (Some(true), None) => Ok(Match::new(LIKELY).at(Who::Server, 0, 16)),
        _ => Err(Stop::More),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::tcp;

    #[test]
    fn greeting_and_user_are_ftp() {
        tcp().s("220 ProFTPD ready\r\n").c("USER anonymous\r\n").s("331 ok\r\n").is("ftp");
        tcp().s("220-hi\r\n text\r\n220 x\r\n").c("FEAT\r\n").is("ftp");
        tcp().s("220 (vsFTPd 3.0.3)\r\n").is("ftp");
        tcp().s("220 x\r\n").c("AUTH TLS\r\n").s("234 go\r\n").c([22, 3, 1, 0, 9]).is("tls/ftp");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().s("220 x\r\n").c("USER\r\n").is_nothing();
        tcp().s("220 x\r\n").c("USE x\r\n").is_nothing();
        tcp().s("220 x\r\n").is_nothing();
    }
}
