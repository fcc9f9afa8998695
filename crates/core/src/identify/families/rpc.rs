//! ONC RPC (RFC 5531) and its programs: port mapper, NFS, mount, locks, NIS, GlusterFS.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Verdict};
use super::super::view::{Transport, View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "rpc",
    protocols: &[
        Protocol {
            label: "onc-rpc",
            title: "Open Network Computing Remote Procedure Call",
            on: TCP | UDP,
            ports: &[111],
            spec: "RFC 5531",
        },
        Protocol {
            label: "portmap",
            title: "Port mapper, rpcbind",
            on: TCP | UDP,
            ports: &[111],
            spec: "RFC 1833",
        },
        Protocol {
            label: "nfs",
            title: "Network File System",
            on: TCP | UDP,
            ports: &[2049],
            spec: "RFC 8881",
        },
        Protocol { label: "nfs-mount", title: "NFS mount", on: TCP | UDP, ports: &[], spec: "RFC 1813" },
        Protocol {
            label: "nlm",
            title: "Network Lock Manager",
            on: TCP | UDP,
            ports: &[4045],
            spec: "Open Group C702 (XNFS)",
        },
        Protocol {
            label: "nsm",
            title: "Network Status Monitor",
            on: TCP | UDP,
            ports: &[],
            spec: "Open Group C702 (XNFS)",
        },
        Protocol {
            label: "nis",
            title: "Network Information Service, Yellow Pages",
            on: TCP | UDP,
            ports: &[],
            spec: "yp.x",
        },
        Protocol {
            label: "glusterfs",
            title: "GlusterFS",
            on: TCP,
            ports: &[24007, 49152],
            spec: "GlusterFS, rpc/xdr",
        },
    ],
    rules: &[
        Rule {
            label: "onc-rpc",
            name: "datagram",
            on: UDP,
            client: Starts::Any,
            server: Starts::Any,
            check: rpc,
        },
        Rule {
            label: "onc-rpc",
            name: "record",
            on: TCP,
            client: Starts::With(&[b"\x80\x00"]),
            server: Starts::With(&[b"\x80"]),
            check: rpc,
        },
    ],
};

/// The number of a message; of a stream behind the record mark (§11).
fn number(c: &mut Cursor<'_>, stream: bool) -> Step<u32> {
    if stream {
        let mark = c.u32()?;
        ensure((24..=4 << 20).contains(&(mark & 0x7fff_ffff)))?;
    }
    c.u32()
}

/// Credentials or verifier (§8.2).
fn proof(c: &mut Cursor<'_>) -> Step<()> {
    let (flavor, len) = (c.u32()?, c.u32()? as usize);
    ensure((flavor <= 7 || (390_000..=390_300).contains(&flavor) || flavor == 5_862_875) && len <= 400)?;
    ensure((flavor != 0 || len == 0) && (flavor != 1 || len >= 20))?;
    c.skip(len.next_multiple_of(4))
}

/// Number and program of a call (§9).
fn call(bytes: &[u8], stream: bool) -> Step<(u32, u32)> {
    let mut c = Cursor::new(bytes);
    let id = number(&mut c, stream)?;
    let (kind, version) = (c.u32()?, c.u32()?);
    ensure(kind == 0 && version == 2)?;
    let (program, edition, procedure) = (c.u32()?, c.u32()?, c.u32()?);
    // Numbers given out by IANA, by users, for a while; and a few that someone just took (RFC 5531 §13.3).
    ensure(
        matches!(program, 100_000..=101_999 | 200_000..=400_200 | 536_870_912..=0x5fff_ffff)
            || gluster(program),
    )?;
    ensure(edition <= 400 && procedure <= 200)?;
    proof(&mut c)?;
    proof(&mut c)?;
    Ok((id, program))
}

fn gluster(program: u32) -> bool {
    matches!(program, 14_398_633 | 1_298_437 | 123_451_501 | 34_123_456 | 52_743_234 | 1_238_433 | 1_238_463)
}

fn reply(bytes: &[u8], stream: bool) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    let id = number(&mut c, stream)?;
    let (kind, status) = (c.u32()?, c.u32()?);
    ensure(kind == 1 && status <= 1)?;
    if status == 0 {
        proof(&mut c)?;
        ensure(c.u32()? <= 5)?;
    } else {
        ensure(c.u32()? <= 1)?;
    }
    Ok(id)
}

fn rpc(v: &View<'_>) -> Verdict {
    let stream = v.transport == Transport::Tcp;
    let answered = maybe(v.server.parse(|bytes| reply(bytes, stream)))?;
    let (id, program) = v.client.parse(|bytes| call(bytes, stream))?;
    ensure(answered.is_none_or(|answered| answered == id || stream))?;
    let found = Match::new(if answered == Some(id) { ANSWERED } else { STRONG }).at(Who::Client, 0, 24);
    let label = match program {
        100_000 => "portmap",
        100_003 | 100_227 | 0x4000_0000 => "nfs",
        100_005 => "nfs-mount",
        100_021 => "nlm",
        100_024 => "nsm",
        100_004 | 100_007 | 100_009 | 100_069 | 100_300 => "nis",
        program if gluster(program) => "glusterfs",
        _ => return Ok(found),
    };
    Ok(found.named(label).under("onc-rpc"))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    fn call(program: u32) -> Vec<u8> {
        cat(&[
            &hex("12345678 00000000 00000002"),
            &program.to_be_bytes(),
            &hex("00000002 00000003 00000000 00000000 00000000 00000000"),
        ])
    }
    const REPLY: &str = "12345678 00000001 00000000 00000000 00000000 00000000 00000801";

    #[test]
    fn calls_are_named_by_their_program() {
        udp().c(call(100_000)).s(hex(REPLY)).is("onc-rpc/portmap");
        udp().c(call(100_003)).is("onc-rpc/nfs");
        udp().c(call(100_005)).is("onc-rpc/nfs-mount");
        udp().c(call(100_021)).is("onc-rpc/nlm");
        udp().c(call(100_024)).is("onc-rpc/nsm");
        udp().c(call(100_004)).is("onc-rpc/nis");
        udp().c(call(100_232)).is("onc-rpc");
        let framed = |body: &[u8]| cat(&[&[0x80, 0, 0, body.len() as u8], body]);
        tcp().c(framed(&call(100_003))).s(framed(&hex(REPLY))).is("onc-rpc/nfs");
        tcp().c(framed(&call(14_398_633))).is("onc-rpc/glusterfs");
    }

    #[test]
    fn near_misses_are_not() {
        for (at, value) in [(7, 1), (11, 3), (15, 0x01), (23, 201), (27, 8), (31, 1)] {
            let mut odd = call(100_000);
            odd[at] = value;
            if at == 15 {
                odd[13] = 0;
            }
            udp().c(&odd).is_nothing();
        }
        udp().s(hex(REPLY)).is_nothing();
        let mut other = hex(REPLY);
        other[0] = 0;
        udp().c(call(100_000)).s(other).is_nothing();
    }
}
