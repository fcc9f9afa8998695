//! Packets in bytes that are no capture: memory dumps, disk images, broken captures.
//!
//! A [`Window`] is a piece of the input with enough around it to judge every place in its middle;
//! [`scan`] finds in it what passes for an IP packet, and says why it does ([`Class`], [`Evidence`]).
//! Windows do not know each other, so they are scanned at the same time. A [`Settler`] then takes their
//! hits in order and decides between those that overlap. What it gives does not depend on where the
//! borders of the windows were.
//!
//! An IPv4 packet begins with a header whose checksum is right (RFC 791 §3.1). IPv6 has none
//! (RFC 8200 §8.1), so there the checksum of the transport must be right. What stands before the
//! packet may add to that: an Ethernet header, the record header of a capture.

mod before;
mod evidence;
mod ip4;
mod ip6;
mod settle;
mod sums;
mod transport;

#[cfg(test)]
mod carve_tests;

pub use evidence::{Class, Evidence, Hit, Level, Time};
pub use settle::Settler;

use sums::Sums;

/// Bytes before a place that are looked at: four VLAN tags, Ethernet, the head of a pcapng packet block.
pub const BEFORE: usize = 64;
/// Bytes from a place on that are looked at: the longest IPv6 packet, and what may follow it in its frame.
pub const BEHIND: usize = 40 + 65_535 + before::TRAILER;

/// A piece of the input. The places `from..to` of `bytes` are judged; [`BEFORE`] bytes before and
/// [`BEHIND`] bytes behind them are there unless the input begins or ends.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
    /// Where `bytes[0]` stands in the input.
    pub base: u64,
    /// First place to be judged.
    pub from: usize,
    /// Behind the last place to be judged.
    pub to: usize,
}

/// What was found in a window, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A packet.
    Packet(Hit),
    /// A pcap file header begins: the records behind it have nanoseconds, or microseconds.
    PcapFile {
        /// Where it stands in the input.
        at: u64,
        /// Whether its times are nanoseconds.
        nanoseconds: bool,
    },
}

/// The bytes that a packet or a pcap file header can begin with.
const BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let mut b = 0x45;
    while b <= 0x4f {
        begins[b] = true;
        b += 1;
    }
    b = 0x60;
    while b <= 0x6f {
        begins[b] = true;
        b += 1;
    }
    begins[0xa1] = true;
    begins[0xd4] = true;
    begins
};

/// Appends what is found in a window.
pub fn scan(window: &Window<'_>, level: Level, out: &mut Vec<Found>) {
    let bytes = window.bytes;
    let sums = Sums::new(bytes);
    let to = window.to.min(bytes.len());
    let mut at = window.from;
    while at < to {
        let Some(step) = bytes[at..to].iter().position(|&b| BEGINS[usize::from(b)]) else { break };
        at += step;
        let found = match bytes[at] {
            0xa1 | 0xd4 | 0x4d => pcap_file(bytes, at, window.base),
            _ => None,
        };
        if found.is_some() {
            out.extend(found);
        } else if let Some(mut hit) = packet(&sums, at, level) {
            hit.shift(window.base);
            out.push(Found::Packet(hit));
        }
        at += 1;
    }
}

/// The packet that begins at a place, if one does.
#[inline]
fn packet(sums: &Sums<'_>, at: usize, level: Level) -> Option<Hit> {
    let bytes = sums.bytes();
    match bytes[at] >> 4 {
        4 => ip4::judge(sums, at, bytes.get(at..)?.first_chunk()?, level),
        6 => ip6::judge(sums, at, bytes.get(at..)?.first_chunk()?, level),
        _ => None,
    }
}

/// The header of a pcap file: magic and version 2.4, in either byte order.
fn pcap_file(bytes: &[u8], at: usize, base: u64) -> Option<Found> {
    let nanoseconds = match *bytes.get(at..at + 8)? {
        [0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0] | [0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4] => false,
        [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0] | [0xa1, 0xb2, 0x3c, 0x4d, 0, 2, 0, 4] => true,
        _ => return None,
    };
    Some(Found::PcapFile { at: base + at as u64, nanoseconds })
}
