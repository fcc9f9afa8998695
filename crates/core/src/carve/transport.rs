//! What the checksum of a transport says.

use super::sums::{fold, Sums};
use super::Class;

pub(super) const ICMP: u8 = 1;
pub(super) const IGMP: u8 = 2;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
pub(super) const ICMP6: u8 = 58;

/// Checks the transport of a whole, unfragmented packet in `from..to`. `addresses` is the sum of its
/// two addresses.
pub(super) fn check(
    sums: &Sums<'_>,
    version: u8,
    proto: u8,
    addresses: u64,
    from: usize,
    to: usize,
) -> Class {
    let bytes = &sums.bytes()[from..to];
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let pseudo = |len: usize| addresses + len as u64 + u64::from(proto);
    match (proto, version) {
        (ICMP | IGMP, 4) if bytes.len() >= 8 => right(sums.sum(from, to)),
        (ICMP6, 6) if bytes.len() >= 4 => right(pseudo(bytes.len()) + sums.sum(from, to)),
        (TCP, _) => {
            if bytes.len() < 20 || !(20..=bytes.len()).contains(&(usize::from(bytes[12] >> 4) * 4)) {
                return Class::Mismatch;
            }
            with_pseudo(pseudo(bytes.len()), sums.sum(from, to), word(16))
        }
        (UDP, _) => {
            if bytes.len() < 8 || !(8..=bytes.len()).contains(&usize::from(word(4))) {
                return Class::Mismatch;
            }
            let len = usize::from(word(4));
            match (word(6), version) {
                (0, 4) => Class::Unchecked,
                (0, _) => Class::Mismatch, // RFC 8200 §8.1
                (field, _) => with_pseudo(pseudo(len), sums.sum(from, from + len), field),
            }
        }
        (ICMP | IGMP | ICMP6, _) => Class::Mismatch,
        _ => Class::Unchecked,
    }
}

fn right(sum: u64) -> Class {
    if fold(sum) == 0xffff {
        Class::Checksum
    } else {
        Class::Mismatch
    }
}

fn with_pseudo(pseudo: u64, sum: u64, field: u16) -> Class {
    if fold(pseudo + sum) == 0xffff {
        Class::Checksum
    } else if field == fold(pseudo) {
        Class::Offload
    } else {
        Class::Mismatch
    }
}

/// Whether the options of a TCP header (RFC 9293 §3.1) or an IPv4 header (RFC 791 §3.1) go on to its end.
pub(super) fn options_add_up(mut options: &[u8]) -> bool {
    loop {
        match *options {
            [] | [0, ..] => return true,
            [1, ref rest @ ..] => options = rest,
            [_, len, ..] if len >= 2 && usize::from(len) <= options.len() => {
                options = &options[usize::from(len)..];
            }
            _ => return false,
        }
    }
}

/// Whether a TCP header looks like one that somebody sent: no reserved bits, flags that go together.
pub(super) fn is_likely_tcp(segment: &[u8]) -> bool {
    let Some(&[.., offset, flags, _, _, _, _, _, _]) = segment.first_chunk::<20>() else { return false };
    let size = usize::from(offset >> 4) * 4;
    let (fin, syn, rst, ack) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0, flags & 16 != 0);
    offset & 0x0e == 0
        && (syn || rst || ack)
        && u8::from(fin) + u8::from(syn) + u8::from(rst) <= 1
        && segment.get(20..size).is_some_and(options_add_up)
}

/// Whether ICMPv6 has this type (RFC 4443, IANA registry).
pub(super) fn is_icmp6_type(kind: u8) -> bool {
    matches!(kind, 1..=4 | 128..=161)
}
