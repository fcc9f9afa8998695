//! The walker: from consecutive pieces of a capture to its packet records.

use super::pcap::Pcap;
use super::pcapng::{self, Pcapng};
use super::{ByteOrder, Record, Shape, TsResol};
use crate::error::{Damage, DamageKind, NotACapture};

/// Interfaces that one file may describe; one more is [`DamageKind::Limit`].
pub const MAX_INTERFACES: usize = 65_535;

/// An interface of a capture. A pcap file has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Number in the LINKTYPE registry.
    pub link: u16,
    /// Limit to the captured length in bytes; 0 is no limit.
    pub snaplen: u32,
    /// Name (`if_name`), made valid UTF-8, at most 256 bytes of it.
    pub name: Option<String>,
    /// Unit of the time stamps.
    pub ts_resol: TsResol,
    /// Seconds to add to every time stamp (`if_tsoffset`).
    pub ts_offset: i64,
    /// Section that describes the interface, counted from 0.
    pub section: u32,
}

/// What became of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Bytes of whole records and blocks, from the start of the buffer.
    pub consumed: usize,
    /// Bytes that are needed from `consumed` on to go on: those of the next record, or
    /// of its header when even that is not whole. Never more than 130 MiB. What is
    /// needed may already be there when the walk stopped at `max`. 0 when the whole
    /// buffer is consumed, or on damage.
    pub need: usize,
    /// Damage at `consumed`; the walk ends there for good.
    pub damage: Option<Damage>,
}

/// Finds the packet records in consecutive pieces of one capture.
///
/// Feed it from [`header_len`](Self::header_len) on. A clone goes on by itself from the
/// same place, so a piece can be walked twice.
#[derive(Clone, Debug)]
pub struct Walker {
    format: Format,
    damage: Option<Damage>,
}

#[derive(Clone, Debug)]
enum Format {
    Pcap(Pcap),
    Pcapng(Pcapng),
}

/// Why a format's loop stopped, with the place it stands at.
pub(super) enum Stop {
    /// At the end of the buffer, or at `max` records: this many bytes are needed next.
    Need(usize),
    /// The next record is broken.
    Damage(DamageKind, String),
}

impl Walker {
    /// Tells the format by the first bytes of the (decompressed) capture.
    ///
    /// Give it 64 KiB or the whole capture. Less, down to the file header, will do for
    /// everything but the pcap dialects that share a magic number and are told apart by
    /// their first records (see [`format`](Self::format)).
    ///
    /// # Errors
    /// [`NotACapture`] when the bytes are not a capture, or one in a version that is not read.
    pub fn open(prefix: &[u8]) -> Result<Self, NotACapture> {
        if prefix.is_empty() {
            return Err(NotACapture::Empty);
        }
        let format = if prefix.starts_with(&pcapng::SECTION_HEADER) {
            Format::Pcapng(Pcapng::open(prefix)?)
        } else if let Some(pcap) = Pcap::open(prefix)? {
            Format::Pcap(pcap)
        } else {
            return Err(NotACapture::UnknownFormat { found: prefix[..prefix.len().min(8)].to_vec() });
        };
        Ok(Self { format, damage: None })
    }

    /// Bytes of the file header, after which the first record stands: 24 in a pcap file
    /// (28 in Ixia's), 0 in pcapng, whose Section Header Block is a block like any other.
    pub fn header_len(&self) -> usize {
        match &self.format {
            Format::Pcap(pcap) => pcap.header_len(),
            Format::Pcapng(_) => 0,
        }
    }

    /// Walks the records of `buf`, whose first byte is at file offset `base` and begins a
    /// record or block, and appends one [`Record`] per packet to `out`, at most `max`.
    ///
    /// Go on with the bytes from `base + consumed`. With `eof`, nothing follows `buf`, and
    /// a rest that is not a whole record is damage. After damage every further call
    /// consumes nothing and returns the same damage.
    ///
    /// Only the first 4 GiB - 1 of a buffer are looked at in one call.
    pub fn walk(&mut self, buf: &[u8], base: u64, eof: bool, max: usize, out: &mut Vec<Record>) -> Walked {
        if let Some(damage) = &self.damage {
            return Walked { damage: Some(damage.clone()), ..Walked::default() };
        }
        let seen = &buf[..buf.len().min(u32::MAX as usize)];
        let (consumed, stop) = match &mut self.format {
            Format::Pcap(pcap) => pcap.walk(seen, max, out),
            Format::Pcapng(pcapng) => pcapng.walk(seen, max, out),
        };
        let rest = buf.len() - consumed;
        let (kind, detail) = match stop {
            Stop::Damage(kind, detail) => (kind, detail),
            Stop::Need(_) if rest == 0 => return Walked { consumed, ..Walked::default() },
            Stop::Need(need) if need <= rest || !eof => return Walked { consumed, need, damage: None },
            Stop::Need(need) => {
                let unit = match self.format {
                    Format::Pcap(_) => "record",
                    Format::Pcapng(_) => "block",
                };
                (
                    DamageKind::Truncated,
                    format!("the capture ends inside a {unit}: {need} bytes are needed, {rest} are there"),
                )
            }
        };
        self.damage = Some(Damage { offset: base + consumed as u64, kind, detail });
        Walked { consumed, need: 0, damage: self.damage.clone() }
    }

    /// Name of the format: `pcap`, `pcap-ns`, `pcapng`, or a dialect of pcap:
    ///
    /// * `pcap-modified`: 24-byte record headers (Kuznetzov's patch, FRITZ!Box; also with
    ///   pcap's own magic number, as Red Hat 6.1 had it)
    /// * `pcap-modified-28`: the same with 28 bytes (SuSE 6.3)
    /// * `pcap-nokia`: pcap's magic number with 20-byte record headers
    /// * `pcap-ixia`, `pcap-ixia-ns`: Ixia's lcap
    /// * `pcap-netsniff`: 24-byte record headers and nanoseconds (netsniff-ng)
    /// * `pcap-aix`: nanoseconds and interface types of AIX
    pub fn format(&self) -> &'static str {
        match &self.format {
            Format::Pcap(pcap) => pcap.name(),
            Format::Pcapng(_) => "pcapng",
        }
    }

    /// Bytes from the start of the capture without which its format could be told differently; 0
    /// when its magic number says it all. Whoever cuts keeps the records that begin in them.
    pub fn evidence(&self) -> u64 {
        match &self.format {
            Format::Pcap(pcap) => pcap.evidence() as u64,
            Format::Pcapng(_) => 0,
        }
    }

    /// The interfaces described so far, in order of their numbers in [`Record::iface`].
    pub fn interfaces(&self) -> &[Interface] {
        match &self.format {
            Format::Pcap(pcap) => std::slice::from_ref(pcap.interface()),
            Format::Pcapng(pcapng) => pcapng.interfaces(),
        }
    }

    /// Sections seen so far; a pcap file is one.
    pub fn sections(&self) -> u32 {
        match &self.format {
            Format::Pcap(_) => 1,
            Format::Pcapng(pcapng) => pcapng.sections(),
        }
    }

    /// Whether the file (pcap) or the section walked last (pcapng) is big-endian.
    pub fn big_endian(&self) -> bool {
        let order = match &self.format {
            Format::Pcap(pcap) => pcap.order(),
            Format::Pcapng(pcapng) => pcapng.order(),
        };
        order == ByteOrder::Big
    }

    /// How records of this capture are built, for [`shorten`](super::shorten). It holds
    /// for the whole capture.
    pub fn shape(&self) -> Shape {
        match &self.format {
            Format::Pcap(pcap) => pcap.shape(),
            Format::Pcapng(_) => Shape::Pcapng,
        }
    }
}
