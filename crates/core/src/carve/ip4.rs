//! IPv4 (RFC 791).

use super::sums::{fold, plain, Sums};
use super::{before, transport, Class, Evidence, Hit, Level, Time};

/// The packet at a place, if its header's checksum is right and the rest does not speak against it.
#[inline]
pub(super) fn judge(sums: &Sums<'_>, at: usize, head: &[u8; 20], level: Level) -> Option<Hit> {
    let size = usize::from(head[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([head[2], head[3]]));
    // The first bit of the flags is reserved.
    if head[6] & 0x80 != 0 || total < size {
        return None;
    }
    let header = if size == 20 { &head[..] } else { sums.bytes().get(at..at + size)? };
    let right = fold(plain(header)) == 0xffff;
    if !right && head[10..12] != [0, 0] {
        return None;
    }
    closer(sums, at, head, size, total, right, level)
}

/// Few places come so far.
#[cold]
fn closer(
    sums: &Sums<'_>,
    at: usize,
    head: &[u8; 20],
    size: usize,
    total: usize,
    right: bool,
    level: Level,
) -> Option<Hit> {
    let bytes = sums.bytes();
    if !transport::options_add_up(&bytes[at + 20..at + size]) {
        return None;
    }
    let ethernet = before::ethernet(bytes, at, 0x0800);
    let record = before::record(bytes, at, ethernet, total);
    // Without a checksum, which was left to the network card, only a record header speaks for a packet.
    if !right && record.is_none() {
        return None;
    }
    let mut seen = Seen::new(bytes.len(), at, ethernet, total, record.as_ref())?;
    seen.evidence.no_sum = !right;
    let proto = head[9];
    let place = u16::from_be_bytes([head[6], head[7]]);
    let fragment = place & 0x3fff != 0;
    let class = if seen.end < at + total {
        if seen.end < at + size {
            return None;
        }
        Class::Snapped
    } else if fragment {
        Class::Fragment
    } else {
        transport::check(sums, 4, proto, plain(&head[12..20]), at + size, at + total)
    };
    let class = if class == Class::Checksum && !right { Class::Offload } else { class };
    let vouched = record.is_some();
    let likely = match class {
        Class::Checksum | Class::Offload => true,
        _ if vouched => true,
        _ => {
            is_likely(head) && (!fragment || ethernet != 0 || is_likely_fragment(place, proto, total - size))
        }
    };
    (likely && level.takes(class, vouched)).then(|| seen.hit(4, proto, class))
}

/// Nobody sends from nowhere, from a group, or without a hop left.
fn is_likely(head: &[u8; 20]) -> bool {
    let (ttl, proto) = (head[8], head[9]);
    ttl != 0 && (1..=142).contains(&proto) && (1..224).contains(&head[12]) && head[16] != 0
}

/// A fragment of what is sent in fragments, that fits into its datagram. All but the last hold a multiple
/// of eight bytes; what must not be fragmented is not.
fn is_likely_fragment(place: u16, proto: u8, len: usize) -> bool {
    let (more, forbidden, offset) =
        (place & 0x2000 != 0, place & 0x4000 != 0, usize::from(place & 0x1fff) * 8);
    matches!(proto, 1 | 6 | 17 | 47 | 50 | 132)
        && !forbidden
        && len > 0
        && (!more || len.is_multiple_of(8))
        && offset + len <= 65_515
}

/// Which bytes belong to a packet.
pub(super) struct Seen {
    start: usize,
    at: usize,
    pub end: usize,
    wirelen: u32,
    evidence: Evidence,
    time: Time,
}

impl Seen {
    /// `end`: of the bytes that are there.
    pub fn new(
        end: usize,
        at: usize,
        ethernet: usize,
        total: usize,
        record: Option<&before::Record>,
    ) -> Option<Self> {
        // A record whose data begins elsewhere speaks against the Ethernet header.
        let ethernet = if record.is_some_and(|r| r.link != ethernet) { 0 } else { ethernet };
        let (caplen, wirelen) = match record {
            Some(r) => (r.caplen.checked_sub(r.link)?, r.wirelen - r.link as u32),
            None => (total, total as u32),
        };
        Some(Self {
            start: at - ethernet,
            at,
            end: (at + caplen).min(end),
            wirelen: wirelen + ethernet as u32,
            evidence: Evidence {
                ethernet: ethernet as u8,
                pcap: record.is_some_and(|r| !r.pcapng),
                pcapng: record.is_some_and(|r| r.pcapng),
                no_sum: false,
            },
            time: record.map_or(Time::Unknown, |r| r.time),
        })
    }

    pub fn hit(&self, version: u8, proto: u8, class: Class) -> Hit {
        Hit {
            start: self.start as u64,
            at: self.at as u64,
            end: self.end as u64,
            wirelen: self.wirelen,
            version,
            proto,
            class,
            evidence: self.evidence,
            time: self.time,
        }
    }
}
