//! New records, where those that were read cannot be copied: little-endian pcap 2.4 and pcapng 1.0.

use super::bytes::padded;
use super::{Interface, TsResol};

/// Snap length of a file whose packets may come from several captures: libpcap's largest.
pub const SNAPLEN: u32 = 262_144;

/// A time that a pcap record cannot hold: it has 32 bits for the seconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOutOfRange(pub i64);

/// Appends the header of a pcap file.
pub fn pcap_header(out: &mut Vec<u8>, link: u16, snaplen: u32, nanoseconds: bool) {
    let magic = if nanoseconds { 0xa1b2_3c4d_u32 } else { 0xa1b2_c3d4 };
    for word in [magic, 0x0004_0002, 0, 0, snaplen, u32::from(link)] {
        out.extend(word.to_le_bytes());
    }
}

/// Appends a packet of a pcap file.
pub fn pcap_packet(
    out: &mut Vec<u8>,
    ts: i64,
    data: &[u8],
    wirelen: u32,
    nanoseconds: bool,
) -> Result<(), TimeOutOfRange> {
    let seconds = u32::try_from(ts.div_euclid(1_000_000_000)).map_err(|_| TimeOutOfRange(ts))?;
    let fraction = ts.rem_euclid(1_000_000_000) as u32 / if nanoseconds { 1 } else { 1000 };
    for word in [seconds, fraction, data.len() as u32, wirelen] {
        out.extend(word.to_le_bytes());
    }
    out.extend_from_slice(data);
    Ok(())
}

/// Appends a Section Header Block (draft-ietf-opsawg-pcapng §4.1) of unknown section length.
pub fn section(out: &mut Vec<u8>) {
    for word in [0x0a0d_0d0a_u32, 28, 0x1a2b_3c4d, 0x0000_0001, u32::MAX, u32::MAX, 28] {
        out.extend(word.to_le_bytes());
    }
}

/// The resolution that an interface's packets are written with: its own, or nanoseconds where it is finer.
pub fn resolution(interface: &Interface) -> TsResol {
    if interface.ts_resol.raw() <= 9 {
        interface.ts_resol
    } else {
        TsResol::NANO
    }
}

/// Appends an Interface Description Block (§4.2) with the name and the resolution of `interface`.
pub fn interface(out: &mut Vec<u8>, interface: &Interface) {
    let at = begin(out, 1);
    out.extend(interface.link.to_le_bytes());
    out.extend([0; 2]);
    out.extend(interface.snaplen.to_le_bytes());
    if let Some(name) = &interface.name {
        option(out, 2, name.as_bytes());
    }
    option(out, 9, &[resolution(interface).raw()]);
    option(out, 0, &[]);
    end(out, at);
}

/// Appends an Enhanced Packet Block (§4.3) of interface `id` of its section; `ts` in nanoseconds since the
/// epoch. Times before the epoch, which the block cannot hold, become the epoch.
pub fn packet(out: &mut Vec<u8>, id: u32, resolution: TsResol, ts: i64, data: &[u8], wirelen: u32) {
    let at = open_packet(out, id, resolution, ts, data, wirelen);
    end(out, at);
}

/// The same with a comment (§3.5), of at most 65,535 bytes.
pub fn commented_packet(
    out: &mut Vec<u8>,
    id: u32,
    resolution: TsResol,
    ts: i64,
    data: &[u8],
    wirelen: u32,
    comment: &str,
) {
    let at = open_packet(out, id, resolution, ts, data, wirelen);
    option(out, 1, comment.as_bytes());
    option(out, 0, &[]);
    end(out, at);
}

fn open_packet(out: &mut Vec<u8>, id: u32, resolution: TsResol, ts: i64, data: &[u8], wirelen: u32) -> usize {
    let units = resolution.from_ns(ts);
    let at = begin(out, 6);
    for word in [id, (units >> 32) as u32, units as u32, data.len() as u32, wirelen] {
        out.extend(word.to_le_bytes());
    }
    out.extend_from_slice(data);
    out.resize(at + 28 + padded(data.len()), 0);
    at
}

pub(crate) fn begin(out: &mut Vec<u8>, kind: u32) -> usize {
    let at = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    at
}

pub(crate) fn end(out: &mut Vec<u8>, at: usize) {
    let len = ((out.len() - at + 4) as u32).to_le_bytes();
    out.extend(len);
    out[at + 4..at + 8].copy_from_slice(&len);
}

pub(crate) fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padded(value.len()) - value.len(), 0);
}
