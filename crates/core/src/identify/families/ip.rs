//! Protocols that stand right on IP: ICMP, IGMP, OSPF, EIGRP, PIM, RSVP, VRRP, CARP, ESP, AH, GRE. The number in
//! the IP header says which, the header behind it must agree.

use super::super::cursor::Cursor;
use super::super::rule::{Family, Protocol, Rule, Starts, IP};
use super::super::verdict::confidence::{STRONG, SURE};
use super::super::verdict::{ensure, Step, Stop, Verdict};
use super::super::view::{Transport, View};

macro_rules! protocols {
    ($($label:literal $title:literal $spec:literal,)*) => {
        &[$(Protocol { label: $label, title: $title, on: IP, ports: &[], spec: $spec },)*]
    };
}

macro_rules! rules {
    ($($label:literal $name:literal $number:literal $starts:expr, $read:expr;)*) => {
        &[$(Rule {
            label: $label,
            name: $name,
            on: IP,
            client: Starts::Byte($starts),
            server: Starts::Byte($starts),
            check: |v: &View<'_>| -> Verdict {
                ensure(v.transport == Transport::Ip($number))?;
                v.alike(STRONG, SURE, $read)
            },
        },)*]
    };
}

/// The family.
pub const FAMILY: Family = Family {
    name: "ip",
    protocols: protocols! {
        "icmp" "Internet Control Message Protocol" "RFC 792",
        "icmpv6" "Internet Control Message Protocol for IPv6" "RFC 4443",
        "igmp" "Internet Group Management Protocol" "RFC 3376",
        "ospf" "Open Shortest Path First 2 and 3" "RFC 2328",
        "eigrp" "Enhanced Interior Gateway Routing Protocol" "RFC 7868",
        "pim" "Protocol Independent Multicast 2" "RFC 7761",
        "rsvp" "Resource Reservation Protocol" "RFC 2205",
        "vrrp" "Virtual Router Redundancy Protocol 2 and 3" "RFC 5798",
        "carp" "Common Address Redundancy Protocol" "OpenBSD carp(4)",
        "esp" "IP Encapsulating Security Payload" "RFC 4303",
        "ah" "IP Authentication Header" "RFC 4302",
        "gre" "Generic Routing Encapsulation" "RFC 2784",
    },
    rules: rules! {
        "icmp" "message" 1 |byte| byte <= 18 || (30..=43).contains(&byte), icmp;
        "icmpv6" "message" 58 |byte| (1..=4).contains(&byte) || (127..=161).contains(&byte), icmpv6;
        "igmp" "message" 2 |byte| matches!(byte, 0x11..=0x17 | 0x1e | 0x1f | 0x22 | 0x30..=0x32), igmp;
        "ospf" "packet" 89 |byte| matches!(byte, 2 | 3), ospf;
        "eigrp" "packet" 88 |byte| byte == 2, eigrp;
        "pim" "message" 103 |byte| byte >> 4 == 2, pim;
        "rsvp" "message" 46 |byte| byte >> 4 == 1, rsvp;
        "vrrp" "advertisement" 112 |byte| matches!(byte, 0x21 | 0x31), vrrp;
        "carp" "advertisement" 112 |byte| byte == 0x21, carp;
        "esp" "packet" 50 |_| true, esp;
        "ah" "packet" 51 |_| true, ah;
        "gre" "packet" 47 |_| true, gre;
    },
};

/// The sum over a whole message is right (RFC 1071); one that was cut is believed.
fn sum(bytes: &[u8], len: usize) -> Step<()> {
    if bytes.len() < len {
        return Ok(());
    }
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u32::from(low));
    }
    while total > 0xffff {
        total = (total >> 16) + (total & 0xffff);
    }
    ensure(total == 0xffff)
}

fn icmp(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (kind, code) = (c.u8()?, c.u8()?);
    ensure(len >= 8 && code <= 16 && (matches!(kind, 3 | 5 | 11 | 12 | 9 | 40 | 43) || code == 0))
}

fn icmpv6(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (kind, code) = (c.u8()?, c.u8()?);
    ensure(len >= 8 && code <= if kind < 128 { 8 } else { 3 } || kind == 138 || kind == 157 || kind == 155)
}

fn igmp(bytes: &[u8], len: usize) -> Step<()> {
    ensure(len >= 8)?;
    sum(bytes, len)
}

fn ospf(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, kind, size) = (c.u8()?, c.u8()?, usize::from(c.u16()?));
    let least = if version == 2 { 24 } else { 16 };
    // The digest of an authentication stands behind the packet (RFC 2328 §D.4.3).
    ensure(matches!(version, 2 | 3) && (1..=5).contains(&kind) && (least..=len).contains(&size))
}

fn eigrp(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (version, code, _sum, flags) = (c.u8()?, c.u8()?, c.u16()?, c.u32()?);
    ensure(version == 2 && (1..=12).contains(&code) && flags <= 15 && len >= 20)
}

fn pim(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (first, _) = (c.u8()?, c.u8()?);
    ensure(first >> 4 == 2 && first & 15 <= 13 && len >= 4)
}

fn rsvp(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (first, kind, _sum, _ttl, zero, size) = (c.u8()?, c.u8()?, c.u16()?, c.u8()?, c.u8()?, c.u16()?);
    ensure(first >> 4 == 1 && (1..=35).contains(&kind) && zero == 0 && usize::from(size) == len && len >= 8)
}

fn vrrp(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (first, _router, _priority, count) = (c.u8()?, c.u8()?, c.u8()?, usize::from(c.u8()?));
    let fits = if first == 0x21 {
        len == 16 + 4 * count || len == 8 + 4 * count
    } else {
        len == 8 + 4 * count || len == 8 + 16 * count
    };
    ensure(count > 0 && fits && (count != 7 || len != 36)) // those are of CARP
}

fn carp(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (first, _router, _skew, words) = (c.u8()?, c.u8()?, c.u8()?, c.u8()?);
    // A counter and a digest make seven words.
    ensure(first == 0x21 && words == 7 && len == 36)
}

fn esp(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (association, _number) = (c.u32()?, c.u32()?);
    ensure(association > 255 && len >= 18) // up to 255 are reserved (§2.1)
}

fn ah(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (_next, words, zero, association) = (c.u8()?, usize::from(c.u8()?), c.u16()?, c.u32()?);
    ensure(zero == 0 && association > 255 && (1..=64).contains(&words) && 4 * (words + 2) <= len)
}

fn gre(bytes: &[u8], len: usize) -> Step<()> {
    let mut c = Cursor::new(bytes);
    let (flags, kind) = (c.u16()?, c.u16()?);
    let size = 4 + (0..4).filter(|bit| flags & 0x8000 >> bit != 0 && *bit != 1).count() * 4;
    match flags & 7 {
        0 => ensure(flags & 0x0ff8 == 0 && (kind >= 0x0600 || kind == 0) && len >= size),
        1 => ensure(flags & 0x2000 != 0 && kind == 0x880b), // PPTP (RFC 2637 §4.1)
        _ => Err(Stop::No),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testkit::{hex, over, udp, Talk};
    use super::super::super::view::Transport;

    fn ip(number: u8, text: &str) -> Talk {
        over(Transport::Ip(number)).c(hex(text))
    }

    #[test]
    fn number_and_header_must_agree() {
        ip(1, "0800 f7ff 0000 0000").is("icmp");
        ip(58, "8000 f7ff 0000 0000").is("icmpv6");
        ip(2, "1600 09fd e0000002").is("igmp");
        ip(89, "0201 002c 0a000001 00000000 0000 0000 0000000000000000 ffffff00 000a 02 01 00000028 0a000001 00000000").is("ospf");
        ip(88, "0205 eec9 00000000 00000000 00000000 00000064 0001 000c 01000100 0000000f").is("eigrp");
        ip(103, "2000 dfa4 0001 0002 0069").is("pim");
        ip(46, "1001 0000 ff 00 0008").is("rsvp");
        ip(112, "2101 6401 0001 ba52 c0a80001 0000000000000000").is("vrrp");
        ip(112, "2101 0007 0001 0000 0102030405060708 0000000000000000000000000000000000000000").is("carp");
        ip(112, "2101 0006 0001 0000 0102030405060708 0000000000000000000000000000000000000000").is_nothing();
        ip(50, "00001000 00000001 0102030405060708090a").is("esp");
        ip(51, "3204 0000 00001000 00000001 000102030405060708090a0b 00").is("ah");
        ip(47, "0000 0800 4500").is("gre");
        ip(47, "3001 880b 0000 0001 00000001").is("gre");
    }

    #[test]
    fn near_misses_are_not() {
        ip(89, "0800 f7ff 0000 0000").is_nothing();
        ip(1, "0801 f7fe 0000 0000").is_nothing();
        ip(2, "1600 09fe e0000002").is_nothing();
        ip(89, "0206 002c 0a000001 00000000").is_nothing();
        ip(50, "00000010 00000001 0102030405060708090a").is_nothing();
        ip(51, "3204 0001 00001000 00000001 000102030405060708090a0b 00").is_nothing();
        ip(47, "0004 0800 4500").is_nothing();
        udp().c(hex("0201 002c 0a000001 00000000")).is_nothing();
    }
}
