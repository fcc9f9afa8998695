//! NTP and SNTP (RFC 5905), control messages (RFC 9327) and the private mode.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, UDP};
use super::super::verdict::confidence::{LIKELY, STRONG, WEAK};
use super::super::verdict::{ensure, Step, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "time",
    protocols: &[Protocol {
        label: "ntp",
        title: "Network Time Protocol",
        on: UDP,
        ports: &[123],
        spec: "RFC 5905",
    }],
    rules: &[
        Rule {
            label: "ntp",
            name: "clock",
            on: UDP,
            client: Starts::Byte(|byte| matches!(byte & 7, 1 | 2 | 3 | 5)),
            server: Starts::Byte(|byte| matches!(byte & 7, 1 | 2 | 4 | 5)),
            check: clock,
        },
        Rule {
            label: "ntp",
            name: "control",
            on: UDP,
            client: Starts::Byte(|byte| byte & 7 == 6 && byte & 0xc0 == 0),
            server: Starts::Byte(|byte| byte & 7 == 6 && byte & 0xc0 == 0),
            check: control,
        },
        Rule {
            label: "ntp",
            name: "private",
            on: UDP,
            client: Starts::Byte(|byte| byte & 0xc7 == 7),
            server: Starts::Byte(|byte| byte & 0x87 == 0x87),
            check: private,
        },
    ],
};

/// Mode, origin and transmit time stamps.
struct Clock {
    mode: u8,
    origin: u64,
    transmit: u64,
}

fn clock(v: &View<'_>) -> Verdict {
    let alone = match v.client.first() {
        // A client that sends nothing but zeros behind its first byte is a simple one, and little proof.
        Ok(bytes) if bytes[1..].iter().all(|&byte| byte == 0) => WEAK,
        Ok(_) => LIKELY,
        Err(_) => STRONG,
    };
    v.pair(alone, read, read, |q, r| {
        matches!((q.mode, r.mode), (3, 4) | (1 | 2, 1 | 2))
            && (q.mode != 3 || r.origin == q.transmit || r.origin == 0 || q.transmit == 0)
    })
}

fn read(bytes: &[u8]) -> Step<Clock> {
    let mut c = Cursor::new(bytes);
    let first = c.u8()?;
    let (version, mode) = ((first >> 3) & 7, first & 7);
    ensure((1..=4).contains(&version) && (1..=5).contains(&mode))?;
    let (stratum, poll, precision) = (c.u8()?, c.u8()? as i8, c.u8()? as i8);
    ensure(stratum <= 16 && (-8..=17).contains(&poll) && (-40..=3).contains(&precision))?;
    let (delay, dispersion) = (c.u32()?, c.u32()?);
    // Seconds in 16.16: less than 32 s, and dispersion up to 16 s but for hosts out of step.
    ensure(!(32 << 16..=0xffff_0000).contains(&delay))?;
    ensure(dispersion < 64 << 16)?;
    let reference = c.u32()?;
    let (updated, origin, _received, transmit) = (c.u64()?, c.u64()?, c.u64()?, c.u64()?);
    // A time, or chance in its place, is not made of small numbers; only a client may leave it out.
    let made_up = transmit.to_be_bytes().iter().all(|&byte| byte < 32);
    ensure(!made_up || (mode == 3 && transmit == 0))?;
    // Stratum 1 names its source in four letters.
    ensure(
        stratum != 1
            || mode != 4
            || reference.to_be_bytes().iter().all(|&b| b == 0 || (32..127).contains(&b)),
    )?;
    ensure(
        mode != 4 || updated == 0 || stratum == 0 || transmit.abs_diff(updated) >> 32 < 40 * 86_400 * 365,
    )?;
    // Behind it: nothing, a key id and a digest, or extension fields (§7.5) of whole words.
    ensure(c.left().is_multiple_of(4) && c.left() <= 1024)?;
    Ok(Clock { mode, origin, transmit })
}

fn control(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let first = c.u8()?;
        ensure((2..=4).contains(&((first >> 3) & 7)))?;
        let op = c.u8()?;
        ensure(matches!(op & 0x1f, 1..=12 | 31))?;
        let sequence = c.u16()?;
        c.skip(4)?;
        let (offset, count) = (c.u16()?, usize::from(c.u16()?));
        ensure(count <= 480 && c.left() >= count && c.left() <= count + 24 + 3)?;
        ensure(op & 0x80 != 0 || offset == 0)?;
        let data = c.take(count)?;
        ensure(data.iter().all(|&b| matches!(b, b'\r' | b'\n' | 0 | 32..=126)) || op & 0x1f == 1)?;
        Ok((op, sequence))
    };
    v.pair(WEAK, read, read, |q, r| q.0 & 0x80 == 0 && r.0 & 0x80 != 0 && q.0 & 31 == r.0 & 31 && q.1 == r.1)
}

/// Mode 7 of ntpd (`monlist`): implementation 2 or 3, a code, counts of items that fill the datagram.
fn private(v: &View<'_>) -> Verdict {
    let read = |bytes: &[u8]| {
        let mut c = Cursor::new(bytes);
        let (first, _sequence, implementation, code) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
        ensure((2..=4).contains(&((first >> 3) & 7)) && matches!(implementation, 0 | 2 | 3) && code <= 45)?;
        let (items, size) = (c.u16()?, c.u16()?);
        let (items, size) = (usize::from(items & 0xfff), usize::from(size & 0xfff));
        let zeros = c.rest().iter().all(|&byte| byte == 0);
        ensure(items * size <= c.left() && (items > 0 || zeros) && items * size <= 500)?;
        Ok((first, implementation, code))
    };
    v.pair(WEAK, read, read, |q, r| q.0 & 0x80 == 0 && q.1 == r.1 && q.2 == r.2)
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, udp};

    fn packet(first: u8, stratum: u8, origin: u64, transmit: u64) -> Vec<u8> {
        cat(&[
            &[first, stratum, 6, 0xec],
            &hex("00000100 00000200 c0000201 e5a1000000000000"),
            &origin.to_be_bytes(),
            &hex("e5a1000100000000"),
            &transmit.to_be_bytes(),
        ])
    }

    #[test]
    fn a_server_repeats_the_clients_time() {
        let ask = packet(0x23, 0, 0, 0xe5a1_0001_1234_5678);
        udp().c(&ask).s(packet(0x24, 2, 0xe5a1_0001_1234_5678, 0xe5a1_0001_2234_5678)).is("ntp");
        udp().c(&ask).is("ntp");
        udp().c(&ask).s(packet(0x24, 2, 0xe5a1_0001_1234_5679, 0xe5a1_0001_2234_5678)).is_nothing();
    }

    #[test]
    fn near_misses_are_not() {
        udp().c(packet(0x23, 17, 0, 0xe5a1 << 48)).is_nothing();
        udp().c(&packet(0x23, 2, 0, 0xe5a1 << 48)[..47]).is_nothing();
        udp().c(packet(0x3b, 2, 0, 0xe5a1 << 48)).is_nothing();
        udp().c(cat(&[&packet(0x23, 2, 0, 0xe5a1 << 48), &[0]])).is_nothing();
    }

    #[test]
    fn control_and_private_messages_are_ntp() {
        udp()
            .c(hex("16 02 0001 0000 0000 0000 0000"))
            .s(hex("16 82 0001 0000 0000 0000 0004 613d310a"))
            .is("ntp");
        udp().c(cat(&[&hex("17 00 03 2a 0000 0000"), &[0; 40]])).is("ntp");
    }
}
