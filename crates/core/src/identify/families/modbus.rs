//! Modbus over TCP and UMAS inside it (Modbus Messaging on TCP/IP Implementation Guide 1.0b).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP};
use super::super::verdict::confidence::{ANSWERED, LIKELY};
use super::super::verdict::{ensure, maybe, Match, Step, Stop, Verdict};
use super::super::view::{View, Who};

/// The family.
pub const FAMILY: Family = Family {
    name: "modbus",
    protocols: &[
        Protocol {
            label: "modbus",
            title: "Modbus/TCP",
            on: TCP,
            ports: &[502],
            spec: "Modbus Messaging on TCP/IP 1.0b",
        },
        Protocol {
            label: "umas",
            title: "Unified Messaging Application Services of Schneider controllers",
            on: TCP,
            ports: &[502],
            spec: "no public document",
        },
    ],
    rules: &[Rule {
        label: "modbus",
        name: "message",
        on: TCP,
        client: Starts::Any,
        server: Starts::Any,
        check: modbus,
    }],
};

/// Schneider's function code that carries UMAS.
const UMAS: u8 = 0x5a;

#[derive(Clone, Copy, PartialEq)]
struct Head {
    transaction: u16,
    unit: u8,
    function: u8,
}

fn modbus(v: &View<'_>) -> Verdict {
    let answered = maybe(v.server.parse(response))?;
    let asked = v.client.parse(request)?;
    let confidence = match answered {
        Some(answer) => {
            ensure(Head { function: answer.function & 0x7f, ..answer } == asked)?;
            ANSWERED
        }
        // Alone it has to be a segment of its own.
        None if v.turns().next() == Some((Who::Client, 6 + usize::from(v.client.bytes[5]))) => LIKELY,
        None => return Err(Stop::More),
    };
    let found = Match::new(confidence).at(Who::Client, 0, 12);
    Ok(if asked.function == UMAS { found.named("umas").under("modbus") } else { found })
}

/// The header, and the rest of the message it measures.
fn head<'a>(c: &mut Cursor<'a>) -> Step<(Head, Cursor<'a>)> {
    let transaction = c.u16()?;
    ensure(c.u16()? == 0)?;
    let len = usize::from(c.u16()?);
    ensure((2..=256).contains(&len))?;
    let mut body = c.sub(len)?;
    let (unit, function) = (body.u8()?, body.u8()?);
    Ok((Head { transaction, unit, function }, body))
}

fn request(bytes: &[u8]) -> Step<Head> {
    let mut c = Cursor::new(bytes);
    let (head, mut body) = head(&mut c)?;
    let left = body.left();
    let fits = match head.function {
        1..=4 => {
            ensure(left == 4)?;
            body.skip(2)?;
            (1..=if head.function < 3 { 2000 } else { 125 }).contains(&body.u16()?)
        }
        5 => left == 4 && matches!(body.rest(), [_, _, 0 | 0xff, 0]),
        6 => left == 4,
        7 | 11 | 12 | 17 => left == 0,
        8 => left >= 4,
        15 | 16 => {
            ensure(left >= 6)?;
            body.skip(2)?;
            let (count, bytes) = (usize::from(body.u16()?), usize::from(body.u8()?));
            let need = if head.function == 15 { count.div_ceil(8) } else { count * 2 };
            count > 0 && bytes == need && body.left() == bytes
        }
        20 | 21 => left >= 1 && usize::from(body.u8()?) == left - 1,
        22 => left == 6,
        23 => left >= 11 && usize::from(body.rest()[8]) == left - 9,
        24 => left == 2,
        43 => left >= 3 && matches!(body.u8()?, 13 | 14),
        UMAS => left >= 2,
        _ => false,
    };
    ensure(fits)?;
    // What follows is the next message.
    ensure(c.left() < 4 || c.rest()[2..4] == [0, 0])?;
    Ok(head)
}

fn response(bytes: &[u8]) -> Step<Head> {
    let (head, mut body) = head(&mut Cursor::new(bytes))?;
    let left = body.left();
    let fits = match head.function {
        0x80.. => left == 1,
        1..=4 | 23 => left >= 1 && usize::from(body.u8()?) == left - 1,
        5 | 6 | 15 | 16 => left == 4,
        UMAS => left >= 2,
        _ => left > 0,
    };
    if fits {
        Ok(head)
    } else {
        Err(Stop::No)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{hex, tcp};

    #[test]
    fn a_read_and_its_answer_are_modbus() {
        let ask = hex("0001 0000 0006 11 03 006b 0003");
        tcp().c(&ask).s(hex("0001 0000 0009 11 03 06 022b 0064 007f")).is("modbus");
        tcp().c(&ask).s(hex("0001 0000 0003 11 83 02")).is("modbus");
        tcp().c(&ask).is("modbus");
        tcp().c(hex("0002 0000 0009 11 10 0001 0001 02 1234")).is("modbus");
        tcp().c(hex("0001 0000 0004 00 5a 00 02")).s(hex("0001 0000 0005 00 5a 00 fe 01")).is("modbus/umas");
    }

    #[test]
    fn near_misses_are_not() {
        tcp().c(hex("0001 0001 0006 11 03 006b 0003")).is_nothing();
        tcp().c(hex("0001 0000 0007 11 03 006b 0003 00")).is_nothing();
        tcp().c(hex("0001 0000 0006 11 03 006b 0000")).is_nothing();
        let ask = hex("0001 0000 0006 11 03 006b 0003");
        tcp().c(&ask).s(hex("0002 0000 0009 11 03 06 022b 0064 007f")).is_nothing();
        tcp().c([0; 12]).is_nothing();
    }
}
