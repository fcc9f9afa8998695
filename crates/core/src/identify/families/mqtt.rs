//! MQTT 3.1 to 5 (OASIS MQTT §3.1, §3.2).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::verdict::confidence::SURE;
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "mqtt",
    protocols: &[Protocol {
        label: "mqtt",
        title: "MQTT",
        on: TCP,
        ports: &[1883, 8883],
        spec: "OASIS MQTT 5.0",
    }],
    rules: &[Rule {
        label: "mqtt",
        name: "connect",
        on: TCP,
        client: Starts::With(&[b"\x10"]),
        server: Starts::With(&[b"\x20", b"\xf0"]),
        check: |v: &View<'_>| -> Verdict {
            v.client.first()?;
            v.pair(SURE, connect, accept, |(), ()| true)
        },
    }],
};

fn connect(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    ensure(c.u8()? == 0x10)?;
    let len = c.base128(4)?;
    let name = c.counted(2);
    let level = match name {
        Ok(b"MQTT") => [4, 5],
        Ok(b"MQIsdp") => [3, 3],
        Ok(_) => return Err(Stop::No),
        Err(stop) => return Err(if c.left() > 8 { Stop::No } else { stop }),
    };
    let (version, flags) = (c.u8()?, c.u8()?);
    ensure(level.contains(&(version & 0x7f)) && flags & 1 == 0)?;
    // Without a will, its quality and retain bits are 0 (§3.1.2.6).
    ensure(flags & 4 != 0 || flags & 0x38 == 0)?;
    ensure(flags & 0x18 != 0x18 && len >= 12)
}

fn accept(bytes: &[u8]) -> Step<()> {
    let mut c = Cursor::new(bytes);
    match c.u8()? {
        0x20 => {
            let len = c.base128(4)?;
            ensure((2..=2000).contains(&len) && c.u8()? <= 1)?;
            let code = c.u8()?;
            ensure(code <= 5 || code >= 0x80)
        }
        0xf0 => ensure(c.base128(4)? >= 1), // AUTH
        _ => Err(Stop::No),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{hex, tcp};

    #[test]
    fn a_connect_and_its_answer_are_mqtt() {
        tcp().c(hex("100d 0004 4d515454 04 02 003c 0001 61")).s(hex("2002 0000")).is("mqtt");
        tcp().c(hex("100f 0006 4d5149736470 03 02 003c 0001 61")).is("mqtt");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().c(hex("100d 0004 4d515454 06 02 003c 0001 61")).is_nothing();
        tcp().c(hex("100d 0004 4d515454 04 03 003c 0001 61")).is_nothing();
    }
}
