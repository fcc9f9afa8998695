//! The key of a flow as TrimPCAP sees it.

/// The value of a port where the key has none.
const NO_PORT: u32 = 1 << 16;
/// TCP and UDP.
const WITH_PORTS: [(u8, usize); 2] = [(6, 20), (17, 8)];

/// An end: address, port.
type End = ([u8; 16], u32);

/// Protocol and the two ends without their order, or the one key of everything that is not read:
/// on Ethernet all that is not IPv4 right behind the Ethernet header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Key {
    version: u8,
    proto: u8,
    ends: [End; 2],
}

impl Key {
    /// The key of a packet.
    pub fn of(link: u16, data: &[u8]) -> Self {
        let key = match link {
            // Ethernet, and IEEE 802 taken for it.
            1 | 6 => (u16_at(data, 12) == Some(0x0800)).then(|| data.get(14..)).flatten().and_then(Self::v4),
            113 => match u16_at(data, 14) {
                Some(0x0800) => data.get(16..).and_then(Self::v4),
                Some(0x86dd) => data.get(16..).and_then(Self::v6),
                _ => None,
            },
            0 | 108 => loopback(data),
            // Where IPv6 ends TrimPCAP with an exception, its packets share the one key here.
            12 => Self::v4(data),
            _ => None,
        };
        key.unwrap_or_default()
    }

    /// Only the header's length is looked at, not its version.
    fn v4(ip: &[u8]) -> Option<Self> {
        let head: &[u8; 20] = ip.first_chunk()?;
        let header = usize::from(head[0] & 0x0f) * 4;
        if header < 20 {
            return None;
        }
        let (len, proto) = (usize::from(u16_at(ip, 2)?), head[9]);
        let first = u16_at(ip, 6)? & 0x1fff == 0;
        // A length of 0 is that of a packet which the network card was to cut into segments.
        let end = if len == 0 { ip.len() } else { len.min(ip.len()) };
        let payload = ip.get(header..end).unwrap_or_default();
        let ports = if first { ports(proto, payload) } else { [NO_PORT; 2] };
        let address = |at: usize| {
            let mut whole = [0; 16];
            whole[..4].copy_from_slice(&head[at..at + 4]);
            whole
        };
        Some(Self::new(4, proto, [(address(12), ports[0]), (address(16), ports[1])]))
    }

    /// The hosts alone, also for TCP and UDP.
    fn v6(ip: &[u8]) -> Option<Self> {
        let head: &[u8; 40] = ip.first_chunk()?;
        let (mut next, mut at) = (head[6], 40);
        while let 0 | 43 | 44 | 51 | 60 = next {
            let units = usize::from(*ip.get(at + 1)?);
            let length = match next {
                44 => 8,
                51 => (units + 2) * 4,
                _ => (units + 1) * 8,
            };
            next = ip[at];
            at += length;
        }
        let address = |at: usize| *head[at..].first_chunk().unwrap_or(&[0; 16]);
        Some(Self::new(6, next, [(address(8), NO_PORT), (address(24), NO_PORT)]))
    }

    fn new(version: u8, proto: u8, mut ends: [End; 2]) -> Self {
        ends.sort_unstable();
        Self { version, proto, ends }
    }
}

/// The family of BSD loopback is read in the order of a little-endian host.
fn loopback(data: &[u8]) -> Option<Key> {
    let family = u32::from_le_bytes(*data.first_chunk()?);
    match family {
        2 | 0x0200_0000 => Key::v4(&data[4..]),
        24 | 28 | 30 => Key::v6(&data[4..]),
        _ => None,
    }
}

fn ports(proto: u8, payload: &[u8]) -> [u32; 2] {
    let header = WITH_PORTS.iter().find(|(p, _)| *p == proto).map(|(_, header)| *header);
    let whole = header.is_some_and(|h| payload.len() >= h) && (proto != 6 || payload[12] >> 4 >= 5);
    match (whole, u16_at(payload, 0), u16_at(payload, 2)) {
        (true, Some(a), Some(b)) => [u32::from(a), u32::from(b)],
        _ => [NO_PORT; 2],
    }
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}
