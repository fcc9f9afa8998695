//! QUIC by its long headers (RFC 9000 §17.2, RFC 9369, drafts) and Google's older one.

use super::super::cursor::Cursor;
use super::super::names::quic::{client_hello, is_reserved, MAX_DATAGRAMS};
use super::super::rule::{Family, Protocol, Rule, Starts, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "quic",
    protocols: &[Protocol {
        label: "quic",
        title: "QUIC",
        on: UDP,
        ports: &[443, 80, 853, 784],
        spec: "RFC 9000",
    }],
    rules: &[
        Rule {
            label: "quic",
            name: "long-header",
            on: UDP,
            client: Starts::Byte(|byte| byte & 0xc0 == 0xc0),
            server: Starts::Byte(|byte| byte & 0x80 != 0 || byte & 0x40 != 0),
            check: quic,
        },
        Rule {
            label: "quic",
            name: "google",
            on: UDP,
            client: Starts::Byte(|byte| byte & 0xc9 == 0x09),
            server: Starts::Any,
            check: google,
        },
    ],
};

/// The head of a packet with a long header.
struct Head<'a> {
    version: u32,
    target: &'a [u8],
    source: &'a [u8],
    /// It is an Initial whose lengths add up.
    initial: bool,
}

fn is_known(version: u32) -> bool {
    version == 1
        || version == 0x6b33_43cf // version 2
        || matches!(version, 0xff02_0000 | 0x709a_50c4) // its drafts
        || (0xff00_0016..=0xff00_0022).contains(&version) // drafts 22 to 34
        || version >> 8 == 0x00fa_ceb0
        || version >> 24 == u32::from(b'Q') && version & 0x00f0_f0f0 == 0x0030_3030
        || version >> 24 == u32::from(b'T') && version & 0x00f0_f0f0 == 0x0030_3030
}

fn long_header(bytes: &[u8]) -> Step<Head<'_>> {
    let mut c = Cursor::new(bytes);
    let first = c.u8()?;
    ensure(first & 0x80 != 0)?;
    let version = c.u32()?;
    let grease = is_reserved(version);
    // The fixed bit may be greased (RFC 9287): a known version is enough.
    ensure(version == 0 || grease || is_known(version))?;
    if matches!(version, 0x5130_3434..=0x5130_3436) {
        // Q044 to Q046: the lengths of both connection ids in one byte, 3 less than they are.
        let sizes = c.u8()?;
        let size = |nibble: u8| if nibble == 0 { 0 } else { usize::from(nibble) + 3 };
        let (target, source) = (c.take(size(sizes >> 4))?, c.take(size(sizes & 15))?);
        c.u32()?;
        return Ok(Head { version, target, source, initial: false });
    }
    let target = c.counted(1)?;
    let source = c.counted(1)?;
    ensure(target.len() <= 20 && source.len() <= 20)?;
    let mut head = Head { version, target, source, initial: false };
    if version == 0 {
        // Version negotiation (§17.2.1): a list of versions.
        ensure(!c.is_empty() && c.left() <= 64 && c.left().is_multiple_of(4))?;
        return Ok(head);
    }
    let kind = (first >> 4) & 3;
    let kind = if version == 0x6b33_43cf { kind.wrapping_sub(1) & 3 } else { kind };
    if grease {
        // Most ends that ask for a version to be negotiated write the rest as in version 1.
        let mut rest = c.clone();
        head.initial = rest.varint().is_ok_and(|token| rest.skip(token as usize).is_ok())
            && rest.varint().is_ok_and(|len| len == rest.left() as u64);
        return Ok(head);
    }
    if kind == 3 || version >> 24 == u32::from(b'Q') || version == 0x709a_50c4 {
        return Ok(head); // Retry, or a version whose rest is not known
    }
    if kind == 0 {
        let token = c.varint()?;
        ensure(token <= 1200)?;
        c.skip(token as usize)?;
    }
    let len = c.varint()?;
    ensure(len >= 20 && len <= c.left() as u64)?;
    head.initial = kind == 0;
    Ok(head)
}

fn quic(v: &View<'_>) -> Verdict {
    if v.client.is_silent() {
        v.server.parse(long_header)?;
    }
    let asked = v.client.parse(long_header)?;
    ensure(asked.version != 0)?;
    let first = v.client.first_len();
    let padded = asked.initial && first >= 1200 && asked.target.len() >= 8;
    // An Initial that opens leaves no doubt; a hello over several datagrams is worth waiting for.
    let opened = if asked.initial {
        client_hello(v.client.datagrams().map(|(bytes, _)| bytes))
    } else {
        Err(Stop::No)
    };
    let sure = match &opened {
        Ok((_, true)) => Some(0),
        Ok((_, false)) | Err(Stop::More) if v.client.grams.len() < MAX_DATAGRAMS => {
            Some(v.client.bytes.len() + 1500)
        }
        Ok(_) | Err(Stop::More) => Some(0),
        Err(Stop::No) => None,
    };
    if let Some(want) = sure {
        return Ok(Match::new(if v.server.is_silent() { SURE } else { ANSWERED })
            .at(Who::Client, 0, 7)
            .want(want));
    }
    let answer = match v.server.parse(long_header) {
        Ok(answer) => Some(answer),
        Err(Stop::More) => None,
        // Once the handshake is over an end may send short headers first in what was captured.
        Err(Stop::No) if v.server.bytes[0] & 0xc0 == 0x40 && padded => return Ok(Match::new(STRONG)),
        Err(Stop::No) => return Err(Stop::No),
    };
    match answer {
        Some(answer) => {
            ensure(answer.target == asked.source)?;
            ensure(answer.version == asked.version || answer.version == 0 || is_known(answer.version))?;
            let all = asked.initial || padded || !answer.target.is_empty();
            Ok(Match::new(if all { ANSWERED } else { LIKELY }).at(Who::Client, 0, 7))
        }
        None if padded => Ok(Match::new(STRONG).at(Who::Client, 0, 7)),
        None if is_known(asked.version) => Ok(Match::new(LIKELY).at(Who::Client, 0, 7)),
        None => Err(Stop::More),
    }
}

/// gQUIC up to Q043: flags, connection id, version as text, and a packet number.
fn google(v: &View<'_>) -> Verdict {
    ensure(v.first_speaker() == Who::Client)?;
    let id = v.client.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        let flags = c.u8()?;
        ensure(flags & 0xc9 == 0x09)?;
        let id = c.take(8)?;
        ensure(matches!(c.take(4)?, [b'Q', b'0', b'0'..=b'9', b'0'..=b'9']))?;
        // A first packet is padded, and a client hello begins with its tag.
        ensure(bytes.len() >= 1000 && bytes.windows(4).take(80).any(|tag| tag == b"CHLO"))?;
        Ok(id)
    })?;
    let fits = maybe(v.server.parse(|bytes| ensure(bytes[0] & 0x08 == 0 || bytes.get(1..9) == Some(id))))?;
    Ok(Match::new(if fits.is_some() { ANSWERED } else { STRONG }).at(Who::Client, 0, 13))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, udp};

    fn initial(version: [u8; 4], target: &[u8], source: &[u8], size: usize) -> Vec<u8> {
        let head =
            cat(&[&[0xc3], &version, &[target.len() as u8], target, &[source.len() as u8], source, &[0]]);
        let left = size - head.len() - 2;
        cat(&[&head, &[0x40 | (left >> 8) as u8, left as u8], &vec![0x5c; left]])
    }

    #[test]
    fn initials_that_answer_each_other_are_quic() {
        let client = initial([0, 0, 0, 1], &[1; 8], &[2; 4], 1200);
        udp().c(&client).s(initial([0, 0, 0, 1], &[2; 4], &[3; 8], 1200)).is("quic");
        udp().c(&client).is("quic");
        udp().c(&client).s(cat(&[&[0xaa, 0, 0, 0, 0, 4], &[2; 4], &[8], &[1; 8], &[0, 0, 0, 1]])).is("quic");
    }

    #[test]
    fn near_misses_are_not() {
        let client = initial([0, 0, 0, 1], &[1; 8], &[2; 4], 1200);
        udp().c(&client).s(initial([0, 0, 0, 1], &[9; 4], &[3; 8], 1200)).is_nothing();
        udp().c(initial([0, 0, 0, 7], &[1; 8], &[2; 4], 1200)).is_nothing();
        udp().c(initial([0, 0, 0, 1], &[1; 21], &[2; 4], 1200)).is_nothing();
        udp().c(&client[..600]).is_nothing();
    }

    #[test]
    fn googles_own_is_quic() {
        let hello = cat(&[&[0x0d], &[7; 8], b"Q043", &[1], &[0; 20], b"CHLO", &[0; 1200]]);
        udp().c(&hello).is("quic");
        udp().c(&hello[..100]).is_nothing();
    }
}
