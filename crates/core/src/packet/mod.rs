//! Packet headers: from the bytes of one packet to its flow key.
//!
//! One [`Facts`] a packet, offsets and numbers only. No header is believed beyond the bytes that are
//! there, no chain of headers is longer than a bound, and no input panics.

mod internet;
mod key;
mod link;
mod reader;
mod transport;
mod tunnel;
mod wlan;

#[cfg(test)]
mod packet_tests;

pub use key::{FragKey, Key, Seed};
pub use link::is_known_link;
pub use reader::{fragment_key, read};
pub(crate) use transport::window_scale;

/// What a packet is to the flow table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Class {
    /// Belongs to no flow; [`Facts::reason`] says why.
    #[default]
    NoFlow,
    /// An unfragmented packet, or the first fragment of a datagram (then
    /// [`Facts::fragment`] is set): the key is complete.
    Flow,
    /// A fragment with an offset: the key has no ports, `frag_id` names the datagram.
    Continuation,
}

/// Why a packet belongs to no flow. The names are stable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum NoFlow {
    /// It has a flow.
    #[default]
    None,
    /// Not IP: ARP, LLDP, STP and so on.
    NotIp,
    /// The link type is not one that is read.
    UnknownLink,
    /// The link or IP header is cut off or does not add up.
    Malformed,
    /// The payload is encrypted below IP (IEEE 802.11 protected frames).
    Encrypted,
    /// The IEEE 802.11 frame carries no data (management, control, null).
    Control80211,
}

impl NoFlow {
    /// All values that can occur, in a fixed order.
    pub const ALL: [Self; 6] =
        [Self::None, Self::NotIp, Self::UnknownLink, Self::Malformed, Self::Encrypted, Self::Control80211];

    /// The stable name, as it stands in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NotIp => "not-ip",
            Self::UnknownLink => "unknown-link-type",
            Self::Malformed => "malformed",
            Self::Encrypted => "encrypted-link",
            Self::Control80211 => "wlan-without-data",
        }
    }
}

/// One kind of tunnel that was looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tunnel {
    /// GRE (RFC 2784, 2890, 2637).
    Gre = 1,
    /// ERSPAN type I, II, III (inside GRE).
    Erspan = 2,
    /// VXLAN (RFC 7348).
    Vxlan = 3,
    /// Geneve (RFC 8926).
    Geneve = 4,
    /// IPv4 or IPv6 in IPv4 or IPv6 by protocol number 4 (RFC 2003, 2473).
    IpIp = 5,
    /// IPv6 in IPv4 or IPv6 by protocol number 41 (RFC 4213).
    SixIn4 = 6,
    /// GTP-U (3GPP TS 29.281).
    GtpU = 7,
    /// Teredo (RFC 4380).
    Teredo = 8,
    /// L2TP version 2 or 3 (RFC 2661, 3931).
    L2tp = 9,
    /// CAPWAP data channel (RFC 5415, 5416).
    Capwap = 10,
}

impl Tunnel {
    /// The stable name, as it stands in the `tunnel` column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::IpIp => "ipip",
            Self::SixIn4 => "6in4",
            Self::GtpU => "gtpu",
            Self::Teredo => "teredo",
            Self::L2tp => "l2tp",
            Self::Capwap => "capwap",
        }
    }

    /// The tunnel of a number, as they are packed in [`Facts::tunnels`].
    pub fn from_number(n: u8) -> Option<Self> {
        Some(match n {
            1 => Self::Gre,
            2 => Self::Erspan,
            3 => Self::Vxlan,
            4 => Self::Geneve,
            5 => Self::IpIp,
            6 => Self::SixIn4,
            7 => Self::GtpU,
            8 => Self::Teredo,
            9 => Self::L2tp,
            10 => Self::Capwap,
            _ => return None,
        })
    }
}

/// How headers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Stop at the outermost IP header instead of looking through tunnels.
    pub outer: bool,
    /// Make VLAN ids part of the flow key.
    pub key_vlan: bool,
}

/// TCP flag bits as they stand in byte 13 of the header (RFC 9293).
pub mod tcp_flag {
    /// FIN.
    pub const FIN: u8 = 0x01;
    /// SYN.
    pub const SYN: u8 = 0x02;
    /// RST.
    pub const RST: u8 = 0x04;
    /// PSH.
    pub const PSH: u8 = 0x08;
    /// ACK.
    pub const ACK: u8 = 0x10;
}

/// Value of [`Facts::wscale`] when the segment has no window scale option.
pub const NO_WSCALE: u8 = 0xff;

/// Everything later stages need to know of one packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The flow key.
    pub key: Key,
    /// What the packet is to the flow table.
    pub class: Class,
    /// Why it has no flow, else [`NoFlow::None`].
    pub reason: NoFlow,
    /// 0: sent by the key's `lo` end; 1: sent by its `hi` end.
    pub dir: u8,
    /// The packet is the first fragment of a datagram with more to come.
    pub fragment: bool,
    /// IP identification of a fragment (16 bits in IPv4, 32 in IPv6).
    pub frag_id: u32,
    /// Transport payload bytes by the length fields of the headers (what was on
    /// the wire, also when the capture was snapped); for continuation fragments and
    /// protocols without a known header, the IP payload bytes.
    pub payload: u32,
    /// Length of the headers, from the start of the packet to the transport payload,
    /// at most the captured length. `--rest headers` keeps this much.
    pub header_len: u32,
    /// Where the innermost IP header begins in the packet; [`Facts::NOWHERE`] without one.
    pub ip_at: u16,
    /// Where the transport header (of a later fragment: its payload) begins; [`Facts::NOWHERE`] without one.
    pub transport_at: u16,
    /// TCP flags byte, 0 for anything else.
    pub tcp_flags: u8,
    /// TCP window scale of a SYN, [`NO_WSCALE`] if there is none.
    pub wscale: u8,
    /// TCP window field, unscaled.
    pub window: u16,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgment number (0 without the ACK flag).
    pub ack: u32,
    /// ICMP or ICMPv6 type and code.
    pub icmp: [u8; 2],
    /// Outer and inner VLAN id + 1, 0 where there is none. Always filled.
    pub vlan: [u16; 2],
    /// Tunnels looked through, outermost in the lowest four bits, at most four.
    pub tunnels: u16,
    /// Bits of [`anomaly`].
    pub anomalies: u16,
}

impl Facts {
    /// There is no such header, or it stands behind the first 65,534 bytes.
    pub const NOWHERE: u16 = u16::MAX;
}

/// Odd things about a packet that do not stop it from being counted.
pub mod anomaly {
    /// The transport header is cut off or does not add up; ports or payload may be 0.
    pub const TRANSPORT_CUT: u16 = 1;
    /// An IP length field says more than the frame holds.
    pub const IP_LENGTH: u16 = 2;
    /// More tunnels or headers than the bound; what is deeper was not looked at.
    pub const TOO_DEEP: u16 = 4;
    /// What looked like a tunnel held nothing readable; the flow is the outer one.
    pub const TUNNEL_UNREADABLE: u16 = 8;
    /// The captured length is larger than the original length.
    pub const CAPLEN_OVER_WIRELEN: u16 = 32;

    /// Bits and their stable names.
    pub const NAMES: [(u16, &str); 5] = [
        (TRANSPORT_CUT, "transport-cut"),
        (IP_LENGTH, "ip-length"),
        (TOO_DEEP, "too-deep"),
        (TUNNEL_UNREADABLE, "tunnel-unreadable"),
        (CAPLEN_OVER_WIRELEN, "caplen-over-wirelen"),
    ];
}
