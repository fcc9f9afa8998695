//! Capture records: where each packet stands in the bytes of a capture.
//!
//! A walker is fed consecutive pieces of a capture and appends one
//! [`Record`] per packet. It never copies packet bytes, and what is no packet
//! (section headers, interface descriptions, comments, statistics …) it leaves
//! alone: a writer that copies everything but the records it was told to cut
//! keeps all of that by itself.

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
