//! What stands before an IP header: Ethernet, the record header of a capture.

use super::Time;

/// Bytes that may follow a packet in its frame: the padding of a short one, a trailer, a checksum.
pub(super) const TRAILER: usize = 64;

/// Longest record that is believed, as in libpcap.
const LONGEST: u32 = 262_144;
/// 1980: before it nobody captured packets.
const EARLIEST: u64 = 315_532_800;
/// 2100.
const LATEST: u64 = 4_102_444_800;
/// How many VLAN tags are looked through.
const TAGS: usize = 4;

/// The length of the Ethernet header that ends at `at` with this Ethernet type, 0 if there is none.
///
/// Tags are tried first: a tag is less likely a part of a source address than the other way round.
pub(super) fn ethernet(bytes: &[u8], at: usize, kind: u16) -> usize {
    let word = |back: usize| at.checked_sub(back).map(|at| u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    if word(2) != Some(kind) {
        return 0;
    }
    let mut tags = 0;
    while tags < TAGS && matches!(word(6 + 4 * tags), Some(0x8100 | 0x88a8 | 0x9100)) {
        tags += 1;
    }
    (0..=tags).rev().map(|tags| 14 + 4 * tags).find(|&len| likely_addresses(bytes, at, len)).unwrap_or(0)
}

/// Whether the addresses of a header of this length can be true: nobody sends from a group address. Both
/// are zero on the loop-back interface.
fn likely_addresses(bytes: &[u8], at: usize, len: usize) -> bool {
    let Some(&[to @ .., _, _, _, _, _, _]) =
        at.checked_sub(len).and_then(|from| bytes[from..].first_chunk::<12>())
    else {
        return false;
    };
    let from = &bytes[at - len + 6..at - len + 12];
    let zero = |address: &[u8]| address.iter().all(|&b| b == 0);
    let to: [u8; 6] = to;
    from[0] & 1 == 0 && zero(&to) == zero(from)
}

/// A record header before a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Bytes from the record's data to the IP header.
    pub link: usize,
    pub caplen: usize,
    pub wirelen: u32,
    pub time: Time,
    pub pcapng: bool,
}

/// The record header of a capture that fits a packet of `total` bytes at `at`, behind an Ethernet header of
/// `ethernet` bytes (0: none), behind another short link header, or behind nothing.
pub(super) fn record(bytes: &[u8], at: usize, ethernet: usize, total: usize) -> Option<Record> {
    // nothing; null and loop; SLL; SLL2; Ethernet with MPLS, with PPPoE
    let links = [ethernet, 0, 4, 16, 20, 18, 22];
    links.into_iter().find_map(|link| {
        let data = at.checked_sub(link)?;
        pcapng(bytes, data, link, total).or_else(|| pcap(bytes, data, link, total))
    })
}

fn pcap(bytes: &[u8], data: usize, link: usize, total: usize) -> Option<Record> {
    let head: &[u8; 16] = bytes[data.checked_sub(16)?..].first_chunk()?;
    [u32::from_le_bytes, u32::from_be_bytes].into_iter().find_map(|order| {
        let [seconds, fraction, caplen, wirelen] = words(head, order);
        let time = Time::Pcap(seconds, fraction);
        let likely = u64::from(seconds) >= EARLIEST && fraction < 1_000_000_000;
        (likely && fits(caplen, wirelen, link + total)).then_some(Record {
            link,
            caplen: caplen as usize,
            wirelen,
            time,
            pcapng: false,
        })
    })
}

/// An Enhanced Packet Block (draft-ietf-opsawg-pcapng §4.3), or the obsolete Packet Block (appendix A).
fn pcapng(bytes: &[u8], data: usize, link: usize, total: usize) -> Option<Record> {
    let head: &[u8; 28] = bytes[data.checked_sub(28)?..].first_chunk()?;
    [u32::from_le_bytes, u32::from_be_bytes].into_iter().find_map(|order| {
        let [kind, length, interface, high, low, caplen, wirelen] = words(head, order);
        let room = length.checked_sub(32)?;
        let likely =
            (kind == 2 || (kind == 6 && interface <= 0xffff)) && length.is_multiple_of(4) && room >= caplen;
        let time = block_time(u64::from(high) << 32 | u64::from(low));
        (likely && room - caplen <= 1 << 16 && fits(caplen, wirelen, link + total)).then_some(Record {
            link,
            caplen: caplen as usize,
            wirelen,
            time,
            pcapng: true,
        })
    })
}

/// Microseconds and nanoseconds are told apart: as the other they would be no time at which anybody lived.
fn block_time(units: u64) -> Time {
    let ns = if (EARLIEST..LATEST).contains(&(units / 1_000_000)) {
        units * 1000
    } else if (EARLIEST..LATEST).contains(&(units / 1_000_000_000)) {
        units
    } else {
        return Time::Unknown;
    };
    Time::Known(ns as i64)
}

/// Whether the lengths of a record are those of a frame whose IP packet ends after `need` bytes.
fn fits(caplen: u32, wirelen: u32, need: usize) -> bool {
    let ends = need..=need + TRAILER;
    caplen <= wirelen && caplen <= LONGEST && ends.contains(&(wirelen as usize))
}

fn words<const B: usize, const N: usize>(head: &[u8; B], order: fn([u8; 4]) -> u32) -> [u32; N] {
    std::array::from_fn(|i| order([head[4 * i], head[4 * i + 1], head[4 * i + 2], head[4 * i + 3]]))
}
