//! A packet as a TCP segment or UDP datagram: payload without padding, checksum, IP header fields.

use crate::packet::{anomaly, tcp_flag, Facts, NO_WSCALE};
use crate::stream::{Checksum, Origin, Segment};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;

/// The sum of RFC 1071 over big-endian words.
///
/// Four bytes at a time and as little-endian numbers, which vector instructions add without turning them around: the
/// ones' complement sum depends neither on the width nor, but for the order of its own bytes, on the byte order.
fn sum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().map(|word| u64::from(u32::from_le_bytes(*word)));
    let total: u64 = words.sum::<u64>() + u64::from(u32::from_le_bytes(last));
    u64::from(fold(total).swap_bytes())
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Whether the TCP checksum fits (RFC 9293 section 3.1): over the pseudo header of the IP header at the
/// start of `ip` and the whole segment.
pub(super) fn checksum(ip: &[u8], segment: &[u8]) -> Checksum {
    let Some(pseudo) = pseudo(ip) else { return Checksum::Unknown };
    if fold(pseudo + segment.len() as u64 + u64::from(TCP) + sum(segment)) == 0xffff {
        Checksum::Good
    } else {
        Checksum::Bad
    }
}

/// The addresses' part of the pseudo header. `None` where the true destination is another one than the
/// header's: source routes (RFC 791) and routing headers (RFC 8200 section 8.1).
fn pseudo(ip: &[u8]) -> Option<u64> {
    match ip.first()? >> 4 {
        4 if ip[0] & 15 == 5 => Some(sum(ip.get(12..20)?)),
        6 => {
            let (mut next, mut at) = (*ip.get(6)?, 40);
            while matches!(next, 0 | 44 | 51 | 60 | 135) {
                let units = usize::from(*ip.get(at + 1)?);
                let size = match next {
                    44 => 8,
                    51 => (units + 2) * 4,
                    _ => (units + 1) * 8,
                };
                next = *ip.get(at)?;
                at += size;
            }
            if next == TCP {
                ip.get(8..40).map(sum)
            } else {
                None
            }
        }
        _ => None,
    }
}

/// Time to live and identification.
pub(super) fn origin(ip: &[u8], frame: u64, ts: i64) -> Origin {
    let (ttl, ip_id) = match ip.first().map(|b| b >> 4) {
        Some(4) if ip.len() > 8 => (ip[8], u16::from_be_bytes([ip[4], ip[5]])),
        Some(6) if ip.len() > 7 => (ip[7], 0),
        _ => (0, 0),
    };
    Origin { frame, ts, ttl, ip_id }
}

/// The captured payload, without what lies behind the length on the wire.
pub(super) fn payload<'a>(facts: &Facts, data: &'a [u8]) -> &'a [u8] {
    let bytes = data.get(facts.header_len as usize..).unwrap_or_default();
    &bytes[..bytes.len().min(facts.payload as usize)]
}

/// The IP header and all behind it, as far as it was captured.
pub(super) fn ip<'a>(facts: &Facts, data: &'a [u8]) -> &'a [u8] {
    data.get(usize::from(facts.ip_at)..).unwrap_or_default()
}

/// The segment in an unfragmented packet; `None` if its header is cut off or makes no sense.
pub(super) fn segment<'a>(facts: &Facts, data: &'a [u8], frame: u64, ts: i64) -> Option<Segment<'a>> {
    if facts.anomalies & anomaly::TRANSPORT_CUT != 0 {
        return None;
    }
    let (ip, payload) = (ip(facts, data), payload(facts, data));
    let start = usize::from(facts.transport_at);
    let end = facts.header_len as usize + payload.len();
    let whole = payload.len() == facts.payload as usize && facts.anomalies & anomaly::IP_LENGTH == 0;
    let checksum = match data.get(start..end) {
        Some(segment) if whole && segment.len() >= 20 => {
            let size = usize::from(segment[12] >> 4) * 4;
            // A header that is cut in its options looks as if it ended there.
            if start + size == facts.header_len as usize {
                checksum(ip, segment)
            } else {
                Checksum::Unknown
            }
        }
        _ => Checksum::Unknown,
    };
    Some(Segment {
        dir: facts.dir,
        seq: facts.seq,
        ack: facts.ack,
        flags: facts.tcp_flags,
        window: facts.window,
        wscale: facts.wscale,
        payload,
        wire_len: facts.payload,
        origin: origin(ip, frame, ts),
        checksum,
    })
}

/// The segment in a datagram that came in fragments: its first bytes, its true length.
pub(super) fn reassembled<'a>(
    bytes: &'a [u8],
    wire: usize,
    dir: u8,
    ip: &[u8],
    origin: Origin,
) -> Option<Segment<'a>> {
    let head = bytes.get(..20)?;
    let long = |i: usize| u32::from_be_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
    let size = usize::from(head[12] >> 4) * 4;
    if size < 20 || size > wire {
        return None;
    }
    let flags = head[13];
    let options = bytes.get(20..size.min(bytes.len())).unwrap_or_default();
    Some(Segment {
        dir,
        seq: long(4),
        ack: if flags & tcp_flag::ACK != 0 { long(8) } else { 0 },
        flags,
        window: u16::from_be_bytes([head[14], head[15]]),
        wscale: if flags & tcp_flag::SYN != 0 { crate::packet::window_scale(options) } else { NO_WSCALE },
        payload: bytes.get(size..).unwrap_or_default(),
        wire_len: (wire - size) as u32,
        origin,
        checksum: if bytes.len() == wire { checksum(ip, bytes) } else { Checksum::Unknown },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_depend_on_the_width() {
        let bytes: Vec<u8> = (0..255).map(|n: u8| n.wrapping_mul(37)).collect();
        for n in 0..bytes.len() {
            let mut plain = 0_u64;
            for pair in bytes[..n].chunks(2) {
                plain += u64::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
            }
            assert_eq!(fold(sum(&bytes[..n])), fold(plain), "{n}");
        }
    }
}
