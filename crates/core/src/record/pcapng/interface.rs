//! Interface Description Block (draft-ietf-opsawg-pcapng §4.2).

use super::super::TsResol;
use super::options::Options;
use super::{check_min, ByteOrder, Checked, Interface};

/// Type, length, link type, reserved, snap length, length.
const MIN_LEN: usize = 20;
/// Bytes of a name that are kept; the block itself may hold 64 KiB of it.
const MAX_NAME: usize = 256;

const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// Reads a whole block. Options of a wrong length are as good as not there.
pub(super) fn read(block: &[u8], order: ByteOrder, section: u32) -> Checked<Interface> {
    check_min(block, MIN_LEN, "an interface description block")?;
    let mut interface = Interface {
        link: order.u16(block, 8),
        snaplen: order.u32(block, 12),
        name: None,
        ts_resol: TsResol::MICRO,
        ts_offset: 0,
        section,
    };
    for (code, value) in Options::new(&block[16..block.len() - 4], order) {
        match (code, value.len()) {
            (IF_NAME, 1..) if interface.name.is_none() => interface.name = Some(name(value)),
            (IF_TSRESOL, 1) => interface.ts_resol = TsResol::from_raw(value[0]),
            (IF_TSOFFSET, 8) => {
                let (first, second) = (u64::from(order.u32(value, 0)), u64::from(order.u32(value, 4)));
                interface.ts_offset = match order {
                    ByteOrder::Little => second << 32 | first,
                    ByteOrder::Big => first << 32 | second,
                } as i64;
            }
            _ => {}
        }
    }
    Ok(interface)
}

/// At most [`MAX_NAME`] bytes of valid UTF-8, up to a terminating zero if a writer left one.
fn name(value: &[u8]) -> String {
    let end = value.iter().position(|&b| b == 0).unwrap_or(value.len());
    let mut name = String::from_utf8_lossy(&value[..end.min(MAX_NAME)]).into_owned();
    let mut len = name.len().min(MAX_NAME);
    while !name.is_char_boundary(len) {
        len -= 1;
    }
    name.truncate(len);
    name
}
