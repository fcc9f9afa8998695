//! SNMP 1, 2c and 3 (RFC 1157, RFC 3416, RFC 3412).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, TCP, UDP};
use super::super::text::is_text;
use super::super::verdict::confidence::{STRONG, SURE};
use super::super::verdict::{ensure, Step, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "snmp",
    protocols: &[Protocol {
        label: "snmp",
        title: "Simple Network Management Protocol",
        on: UDP | TCP,
        ports: &[161, 162],
        spec: "RFC 3416",
    }],
    rules: &[Rule {
        label: "snmp",
        name: "message",
        on: UDP | TCP,
        client: Starts::With(&[b"\x30"]),
        server: Starts::With(&[b"\x30"]),
        check: snmp,
    }],
};

/// Version, type of the PDU (0 if it is encrypted) and its number.
struct Message {
    version: u32,
    pdu: u8,
    id: Option<u32>,
}

fn snmp(v: &View<'_>) -> Verdict {
    // A trap or an inform is never answered by more than it says itself.
    let alone = match v.client.parse(read) {
        Ok(m) if matches!(m.pdu, 0xa4 | 0xa7) => SURE,
        _ => STRONG,
    };
    v.pair(alone, read, read, |q, r| {
        q.version == r.version && (q.id.is_none() || r.id.is_none() || q.id == r.id || q.version == 3)
    })
}

fn read(bytes: &[u8]) -> Step<Message> {
    let mut c = Cursor::new(bytes);
    let mut m = Cursor::new(c.ber_tag(0x30)?);
    let version = m.ber_uint()?;
    ensure(matches!(version, 0 | 1 | 3))?;
    if version == 3 {
        let mut head = Cursor::new(m.ber_tag(0x30)?);
        let (_id, size) = (head.ber_uint()?, head.ber_uint()?);
        let flags = head.ber_tag(4)?;
        ensure(size >= 484 && flags.len() == 1 && head.ber_uint()? > 0 && head.is_empty())?;
        m.ber_tag(4)?; // security parameters
        let scoped = m.peek()?;
        ensure(matches!(scoped, 0x30 | 4))?;
        m.ber()?;
        ensure(m.is_empty())?;
        return Ok(Message { version, pdu: 0, id: None });
    }
    let community = m.ber_tag(4)?;
    ensure(community.len() <= 255 && is_text(community))?;
    let pdu = m.ber()?;
    ensure(m.is_empty() && (0xa0..=0xa8).contains(&pdu.tag))?;
    let mut p = Cursor::new(pdu.body);
    let id = if pdu.tag == 0xa4 {
        p.ber_tag(6)?;
        None
    } else {
        let id = p.ber_tag(2)?;
        ensure((1..=5).contains(&id.len()))?;
        p.ber_tag(2)?;
        p.ber_tag(2)?;
        p.ber_tag(0x30)?;
        ensure(p.is_empty())?;
        Some(id.iter().fold(0u32, |value, &byte| value << 8 | u32::from(byte)))
    };
    Ok(Message { version, pdu: pdu.tag, id })
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, udp};

    const GET: &str =
        "3026 020101 0406 7075626c6963 a019 020101 020100 020100 300e 300c 0608 2b06010201010100 0500";
    const GOT: &str = "302a 020101 0406 7075626c6963 a21d 020101 020100 020100 3012 3010 0608 2b06010201010100 0404 61626364";

    #[test]
    fn requests_and_responses_of_one_number_are_snmp() {
        udp().c(hex(GET)).s(hex(GOT)).is("snmp");
        udp().c(hex(GET)).is("snmp");
        let mut other = hex(GOT);
        other[17] = 9;
        udp().c(hex(GET)).s(other).is_nothing();
    }

    #[test]
    fn near_misses_are_not() {
        let mut odd = hex(GET);
        odd[4] = 7;
        udp().c(&odd).is_nothing();
        udp().c(&hex(GET)[..30]).is_nothing();
        udp().c(cat(&[&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], &hex(GET)])).is_nothing();
    }
}
