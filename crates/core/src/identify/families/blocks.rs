//! Storage by blocks and objects: iSCSI, NBD, Ceph.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::text::is_text;
use super::super::verdict::confidence::{ANSWERED, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "storage",
    protocols: &[
        Protocol {
            label: "iscsi",
            title: "Internet Small Computer Systems Interface",
            on: TCP,
            ports: &[3260, 860],
            spec: "RFC 7143",
        },
        Protocol {
            label: "nbd",
            title: "Network Block Device",
            on: TCP,
            ports: &[10809],
            spec: "NBD protocol, doc/proto.md",
        },
        Protocol {
            label: "ceph",
            title: "Ceph messenger 1 and 2",
            on: TCP,
            ports: &[3300, 6789, 6800],
            spec: "Ceph, Messenger v2",
        },
    ],
    rules: &[
        Rule {
            label: "iscsi",
            name: "login",
            on: TCP,
            client: Starts::With(&[b"\x43", b"\x03"]),
            server: Starts::With(&[b"\x23"]),
            check: |v| v.pair(STRONG, |b| login(b, false), |b| login(b, true), |q, r| q == r),
        },
        Rule {
            label: "nbd",
            name: "greeting",
            on: TCP,
            client: Starts::With(&[b"\x00", b"\x25"]),
            server: Starts::With(&[b"NB"]),
            check: nbd,
        },
        Rule {
            label: "ceph",
            name: "banner",
            on: TCP,
            client: Starts::With(&[b"ce"]),
            server: Starts::With(&[b"ce"]),
            check: |v| v.pair(STRONG, ceph, ceph, |q, r| q == r),
        },
    ],
};

/// The tag of a login request (§11.12) or response (§11.13) with its keys.
fn login(bytes: &[u8], answers: bool) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    let (code, flags, most, least, extra) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(if answers { code == 0x23 } else { code & 0xbf == 3 })?;
    // Transit or continue, and stages 0, 1, 3.
    ensure(flags & 0x30 == 0 && flags & 0xc0 != 0xc0 && flags & 0x0c != 8 && most <= 1 && least <= 1)?;
    let len = c.u24()? as usize;
    ensure(extra == 0 && len <= 16_384)?;
    c.skip(8)?; // session: the initiator's part and the target's
    let tag = c.u32()?;
    c.skip(28)?;
    let keys = &c.rest()[..c.left().min(len)];
    ensure(keys.split(|&byte| byte == 0).all(is_text))?;
    if !answers {
        ensure(len >= 16 && keys.first().is_none_or(u8::is_ascii_uppercase))?;
        if keys.len() < len.min(32) {
            return Err(Stop::More);
        }
        ensure(keys[..keys.len().min(64)].contains(&b'='))?;
    }
    Ok(tag)
}

/// A server's greeting, of the new style or the old.
fn nbd(v: &View<'_>) -> Verdict {
    // Behind it the client says its flags, and options with the same word before each.
    let flags = maybe(v.client.parse(|bytes| ensure(Cursor::new(bytes).u32()? <= 3 || bytes[0] == 0x25)))?;
    v.server.parse(|bytes| {
        let mut c = Cursor::new(bytes);
        c.expect(b"NBDMAGIC")?;
        let kind = c.take(8)?;
        ensure(kind == b"IHAVEOPT" || kind == [0, 0, 0x42, 2, 0x81, 0x86, 0x12, 0x53])?;
        if kind == b"IHAVEOPT" {
            ensure(c.u16()? <= 3)?;
        }
        Ok(())
    })?;
    Ok(Match::new(if flags.is_some() { ANSWERED } else { STRONG }).at(Who::Server, 0, 12))
}

/// The generation of a banner.
fn ceph(bytes: &[u8]) -> Step<u8> {
    let mut c = Cursor::new(bytes);
    c.expect(b"ceph v")?;
    match c.u8()? {
        b'0' => {
            ensure(c.take(2)?.iter().all(u8::is_ascii_digit))?;
            Ok(1)
        }
        b'2' => {
            c.expect(b"\n")?;
            ensure((16..=256).contains(&c.u16le()?))?;
            Ok(2)
        }
        _ => Err(Stop::No),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp};

    fn login(code: u8, tag: u8) -> Vec<u8> {
        let keys = b"InitiatorName=iqn.2001-01.example:a\0SessionType=Discovery\0";
        let mut head = vec![0; 48];
        head[..8].copy_from_slice(&[code, 0x87, 0, 0, 0, 0, 0, keys.len() as u8]);
        head[19] = tag;
        cat(&[&head, keys])
    }

    #[test]
    fn logins_of_one_tag_are_iscsi() {
        tcp().c(login(0x43, 1)).s(login(0x23, 1)).is("iscsi");
        tcp().c(login(0x43, 1)).is("iscsi");
        tcp().c(login(0x43, 1)).s(login(0x23, 2)).is_nothing();
        for (at, value) in [(1, 0xb7), (2, 9), (4, 1), (48, 1)] {
            let mut odd = login(0x43, 1);
            odd[at] = value;
            tcp().c(&odd).is_nothing();
        }
    }

    #[test]
    fn greetings_are_nbd() {
        tcp().s("NBDMAGICIHAVEOPT\0\x03").c(hex("00000003")).is("nbd");
        tcp().s("NBDMAGICIHAVEOPT\0\x03").is("nbd");
        tcp().s("NBDMAGICIHAVEOPS\0\x03").is_nothing();
        tcp().s("NBDMAGICIHAVEOPT\x07\x03").is_nothing();
    }

    #[test]
    fn banners_of_one_generation_are_ceph() {
        tcp().s("ceph v027").c("ceph v027").is("ceph");
        let two = cat(&[b"ceph v2\n", &[16, 0], &[1; 16]]);
        tcp().s(&two).c(&two).is("ceph");
        tcp().s(&two).is("ceph");
        tcp().s(&two).c("ceph v027").is_nothing();
        tcp().c("ceph v3\n").is_nothing();
    }
}
