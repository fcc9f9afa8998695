//! IPv6 (RFC 8200).

use super::ip4::Seen;
use super::sums::{plain, Sums};
use super::{before, transport, Class, Hit, Level};

/// Extension headers in one packet that are read.
const EXTENSIONS: usize = 8;

/// The packet at a place, if its transport's checksum is right, or if what stands before it vouches for it.
#[inline]
pub(super) fn judge(sums: &Sums<'_>, at: usize, head: &[u8; 40], level: Level) -> Option<Hit> {
    let (next, hops) = (head[6], head[7]);
    let likely =
        matches!(next, 0 | 4 | 6 | 17 | 41 | 43 | 44 | 47 | 50 | 51 | 58 | 60 | 89 | 103 | 112 | 132)
            && hops != 0
            && head[4..6] != [0, 0]
            && (level == Level::Loose || (is_source(&head[8..24]) && is_given(&head[24..40])));
    if likely {
        closer(sums, at, head, level)
    } else {
        None
    }
}

/// Few places come so far.
#[cold]
fn closer(sums: &Sums<'_>, at: usize, head: &[u8; 40], level: Level) -> Option<Hit> {
    let bytes = sums.bytes();
    let total = 40 + usize::from(u16::from_be_bytes([head[4], head[5]]));
    let ethernet = before::ethernet(bytes, at, 0x86dd);
    let record = before::record(bytes, at, ethernet, total);
    let seen = Seen::new(bytes.len(), at, ethernet, total, record.as_ref())?;
    let stop = seen.end.min(at + total);
    let chain = chain(bytes, head[6], at + 40, stop)?;
    let class = if chain.fragment {
        Class::Fragment
    } else if seen.end < at + total {
        Class::Snapped
    } else {
        let class = transport::check(sums, 6, chain.proto, plain(&head[8..40]), chain.at, at + total);
        let segment = &bytes[chain.at..at + total];
        let likely = match chain.proto {
            transport::TCP => transport::is_likely_tcp(segment),
            transport::UDP => segment.get(4..6) == Some(&((segment.len() as u16).to_be_bytes())[..]),
            transport::ICMP6 => segment.first().is_some_and(|&kind| transport::is_icmp6_type(kind)),
            _ => true,
        };
        if !likely && record.is_none() {
            return None;
        }
        class
    };
    let vouched = record.is_some();
    let known = is_source(&head[8..24]) && is_given(&head[24..40]);
    let beside = ethernet != 0 && known && matches!(head[0], 0x60 | 0x6c);
    let taken = match class {
        Class::Checksum => true,
        // The sum of a pseudo-header is as good as a checksum only when something else speaks for it, too.
        Class::Offload | Class::Fragment | Class::Unchecked => vouched || beside,
        Class::Snapped => vouched,
        Class::Mismatch => vouched || beside,
    };
    (taken && level.takes(class, vouched)).then(|| seen.hit(6, chain.proto, class))
}

struct Chain {
    proto: u8,
    at: usize,
    fragment: bool,
}

/// Goes over the extension headers (RFC 8200 §4).
fn chain(bytes: &[u8], mut proto: u8, mut at: usize, stop: usize) -> Option<Chain> {
    for _ in 0..EXTENSIONS {
        if !matches!(proto, 0 | 43 | 44 | 51 | 60 | 135) {
            return (at <= stop).then_some(Chain { proto, at, fragment: false });
        }
        let head: &[u8; 8] = bytes.get(at..stop)?.first_chunk()?;
        if proto == 44 {
            if head[1] != 0 || head[3] & 6 != 0 {
                return None; // reserved
            }
            // An atomic fragment (RFC 6946) is a whole datagram.
            if u16::from_be_bytes([head[2], head[3]]) & 0xfff9 != 0 {
                return Some(Chain { proto: head[0], at: at + 8, fragment: true });
            }
            at += 8;
        } else if proto == 51 {
            at += (usize::from(head[1]) + 2) * 4;
        } else {
            at += (usize::from(head[1]) + 1) * 8;
        }
        proto = head[0];
    }
    None
}

/// Whether packets come from such an address: one that was given to somebody, or none yet (RFC 4291 §2.5.2).
fn is_source(address: &[u8]) -> bool {
    address[0] != 0xff && (is_given(address) || address.iter().all(|&b| b == 0))
}

/// Global unicast, unique local, link-local, multicast (IANA registry of IPv6 address space); below ::/8
/// loop-back, IPv4-mapped, and those of translators (RFC 6052, 8215).
fn is_given(address: &[u8]) -> bool {
    match address[0] {
        0x20..=0x3f | 0xfc | 0xfd => true,
        0xfe => address[1] & 0xc0 == 0x80,
        0xff => address[1] & 0x80 == 0 && address[1] & 0x0f != 0,
        0 => {
            address[1..4] == [0x64, 0xff, 0x9b]
                || address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
                || (address[..15] == [0; 15] && address[15] == 1)
        }
        _ => false,
    }
}
