//! Reads integers, lengths and lists out of bytes that may end anywhere.
//!
//! A read past the end is [`Stop::More`], a wrong value [`Stop::No`], so that a rule reads like the
//! layout in its specification and stops by itself.

use super::text::is_text;
use super::verdict::{ensure, Step, Stop};

/// A position in bytes.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// A tag and its content (ASN.1 BER, X.690 §8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ber<'a> {
    /// The identifier octet.
    pub tag: u8,
    /// The content.
    pub body: &'a [u8],
}

macro_rules! integers {
    ($($(#[$doc:meta])* $name:ident $type:ty, $from:ident, $size:literal;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub fn $name(&mut self) -> Step<$type> {
            let mut raw = [0; $size];
            raw.copy_from_slice(self.take($size)?);
            Ok(<$type>::$from(raw))
        }
    )*};
}

impl<'a> Cursor<'a> {
    /// At the first byte.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    integers! {
        /// One byte.
        u8 u8, from_be_bytes, 1;
        /// Two bytes, most significant first.
        u16 u16, from_be_bytes, 2;
        /// Four bytes, most significant first.
        u32 u32, from_be_bytes, 4;
        /// Eight bytes, most significant first.
        u64 u64, from_be_bytes, 8;
        /// Two bytes, least significant first.
        u16le u16, from_le_bytes, 2;
        /// Four bytes, least significant first.
        u32le u32, from_le_bytes, 4;
        /// Eight bytes, least significant first.
        u64le u64, from_le_bytes, 8;
    }

    /// Three bytes, most significant first.
    #[inline]
    pub fn u24(&mut self) -> Step<u32> {
        let b = self.take(3)?;
        Ok(u32::from(b[0]) << 16 | u32::from(b[1]) << 8 | u32::from(b[2]))
    }

    /// Three bytes, least significant first.
    #[inline]
    pub fn u24le(&mut self) -> Step<u32> {
        let b = self.take(3)?;
        Ok(u32::from(b[2]) << 16 | u32::from(b[1]) << 8 | u32::from(b[0]))
    }

    /// The next `count` bytes.
    #[inline]
    pub fn take(&mut self, count: usize) -> Step<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or(Stop::No)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Stop::More)?;
        self.at = end;
        Ok(bytes)
    }

    /// A cursor over the next `count` bytes, in which `More` has to be read as `No`: see [`Self::inner`].
    #[inline]
    pub fn sub(&mut self, count: usize) -> Step<Self> {
        Ok(Self::new(self.take(count)?))
    }

    /// Reads the next `count` bytes, which are all there, with `read`, to their last byte.
    #[inline]
    pub fn inner<T>(&mut self, count: usize, read: impl FnOnce(&mut Self) -> Step<T>) -> Step<T> {
        let mut sub = self.sub(count)?;
        let value = super::verdict::closed(read(&mut sub))?;
        ensure(sub.is_empty())?;
        Ok(value)
    }

    /// Goes over `count` bytes.
    #[inline]
    pub fn skip(&mut self, count: usize) -> Step<()> {
        self.take(count).map(|_| ())
    }

    /// The bytes must be these; as many as are there are compared.
    #[inline]
    pub fn expect(&mut self, what: &[u8]) -> Step<()> {
        let rest = self.rest();
        let shown = rest.len().min(what.len());
        ensure(rest[..shown] == what[..shown])?;
        self.skip(what.len())
    }

    /// The next byte, without going on.
    #[inline]
    pub fn peek(&self) -> Step<u8> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    /// All that is left.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// How many bytes are left.
    #[inline]
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Nothing is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// Where it stands.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The bytes up to `stop`, which is passed over; `No` when it is not within `most` bytes.
    #[inline]
    pub fn until(&mut self, stop: u8, most: usize) -> Step<&'a [u8]> {
        let rest = self.rest();
        let window = &rest[..rest.len().min(most + 1)];
        match window.iter().position(|&byte| byte == stop) {
            Some(end) => {
                self.at += end + 1;
                Ok(&rest[..end])
            }
            None if rest.len() > most => Err(Stop::No),
            None => Err(Stop::More),
        }
    }

    /// A line without its LF or CR LF; `No` when it is longer than `most` bytes.
    #[inline]
    pub fn line(&mut self, most: usize) -> Step<&'a [u8]> {
        let line = self.until(b'\n', most)?;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Like [`Self::line`]; `No` as soon as a byte is no text, whether the line has ended or not.
    pub fn text_line(&mut self, most: usize) -> Step<&'a [u8]> {
        let shown = &self.rest()[..self.left().min(most)];
        let end = shown.iter().position(|&byte| byte == b'\n').unwrap_or(shown.len());
        ensure(is_text(shown[..end].strip_suffix(b"\r").unwrap_or(&shown[..end])))?;
        self.line(most)
    }

    /// Bytes after a length of `size` bytes, most significant first (`size` 1, 2, 3 or 4).
    #[inline]
    pub fn counted(&mut self, size: usize) -> Step<&'a [u8]> {
        let len = self.take(size)?.iter().fold(0, |len: usize, &byte| len << 8 | usize::from(byte));
        self.take(len)
    }

    /// Bytes after a length of four bytes, least significant first.
    #[inline]
    pub fn counted_le(&mut self) -> Step<&'a [u8]> {
        let len = self.u32le()?;
        self.take(len as usize)
    }

    /// A tag, a definite length and the content (X.690 §8.1.3); the content must be there.
    pub fn ber(&mut self) -> Step<Ber<'a>> {
        let (tag, len) = self.ber_head()?;
        Ok(Ber { tag, body: self.take(len)? })
    }

    /// A tag and a definite length of at most four octets.
    pub fn ber_head(&mut self) -> Step<(u8, usize)> {
        let tag = self.u8()?;
        ensure(tag & 0x1f != 0x1f)?;
        let short = self.u8()?;
        let len = match short {
            0..=0x7f => usize::from(short),
            0x81..=0x84 => self
                .take(usize::from(short & 0x7f))?
                .iter()
                .fold(0, |len: usize, &byte| len << 8 | usize::from(byte)),
            _ => return Err(Stop::No),
        };
        Ok((tag, len))
    }

    /// A BER element with this tag.
    pub fn ber_tag(&mut self, tag: u8) -> Step<&'a [u8]> {
        ensure(self.peek()? == tag)?;
        Ok(self.ber()?.body)
    }

    /// A BER INTEGER that is not negative and fits 32 bits.
    pub fn ber_uint(&mut self) -> Step<u32> {
        let body = self.ber_tag(2)?;
        let digits = match body {
            [0, rest @ ..] if rest.len() <= 4 => rest,
            [first, ..] if *first < 0x80 && body.len() <= 4 => body,
            _ => return Err(Stop::No),
        };
        Ok(digits.iter().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    }

    /// A variable-length integer of QUIC (RFC 9000 §16).
    pub fn varint(&mut self) -> Step<u64> {
        let first = self.u8()?;
        let more = self.take((1 << (first >> 6)) - 1)?;
        Ok(more.iter().fold(u64::from(first & 0x3f), |value, &byte| value << 8 | u64::from(byte)))
    }

    /// A base-128 integer, least significant group first, of at most `most` bytes (protobuf, MQTT).
    pub fn base128(&mut self, most: u32) -> Step<u32> {
        let mut value = 0u64;
        for index in 0..most {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte < 0x80 {
                return u32::try_from(value).map_err(|_| Stop::No);
            }
        }
        Err(Stop::No)
    }

    /// Walks type-length-value elements to the end. `size` gives the bytes of type and of length; `visit`
    /// sees type and value. `No` when the last one does not end with the bytes.
    pub fn tlvs(
        &mut self,
        (type_size, len_size): (usize, usize),
        mut visit: impl FnMut(u32, &'a [u8]) -> Step<()>,
    ) -> Step<u32> {
        let mut count = 0;
        while !self.is_empty() {
            let kind = self.take(type_size)?.iter().fold(0, |kind, &byte| kind << 8 | u32::from(byte));
            visit(kind, self.counted(len_size)?)?;
            count += 1;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_past_the_end_ask_for_more_and_leave_the_cursor_where_it_was() {
        let mut c = Cursor::new(&[1, 2, 3]);
        assert_eq!(c.u16(), Ok(0x0102));
        assert_eq!(c.u16(), Err(Stop::More));
        assert_eq!(c.u8(), Ok(3));
        assert_eq!(c.take(usize::MAX), Err(Stop::No));
    }

    #[test]
    fn varints_of_all_sizes_are_read() {
        // RFC 9000 appendix A.1
        assert_eq!(Cursor::new(&[0x25]).varint(), Ok(37));
        assert_eq!(Cursor::new(&[0x7b, 0xbd]).varint(), Ok(15_293));
        assert_eq!(Cursor::new(&[0x9d, 0x7f, 0x3e, 0x7d]).varint(), Ok(494_878_333));
        assert_eq!(Cursor::new(&[0x9d, 0x7f]).varint(), Err(Stop::More));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0x7f]).base128(4), Ok(268_435_455));
        assert_eq!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 1]).base128(4), Err(Stop::No));
    }

    #[test]
    fn ber_reads_long_and_refuses_indefinite_lengths() {
        assert_eq!(Cursor::new(&[4, 0x81, 2, 9, 8]).ber(), Ok(Ber { tag: 4, body: &[9, 8] }));
        assert_eq!(Cursor::new(&[4, 0x80, 0, 0]).ber(), Err(Stop::No));
        assert_eq!(Cursor::new(&[4, 5, 1]).ber(), Err(Stop::More));
        assert_eq!(Cursor::new(&[2, 2, 1, 0]).ber_uint(), Ok(256));
        assert_eq!(Cursor::new(&[2, 1, 0x80]).ber_uint(), Err(Stop::No));
    }

    #[test]
    fn lines_and_lists_must_end_where_they_say() {
        let mut c = Cursor::new(b"220 hi\r\nrest");
        assert_eq!(c.line(20), Ok(&b"220 hi"[..]));
        assert_eq!(c.line(20), Err(Stop::More));
        assert_eq!(c.line(2), Err(Stop::No));
        assert_eq!(Cursor::new(&[1, 1, 7, 2, 0]).tlvs((1, 1), |_, _| Ok(())), Ok(2));
        assert_eq!(Cursor::new(&[1, 4, 7]).tlvs((1, 1), |_, _| Ok(())), Err(Stop::More));
        assert_eq!(Cursor::new(&[1, 0, 7]).inner(3, Cursor::u16), Err(Stop::No));
    }
}
