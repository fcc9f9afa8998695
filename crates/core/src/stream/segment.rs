//! What goes in: TCP segments, as the packet stage has read them.

/// What the TCP checksum of a segment said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// It fits.
    Good,
    /// It does not fit: damage, a decoy, or the sender's own host left it to the network card.
    Bad,
    /// It cannot be known: not looked at, a fragment, or the capture holds only a part of the segment.
    #[default]
    Unknown,
}

/// Where bytes came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Number of the packet, as the caller counts.
    pub frame: u64,
    /// Nanoseconds since the epoch.
    pub ts: i64,
    /// IP time to live, or hop limit.
    pub ttl: u8,
    /// IPv4 identification, 0 in IPv6.
    pub ip_id: u16,
}

/// One TCP segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Segment<'a> {
    /// 0 or 1: which end sent it.
    pub dir: u8,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgment number; only looked at with the ACK flag.
    pub ack: u32,
    /// Flag bits as in [`tcp_flag`](crate::packet::tcp_flag).
    pub flags: u8,
    /// Window field, unscaled.
    pub window: u16,
    /// Window scale option of a SYN, or [`NO_WSCALE`](crate::packet::NO_WSCALE).
    pub wscale: u8,
    /// Captured payload. What is longer than `wire_len` is padding and not looked at.
    pub payload: &'a [u8],
    /// Payload bytes on the wire, by the IP header's lengths.
    pub wire_len: u32,
    /// Where it came from.
    pub origin: Origin,
    /// What its checksum said.
    pub checksum: Checksum,
}
