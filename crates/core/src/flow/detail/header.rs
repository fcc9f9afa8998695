//! What stands in a packet's bytes besides its facts. Nothing is read beyond the bytes that are there.

use crate::flow::Packet;
use crate::packet::Facts;

const ETHERNET: u16 = 1;
const SLL: u16 = 113;
const SLL2: u16 = 276;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The innermost IP header and what follows it.
fn ip<'a>(p: &Packet<'a>) -> Option<&'a [u8]> {
    (p.facts.ip_at != Facts::NOWHERE).then_some(())?;
    p.data.get(usize::from(p.facts.ip_at)..)
}

/// The transport header and what follows it.
fn transport<'a>(p: &Packet<'a>) -> Option<&'a [u8]> {
    (p.facts.transport_at != Facts::NOWHERE).then_some(())?;
    p.data.get(usize::from(p.facts.transport_at)..)
}

/// Time to live (RFC 791) or hop limit (RFC 8200 section 3).
pub(super) fn ttl(p: &Packet<'_>) -> Option<u8> {
    let ip = ip(p)?;
    match ip.first()? >> 4 {
        4 => ip.get(8).copied(),
        6 => ip.get(7).copied(),
        _ => None,
    }
}

/// The maximum segment size option (RFC 9293 section 3.7.1) of a TCP segment.
pub(super) fn mss(p: &Packet<'_>) -> Option<u16> {
    let head = transport(p)?;
    let size = usize::from(head.get(12)? >> 4) * 4;
    let mut options = head.get(20..size.min(head.len()))?;
    loop {
        options = match *options {
            [1, ref rest @ ..] => rest,
            [2, 4, a, b, ..] => return Some(u16::from_be_bytes([a, b])),
            [kind, len, ..] if kind != 0 && len >= 2 && usize::from(len) <= options.len() => {
                &options[usize::from(len)..]
            }
            _ => return None,
        };
    }
}

/// Identifier and sequence number of an echo message (RFC 792, RFC 4443 section 4).
pub(super) fn echo(p: &Packet<'_>) -> Option<u32> {
    let word = transport(p)?.get(4..8)?;
    Some(u32::from_be_bytes([word[0], word[1], word[2], word[3]]))
}

/// The source MAC address of a frame: Ethernet, or Linux cooked with an Ethernet address.
pub(super) fn mac(link: u16, frame: &[u8]) -> Option<[u8; 6]> {
    let at = match link {
        ETHERNET => 6,
        // ARPHRD_ETHER and an address of six bytes
        SLL if frame.get(2..6)? == [0, 1, 0, 6] => 6,
        SLL2 if frame.get(8..10)? == [0, 1] && *frame.get(11)? == 6 => 12,
        _ => return None,
    };
    frame.get(at..at + 6)?.try_into().ok()
}

/// Whether the TCP or UDP checksum is there, can be checked, and is wrong (RFC 9293 section 3.1, RFC 768).
///
/// Not checked: fragments, packets that were not captured whole, and IPv6 with extension headers, whose
/// pseudo header may name another destination.
pub(super) fn checksum_is_bad(p: &Packet<'_>) -> bool {
    check(p) == Some(false)
}

fn check(p: &Packet<'_>) -> Option<bool> {
    let f = p.facts;
    if f.fragment {
        return None;
    }
    let (ip, segment) = (ip(p)?, transport(p)?);
    let width = match ip.first()? >> 4 {
        4 => 4,
        6 if *ip.get(6)? == f.key.proto => 16,
        _ => return None,
    };
    let head = match f.key.proto {
        TCP => usize::from(segment.get(12)? >> 4) * 4,
        UDP => 8,
        _ => return None,
    };
    let segment = segment.get(..head + f.payload as usize)?;
    if f.key.proto == UDP && segment.get(6..8)? == [0, 0] {
        return None; // not computed
    }
    let mut sum = u64::from(f.key.proto) + segment.len() as u64;
    sum += words(&f.key.lo[..width]) + words(&f.key.hi[..width]) + words(segment);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    Some(sum == 0xffff)
}

fn words(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs.remainder().first().map_or(0, |&b| u64::from(b) << 8);
    odd + pairs.map(|two| u64::from(u16::from_be_bytes([two[0], two[1]]))).sum::<u64>()
}
