//! Capture records: where each packet stands in the bytes of a capture.
//!
//! A walker is fed consecutive pieces of a capture and appends one
//! [`Record`] per packet. It never copies packet bytes, and what is no packet
//! (section headers, interface descriptions, comments, statistics …) it leaves
//! alone: a writer that copies everything but the records it was told to cut
//! keeps all of that by itself.

/// One packet record inside a buffer that holds a piece of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where the whole record (record header or block) begins in the buffer.
    pub start: u32,
    /// Length of the whole record: header, data, padding, options.
    pub len: u32,
    /// Where the packet bytes begin in the buffer.
    pub data: u32,
    /// Captured length: the packet bytes that are in the capture.
    pub caplen: u32,
    /// Original length of the packet on the wire.
    pub wirelen: u32,
    /// Interface number, counted over the whole file (all sections).
    pub iface: u16,
    /// Link type of that interface (the LINKTYPE registry's number).
    pub link: u16,
    /// Nanoseconds since the epoch, UTC. Packets without a time of their own
    /// (Simple Packet Blocks) carry the time of the packet before them, or 0.
    pub ts: i64,
}

// STUB-BEGIN
use crate::error::*;
/// stub
#[derive(Clone, Debug)]
pub struct Walker { link: u16 }
/// stub
#[derive(Clone, Debug)]
pub struct Interface { 
/// stub
pub link: u16,
/// stub
pub snaplen: u32,
/// stub
pub name: Option<String> }
/// stub
pub mod linktype { /// stub
 pub fn name(n: u16) -> std::borrow::Cow<'static, str> { format!("LINKTYPE_{n}").into() } }
/// stub
pub struct Walked {
    /// stub
    pub consumed: usize,
    /// stub
    pub need: usize,
    /// stub
    pub damage: Option<Damage>,
}
impl Walker {
    /// stub
    pub fn open(p: &[u8]) -> Result<Self, NotACapture> {
        if p.len() < 24 { return Err(NotACapture::ShortHeader { needed: 24, found: p.len() }); }
        Ok(Self { link: p[20] as u16 })
    }
    /// stub
    pub fn header_len(&self) -> usize { 24 }
    /// stub
    pub fn format(&self) -> &'static str { "pcap" }
    /// stub
    pub fn sections(&self) -> u32 { 1 }
    /// stub
    pub fn interfaces(&self) -> &[Interface] { &[] }
    /// stub
    pub fn walk(&mut self, b: &[u8], base: u64, eof: bool, _m: usize, out: &mut Vec<Record>) -> Walked {
        let mut at = 0;
        let w = |i: usize| u32::from_le_bytes([b[i], b[i+1], b[i+2], b[i+3]]);
        loop {
            let left = b.len() - at;
            let need = if left < 16 { 16 } else { 16 + w(at + 8) as usize };
            if left < need {
                let damage = (eof && left > 0).then(|| Damage { offset: base + at as u64, kind: DamageKind::Truncated, detail: String::new() });
                return Walked { consumed: at, need: if left == 0 { 0 } else { need }, damage };
            }
            out.push(Record { start: at as u32, len: need as u32, data: at as u32 + 16, caplen: w(at + 8), wirelen: w(at + 12), iface: 0, link: self.link, ts: i64::from(w(at)) * 1_000_000_000 + i64::from(w(at + 4)) * 1000 });
            at += need;
        }
    }
}
/// stub
pub fn shorten(_f: (), _bytes: &[u8], _r: &Record, _keep: u32, _o: &mut Vec<u8>) -> bool {
    false
}
// STUB-END
