//! IEEE 802.11 and the headers that capture tools put before it.

use super::reader::{Bad, Reader, Step};
use super::NoFlow;

impl Reader<'_> {
    /// A frame (IEEE 802.11 §9.2). `padded`: the header is filled up to four bytes.
    pub fn wlan(&mut self, at: usize, end: usize, padded: bool) -> Step {
        let control = self.array(at)?;
        self.wlan_data(control, at, end, padded)
    }

    /// A frame whose two bytes of frame control may have changed places, as some controllers send them in CAPWAP:
    /// then only an IP packet is a proof.
    pub fn wlan_either(&mut self, at: usize, end: usize) -> Step {
        let mark = self.mark();
        let [first, second] = self.array(at)?;
        let done = self.wlan_data([first, second], at, end, false);
        if done.is_ok() && self.facts.reason == NoFlow::None {
            return done;
        }
        self.back_to(&mark);
        let swapped = self.wlan_data([second, first], at, end, false);
        if swapped.is_ok() && self.facts.reason == NoFlow::None {
            return swapped;
        }
        self.back_to(&mark);
        done
    }

    fn wlan_data(&mut self, [control, flags]: [u8; 2], at: usize, end: usize, padded: bool) -> Step {
        self.deeper()?;
        if control & 0x0c != 0x08 || control & 0x40 != 0 {
            self.facts.reason = NoFlow::Control80211;
            return Ok(());
        }
        if flags & 0x40 != 0 {
            self.facts.reason = NoFlow::Encrypted;
            return Ok(());
        }
        let mut size = if flags & 3 == 3 { 30 } else { 24 };
        let mut aggregated = false;
        if control & 0x80 != 0 {
            aggregated = self.byte(at + size)? & 0x80 != 0;
            size += if flags & 0x80 != 0 { 6 } else { 2 };
        }
        if padded {
            size = (size + 3) & !3;
        }
        // Of an aggregate the first subframe speaks for all.
        self.llc(at + size + if aggregated { 14 } else { 0 }, end)
    }

    /// Radiotap (radiotap.org): of all its fields only the flags change where the frame lies.
    pub fn radiotap(&mut self, at: usize, end: usize) -> Step {
        let le16 = |b: [u8; 2]| usize::from(u16::from_le_bytes(b));
        let size = le16(self.array(at + 2)?);
        let first = u32::from_le_bytes(self.array(at + 4)?);
        let (mut present, mut field) = (first, at + 8);
        while present & 0x8000_0000 != 0 {
            self.deeper()?;
            present = u32::from_le_bytes(self.array(field)?);
            field += 4;
        }
        if first & 1 != 0 {
            field = at + ((field - at + 7) & !7) + 8; // time stamp, aligned to its size
        }
        let flags = if first & 2 != 0 { self.byte(field)? } else { 0 };
        let fcs = if flags & 0x10 != 0 { 4 } else { 0 };
        self.wlan(at + size, end.saturating_sub(fcs), flags & 0x20 != 0)
    }

    /// Prism's header, or AVS's, which came under the same link type.
    pub fn prism(&mut self, at: usize, end: usize) -> Step {
        let (code, length) = (self.u32(at)?, self.u32(at + 4)?);
        let size = match code {
            0x8021_1001 | 0x8021_1002 => length,
            0x44 | 0x41 => length,
            _ if matches!(code.swap_bytes(), 0x44 | 0x41) => length.swap_bytes(),
            _ => return Err(Bad),
        };
        let size = usize::try_from(size).map_err(|_| Bad)?;
        self.wlan(at.checked_add(size).ok_or(Bad)?, end, false)
    }

    /// Per-packet information (PPI): a header that names the link type of what follows.
    pub fn ppi(&mut self, at: usize, end: usize) -> Step {
        self.deeper()?;
        let size = usize::from(u16::from_le_bytes(self.array(at + 2)?));
        let link = u16::try_from(u32::from_le_bytes(self.array(at + 4)?)).map_err(|_| Bad)?;
        match link {
            192 => Err(Bad),
            link => self.link(link, at + size.max(8), end),
        }
    }
}
