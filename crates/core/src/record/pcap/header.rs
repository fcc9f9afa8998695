//! The pcap file header, and the guess between dialects that share a magic number.

use super::super::ByteOrder;
use super::{max_caplen, ABSOLUTE_MAX};
use crate::error::NotACapture;

/// Bytes of the file header.
const HEADER_LEN: usize = 24;
/// Records that are tried to tell dialects apart.
const TRIED_RECORDS: usize = 3;
/// Bytes that are looked at to tell the format; fewer are the whole capture.
const WHOLE_PREFIX: usize = 1 << 16;

/// What a magic number promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// 0xa1b2c3d4
    Standard,
    /// 0xa1b23c4d
    Nanoseconds,
    /// 0xa1b2cd34
    Modified,
    /// 0x1c0001ab
    Ixia,
    /// 0x1c0001ac
    IxiaNanoseconds,
    /// 0xa1e2cb12: netsniff-ng's, with time source, interface, protocol and packet type behind the lengths
    Netsniff,
}

/// Which of the two lengths of a record comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// Captured length, original length: version 2.4.
    CapturedFirst,
    /// Original length, captured length: before version 2.3, and DG/UX's 543.0.
    OriginalFirst,
    /// The smaller is the captured length: version 2.3 was written both ways.
    SmallerIsCaptured,
}

impl Lengths {
    /// Captured and original length from the two fields in file order.
    #[inline(always)]
    pub(super) fn sort(self, first: u32, second: u32) -> (u32, u32) {
        match self {
            Self::CapturedFirst => (first, second),
            Self::OriginalFirst => (second, first),
            Self::SmallerIsCaptured => (first.min(second), first.max(second)),
        }
    }
}

/// The file header, understood.
pub(super) struct Header {
    pub(super) name: &'static str,
    pub(super) len: usize,
    pub(super) link: u16,
    pub(super) snaplen: u32,
    pub(super) nanoseconds: bool,
    pub(super) record_header: u32,
    pub(super) lengths: Lengths,
    /// Bytes from the start of the file that told the dialect; 0 when the magic number did.
    pub(super) evidence: usize,
}

/// Byte order and dialect of the first four bytes.
pub(super) fn magic(prefix: &[u8]) -> Option<(ByteOrder, Dialect)> {
    let raw = *prefix.first_chunk::<4>()?;
    let known = |magic| {
        Some(match magic {
            0xa1b2_c3d4 => Dialect::Standard,
            0xa1b2_3c4d => Dialect::Nanoseconds,
            0xa1b2_cd34 => Dialect::Modified,
            0x1c00_01ab => Dialect::Ixia,
            0x1c00_01ac => Dialect::IxiaNanoseconds,
            0xa1e2_cb12 => Dialect::Netsniff,
            _ => return None,
        })
    };
    let little = known(u32::from_le_bytes(raw)).map(|d| (ByteOrder::Little, d));
    little.or_else(|| known(u32::from_be_bytes(raw)).map(|d| (ByteOrder::Big, d)))
}

/// Reads the rest of the header of a file whose magic number is known.
pub(super) fn read(prefix: &[u8], order: ByteOrder, dialect: Dialect) -> Result<Header, NotACapture> {
    // Ixia appends the bytes of all records together, which nobody reads
    let len = match dialect {
        Dialect::Ixia | Dialect::IxiaNanoseconds => HEADER_LEN + 4,
        _ => HEADER_LEN,
    };
    if prefix.len() < len {
        return Err(NotACapture::ShortHeader { needed: len, found: prefix.len() });
    }
    let (major, minor) = (order.u16(prefix, 4), order.u16(prefix, 6));
    let lengths = match (major, minor) {
        (2, 0..=2) | (543, 0) => Lengths::OriginalFirst,
        (2, 3) => Lengths::SmallerIsCaptured,
        (2, _) => Lengths::CapturedFirst,
        _ => {
            return Err(NotACapture::Unsupported(format!("pcap version {major}.{minor}: version 2 is read")))
        }
    };
    let snaplen = order.u32(prefix, 16);
    // The upper half holds the frame check sequence's length and reserved bits.
    let network = order.u32(prefix, 20);
    let mut header = Header {
        name: "pcap",
        len,
        link: network as u16,
        snaplen,
        nanoseconds: matches!(dialect, Dialect::Nanoseconds | Dialect::IxiaNanoseconds | Dialect::Netsniff),
        record_header: 16,
        lengths,
        evidence: 0,
    };
    let records =
        Records { bytes: &prefix[len..], order, snaplen, max_caplen: max_caplen(header.link, snaplen) };
    match dialect {
        Dialect::Standard if (major, minor) == (2, 2) && aix_link(network).is_some() => {
            header.name = "pcap-aix";
            header.link = aix_link(network).unwrap_or(header.link);
            header.nanoseconds = true;
        }
        Dialect::Standard if lengths == Lengths::CapturedFirst => {
            if let Some((head, evidence)) = records.other_than(16, &[24, 20]) {
                header.name = if head == 24 { "pcap-modified" } else { "pcap-nokia" };
                (header.record_header, header.evidence) = (head as u32, len + evidence);
            }
        }
        Dialect::Standard => {}
        Dialect::Nanoseconds => header.name = "pcap-ns",
        Dialect::Ixia => header.name = "pcap-ixia",
        Dialect::Netsniff => (header.name, header.record_header) = ("pcap-netsniff", 24),
        Dialect::IxiaNanoseconds => header.name = "pcap-ixia-ns",
        Dialect::Modified => {
            (header.name, header.record_header) = ("pcap-modified", 24);
            if let Some((head, evidence)) = records.other_than(24, &[28]) {
                (header.name, header.record_header) = ("pcap-modified-28", head as u32);
                header.evidence = len + evidence;
            }
        }
    }
    Ok(header)
}

/// AIX writes version 2.2 and interface types (RFC 1573) where link types belong.
fn aix_link(network: u32) -> Option<u16> {
    match network {
        6 => Some(1),   // Ethernet
        9 => Some(6),   // Token Ring
        15 => Some(10), // FDDI
        24 => Some(0),  // loopback
        _ => None,
    }
}

/// The first records of a file, to be tried with record headers of different lengths.
struct Records<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
    snaplen: u32,
    max_caplen: u32,
}

impl Records<'_> {
    /// Another length of record headers than the magic number promises, and the bytes that say so.
    ///
    /// What can be read as promised is. So whole records, as a trimmed file consists of, are never taken
    /// for another dialect, however strange they are. Of another dialect the bytes that told it
    /// must stay in a trimmed file, or it would be told differently.
    fn other_than(&self, promised: usize, others: &[usize]) -> Option<(usize, usize)> {
        if self.tried(promised).is_some() {
            return None;
        }
        let broken = self.broken(promised)?;
        let head = *others.iter().find(|&&head| self.surely_fit(head))?;
        // All trials together have seen no more than this.
        let seen = others.iter().map(|&head| self.reach(head)).max().unwrap_or(0);
        let doubted = self.reach(promised);
        Some((head, broken.max(seen).max(doubted).min(self.bytes.len())))
    }

    /// Where the walk over records with headers of `head` bytes breaks, the header there included;
    /// `None` when it comes to the end of what is there.
    fn broken(&self, head: usize) -> Option<usize> {
        let mut at = 0;
        while at < self.bytes.len() {
            let Some(fields) = self.bytes.get(at..at + head) else {
                return (self.bytes.len() < WHOLE_PREFIX - HEADER_LEN).then_some(self.bytes.len());
            };
            let caplen = self.order.u32(fields, 8);
            if caplen > self.max_caplen {
                return Some(at + head);
            }
            at += head + caplen as usize;
        }
        let cut = at > self.bytes.len() && self.bytes.len() < WHOLE_PREFIX - HEADER_LEN;
        cut.then_some(self.bytes.len())
    }

    /// The end of what a trial with headers of `head` bytes looks at.
    fn reach(&self, head: usize) -> usize {
        let mut at = 0;
        for _ in 0..TRIED_RECORDS {
            let Some(fields) = self.bytes.get(at..at + head) else {
                return self.bytes.len();
            };
            let Some(caplen) = self.plausible(fields) else {
                return at + head;
            };
            at += head + caplen as usize;
        }
        at
    }

    /// Whether at least two records, or the only one, speak for headers of `head` bytes. A
    /// damaged file shall not become a dialect by chance.
    fn surely_fit(&self, head: usize) -> bool {
        self.tried(head).is_some_and(|(records, at)| records >= 2 || (records == 1 && at == self.bytes.len()))
    }

    /// Records that look right and where they end; `None` when one looks wrong.
    fn tried(&self, head: usize) -> Option<(usize, usize)> {
        let mut at = 0;
        for records in 0..TRIED_RECORDS {
            let Some(fields) = self.bytes.get(at..at + head) else {
                return Some((records, at));
            };
            let caplen = self.plausible(fields)?;
            at += head + caplen as usize;
        }
        Some((TRIED_RECORDS, at))
    }

    /// The captured length of a record header, when all its fields can be true.
    fn plausible(&self, fields: &[u8]) -> Option<u32> {
        let word = |at| self.order.u32(fields, at);
        let (fraction, caplen, wirelen) = (word(4), word(8), word(12));
        let within = self.snaplen == 0 || caplen <= self.snaplen;
        if fraction >= 1_000_000
            || caplen > self.max_caplen
            || !within
            || wirelen > ABSOLUTE_MAX
            || caplen > wirelen
        {
            return None;
        }
        let extra = match fields.len() {
            16 => true,
            // the values that were seen in Nokia's four bytes
            20 => word(16) & 0x0fff_00f0 == 0x0fbf_0000,
            // interface index, Ethernet type, Linux packet type
            _ => word(16) <= 10_000 && plausible_protocol(self.order.u16(fields, 20)) && fields[22] <= 4,
        };
        extra.then_some(caplen)
    }
}

/// An Ethernet type, or one of Linux's own numbers for what has none.
fn plausible_protocol(protocol: u16) -> bool {
    protocol >= 0x600 || protocol <= 0x17 || matches!(protocol, 0x60 | 0x200 | 0x400)
}
