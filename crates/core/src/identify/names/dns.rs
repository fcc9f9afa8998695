//! Messages of DNS (RFC 1035 §4) and its relatives: mDNS, LLMNR, NetBIOS names.

use super::super::cursor::Cursor;
use super::super::verdict::{ensure, Step, Stop};

/// Longest name in text, in bytes.
pub const MAX_NAME: usize = 255;

/// The header (§4.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The number that a response repeats.
    pub id: u16,
    /// QR, opcode, flags and response code.
    pub flags: u16,
    /// Numbers of questions, answers, authorities and additional records.
    pub counts: [u16; 4],
}

impl Header {
    /// It answers.
    pub fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// The kind of query.
    pub fn opcode(&self) -> u8 {
        (self.flags >> 11) as u8 & 15
    }

    /// The response code.
    pub fn rcode(&self) -> u8 {
        self.flags as u8 & 15
    }
}

/// A question or a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// 0 question, 1 answer, 2 authority, 3 additional.
    pub section: u8,
    /// Where the name begins in the message.
    pub name: usize,
    /// Type.
    pub kind: u16,
    /// Class; mDNS uses the highest bit.
    pub class: u16,
    /// Time to live in seconds; 0 for a question.
    pub ttl: u32,
    /// The data; empty for a question.
    pub data: &'a [u8],
}

/// Reads the header.
pub fn header(bytes: &[u8]) -> Step<Header> {
    let mut c = Cursor::new(bytes);
    Ok(Header { id: c.u16()?, flags: c.u16()?, counts: [c.u16()?, c.u16()?, c.u16()?, c.u16()?] })
}

/// Walks a whole message: `visit` sees every question and record. `No` unless the message ends with its last
/// record. Its cost is the length of the message.
pub fn walk<'a>(bytes: &'a [u8], mut visit: impl FnMut(Entry<'a>) -> Step<()>) -> Step<Header> {
    let head = header(bytes)?;
    let mut c = Cursor::new(bytes);
    c.skip(12)?;
    for (section, &count) in head.counts.iter().enumerate() {
        for _ in 0..count {
            let name = c.position();
            skip_name(&mut c)?;
            let (kind, class) = (c.u16()?, c.u16()?);
            let (ttl, data) = if section == 0 { (0, &[][..]) } else { (c.u32()?, c.counted(2)?) };
            visit(Entry { section: section as u8, name, kind, class, ttl, data })?;
        }
    }
    ensure(c.is_empty())?;
    Ok(head)
}

/// Goes over a name in place: labels, and at most one pointer, backwards, at its end (§4.1.4).
fn skip_name(c: &mut Cursor<'_>) -> Step<()> {
    let mut len = 0;
    loop {
        let at = c.position();
        match c.u8()? {
            0 => return Ok(()),
            size @ 1..=63 => {
                len += usize::from(size) + 1;
                ensure(len < MAX_NAME)?;
                c.skip(usize::from(size))?;
            }
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(c.u8()?);
                return ensure(to >= 12 && to < at);
            }
            _ => return Err(Stop::No),
        }
    }
}

/// Writes the name at `at` as text with dots into `out`, which is emptied first. Bytes are as sent; the caller
/// escapes. At most [`MAX_NAME`] bytes; `No` for a name that is longer or goes in circles.
pub fn name(message: &[u8], at: usize, out: &mut Vec<u8>) -> Step<()> {
    out.clear();
    let mut c = Cursor::new(message);
    c.skip(at)?;
    let mut earliest = at;
    loop {
        match c.u8()? {
            0 => return Ok(()),
            size @ 1..=63 => {
                ensure(out.len() + usize::from(size) < MAX_NAME)?;
                if !out.is_empty() {
                    out.push(b'.');
                }
                out.extend_from_slice(c.take(usize::from(size))?);
            }
            high @ 0xc0.. => {
                let to = usize::from(high & 0x3f) << 8 | usize::from(c.u8()?);
                ensure(to < earliest)?; // every jump goes further back, so it ends
                earliest = to;
                c = Cursor::new(message);
                c.skip(to)?;
            }
            _ => return Err(Stop::No),
        }
    }
}

/// Gives every address of the answers (types A and AAAA) with the position of its name.
pub fn addresses(message: &[u8], mut visit: impl FnMut(usize, &[u8])) -> Step<Header> {
    walk(message, |entry| {
        let size = match entry.kind {
            1 => 4,
            28 => 16,
            _ => return Ok(()),
        };
        if entry.section == 1 && entry.class & 0x7fff == 1 && entry.data.len() == size {
            visit(entry.name, entry.data);
        }
        Ok(())
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A name as labels.
    pub(crate) fn labels(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for label in name.split('.').filter(|label| !label.is_empty()) {
            out.push(label.len() as u8);
            out.extend(label.bytes());
        }
        out.push(0);
        out
    }

    /// A message with one question, and one A record if `answer`.
    pub(crate) fn message(id: u16, flags: u16, name: &str, kind: u16, answer: Option<[u8; 4]>) -> Vec<u8> {
        let mut out = Vec::new();
        for word in [id, flags, 1, u16::from(answer.is_some()), 0, 0] {
            out.extend(word.to_be_bytes());
        }
        out.extend(labels(name));
        out.extend([(kind >> 8) as u8, kind as u8, 0, 1]);
        if let Some(address) = answer {
            out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
            out.extend(address);
        }
        out
    }

    #[test]
    fn answers_give_names_and_addresses() {
        let bytes = message(7, 0x8180, "www.example.org", 1, Some([192, 0, 2, 1]));
        let mut found = Vec::new();
        let mut text = Vec::new();
        addresses(&bytes, |at, address| {
            name(&bytes, at, &mut text).unwrap();
            found.push((text.clone(), address.to_vec()));
        })
        .unwrap();
        assert_eq!(found, [(b"www.example.org".to_vec(), vec![192, 0, 2, 1])]);
    }

    #[test]
    fn pointers_that_go_in_circles_or_forward_are_refused() {
        let mut bytes = message(7, 0x8180, "a", 1, Some([1, 2, 3, 4]));
        let at = bytes.len() - 16;
        bytes[at + 1] = at as u8; // points at itself
        assert_eq!(walk(&bytes, |_| Ok(())), Err(Stop::No));
        let mut text = Vec::new();
        assert_eq!(name(&bytes, at, &mut text), Err(Stop::No));
        assert_eq!(walk(&bytes[..20], |_| Ok(())), Err(Stop::More));
    }
}
