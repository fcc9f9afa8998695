//! Section Header Block (draft-ietf-opsawg-pcapng §4.1).

use super::{bad, check_min, check_trailer, ByteOrder, Checked};

/// Type, length, byte order mark, version, section length, length.
const MIN_LEN: usize = 28;

/// The byte order that the mark at offset 8 tells; the block has at least 12 bytes.
#[inline]
pub(super) fn byte_order(block: &[u8]) -> Option<ByteOrder> {
    match block[8..12] {
        [0x4d, 0x3c, 0x2b, 0x1a] => Some(ByteOrder::Little),
        [0x1a, 0x2b, 0x3c, 0x4d] => Some(ByteOrder::Big),
        _ => None,
    }
}

/// The version in words when it is there and not one that is read. Versions 1.0, 1.1 and
/// 1.2 are the same format.
pub(super) fn unsupported_version(block: &[u8], order: ByteOrder) -> Option<String> {
    if block.len() < 16 {
        return None;
    }
    let (major, minor) = (order.u16(block, 12), order.u16(block, 14));
    (major != 1 || minor > 2).then(|| format!("{major}.{minor}"))
}

/// Checks a whole block and returns the section's byte order.
pub(super) fn read(block: &[u8]) -> Checked<ByteOrder> {
    let Some(order) = byte_order(block) else {
        return bad("a section header block without a byte order mark".into());
    };
    check_min(block, MIN_LEN, "a section header block")?;
    check_trailer(block, order)?;
    if let Some(version) = unsupported_version(block, order) {
        return bad(format!("a section of pcapng version {version}: 1.0 to 1.2 are read"));
    }
    Ok(order)
}
