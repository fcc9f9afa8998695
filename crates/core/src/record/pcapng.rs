//! pcapng (draft-ietf-opsawg-pcapng): blocks, sections, interfaces, packets.
//!
//! Every block is checked as a frame: its length is a multiple of four, not less than its
//! kind needs, and said twice. What is no section header, interface or packet is
//! skipped whole. The section length field is not used: readers may ignore it, and a
//! file that was trimmed in place would have a false one.

use super::walker::{Stop, MAX_INTERFACES};
use super::{ByteOrder, Interface, Record};
use crate::error::{DamageKind, NotACapture};

mod interface;
mod options;
mod packet;
mod section;

pub(super) use packet::{Kind, STAMPED_DATA};

/// The type of a Section Header Block, the same in both byte orders.
pub(super) const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// Type, length and the length again: the least a block has. Also where the byte
/// order mark of a Section Header Block ends.
const MIN_BLOCK: usize = 12;
/// The longest block that is believed: the longest packet of any link type (128 MiB)
/// and room for options.
const MAX_BLOCK: u32 = 129 << 20;

/// What a block's content led to: nothing, or damage.
type Checked<T = ()> = Result<T, (DamageKind, String)>;

fn bad<T>(detail: String) -> Checked<T> {
    Err((DamageKind::BadBlock, detail))
}

/// A pcapng file: what its blocks have said so far.
#[derive(Clone, Debug)]
pub(super) struct Pcapng {
    order: ByteOrder,
    sections: u32,
    /// The interfaces of all sections.
    interfaces: Vec<Interface>,
    /// Number of the section's first interface.
    first_interface: usize,
    /// Time of the packet before, for packets without one.
    last_ts: i64,
}

impl Pcapng {
    /// Checks as much of the first Section Header Block as there is.
    pub(super) fn open(prefix: &[u8]) -> Result<Self, NotACapture> {
        if prefix.len() < MIN_BLOCK {
            return Err(NotACapture::ShortHeader { needed: MIN_BLOCK, found: prefix.len() });
        }
        let Some(order) = section::byte_order(prefix) else {
            return Err(NotACapture::UnknownFormat { found: prefix[..8].to_vec() });
        };
        if let Some(version) = section::unsupported_version(prefix, order) {
            return Err(NotACapture::Unsupported(format!("pcapng version {version}: 1.0 to 1.2 are read")));
        }
        Ok(Self { order, sections: 0, interfaces: Vec::new(), first_interface: 0, last_ts: 0 })
    }

    pub(super) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    pub(super) fn sections(&self) -> u32 {
        self.sections
    }

    pub(super) fn order(&self) -> ByteOrder {
        self.order
    }

    /// See [`Walker::walk`](super::Walker::walk): bytes consumed and why it stopped.
    pub(super) fn walk(&mut self, buf: &[u8], max: usize, out: &mut Vec<Record>) -> (usize, Stop) {
        let full = out.len().saturating_add(max);
        let mut at = 0;
        while out.len() < full {
            let rest = &buf[at..];
            if rest.len() < MIN_BLOCK {
                break;
            }
            let len = match self.block_len(rest) {
                Ok(len) => len,
                Err((kind, detail)) => return (at, Stop::Damage(kind, detail)),
            };
            let Some(block) = rest.get(..len) else {
                return (at, Stop::Need(len));
            };
            if let Err((kind, detail)) = self.block(block, at as u32, out) {
                return (at, Stop::Damage(kind, detail));
            }
            at += len;
        }
        (at, Stop::Need(MIN_BLOCK))
    }

    /// The length of the block that begins `rest`, of which at least 12 bytes are there.
    #[inline]
    fn block_len(&self, rest: &[u8]) -> Checked<usize> {
        let is_section = rest.starts_with(&SECTION_HEADER);
        let order = if is_section {
            match section::byte_order(rest) {
                Some(order) => order,
                None => return bad("a section header block without a byte order mark".into()),
            }
        } else {
            self.order
        };
        let len = order.u32(rest, 4);
        if len < MIN_BLOCK as u32 || len % 4 != 0 {
            return bad(format!(
                "a block length of {len}: it must be at least {MIN_BLOCK} and a multiple of 4"
            ));
        }
        if len > MAX_BLOCK {
            let detail =
                format!("a block length of {len} bytes cannot be true: at most {MAX_BLOCK} are believed");
            return Err((DamageKind::BadLength, detail));
        }
        Ok(len as usize)
    }

    /// Takes in one whole block, which stands at `start` in the buffer.
    #[inline]
    fn block(&mut self, block: &[u8], start: u32, out: &mut Vec<Record>) -> Checked {
        if block.starts_with(&SECTION_HEADER) {
            let order = section::read(block)?;
            self.order = order;
            self.sections = self.sections.saturating_add(1);
            self.first_interface = self.interfaces.len();
            return Ok(());
        }
        if self.sections == 0 {
            return bad("the capture does not begin with a section header block".into());
        }
        check_trailer(block, self.order)?;
        match self.order.u32(block, 0) {
            1 => {
                if self.interfaces.len() == MAX_INTERFACES {
                    let detail = format!("more than {MAX_INTERFACES} interfaces in one capture");
                    return Err((DamageKind::Limit, detail));
                }
                self.interfaces.push(interface::read(block, self.order, self.sections - 1)?);
            }
            2 => out.push(self.stamped(block, start, packet::Kind::Obsolete)?),
            3 => out.push(self.simple(block, start)?),
            6 => out.push(self.stamped(block, start, packet::Kind::Enhanced)?),
            _ => {}
        }
        Ok(())
    }
}

/// The length stands at both ends of a block.
#[inline(always)]
fn check_trailer(block: &[u8], order: ByteOrder) -> Checked {
    let trailer = order.u32(block, block.len() - 4);
    if trailer as usize == block.len() {
        return Ok(());
    }
    bad(format!("a block of {} bytes ends with a length of {trailer}", block.len()))
}

/// Refuses a block that is shorter than its kind.
#[inline(always)]
fn check_min(block: &[u8], min: usize, kind: &str) -> Checked {
    if block.len() >= min {
        return Ok(());
    }
    bad(format!("{kind} of {} bytes: it needs at least {min}", block.len()))
}
