//! From a block of the ring to packets as a capture holds them.
//!
//! The layout is that of linux/if_packet.h (`tpacket_block_desc`, `tpacket3_hdr`, `sockaddr_ll`) on this machine.
//! The kernel wrote it, but nothing here trusts it with memory: what does not fit into the block ends it.

use super::hardware::{link_of, COOKED, ETHERNET, LOOPBACK};

/// Bytes of a block that are not in the slice that is read.
const BEFORE: usize = super::sys::BEFORE;
const NUM_PACKETS: usize = 12 - BEFORE;
const FIRST: usize = 16 - BEFORE;
/// `tpacket3_hdr`, behind which stands the `sockaddr_ll`.
const HEADER: usize = 48;
const ADDRESS: usize = 20;

const VLAN_VALID: u32 = 1 << 4;
const TPID_VALID: u32 = 1 << 6;
const OUTGOING: u8 = 4;
/// Bytes of a cooked header (LINUX_SLL2).
const COOKED_HEADER: usize = 20;
const TAG: usize = 4;

/// A packet in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The interface it was seen on.
    pub ifindex: i32,
    /// Link type of the bytes.
    pub link: u16,
    /// The kernel's filter has not seen these bytes: a tag was put back, or the header is made.
    pub changed: bool,
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// Length on the wire.
    pub original: u32,
    /// Where the packet begins in the slice.
    pub from: u32,
    /// And where it ends.
    pub to: u32,
}

/// Reads a block: appends its packets to `out`, with VLAN tags put back, and returns how many the kernel put there.
///
/// Packets on their way out through a loopback interface are left out; they come in again.
pub fn frames(block: &mut [u8], snap_length: u32, out: &mut Vec<Frame>) -> u64 {
    let (Some(count), Some(first)) = (u32_at(block, NUM_PACKETS), u32_at(block, FIRST)) else {
        return 0;
    };
    let mut at = (first as usize).wrapping_sub(BEFORE);
    for done in 0..count {
        let Some(next) = u32_at(block, at) else {
            return u64::from(done);
        };
        if let Some(frame) = frame(block, at, snap_length) {
            out.push(frame);
        }
        if next == 0 {
            return u64::from(done) + 1;
        }
        at = at.wrapping_add(next as usize);
    }
    u64::from(count)
}

fn frame(block: &mut [u8], at: usize, snap_length: u32) -> Option<Frame> {
    let header: [u8; HEADER + ADDRESS] = *block.get(at..)?.first_chunk()?;
    let word = |i: usize| u32::from_ne_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
    let half = |i: usize| u16::from_ne_bytes([header[i], header[i + 1]]);
    let (seconds, nanoseconds, len, original, status) = (word(4), word(8), word(12), word(16), word(20));
    let (mac, net) = (usize::from(half(24)), usize::from(half(26)));
    let address = &header[HEADER..];
    let (ifindex, hatype, packet_type) = (word(HEADER + 4) as i32, half(HEADER + 8), address[10]);
    if hatype == LOOPBACK && packet_type == OUTGOING {
        return None;
    }
    let link = link_of(hatype);
    let mut frame = Frame {
        ifindex,
        link,
        changed: false,
        time: i64::from(seconds) * 1_000_000_000 + i64::from(nanoseconds),
        original,
        from: u32::try_from(at + mac).ok()?,
        to: u32::try_from(at + mac).ok()?.checked_add(len)?,
    };
    block.get(frame.from as usize..frame.to as usize)?;
    if link == COOKED {
        let skipped = net.checked_sub(mac)?.min(len as usize);
        let from = (at + mac + skipped).checked_sub(COOKED_HEADER)?;
        let made = block.get_mut(from..from + COOKED_HEADER)?;
        made[..2].copy_from_slice(&address[2..4]); // protocol, in network order already
        made[2..4].fill(0);
        made[4..8].copy_from_slice(&ifindex.to_be_bytes());
        made[8..10].copy_from_slice(&hatype.to_be_bytes());
        made[10] = packet_type;
        made[11] = address[11];
        made[12..].copy_from_slice(&address[12..]);
        frame.from = from as u32;
        frame.original = original.saturating_sub(skipped as u32).saturating_add(COOKED_HEADER as u32);
        frame.changed = true;
    } else if status & VLAN_VALID != 0 && link == ETHERNET && len >= 12 {
        let from = (at + mac).checked_sub(TAG)?;
        let head = block.get_mut(from..from + 12 + TAG)?;
        head.copy_within(TAG.., 0);
        let kind = if status & TPID_VALID != 0 { half(36) } else { 0x8100 };
        head[12..14].copy_from_slice(&kind.to_be_bytes());
        head[14..].copy_from_slice(&(word(32) as u16).to_be_bytes());
        frame.from = from as u32;
        frame.original = original.saturating_add(TAG as u32);
        frame.changed = true;
    }
    frame.to = frame.to.min(frame.from.saturating_add(snap_length));
    Some(frame)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}
