//! Subject and issuer of X.509 certificates (RFC 5280 §4.1), and where TLS up to 1.2 sends them in clear.

use super::super::cursor::Cursor;
use super::super::text::printable;
use super::super::verdict::{closed, ensure, Step, Stop};
use super::tls::{certificates, record, ServerHello};

/// Parts of a name that are read.
const MAX_PARTS: usize = 24;
/// Longest name, in bytes of text.
const MAX_NAME: usize = 1024;

/// Subject and issuer, as RFC 4514 writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holders {
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
}

/// What the first bytes of a TLS server say: the holders of its certificate. `No` when it sends none in clear.
pub fn of_server(stream: &[u8]) -> Step<Holders> {
    let mut c = Cursor::new(stream);
    let mut said = Vec::new();
    loop {
        let mut messages = Cursor::new(&said);
        while let Ok((kind, body)) = message(&mut messages) {
            match kind {
                2 => ensure(ServerHello::read(body, true, false)?.version < 0x0304)?,
                11 => return holders(certificates(body).next().ok_or(Stop::No)?),
                0 | 4 | 22 => {}
                _ => return Err(Stop::No),
            }
        }
        let (kind, _, fragment) = record(&mut c)?;
        ensure(kind == 22)?;
        said.extend_from_slice(fragment);
    }
}

fn message<'a>(c: &mut Cursor<'a>) -> Step<(u8, &'a [u8])> {
    let mut ahead = c.clone();
    let found = (ahead.u8()?, ahead.counted(3)?);
    *c = ahead;
    Ok(found)
}

/// Reads a certificate in DER.
pub fn holders(der: &[u8]) -> Step<Holders> {
    closed((|| {
        let mut signed = Cursor::new(Cursor::new(der).ber_tag(0x30)?);
        let mut c = Cursor::new(signed.ber_tag(0x30)?);
        if c.peek()? == 0xa0 {
            c.ber()?; // version
        }
        c.ber_tag(2)?; // serial number
        c.ber_tag(0x30)?; // algorithm
        let issuer = name(c.ber_tag(0x30)?)?;
        c.ber_tag(0x30)?; // validity
        let subject = name(c.ber_tag(0x30)?)?;
        Ok(Holders { subject, issuer })
    })())
}

/// A distinguished name, the most specific part first (RFC 4514 §2.1).
fn name(rdns: &[u8]) -> Step<String> {
    let mut parts = Vec::new();
    let mut c = Cursor::new(rdns);
    while !c.is_empty() && parts.len() < MAX_PARTS {
        let mut set = Cursor::new(c.ber_tag(0x31)?);
        let mut joined = String::new();
        while !set.is_empty() {
            let mut pair = Cursor::new(set.ber_tag(0x30)?);
            let (oid, value) = (pair.ber_tag(6)?, pair.ber()?);
            if !joined.is_empty() {
                joined.push('+');
            }
            joined.push_str(&kind(oid));
            joined.push('=');
            escape(&mut joined, &text(value.tag, value.body));
            ensure(joined.len() <= MAX_NAME)?;
        }
        parts.push(joined);
    }
    parts.reverse();
    let all = parts.join(",");
    ensure(all.len() <= MAX_NAME)?;
    Ok(all)
}

fn kind(oid: &[u8]) -> String {
    match oid {
        [0x55, 4, 3] => "CN".into(),
        [0x55, 4, 5] => "serialNumber".into(),
        [0x55, 4, 6] => "C".into(),
        [0x55, 4, 7] => "L".into(),
        [0x55, 4, 8] => "ST".into(),
        [0x55, 4, 9] => "STREET".into(),
        [0x55, 4, 10] => "O".into(),
        [0x55, 4, 11] => "OU".into(),
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC".into(),
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID".into(),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress".into(),
        other => dotted(other),
    }
}

/// An object identifier in numbers (X.690 §8.19); at most eight of them.
fn dotted(oid: &[u8]) -> String {
    let mut numbers = Vec::new();
    let mut value = 0_u64;
    for &byte in oid {
        value = value << 7 & 0xffff_ffff | u64::from(byte & 0x7f);
        if byte < 0x80 {
            if numbers.is_empty() {
                let first = (value / 40).min(2);
                numbers.push(first.to_string());
                value -= 40 * first;
            }
            numbers.push(value.to_string());
            value = 0;
        }
        if numbers.len() > 8 {
            break;
        }
    }
    numbers.join(".")
}

fn text(tag: u8, body: &[u8]) -> String {
    let body = &body[..body.len().min(MAX_NAME)];
    if tag == 0x1e {
        // BMPString: UTF-16
        let units: Vec<u16> =
            body.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        return printable(String::from_utf16_lossy(&units).as_bytes());
    }
    printable(body)
}

fn escape(out: &mut String, value: &str) {
    for letter in value.chars() {
        if matches!(letter, ',' | '+' | '"' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(letter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag, 0x82, (body.len() >> 8) as u8, body.len() as u8];
        out.extend(body);
        out
    }

    fn rdn(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        tlv(0x31, &tlv(0x30, &[tlv(6, oid), tlv(tag, value)].concat()))
    }

    fn certificate() -> Vec<u8> {
        let issuer = tlv(
            0x30,
            &[rdn(&[0x55, 4, 6], 0x13, b"SE"), rdn(&[0x55, 4, 3], 0x0c, b"Root, Inc\x1b[2J")].concat(),
        );
        let subject = tlv(0x30, &rdn(&[0x55, 4, 3], 0x1e, &[0, b'a', 0, b'b']));
        let tbs = [tlv(0xa0, &tlv(2, &[2])), tlv(2, &[9]), tlv(0x30, &[]), issuer, tlv(0x30, &[]), subject]
            .concat();
        tlv(0x30, &[tlv(0x30, &tbs), tlv(0x30, &[])].concat())
    }

    #[test]
    fn names_are_read_and_escaped() {
        let found = holders(&certificate()).unwrap();
        assert_eq!(found.subject, "CN=ab");
        assert_eq!(found.issuer, "CN=Root\\, Inc\\x1b[2J,C=SE");
    }

    #[test]
    fn a_certificate_cut_anywhere_is_none() {
        let whole = certificate();
        for end in 0..whole.len() - 4 {
            assert_eq!(holders(&whole[..end]), Err(Stop::No), "{end}");
        }
    }

    #[test]
    fn a_server_sends_it_in_records_of_any_size() {
        let mut hello = vec![2, 0, 0, 38, 3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0xc0, 0x2f, 0]);
        let der = certificate();
        let size = |n: usize| [0, (n >> 8) as u8, n as u8];
        let mut said = hello;
        said.push(11);
        said.extend(size(der.len() + 6));
        said.extend(size(der.len() + 3));
        said.extend(size(der.len()));
        said.extend(&der);
        for part in [50, 1000] {
            let records: Vec<u8> = said
                .chunks(part)
                .flat_map(|chunk| [&[22, 3, 3, (chunk.len() >> 8) as u8, chunk.len() as u8], chunk].concat())
                .collect();
            assert_eq!(of_server(&records).map(|h| h.subject), Ok("CN=ab".into()));
            assert_eq!(of_server(&records[..records.len() - 1]), Err(Stop::More));
        }
        assert_eq!(of_server(&[23, 3, 3, 0, 1, 0]), Err(Stop::No));
    }
}
