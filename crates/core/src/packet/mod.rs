//! Packet headers: from the bytes of one packet to its flow key.

/// Addresses, ports and protocol of a flow, the two ends in canonical order.
///
/// The end with the smaller (address, port) is `lo`. IPv4 addresses stand in the
/// first four bytes, the rest is zero; `version` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Address of the lower end, network byte order.
    pub lo: [u8; 16],
    /// Address of the higher end.
    pub hi: [u8; 16],
    /// Port of the lower end, 0 where the protocol has none.
    pub lo_port: u16,
    /// Port of the higher end.
    pub hi_port: u16,
    /// Outer and inner VLAN id + 1 when VLANs are part of the key, else 0.
    pub vlan: [u16; 2],
    /// IP protocol number.
    pub proto: u8,
    /// 4 or 6; 0 in a key that belongs to no flow. [`Key::ORPHAN`] is or-ed in for
    /// fragments that never met the first fragment of their datagram.
    pub version: u8,
}

impl Key {
    /// Mark in `version` of the flows made of fragments without a first fragment.
    pub const ORPHAN: u8 = 0x80;
}

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

// STUB-BEGIN
/// stub
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64, pub u64);
impl Key {
    /// stub
    pub fn hash(&self, seed: Seed) -> u64 {
        let mut h = seed.0 ^ 0x9e37_79b9_7f4a_7c15;
        for c in self.lo.chunks(8).chain(self.hi.chunks(8)) {
            let w = u64::from_le_bytes(c.try_into().unwrap_or_default());
            let m = u128::from(h ^ w) * 0xd6e8_feb8_6659_fd93_u128;
            h = (m >> 64) as u64 ^ m as u64;
        }
        let w = u64::from(self.lo_port)
            | u64::from(self.hi_port) << 16
            | u64::from(self.proto) << 32
            | u64::from(self.version) << 40
            | u64::from(self.vlan[0]) << 48;
        let m = u128::from(h ^ w) * 0xd6e8_feb8_6659_fd93_u128;
        (m >> 64) as u64 ^ m as u64
    }
}
/// stub
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FragKey {
    /// stub
    pub src: [u8; 16],
    /// stub
    pub dst: [u8; 16],
    /// stub
    pub proto: u8,
    /// stub
    pub version: u8,
    /// stub
    pub id: u32,
}
/// stub
pub fn is_known_link(n: u16) -> bool { n == 1 }
/// stub
pub fn read(_link: u16, d: &[u8], _wirelen: u32, _o: &Options) -> Facts {
    let mut f = Facts::default();
    if d.len() < 54 || d[12] != 8 || d[13] != 0 { f.reason = NoFlow::NotIp; return f; }
    let ip = &d[14..];
    let l4 = usize::from(ip[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    let proto = ip[9];
    let t = &ip[l4..];
    let (sp, dp) = (u16::from_be_bytes([t[0], t[1]]), u16::from_be_bytes([t[2], t[3]]));
    let (src, dst) = (&ip[12..16], &ip[16..20]);
    let swap = (dst, dp) < (src, sp);
    let (lo, hi, lp, hp) = if swap { (dst, src, dp, sp) } else { (src, dst, sp, dp) };
    f.key.lo[..4].copy_from_slice(lo);
    f.key.hi[..4].copy_from_slice(hi);
    f.key.lo_port = lp; f.key.hi_port = hp; f.key.proto = proto; f.key.version = 4;
    f.dir = swap as u8;
    f.class = Class::Flow;
    let h = if proto == 6 { usize::from(t[12] >> 4) * 4 } else { 8 };
    f.payload = total.saturating_sub(l4 + h) as u32;
    f.header_len = (14 + l4 + h).min(d.len()) as u32;
    if proto == 6 { f.tcp_flags = t[13]; f.seq = u32::from_be_bytes([t[4], t[5], t[6], t[7]]); f.ack = u32::from_be_bytes([t[8], t[9], t[10], t[11]]); f.window = u16::from_be_bytes([t[14], t[15]]); f.wscale = NO_WSCALE; }
    f
}
/// stub
pub fn fragment_key(_link: u16, _data: &[u8], _wirelen: u32, _o: &Options) -> Option<FragKey> {
    None
}
// STUB-END
