//! Capture records: where each packet stands in the bytes of a capture.
//!
//! A [`Walker`] is fed consecutive pieces of a capture and appends one
//! [`Record`] per packet. It never copies packet bytes, and what is no packet
//! (section headers, interface descriptions, comments, statistics …) it leaves
//! alone: a writer that copies everything but the records it was told to cut
//! keeps all of that by itself.
//!
//! ```
//! use flowkeep_core::record::Walker;
//!
//! // A little-endian pcap file with link type 1 and one packet of two bytes.
//! let mut capture = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
//! capture.extend([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 60, 0, 0, 0, 0xab, 0xcd]);
//!
//! let mut walker = Walker::open(&capture).unwrap();
//! let (head, mut records) = (walker.header_len(), Vec::new());
//! let walked = walker.walk(&capture[head..], head as u64, true, usize::MAX, &mut records);
//! assert_eq!((walked.damage, records.len(), records[0].caplen, records[0].wirelen), (None, 1, 2, 60));
//! ```

mod bytes;
pub mod linktype;
mod pcap;
mod pcapng;
mod shorten;
mod time;
mod walker;
pub mod write;

pub use bytes::ByteOrder;
pub use pcap::Lengths;
pub use shorten::{shorten, Shape};
pub use time::TsResol;
pub use walker::{Interface, Walked, Walker, MAX_INTERFACES};

#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod write_tests;

/// One packet record inside a buffer that holds a piece of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where the whole record (record header or block) begins in the buffer.
    pub start: u32,
    /// Length of the whole record: header, data, padding, options.
    pub len: u32,
    /// Where the packet bytes begin in the buffer.
    pub data: u32,
    /// Captured length: the packet bytes that are in the capture.
    pub caplen: u32,
    /// Original length of the packet on the wire.
    pub wirelen: u32,
    /// Interface number, counted over the whole file (all sections).
    pub iface: u16,
    /// Link type of that interface (the LINKTYPE registry's number).
    pub link: u16,
    /// Nanoseconds since the epoch, UTC. Packets without a time of their own
    /// (Simple Packet Blocks) carry the time of the packet before them, or 0.
    pub ts: i64,
}
