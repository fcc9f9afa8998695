//! Flow keys and their hash.

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

    /// Whether both ends are one: a host that talks to itself on one port.
    pub fn is_one_end(&self) -> bool {
        (self.lo, self.lo_port) == (self.hi, self.hi_port)
    }
}

/// The secret of a table's hash: who does not know it cannot aim packets at one place of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seed(pub u64, pub u64);

/// Odd numbers without a pattern (digits of the golden ratio and of √2).
const C: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0x6a09_e667_f3bc_c909];

/// The product's halves folded together: every bit of the result depends on all bits of both.
#[inline(always)]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
fn word(bytes: &[u8; 16], half: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[half * 8..half * 8 + 8]);
    u64::from_le_bytes(raw)
}

impl Key {
    /// The keyed hash of the flow table.
    #[inline]
    pub fn hash(&self, seed: Seed) -> u64 {
        let (s0, s1) = (seed.0 ^ C[0], seed.1 ^ C[1]);
        let mut h = fold(word(&self.lo, 0) ^ s0, word(&self.hi, 0) ^ s1);
        if self.version & 0x0f == 6 {
            h = h.rotate_left(23) ^ fold(word(&self.lo, 1) ^ s1, word(&self.hi, 1) ^ s0 ^ h);
        }
        let small = u64::from(self.lo_port)
            | u64::from(self.hi_port) << 16
            | u64::from(self.proto) << 32
            | u64::from(self.version) << 40
            | u64::from(self.vlan[0]) << 48;
        fold(h ^ s1, small ^ s0 ^ u64::from(self.vlan[1]).rotate_right(11))
    }
}

/// The datagram that a fragment belongs to (RFC 791 §3.2, RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FragKey {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// IPv4: the protocol. IPv6: 44, for only the first fragment's next header counts there.
    pub proto: u8,
    /// 4 or 6.
    pub version: u8,
    /// VLAN ids as in [`Key::vlan`]: zero unless they are part of the flow key.
    pub vlan: [u16; 2],
    /// Identification.
    pub id: u32,
}
