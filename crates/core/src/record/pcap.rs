//! Classic pcap and its dialects (draft-ietf-opsawg-pcap; libpcap's `sf-pcap.c` and
//! Wireshark's `wiretap/libpcap.c` for what the draft leaves out).

use super::walker::Stop;
use super::{ByteOrder, Interface, Record, Shape, TsResol};
use crate::error::{DamageKind, NotACapture};

mod header;

pub use header::Lengths;

/// Captured length that any capture may have, whatever its snap length says (libpcap's
/// `MAXIMUM_SNAPLEN`).
const USUAL_MAX: u32 = 262_144;
/// Captured length beyond which no record is believed.
const ABSOLUTE_MAX: u32 = 128 << 20;

/// A pcap file: what its header says.
#[derive(Clone, Debug)]
pub(super) struct Pcap {
    name: &'static str,
    header_len: usize,
    order: ByteOrder,
    /// Bytes of a record header: 16, in dialects 20, 24 or 28.
    record_header: u32,
    lengths: Lengths,
    /// Nanoseconds in a unit of the fraction.
    fraction_ns: u64,
    /// Largest captured length that is believed.
    max_caplen: u32,
    interface: Interface,
    /// See [`Walker::evidence`](super::Walker::evidence).
    evidence: usize,
}

/// The largest captured length that is believed: what any capture may have, more when the
/// snap length says so, and much more for link types with messages instead of frames.
fn max_caplen(link: u16, snaplen: u32) -> u32 {
    match link {
        // USB_LINUX, USB_LINUX_MMAPPED, DBUS, USBPCAP, USB_DARWIN, EBHSCR
        189 | 220 | 231 | 249 | 266 | 279 => ABSOLUTE_MAX,
        _ => snaplen.clamp(USUAL_MAX, ABSOLUTE_MAX),
    }
}

impl Pcap {
    /// Reads the file header; `None` when the first bytes are not those of a pcap file.
    pub(super) fn open(prefix: &[u8]) -> Result<Option<Self>, NotACapture> {
        let Some((order, dialect)) = header::magic(prefix) else {
            return Ok(None);
        };
        let header = header::read(prefix, order, dialect)?;
        let snaplen = header.snaplen;
        Ok(Some(Self {
            name: header.name,
            header_len: header.len,
            order,
            record_header: header.record_header,
            lengths: header.lengths,
            fraction_ns: if header.nanoseconds { 1 } else { 1000 },
            max_caplen: max_caplen(header.link, snaplen),
            evidence: header.evidence,
            interface: Interface {
                link: header.link,
                snaplen,
                name: None,
                ts_resol: if header.nanoseconds { TsResol::NANO } else { TsResol::MICRO },
                ts_offset: 0,
                section: 0,
            },
        }))
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn evidence(&self) -> usize {
        self.evidence
    }

    pub(super) fn header_len(&self) -> usize {
        self.header_len
    }

    pub(super) fn order(&self) -> ByteOrder {
        self.order
    }

    pub(super) fn interface(&self) -> &Interface {
        &self.interface
    }

    pub(super) fn shape(&self) -> Shape {
        Shape::Pcap { order: self.order, lengths: self.lengths }
    }

    /// See [`Walker::walk`](super::Walker::walk): bytes consumed and why it stopped.
    pub(super) fn walk(&self, buf: &[u8], max: usize, out: &mut Vec<Record>) -> (usize, Stop) {
        match self.order {
            ByteOrder::Little => self.records::<false>(buf, max, out),
            ByteOrder::Big => self.records::<true>(buf, max, out),
        }
    }

    /// The hot loop: every record of every pcap file passes here, one after another.
    #[inline]
    fn records<const BIG: bool>(&self, buf: &[u8], max: usize, out: &mut Vec<Record>) -> (usize, Stop) {
        let order = if BIG { ByteOrder::Big } else { ByteOrder::Little };
        let head = self.record_header;
        let (link, fraction_ns, max_caplen, lengths) =
            (self.interface.link, self.fraction_ns, self.max_caplen, self.lengths);
        let mut at = 0;
        for _ in 0..max {
            let rest = &buf[at..];
            let Some(fields) = rest.first_chunk::<16>() else {
                break;
            };
            let seconds = order.u32(fields, 0);
            let fraction = order.u32(fields, 4);
            let (caplen, wirelen) = lengths.sort(order.u32(fields, 8), order.u32(fields, 12));
            if caplen > max_caplen {
                let detail = format!(
                    "a captured length of {caplen} bytes cannot be true: the snap length is {}, at most {max_caplen} bytes are believed",
                    self.interface.snaplen
                );
                return (at, Stop::Damage(DamageKind::BadLength, detail));
            }
            let len = head + caplen; // at most 128 MiB + 28
            if rest.len() < len as usize {
                return (at, Stop::Need(len as usize));
            }
            out.push(Record {
                start: at as u32,
                len,
                data: at as u32 + head,
                caplen,
                wirelen,
                iface: 0,
                link,
                // below 2³² · 10⁹ + 2³² · 10³, which 63 bits hold
                ts: (u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * fraction_ns) as i64,
            });
            at += len as usize;
        }
        // Stopped at `max`, the fields that tell of damage are there: the next walk looks at them, also when
        // they are the last bytes of the capture and a longer header is not whole.
        let fields = if buf.len() - at < 16 { head as usize } else { 16 };
        (at, Stop::Need(fields))
    }
}
