//! A record with fewer captured bytes than it was read with.

use super::bytes::padded;
use super::pcap::Lengths;
use super::pcapng::{Kind, STAMPED_DATA};
use super::{ByteOrder, Record};

/// How the records of a capture are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Record headers of pcap.
    Pcap {
        /// Byte order of the file.
        order: ByteOrder,
        /// Which length comes first.
        lengths: Lengths,
    },
    /// Blocks of pcapng, each section in its own byte order.
    Pcapng,
}

impl Default for Shape {
    fn default() -> Self {
        Self::Pcap { order: ByteOrder::Little, lengths: Lengths::CapturedFirst }
    }
}

/// Appends to `out` the record `bytes` with only the first `keep` packet bytes; the original length,
/// the time and the options stay. False, and nothing appended, when the record has no field that
/// could tell (Simple Packet Blocks), or when nothing would be saved.
pub fn shorten(shape: Shape, bytes: &[u8], record: &Record, keep: u32, out: &mut Vec<u8>) -> bool {
    if keep >= record.caplen {
        return false;
    }
    match shape {
        Shape::Pcap { order, lengths } => pcap(order, lengths, bytes, record, keep, out),
        Shape::Pcapng => pcapng(bytes, record, keep, out),
    }
}

fn pcap(
    order: ByteOrder,
    lengths: Lengths,
    bytes: &[u8],
    record: &Record,
    keep: u32,
    out: &mut Vec<u8>,
) -> bool {
    let head = (record.data - record.start) as usize;
    let field = match lengths {
        Lengths::CapturedFirst => 8,
        Lengths::OriginalFirst => 12,
        Lengths::SmallerIsCaptured if order.u32(bytes, 8) <= order.u32(bytes, 12) => 8,
        Lengths::SmallerIsCaptured => 12,
    };
    let at = out.len();
    out.extend_from_slice(&bytes[..head + keep as usize]);
    out[at + field..at + field + 4].copy_from_slice(&order.put_u32(keep));
    true
}

fn pcapng(bytes: &[u8], record: &Record, keep: u32, out: &mut Vec<u8>) -> bool {
    // The type and the length are read in the order in which they make sense.
    let order = if ByteOrder::Little.u32(bytes, 4) as usize == bytes.len() {
        ByteOrder::Little
    } else {
        ByteOrder::Big
    };
    if Kind::of(order.u32(bytes, 0)).is_none() {
        return false;
    }
    let options = &bytes[STAMPED_DATA + padded(record.caplen as usize)..bytes.len() - 4];
    let len = STAMPED_DATA + padded(keep as usize) + options.len() + 4;
    let len_field = order.put_u32(len as u32);
    let at = out.len();
    out.extend_from_slice(&bytes[..STAMPED_DATA + keep as usize]);
    out.resize(at + STAMPED_DATA + padded(keep as usize), 0);
    out.extend_from_slice(options);
    out.extend_from_slice(&len_field);
    out[at + 4..at + 8].copy_from_slice(&len_field);
    out[at + 20..at + 24].copy_from_slice(&order.put_u32(keep));
    true
}
