//! Fingerprints of ClientHellos: JA3 (MD5 over five lists) and JA4, the TLS client's one.
//!
//! Values that are there to be ignored (GREASE, RFC 8701) count in neither.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::super::cursor::Cursor;
use super::tls::ClientHello;

const SNI: u16 = 0;
const GROUPS: u16 = 10;
const POINTS: u16 = 11;
const SIGNATURES: u16 = 13;
const ALPN: u16 = 16;

/// How the hello was carried, the first letter of a JA4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// TLS over TCP.
    Tcp,
    /// QUIC.
    Quic,
    /// DTLS.
    Dtls,
}

fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

/// Values of two bytes, GREASE left out.
fn values(list: &[u8]) -> impl Iterator<Item = u16> + '_ {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).filter(|&value| !is_grease(value))
}

/// Types and values of the extensions, GREASE left out.
fn extensions<'a>(hello: &ClientHello<'a>) -> Vec<(u16, &'a [u8])> {
    let mut list = Vec::new();
    _ = Cursor::new(hello.extensions).tlvs((2, 2), |kind, value| {
        if !is_grease(kind as u16) {
            list.push((kind as u16, value));
        }
        Ok(())
    });
    list
}

/// The list inside an extension, behind its length.
fn inside<'a>(list: &[(u16, &'a [u8])], kind: u16, size: usize) -> &'a [u8] {
    let value = list.iter().find(|(found, _)| *found == kind).map_or(&[][..], |(_, value)| value);
    value.get(size..).unwrap_or(&[])
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two hexadecimal digits.
pub fn push_hex(out: &mut String, byte: u8) {
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn push_decimal(out: &mut String, value: u16) {
    let mut unit = 10_000;
    while unit > 1 && value < unit {
        unit /= 10;
    }
    while unit > 0 {
        out.push(char::from(DIGITS[usize::from(value / unit % 10)]));
        unit /= 10;
    }
}

/// Decimal numbers with `-` between them.
fn decimals(out: &mut String, values: impl Iterator<Item = u16>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push('-');
        }
        push_decimal(out, value);
    }
}

/// Numbers of four hexadecimal digits with `,` between them.
fn hexadecimals(out: &mut String, values: impl Iterator<Item = u16>) {
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(',');
        }
        for byte in value.to_be_bytes() {
            push_hex(out, byte);
        }
    }
}

fn hex(digest: &[u8]) -> String {
    let mut out = String::with_capacity(digest.len() * 2);
    for &byte in digest {
        push_hex(&mut out, byte);
    }
    out
}

/// What JA3 is the MD5 of: version, ciphers, extensions, groups and point formats.
fn ja3_text(hello: &ClientHello<'_>) -> String {
    let list = extensions(hello);
    let mut text = String::with_capacity(512);
    push_decimal(&mut text, hello.version);
    text.push(',');
    decimals(&mut text, values(hello.ciphers));
    text.push(',');
    decimals(&mut text, list.iter().map(|(kind, _)| *kind));
    text.push(',');
    decimals(&mut text, values(inside(&list, GROUPS, 2)));
    text.push(',');
    decimals(&mut text, inside(&list, POINTS, 1).iter().map(|&point| u16::from(point)));
    text
}

/// JA3: MD5 in hex of version, ciphers, extensions, groups and point formats.
pub fn ja3(hello: &ClientHello<'_>) -> String {
    hex(&Md5::digest(ja3_text(hello).as_bytes()))
}

/// JA4 of the client: what it is in readable letters, then ciphers, then extensions and signature algorithms.
pub fn ja4(hello: &ClientHello<'_>, carrier: Carrier) -> String {
    let list = extensions(hello);
    let mut ciphers: Vec<u16> = values(hello.ciphers).collect();
    let version = match values(hello.versions).max_by_key(|&v| if v >= 0xfe00 { !v } else { v }) {
        Some(version) => version,
        None => hello.version,
    };
    let carrier = match carrier {
        Carrier::Tcp => 't',
        Carrier::Quic => 'q',
        Carrier::Dtls => 'd',
    };
    let named = if list.iter().any(|(kind, _)| *kind == SNI) { 'd' } else { 'i' };
    let (counted, extended) = (ciphers.len().min(99), list.len().min(99));
    let protocol = first_and_last(hello.protocols().next().unwrap_or(&[]));
    ciphers.sort_unstable();
    let mut kinds: Vec<u16> =
        list.iter().map(|(kind, _)| *kind).filter(|kind| !matches!(*kind, SNI | ALPN)).collect();
    kinds.sort_unstable();
    let mut suites = String::with_capacity(ciphers.len() * 5);
    hexadecimals(&mut suites, ciphers.into_iter());
    let mut last = String::with_capacity(256);
    hexadecimals(&mut last, kinds.into_iter());
    let mut signatures = values(inside(&list, SIGNATURES, 2)).peekable();
    if !last.is_empty() && signatures.peek().is_some() {
        last.push('_');
    }
    hexadecimals(&mut last, signatures);
    format!(
        "{carrier}{}{named}{counted:02}{extended:02}{protocol}_{}_{}",
        version_name(version),
        short(&suites),
        short(&last),
    )
}

fn short(text: &str) -> String {
    if text.is_empty() {
        return "0".repeat(12);
    }
    hex(&Sha256::digest(text.as_bytes())[..6])
}

fn first_and_last(name: &[u8]) -> String {
    match (name.first(), name.last()) {
        (Some(&a), Some(&b)) if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric() => {
            [char::from(a), char::from(b)].iter().collect()
        }
        (Some(&a), Some(&b)) => format!("{:x}{:x}", a >> 4, b & 15),
        _ => "00".to_owned(),
    }
}

fn version_name(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

#[cfg(test)]
mod tests {
    use super::super::tls::tests::client_hello;
    use super::*;

    #[test]
    fn lists_are_written_as_the_definitions_say() {
        let body = client_hello("a.example", &["h2", "http/1.1"]);
        let hello = ClientHello::read(&body, true, false).unwrap();
        let ja4 = ja4(&hello, Carrier::Tcp);
        assert!(ja4.starts_with("t13d0203h2_"), "{ja4}");
        // 1301,c02f and 002b, by hand.
        assert_eq!(&ja4[11..23], short("1301,c02f"));
        assert_eq!(&ja4[24..], short("002b"));
        assert_eq!(ja3_text(&hello), "771,4865-49199,0-16-43,,");
        assert_eq!(ja3(&hello), hex(&Md5::digest(b"771,4865-49199,0-16-43,,")));
        assert_eq!(hex(&Md5::digest(b"abc")), "900150983cd24fb0d6963f7d28e17f72");
        // RFC 1321 A.5
    }

    #[test]
    fn numbers_are_written_as_numbers() {
        for value in [0, 7, 10, 99, 100, 999, 1000, 9999, 10_000, 65_535] {
            let mut out = String::new();
            push_decimal(&mut out, value);
            assert_eq!(out, value.to_string());
        }
    }

    #[test]
    fn values_to_be_ignored_do_not_count() {
        assert_eq!(
            values(&[0x0a, 0x0a, 0x13, 1, 0xfa, 0xfa, 0x0a, 0x1a]).collect::<Vec<_>>(),
            [0x1301, 0x0a1a]
        );
        assert_eq!(first_and_last(&[0xab, 0xcd]), "ad");
        assert_eq!(first_and_last(b"h"), "hh");
        assert_eq!(short(""), "000000000000");
    }
}
