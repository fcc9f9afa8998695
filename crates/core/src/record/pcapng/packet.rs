//! The packet blocks: Enhanced (draft-ietf-opsawg-pcapng §4.3), Simple (§4.4) and the
//! obsolete Packet Block (appendix).

use super::{bad, check_min, Checked, Pcapng, Record};

/// The two blocks with a time stamp; they differ only in the interface number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// 32-bit interface number.
    Enhanced,
    /// 16-bit interface number and a drop counter.
    Obsolete,
}

impl Kind {
    /// The kind of a block type.
    pub(in super::super) fn of(block_type: u32) -> Option<Self> {
        match block_type {
            6 => Some(Self::Enhanced),
            2 => Some(Self::Obsolete),
            _ => None,
        }
    }
}

/// Type, length, interface, time (2), captured and original length, length.
const MIN_STAMPED: usize = 32;
/// Where the packet begins in a block with a time stamp.
pub(in super::super) const STAMPED_DATA: usize = 28;
/// Type, length, original length, length.
const MIN_SIMPLE: usize = 16;
/// Where the packet begins in a Simple Packet Block.
const SIMPLE_DATA: usize = 12;

impl Pcapng {
    /// The record of an Enhanced or obsolete Packet Block that stands at `start`.
    #[inline]
    pub(super) fn stamped(&mut self, block: &[u8], start: u32, kind: Kind) -> Checked<Record> {
        check_min(block, MIN_STAMPED, "a packet block")?;
        let order = self.order;
        let id = match kind {
            Kind::Enhanced => order.u32(block, 8),
            Kind::Obsolete => u32::from(order.u16(block, 8)),
        };
        let number = self.first_interface.saturating_add(id as usize);
        let Some(interface) = self.interfaces.get(number) else {
            return bad(format!(
                "a packet of interface {id}: the section has described {} so far",
                self.interfaces.len() - self.first_interface
            ));
        };
        let units = u64::from(order.u32(block, 12)) << 32 | u64::from(order.u32(block, 16));
        let (caplen, wirelen) = (order.u32(block, 20), order.u32(block, 24));
        let room = block.len() - MIN_STAMPED;
        // the room is a multiple of four, so the padding fits when the packet does
        if caplen as usize > room {
            return bad(format!("a captured length of {caplen} bytes in a block with room for {room}"));
        }
        let ts = interface.ts_resol.to_ns(units, interface.ts_offset);
        self.last_ts = ts;
        Ok(Record {
            start,
            len: block.len() as u32,
            data: start + STAMPED_DATA as u32,
            caplen,
            wirelen,
            iface: number as u16,
            link: interface.link,
            ts,
        })
    }

    /// The record of a Simple Packet Block that stands at `start`. It belongs to the
    /// section's first interface, whose snap length tells how much of it is there.
    pub(super) fn simple(&mut self, block: &[u8], start: u32) -> Checked<Record> {
        check_min(block, MIN_SIMPLE, "a simple packet block")?;
        let Some(interface) = self.interfaces.get(self.first_interface) else {
            return bad("a simple packet block in a section that has described no interface".into());
        };
        let wirelen = self.order.u32(block, 8);
        let limit = if interface.snaplen == 0 { u32::MAX } else { interface.snaplen };
        let room = (block.len() - MIN_SIMPLE) as u32;
        Ok(Record {
            start,
            len: block.len() as u32,
            data: start + SIMPLE_DATA as u32,
            caplen: wirelen.min(limit).min(room),
            wirelen,
            iface: self.first_interface as u16,
            link: interface.link,
            ts: self.last_ts,
        })
    }
}
