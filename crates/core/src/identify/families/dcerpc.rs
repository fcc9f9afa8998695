//! DCE/RPC (Open Group C706) with the extensions of MS-RPCE, over TCP and UDP; end point mapper and DCOM.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::verdict::confidence::{ANSWERED, LIKELY, STRONG};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "rpc",
    protocols: &[
        Protocol {
            label: "dcerpc",
            title: "Distributed Computing Environment RPC",
            on: TCP | UDP,
            ports: &[135, 593],
            spec: "Open Group C706",
        },
        Protocol {
            label: "epm",
            title: "DCE/RPC end point mapper",
            on: TCP | UDP,
            ports: &[135],
            spec: "Open Group C706, appendix O",
        },
        Protocol {
            label: "dcom",
            title: "Distributed Component Object Model",
            on: TCP,
            ports: &[135],
            spec: "MS-DCOM",
        },
    ],
    rules: &[
        Rule {
            label: "dcerpc",
            name: "connection",
            on: TCP,
            client: Starts::With(&[b"\x05\x00", b"\x05\x01"]),
            server: Starts::With(&[b"\x05\x00", b"\x05\x01"]),
            check: connection,
        },
        Rule {
            label: "dcerpc",
            name: "datagram",
            on: UDP,
            client: Starts::With(&[b"\x04"]),
            server: Starts::With(&[b"\x04"]),
            check: |v| v.pair(STRONG, |b| datagram(b, true), |b| datagram(b, false), |q, r| q == r),
        },
    ],
};

/// Interfaces of the end point mapper, and of activation and reference counting of DCOM (MS-DCOM §1.9); as
/// they stand on the wire in least significant byte first.
const EPM: [u8; 16] = [8, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9, 0x11, 0x91, 0xa4, 8, 0, 0x2b, 0x14, 0xa0, 0xfa];
const EXPORTER: [u8; 16] =
    [0xc4, 0xfe, 0xfc, 0x99, 0x60, 0x52, 0x1b, 0x10, 0xbb, 0xcb, 0, 0xaa, 0, 0x21, 0x34, 0x7a];
const COM: [u8; 8] = [0xc0, 0, 0, 0, 0, 0, 0, 0x46];

/// What a fragment of a connection is (C706 §12.6.3).
struct Fragment {
    kind: u8,
    call: u32,
    interface: Option<[u8; 16]>,
    /// It is there to its end.
    whole: bool,
}

fn fragment(bytes: &[u8]) -> Step<Fragment> {
    let mut c = Cursor::new(bytes);
    let (version, minor, kind, flags) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(version == 5 && minor <= 1 && matches!(kind, 0 | 2 | 3 | 11..=20))?;
    let little = form(&mut c)?;
    ensure(c.u8()? == 0)?;
    // Most significant first is rare: not believed without the many fields of a bind or its answer.
    ensure(little || (11..=15).contains(&kind))?;
    ensure(flags & 3 != 0 || matches!(kind, 0 | 2))?; // first, last
    let number = |c: &mut Cursor<'_>| if little { c.u16le() } else { c.u16() };
    let (len, auth) = (number(&mut c)?, number(&mut c)?);
    ensure(len >= 16 && auth < len && (auth == 0 || auth >= 8))?;
    let call = if little { c.u32le()? } else { c.u32()? };
    let mut interface = None;
    match kind {
        11 | 14 => {
            let (send, receive) = (number(&mut c)?, number(&mut c)?);
            c.skip(4)?;
            ensure(len >= 72 && send >= 512 && receive >= 512)?;
            let (contexts, zeros, _id) = (c.u8()?, c.u24()?, c.u16()?);
            ensure((1..=64).contains(&contexts) && zeros == 0)?;
            let (syntaxes, zero) = (c.u8()?, c.u8()?);
            ensure((1..=16).contains(&syntaxes) && zero == 0)?;
            let mut uuid = [0; 16];
            uuid.copy_from_slice(c.take(16)?);
            interface = Some(uuid);
        }
        12 | 15 => {
            let (send, receive) = (number(&mut c)?, number(&mut c)?);
            ensure(len >= 24 && (send >= 512 || kind == 15) && (receive >= 512 || kind == 15))?;
        }
        0 | 2 | 3 => {
            c.skip(4)?; // a hint of the size
            ensure(len >= 24)?;
            let (_context, operation) = (number(&mut c)?, number(&mut c)?);
            ensure(kind != 0 || operation < 1024)?;
        }
        _ => {}
    }
    // What follows a fragment is another.
    ensure(bytes.get(usize::from(len)).is_none_or(|&next| next == 5))?;
    Ok(Fragment { kind, call, interface, whole: bytes.len() >= usize::from(len) })
}

/// Data representation (C706 §14.1) but for its last byte; whether the least significant byte is first.
fn form(c: &mut Cursor<'_>) -> Step<bool> {
    let (order, floats, zero) = (c.u8()?, c.u8()?, c.u8()?);
    ensure(matches!(order, 0 | 1 | 0x10 | 0x11) && floats <= 3 && zero == 0)?;
    Ok(order & 0x10 != 0)
}

/// A bind and its answer have many fields to check, the others few.
fn alone(fragment: &Fragment) -> Step<u8> {
    match fragment.kind {
        11 | 12 | 14 | 15 => Ok(STRONG),
        _ if fragment.whole => Ok(LIKELY),
        _ => Err(Stop::More),
    }
}

fn connection(v: &View<'_>) -> Verdict {
    let asked = maybe(v.client.parse(fragment))?;
    let answered = maybe(v.server.parse(fragment))?;
    if let Some(q) = &asked {
        ensure(matches!(q.kind, 0 | 11 | 14 | 16 | 18 | 19))?;
    }
    if let Some(r) = &answered {
        ensure(matches!(r.kind, 2 | 3 | 12 | 13 | 15 | 17))?;
    }
    let found = match (&asked, &answered) {
        (Some(q), Some(r)) => {
            ensure(q.kind != 11 || (matches!(r.kind, 12 | 13) && q.call == r.call))?;
            Match::new(ANSWERED).at(Who::Client, 0, 12)
        }
        (Some(q), None) => Match::new(alone(q)?).at(Who::Client, 0, 12),
        (None, Some(r)) => Match::new(alone(r)?).at(Who::Server, 0, 12),
        (None, None) => return Err(Stop::More),
    };
    Ok(match asked.and_then(|q| q.interface) {
        Some(EPM) => found.named("epm").under("dcerpc"),
        Some(EXPORTER) => found.named("dcom").under("dcerpc"),
        Some(uuid) if uuid[8..] == COM => found.named("dcom").under("dcerpc"),
        _ => found,
    })
}

/// The activity of a datagram (C706 §12.5.2), whose length agrees with what it says.
fn datagram(bytes: &[u8], asks: bool) -> Step<[u8; 16]> {
    let mut c = Cursor::new(bytes);
    let (version, kind, _flags, more) = (c.u8()?, c.u8()? & 0x1f, c.u8()?, c.u8()?);
    ensure(version == 4 && kind <= 10 && more & 0xfc == 0)?;
    ensure(if asks { matches!(kind, 0 | 1 | 7 | 8) } else { !matches!(kind, 0 | 8) })?;
    let little = form(&mut c)?;
    c.skip(1 + 16)?;
    let interface = c.take(16)?;
    let mut activity = [0; 16];
    activity.copy_from_slice(c.take(16)?);
    ensure(interface.iter().any(|&byte| byte != 0))?;
    // An activity's number is a random one.
    ensure(activity.iter().filter(|&&byte| byte != 0).count() >= 10)?;
    c.skip(12)?;
    let number = |c: &mut Cursor<'_>| if little { c.u16le() } else { c.u16() };
    let operation = number(&mut c)?;
    c.skip(4)?;
    let (len, _part) = (usize::from(number(&mut c)?), number(&mut c)?);
    ensure(operation < 1024)?;
    let (auth, _serial) = (c.u8()?, c.u8()?);
    c.skip(len)?;
    ensure(auth != 0 || c.is_empty())?;
    Ok(activity)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, tcp, udp};

    fn bind(interface: &[u8]) -> Vec<u8> {
        cat(&[
            &hex("05 00 0b 03 10000000 4800 0000 01000000 d016 d016 00000000 01 000000 0000 01 00"),
            interface,
            &hex("03000000 045d888aeb1cc9119fe808002b104860 02000000"),
        ])
    }
    const ACK: &str = "05 00 0c 03 10000000 3c00 0000 01000000 d016 d016 5ace0000 0400 31333500 01000000 0000 0000 045d888aeb1cc9119fe808002b104860 02000000";

    #[test]
    fn binds_are_dcerpc_and_named_by_their_interface() {
        tcp().c(bind(&[7; 16])).s(hex(ACK)).is("dcerpc");
        tcp().c(bind(&super::EPM)).s(hex(ACK)).is("dcerpc/epm");
        tcp().c(bind(&super::EXPORTER)).is("dcerpc/dcom");
        tcp().c(hex("05 00 00 03 10000000 1800 0000 02000000 00000000 0000 0300")).midway().is("dcerpc");
    }

    #[test]
    fn near_misses_are_not() {
        for (at, value) in [(2, 5), (4, 0x20), (6, 1), (8, 15), (16, 0), (17, 1), (25, 1)] {
            let mut odd = bind(&[7; 16]);
            odd[at] = value;
            let differs = at != 16 && at != 17;
            if differs {
                tcp().c(&odd).is_nothing();
            }
        }
        tcp()
            .c(bind(&[7; 16]))
            .s(hex(ACK).iter().map(|&b| if b == 1 { 2 } else { b }).collect::<Vec<_>>())
            .is_nothing();
    }

    #[test]
    fn datagrams_of_one_activity_are_dcerpc() {
        let packet = |kind: u8, len: u8| {
            cat(&[
                &[4, kind, 0x20, 0, 0x10, 0, 0, 0],
                &[0; 16],
                &[3; 16],
                &[5; 16],
                &hex("00000000 01000000 00000000 0200 ffff ffff"),
                &[len, 0, 0, 0, 0, 0],
                &[9; 4],
            ])
        };
        udp().c(packet(0, 4)).s(packet(2, 4)).is("dcerpc");
        udp().c(packet(0, 4)).is("dcerpc");
        udp().c(packet(0, 5)).is_nothing();
        udp().c(packet(0, 3)).is_nothing();
    }
}
