//! PostgreSQL, frontend and backend messages (PostgreSQL manual, "Message Formats").

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::is_text;
use super::super::verdict::confidence::{ANSWERED, HELD, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};
use super::tls::awaited;

/// The family.
pub const FAMILY: Family = Family {
    name: "postgres",
    protocols: &[Protocol {
        label: "postgresql",
        title: "PostgreSQL",
        on: TCP,
        ports: &[5432],
        spec: "PostgreSQL manual, Frontend/Backend Protocol",
    }],
    rules: &[Rule {
        label: "postgresql",
        name: "startup",
        on: TCP,
        client: Starts::With(&[b"\x00\x00"]),
        server: Starts::Byte(|byte| b"SNREGvn".contains(&byte)),
        check: postgres,
    }],
};

const CANCEL: u32 = 80_877_102;
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

fn postgres(v: &View<'_>) -> Verdict {
    let (code, used) = v.client.parse(startup)?;
    if code == CANCEL {
        return Ok(Match::new(SURE));
    }
    if code == SSL || code == GSS {
        let Ok(&[answer, ..]) = v.server.first() else { return Ok(Match::new(STRONG)) };
        let rest = &v.client.bytes[used..];
        ensure(matches!(answer, b'S' | b'N' | b'G' | b'E'))?;
        return Ok(match (answer, rest) {
            (b'S', [22, 3, ..]) => Match::new(ANSWERED).under("tls").want(awaited(v.client.bytes)),
            (b'S' | b'G', []) if !v.done => Match::new(HELD),
            _ => Match::new(ANSWERED),
        });
    }
    Ok(Match::new(if maybe(v.server.parse(backend))?.is_some() { ANSWERED } else { STRONG }).at(
        Who::Client,
        0,
        12,
    ))
}

/// The code of a first message, and its length.
fn startup(bytes: &[u8]) -> Step<(u32, usize)> {
    let mut c = Cursor::new(bytes);
    let (len, code) = (c.u32()? as usize, c.u32()?);
    match (code, len) {
        (SSL | GSS, 8) | (CANCEL, 16..=268) => {
            c.skip(len - 8)?;
            return Ok((code, len));
        }
        (0x0003_0000..=0x0003_0002, 9..=4096) => {}
        _ => return Err(Stop::No),
    }
    c.inner(len - 8, |c| {
        while c.peek()? != 0 {
            let key = c.until(0, 256)?;
            ensure(is_text(key) && is_text(c.until(0, 2048)?))?;
        }
        c.skip(1)
    })?;
    Ok((code, len))
}

/// An authentication request or an error.
fn backend(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (kind, len) = (c.u8()?, c.u32()?);
    match kind {
        b'R' => ensure((8..=4096).contains(&len) && c.u32()? <= 12),
        b'E' | b'N' => ensure((5..=4096).contains(&len) && c.u8()?.is_ascii_alphabetic()),
        b'v' => ensure((12..=4096).contains(&len)),
        _ => Err(Stop::No),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    fn startup() -> Vec<u8> {
        let body = b"user\0joe\0database\0db\0\0";
        cat(&[&[0, 0, 0, 8 + body.len() as u8, 0, 3, 0, 0], body])
    }

    #[test]
    fn a_startup_and_its_answer_are_postgresql() {
        tcp().c(startup()).s(hex("52 00000008 00000003")).is("postgresql");
        tcp().c(startup()).is("postgresql");
        tcp().c(hex("00000008 04d2162f")).s("N").c(startup()).is("postgresql");
        tcp().c(hex("00000008 04d2162f")).s("S").c(hex("1603010100 01")).is("tls/postgresql");
    }

    #[test]
    fn near_misses_are_not() {
        let mut odd = startup();
        odd[3] += 1;
        odd.push(b'x');
        tcp().c(&odd).is_nothing();
        tcp().c(startup()).s("hello").is_nothing();
        tcp().c(hex("00000008 04d21630 00")).s("X").is_nothing();
    }
}
