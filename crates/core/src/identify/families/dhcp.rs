//! DHCP and BOOTP (RFC 2131, RFC 2132), DHCPv6 (RFC 8415).

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, UDP};
use super::super::verdict::confidence::{LIKELY, SURE};
use super::super::verdict::{closed, ensure, Step, Verdict};
use super::super::view::View;

/// The family.
pub const FAMILY: Family = Family {
    name: "dhcp",
    protocols: &[
        Protocol {
            label: "dhcp",
            title: "Dynamic Host Configuration Protocol",
            on: UDP,
            ports: &[67, 68],
            spec: "RFC 2131",
        },
        Protocol { label: "dhcpv6", title: "DHCP for IPv6", on: UDP, ports: &[546, 547], spec: "RFC 8415" },
    ],
    rules: &[
        Rule {
            label: "dhcp",
            name: "message",
            on: UDP,
            client: Starts::Byte(|byte| matches!(byte, 1 | 2)),
            server: Starts::Byte(|byte| matches!(byte, 1 | 2)),
            check: dhcp,
        },
        Rule {
            label: "dhcpv6",
            name: "message",
            on: UDP,
            client: Starts::Byte(|byte| (1..=13).contains(&byte)),
            server: Starts::Byte(|byte| (1..=13).contains(&byte)),
            check: dhcpv6,
        },
    ],
};

fn dhcp(v: &View<'_>) -> Verdict {
    v.pair(SURE, v4, v4, |_, _| true)
}

fn v4(bytes: &[u8]) -> Step<u32> {
    let mut c = Cursor::new(bytes);
    let (op, kind, len, hops) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    ensure(matches!(op, 1 | 2) && (1..=40).contains(&kind) && len <= 16 && hops <= 16)?;
    let xid = c.u32()?;
    c.skip(228)?;
    ensure(c.u32()? == 0x6382_5363)?;
    let mut told = false;
    loop {
        match c.u8() {
            Ok(0) => {}
            Ok(255) => break,
            Ok(code) => {
                let value = c.counted(1)?;
                told |= code == 53 && matches!(value, [1..=18]);
                ensure(code != 53 || told)?;
            }
            Err(_) => break,
        }
    }
    Ok(xid)
}

fn dhcpv6(v: &View<'_>) -> Verdict {
    v.pair(LIKELY, v6, v6, |&(asked, q), &(answered, r)| {
        q == r && matches!((asked, answered), (1 | 3..=6 | 8 | 9 | 11, 2 | 7) | (12, 13))
    })
}

/// Type, and the transaction (0 for relayed messages).
fn v6(bytes: &[u8]) -> Step<(u8, u32)> {
    let mut c = Cursor::new(bytes);
    let kind = c.u8()?;
    let relayed = kind >= 12;
    let xid = if relayed {
        ensure(c.u8()? <= 32)?;
        c.skip(32)?;
        0
    } else {
        c.u24()?
    };
    let (mut identified, mut carried) = (false, false);
    closed(c.tlvs((2, 2), |code, value| {
        ensure((1..=150).contains(&code))?;
        match code {
            // DUID of type 1 to 4 (§11)
            1 | 2 => {
                ensure((5..=130).contains(&value.len()) && value[0] == 0 && (1..=4).contains(&value[1]))?;
                identified = true;
            }
            8 => ensure(value.len() == 2)?,
            9 => carried = value.first().is_some_and(|kind| (1..=13).contains(kind)),
            _ => {}
        }
        Ok(())
    }))?;
    // An Information-request may leave out who asks; its elapsed time and wishes alone are little.
    ensure(if relayed { carried } else { identified || (kind == 11 && bytes.len() >= 10) })?;
    Ok((kind, xid))
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{cat, hex, udp};

    fn discover() -> Vec<u8> {
        cat(&[&[1, 1, 6, 0, 9, 9, 9, 9], &[0; 228], &hex("63825363 350101 3702 0103 ff"), &[0; 20]])
    }

    #[test]
    fn options_behind_the_cookie_are_dhcp() {
        udp().c(discover()).is("dhcp");
        let mut odd = discover();
        odd[236] = 0;
        udp().c(&odd).is_nothing();
        udp().c(&discover()[..100]).is_nothing();
    }

    #[test]
    fn options_to_the_last_byte_are_dhcpv6() {
        let solicit = hex("01 123456 0001 000a 0003 0001 020304050607 0008 0002 0000");
        udp().c(&solicit).is("dhcpv6");
        udp().c(&solicit).s(hex("02 123456 0001 000a 0003 0001 020304050607")).is("dhcpv6");
        udp().c(&solicit).s(hex("02 123457 0001 000a 0003 0001 020304050607")).is_nothing();
        udp().c(cat(&[&solicit, &[0]])).is_nothing();
    }
}
