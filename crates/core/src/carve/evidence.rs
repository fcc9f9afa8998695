//! Packets that were found, and what speaks for them.

/// What was checked of a packet, the best first. The names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// The checksum of the transport is right, and in IPv4 that of the header.
    Checksum,
    /// A sender has left checksums to the network card: that of the transport is the sum of the pseudo-header
    /// alone, or that of an IPv4 header inside a capture's record is 0.
    Offload,
    /// The header's checksum is right; the transport has none, or none that is known here.
    Unchecked,
    /// The packet goes on behind what was captured, or behind the end of the input.
    Snapped,
    /// A fragment: its datagram's checksum covers more than it.
    Fragment,
    /// The header's checksum is right, that of the transport is not.
    Mismatch,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 6] =
        [Self::Checksum, Self::Offload, Self::Unchecked, Self::Snapped, Self::Fragment, Self::Mismatch];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Checksum => "checksum",
            Self::Offload => "offload",
            Self::Unchecked => "unchecked",
            Self::Snapped => "snapped",
            Self::Fragment => "fragment",
            Self::Mismatch => "mismatch",
        }
    }

    /// Whether its length can be trusted so far that a packet inside of it is a part of it.
    pub(super) fn is_sound(self) -> bool {
        self <= Self::Snapped
    }
}

/// How much evidence is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Only [`Class::Checksum`] and [`Class::Offload`].
    Strict,
    /// All but [`Class::Mismatch`], which needs the record header of a capture.
    #[default]
    Normal,
    /// All; in IPv6 also with addresses that nobody was given.
    Loose,
}

impl Level {
    /// The level of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "strict" => Self::Strict,
            "normal" => Self::Normal,
            "loose" => Self::Loose,
            _ => return None,
        })
    }

    /// Whether a packet is taken. `record`: a capture's record header stands before it.
    pub(super) fn takes(self, class: Class, record: bool) -> bool {
        match class {
            Class::Checksum | Class::Offload => true,
            Class::Unchecked | Class::Snapped | Class::Fragment => self != Self::Strict,
            Class::Mismatch => self == Self::Loose || (self == Self::Normal && record),
        }
    }
}

/// What stands before a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// An Ethernet header of this length, VLAN tags included; 0 is none.
    pub ethernet: u8,
    /// A pcap record header that fits.
    pub pcap: bool,
    /// The head of a pcapng packet block that fits.
    pub pcapng: bool,
    /// The checksum of the IPv4 header is 0, as a sender leaves it to the network card.
    pub no_sum: bool,
}

/// When a packet was captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    /// Nobody knows.
    #[default]
    Unknown,
    /// Nanoseconds since the epoch.
    Known(i64),
    /// Of a pcap record: seconds, and a fraction that is micro- or nanoseconds.
    Pcap(u32, u32),
}

/// A packet that was found. Places are those in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// Where the Ethernet header begins, or the IP header if there is none.
    pub start: u64,
    /// Where the IP header begins.
    pub at: u64,
    /// Where the packet's last captured byte has been read.
    pub end: u64,
    /// Original length of what begins at `start`.
    pub wirelen: u32,
    /// 4 or 6.
    pub version: u8,
    /// IP protocol number of the transport.
    pub proto: u8,
    /// What was checked.
    pub class: Class,
    /// What stands before it.
    pub evidence: Evidence,
    /// When it was captured.
    pub time: Time,
}

impl Hit {
    pub(super) fn shift(&mut self, base: u64) {
        self.start += base;
        self.at += base;
        self.end += base;
    }

    /// Forgets the Ethernet header.
    pub(super) fn strip(&mut self) {
        self.wirelen -= (self.at - self.start) as u32;
        self.start = self.at;
        self.evidence.ethernet = 0;
    }

    /// Nanoseconds since the epoch, if they are known.
    pub fn ns(&self) -> Option<i64> {
        match self.time {
            Time::Known(ns) => Some(ns),
            _ => None,
        }
    }

    /// What was checked and what stands before the packet, in words: `ipv4 header, tcp checksum, ethernet`.
    pub fn reasons(&self) -> String {
        let mut said = Vec::new();
        if self.version == 4 {
            let left = if self.evidence.no_sum { " left to the network card" } else { "" };
            said.push(format!("ipv4 header checksum{left}"));
        }
        let of = match self.proto {
            1 => "icmp ",
            2 => "igmp ",
            6 => "tcp ",
            17 => "udp ",
            58 => "icmp6 ",
            _ => "",
        };
        match self.class {
            Class::Checksum => said.push(format!("{of}checksum")),
            Class::Offload => said.push(format!("{of}checksum right or left to the network card")),
            Class::Unchecked => said.push("no transport checksum".to_owned()),
            Class::Snapped => said.push("snapped".to_owned()),
            Class::Fragment => said.push("fragment".to_owned()),
            Class::Mismatch => said.push(format!("{of}checksum is wrong")),
        }
        match self.evidence.ethernet {
            0 => {}
            14 => said.push("ethernet header".to_owned()),
            _ => said.push("ethernet header with vlan".to_owned()),
        }
        if self.evidence.pcap {
            said.push("pcap record".to_owned());
        }
        if self.evidence.pcapng {
            said.push("pcapng block".to_owned());
        }
        said.join(", ")
    }
}
