//! Private networks between equals: ZeroTier, Tailscale, tinc, n2n.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{is_ascii, word};
use super::super::verdict::confidence::{LIKELY, STRONG, SURE};
use super::super::verdict::{ensure, Step, Stop};
use super::super::view::Who;

/// The family.
pub const FAMILY: Family = Family {
    name: "meshes",
    protocols: &[
        Protocol {
            label: "zerotier",
            title: "ZeroTier",
            on: UDP,
            ports: &[9993],
            spec: "ZeroTier protocol, VL1",
        },
        Protocol {
            label: "disco",
            title: "Tailscale discovery",
            on: UDP,
            ports: &[41641],
            spec: "no public document",
        },
        Protocol { label: "tinc", title: "tinc", on: TCP, ports: &[655], spec: "tinc manual, protocol" },
        Protocol { label: "n2n", title: "n2n", on: UDP, ports: &[7654], spec: "no public document" },
    ],
    rules: &[
        Rule {
            label: "zerotier",
            name: "hello",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| {
                ensure(v.first_speaker() == Who::Client)?;
                v.asked(SURE, zerotier_hello, zerotier_answer, |(), &len| len >= 28)
            },
        },
        Rule {
            label: "disco",
            name: "message",
            on: UDP,
            client: Starts::With(&[b"TS"]),
            server: Starts::With(&[b"TS"]),
            check: |v| v.pair(SURE, disco, disco, |(), ()| true),
        },
        Rule {
            label: "tinc",
            name: "id",
            on: TCP,
            client: Starts::With(&[b"0 "]),
            server: Starts::With(&[b"0 "]),
            check: |v| v.pair(LIKELY, tinc, tinc, |(), ()| true),
        },
        Rule {
            label: "n2n",
            name: "register",
            on: UDP,
            client: Starts::With(&[b"\x03\x02", b"\x03\x40"]),
            server: Starts::With(&[b"\x03\x02", b"\x03\x40"]),
            check: |v| v.pair(STRONG, n2n, n2n, |q, r| q == r),
        },
    ],
};

/// HELLO, whose verb is in the clear: version, and a time in milliseconds.
fn zerotier_hello(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.skip(8)?;
    let (target, source, flags) = (c.take(5)?, c.take(5)?, c.u8()?);
    ensure(
        target != source && target[0] != 0 && source[0] != 0 && target[0] != 0xff && flags & 0xf8 <= 0x08,
    )?;
    c.skip(8)?;
    ensure(c.u8()? & 0x1f == 1)?;
    let (protocol, major, minor, _revision) = (c.u8()?, c.u8()?, c.u8()?, c.u16()?);
    ensure((4..=20).contains(&protocol) && (1..=3).contains(&major) && minor <= 60)?;
    let time = c.u64()?;
    ensure((1_200_000_000_000..4_000_000_000_000).contains(&time))?;
    ensure(c.take(5)? == source) // the identity begins with the address
}

fn zerotier_answer(bytes: &[u8]) -> Step<usize> {
    Cursor::new(bytes).skip(16)?;
    Ok(bytes.len())
}

fn disco(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"TS\xf0\x9f\x92\xac")?;
    c.skip(32 + 24 + 16)
}

/// `0 name 17` or `0 name 17.7`
fn tinc(bytes: &[u8]) -> Step<()> {
    let line = Cursor::new(bytes).line(128)?;
    ensure(is_ascii(line))?;
    let (name, version) = word(word(line).1);
    ensure(
        !name.is_empty()
            && name.iter().all(|&byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'^'),
    )?;
    ensure(version == b"17" || version.starts_with(b"17.") && version.len() <= 5)
}

/// Version 3: time to live, flags with the type, the community's name in 20 bytes; the name.
fn n2n(bytes: &[u8]) -> Step<&[u8]> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 3)?;
    c.skip(1)?;
    let flags = c.u16()?;
    ensure((1..=12).contains(&(flags & 0x1f)) && flags & 0xff00 == 0)?;
    let name = c.take(20)?;
    let end = name.iter().position(|&byte| byte == 0).ok_or(Stop::No)?;
    ensure(end > 0 && is_ascii(&name[..end]) && name[end..].iter().all(|&byte| byte == 0))?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn hellos_and_registrations_are_meshes() {
        udp().c(cat(&[b"TS\xf0\x9f\x92\xac", &[7; 90]])).is("disco");
        udp().c(cat(&[b"TS\xf0\x9f\x92\xad", &[7; 90]])).is_nothing();
        tcp().c("0 alpha 17\n").s("0 beta 17\n").is("tinc");
        tcp().c("0 alpha 16\n").is_nothing();
        udp().c(cat(&[&hex("03 02 0001"), b"community", &[0; 11], &[5; 20]])).is("n2n");
        udp().c(cat(&[&hex("03 02 0001"), b"community", &[0; 10], &[1; 20]])).is_nothing();
        let hello = cat(&[
            &[9; 8],
            &hex("aabbccddee 1122334455 00"),
            &[8; 8],
            &hex("01 0b 01 0a 0002 0000016000000000 1122334455 00"),
            &[7; 64],
        ]);
        udp().c(&hello).is("zerotier");
        let mut odd = hello.clone();
        odd[41] = 0x12;
        udp().c(&odd).is_nothing();
    }
}
