//! Files and versions: TFTP, AFP, rsync, git, Subversion, CVS, Perforce, Syncthing, Dropbox on the LAN.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::{contains, is_ascii, is_one_of, is_text};
use super::super::verdict::confidence::{ANSWERED, STRONG, SURE};
use super::super::verdict::{ensure, Match, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "files",
    protocols: &[
        Protocol {
            label: "tftp",
            title: "Trivial File Transfer Protocol",
            on: UDP,
            ports: &[69],
            spec: "RFC 1350",
        },
        Protocol {
            label: "afp",
            title: "Apple Filing Protocol, Data Stream Interface",
            on: TCP,
            ports: &[548],
            spec: "Apple Filing Protocol Programming Guide",
        },
        Protocol { label: "rsync", title: "rsync daemon", on: TCP, ports: &[873], spec: "rsyncd(1)" },
        Protocol {
            label: "git",
            title: "Git, pack protocol",
            on: TCP,
            ports: &[9418],
            spec: "gitprotocol-pack(5)",
        },
        Protocol {
            label: "svn",
            title: "Subversion, svnserve",
            on: TCP,
            ports: &[3690],
            spec: "Subversion libsvn_ra_svn/protocol",
        },
        Protocol { label: "cvs", title: "CVS pserver", on: TCP, ports: &[2401], spec: "CVS Client/Server" },
        Protocol {
            label: "perforce",
            title: "Perforce Helix",
            on: TCP,
            ports: &[1666],
            spec: "Perforce P4API",
        },
        Protocol {
            label: "syncthing",
            title: "Syncthing, local discovery and relay",
            on: TCP | UDP,
            ports: &[21027, 22067],
            spec: "Syncthing, Local Discovery Protocol 4",
        },
        Protocol {
            label: "dropbox-lsp",
            title: "Dropbox LAN sync discovery",
            on: UDP,
            ports: &[17500],
            spec: "Dropbox, LAN sync",
        },
    ],
    rules: &[
        Rule {
            label: "tftp",
            name: "request",
            on: UDP,
            client: Starts::With(&[b"\x00\x01", b"\x00\x02"]),
            server: Starts::With(&[b"\x00\x03", b"\x00\x04", b"\x00\x05", b"\x00\x06"]),
            check: |v| {
                v.client.parse(request)?;
                Ok(Match::new(if v.server.is_silent() { STRONG } else { ANSWERED }))
            },
        },
        Rule {
            label: "tftp",
            name: "transfer",
            on: UDP,
            client: Starts::With(&[b"\x00\x03", b"\x00\x06"]),
            server: Starts::With(&[b"\x00\x04"]),
            check: transfer,
        },
        Rule {
            label: "afp",
            name: "session",
            on: TCP,
            client: Starts::With(&[b"\x00"]),
            server: Starts::With(&[b"\x01"]),
            check: |v| {
                v.both(|b| dsi(b, 0), |b| dsi(b, 1), |q, r| q == r && (q.1 != 0 || matches!(q.0, 3 | 4)))
            },
        },
        Rule {
            label: "rsync",
            name: "greeting",
            on: TCP,
            client: Starts::With(&[b"@R"]),
            server: Starts::With(&[b"@R"]),
            check: |v| v.pair(STRONG, rsync, rsync, |(), ()| true),
        },
        Rule {
            label: "git",
            name: "request",
            on: TCP,
            client: Starts::With(&[b"00"]),
            server: Starts::With(&[b"0"]),
            check: |v| {
                v.asked(STRONG, git, |bytes| packet(&mut Cursor::new(bytes)).map(|_| ()), |(), ()| true)
            },
        },
        Rule {
            label: "svn",
            name: "greeting",
            on: TCP,
            client: Starts::With(&[b"( "]),
            server: Starts::With(&[b"( "]),
            check: |v| v.pair(STRONG, |b| svn(b, b"( 2 ( "), |b| svn(b, b"( success ( "), |(), ()| true),
        },
        Rule {
            label: "cvs",
            name: "login",
            on: TCP,
            client: Starts::With(&[b"BE"]),
            server: Starts::With(&[b"I ", b"er", b"E "]),
            check: |v| {
                v.asked(STRONG, cvs, |bytes| ensure(is_text(&bytes[..bytes.len().min(2)])), |(), ()| true)
            },
        },
        Rule {
            label: "perforce",
            name: "variables",
            on: TCP,
            client: Starts::Any,
            server: Starts::Any,
            check: |v| v.pair(STRONG, perforce, perforce, |(), ()| true),
        },
        Rule {
            label: "syncthing",
            name: "discovery",
            on: UDP,
            client: Starts::With(&[b"\x2e\xa7", b"\x7d\x79"]),
            server: Starts::With(&[b"\x2e\xa7", b"\x7d\x79"]),
            check: |v| v.alike(STRONG, SURE, |bytes, _| announce(bytes)),
        },
        Rule {
            label: "syncthing",
            name: "relay",
            on: TCP,
            client: Starts::With(&[b"\x9e\x79"]),
            server: Starts::With(&[b"\x9e\x79"]),
            check: |v| v.pair(STRONG, relay, relay, |(), ()| true),
        },
        Rule {
            label: "dropbox-lsp",
            name: "announcement",
            on: UDP,
            client: Starts::With(&[b"{\""]),
            server: Starts::With(&[b"{\""]),
            check: |v| {
                v.alike(SURE, SURE, |bytes, _| {
                    let shown = &bytes[..bytes.len().min(256)];
                    ensure(is_text(shown) && contains(shown, b"\"host_int\":"))?;
                    ensure(contains(shown, b"\"namespaces\":") || contains(shown, b"\"version\":"))
                })
            },
        },
    ],
};

/// A name, a mode, options in pairs (RFC 2347).
fn request(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(matches!(c.u16()?, 1 | 2))?;
    let name = c.until(0, 512)?;
    ensure(!name.is_empty() && is_text(name))?;
    ensure(is_one_of(c.until(0, 10)?, &[b"octet", b"netascii", b"mail"]))?;
    while !c.is_empty() && c.rest() != [0] {
        ensure(is_ascii(c.until(0, 64)?) && is_text(c.until(0, 64)?))?;
    }
    Ok(())
}

/// The transfer itself goes between other ports: blocks that count up one way, their numbers back.
fn transfer(v: &View<'_>) -> Verdict {
    let size = v.client.datagrams().find(|(bytes, _)| bytes.starts_with(&[0, 3])).ok_or(Stop::More)?.1;
    let (mut blocks, mut acks, mut last) = (0, 0, None);
    let mut short = false;
    for (bytes, len) in v.client.datagrams() {
        let mut c = Cursor::new(bytes);
        match c.u16() {
            Ok(3) => {
                let Ok(number) = c.u16() else { return Err(Stop::No) };
                ensure(!short && len <= size && last.is_none_or(|last: u16| number.wrapping_sub(last) <= 1))?;
                short = len < size;
                last = Some(number);
                blocks += 1;
            }
            Ok(6) if blocks == 0 => {} // options are accepted
            _ => return Err(Stop::No),
        }
    }
    for (bytes, len) in v.server.datagrams() {
        let mut c = Cursor::new(bytes);
        let (Ok(4), Ok(number)) = (c.u16(), c.u16()) else { return Err(Stop::No) };
        let fits = last.is_none_or(|last| number <= last || last < number.wrapping_sub(60_000));
        ensure(len == 4 && fits)?;
        acks += 1;
    }
    // Two of each: zeros and small numbers look like one block and its acknowledgement.
    ensure(size >= 4 + 8 || short || blocks < 2)?;
    if blocks >= 2 && acks >= 2 && last.is_some_and(|last| last >= 2) {
        Ok(Match::new(ANSWERED))
    } else if blocks >= 1 && acks >= 1 && (size == 516 || size >= 1028) && last == Some(1) {
        Ok(Match::new(STRONG))
    } else {
        Err(Stop::More)
    }
}

/// Command and number of a message of the Data Stream Interface.
fn dsi(bytes: &[u8], flags: u8) -> Step<(u8, u16)> {
    let mut c = Cursor::new(bytes);
    let (kind, command, number, _code) = (c.u8()?, c.u8()?, c.u16()?, c.u32()?);
    let (len, zero) = (c.u32()?, c.u32()?);
    ensure(kind == flags && matches!(command, 1..=6 | 8) && zero == 0 && len <= 1 << 20)?;
    ensure(c.left() >= len as usize || flags == 1)?;
    if flags == 0 && command == 4 && len > 0 {
        ensure(c.u8()? <= 2 && c.counted(1)?.len() == 4)?;
    }
    Ok((command, number))
}

fn rsync(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"@RSYNCD: ")?;
    ensure(c.peek()?.is_ascii_digit() && is_text(c.line(200)?))
}

/// Four hexadecimal digits count themselves and what follows.
fn packet<'a>(c: &mut Cursor<'a>) -> Step<&'a [u8]> {
    let digits = c.rest();
    ensure(digits.iter().take(4).all(u8::is_ascii_hexdigit))?;
    let len = c
        .take(4)?
        .iter()
        .fold(0, |len: usize, &digit| len << 4 | (digit as char).to_digit(16).unwrap_or(0) as usize);
    ensure(len == 0 || (4..=65_520).contains(&len))?;
    Ok(&c.rest()[..c.left().min(len.saturating_sub(4))])
}

fn git(bytes: &[u8]) -> Step<()> {
    let body = packet(&mut Cursor::new(bytes))?;
    let mut c = Cursor::new(body);
    c.expect(b"git-")?;
    let service = c.until(b' ', 20)?;
    ensure(is_one_of(service, &[b"upload-pack", b"receive-pack", b"upload-archive"]))?;
    ensure(is_text(c.until(0, 1500)?))
}

fn svn(bytes: &[u8], begin: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(begin)?;
    let next = c.peek()?;
    ensure(next.is_ascii_alphanumeric() || matches!(next, b'(' | b')'))?;
    ensure(is_text(&c.rest()[..c.left().min(32)]))
}

fn cvs(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    c.expect(b"BEGIN ")?;
    let what = c.line(30)?;
    ensure(is_one_of(what, &[b"AUTH REQUEST", b"VERIFICATION REQUEST", b"GSSAPI REQUEST"]))
}

/// A length with its check byte, then variables: name, zero, length, value, zero.
fn perforce(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let head = c.take(5)?;
    ensure(head[0] == head[1] ^ head[2] ^ head[3] ^ head[4] && head[4] == 0 && head[1] | head[2] != 0)?;
    let mut named = false;
    for _ in 0..2 {
        let name = c.until(0, 40)?;
        ensure(name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte)))?;
        named |= name.len() >= 3;
        let len = c.u32le()? as usize;
        ensure(len <= 4096 && is_text(c.take(len)?) && c.u8()? == 0)?;
    }
    ensure(named)
}

/// A protocol buffer that begins with a device's 32 bytes.
fn announce(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(matches!(c.u32()?, 0x2ea7_d90b | 0x7d79_bc40))?;
    ensure(c.u8()? == 0x0a && c.u8()? == 32)?;
    c.skip(32)
}

fn relay(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (magic, kind, len) = (c.u32()?, c.u32()?, c.u32()?);
    ensure(magic == 0x9e79_bc40 && kind <= 7 && len <= 4096)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    #[test]
    fn requests_and_counted_blocks_are_tftp() {
        udp().c("\0\x01boot.img\0octet\0blksize\x001428\0").is("tftp");
        udp().c("\0\x02a\0NETASCII\0").s("\0\x05\0\x02no\0").is("tftp");
        udp().c("\0\x01boot.img\0octal\0").is_nothing();
        let block = |number: u8| cat(&[&[0, 3, 0, number], &[7; 512]]);
        let ack = |number: u8| [0, 4, 0, number];
        udp().s(block(1)).c(ack(1)).s(block(2)).c(ack(2)).is("tftp");
        udp().c(block(1)).s(ack(1)).is("tftp");
        udp().s(block(1)).c(ack(1)).s(block(9)).c(ack(9)).is_nothing();
        udp().s(block(1)).is_nothing();
    }

    #[test]
    fn sessions_of_apple_are_afp() {
        tcp()
            .c(hex("00 03 0001 00000000 00000000 00000000"))
            .s(hex("01 03 0001 00000000 00000002 00000000 0102"))
            .is("afp");
        tcp()
            .c(hex("00 03 0001 00000000 00000000 00000000"))
            .s(hex("01 03 0002 00000000 00000002 00000000 0102"))
            .is_nothing();
        tcp().c(hex("00 03 0001 00000000 00000000 00000001")).is_nothing();
    }

    #[test]
    fn versions_are_told_by_their_greetings() {
        tcp().s("@RSYNCD: 31.0\n").c("@RSYNCD: 31.0\n").is("rsync");
        tcp().s("@RSYNCD: x\n").is_nothing();
        tcp().c("0033git-upload-pack /project.git\0host=myserver.com\0").s("00a87217a7c7").is("git");
        tcp().c("0033git-upload-pack /project.git\0host=myserver.com\0").is("git");
        tcp().c("0033git-upload-pact /project.git\0host=myserver.com\0").is_nothing();
        tcp()
            .s("( success ( 2 2 ( ) ( edit-pipeline ) ) ) ")
            .c("( 2 ( edit-pipeline ) 15:svn://a.example ) ")
            .is("svn");
        tcp().s("( failure ( 2 2 ( ) ( edit-pipeline ) ) ) ").is_nothing();
        tcp().c("BEGIN AUTH REQUEST\n/cvs\njoe\nA\nEND AUTH REQUEST\n").s("I LOVE YOU\n").is("cvs");
        tcp().c("BEGIN AUTH REQUESTS\n").is_nothing();
        let vars = cat(&[b"cmpfile\0", &[0; 5], b"client\0", &[2, 0, 0, 0], b"84\0"]);
        let message = cat(&[&[vars.len() as u8, vars.len() as u8, 0, 0, 0], &vars]);
        tcp().c(&message).is("perforce");
        let mut odd = message;
        odd[0] ^= 1;
        tcp().c(&odd).is_nothing();
    }

    #[test]
    fn announcements_are_told() {
        udp().c(cat(&[&hex("2ea7d90b 0a20"), &[5; 40]])).is("syncthing");
        udp().c(cat(&[&hex("2ea7d90b 0a21"), &[5; 40]])).is_nothing();
        tcp().c(hex("9e79bc40 00000002 00000000")).is("syncthing");
        udp()
            .c(br#"{"host_int": 1, "version": [2, 0], "displayname": "", "port": 17500, "namespaces": [1]}"#)
            .is("dropbox-lsp");
        udp().c(br#"{"host": 1, "version": [2, 0]}"#).is_nothing();
    }
}
