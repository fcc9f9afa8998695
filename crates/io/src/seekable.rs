//! zstd in frames that can be decoded by themselves, with a table of where they are at the end: the seekable format of
//! zstd's `contrib/seekable_format`. Who does not know it reads frames one after another and skips the table.

use std::io::{self, Write};

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// Bytes of content in a frame.
pub const FRAME: usize = 4 << 20;
/// The frame of the table is one that decoders skip.
const SKIPPABLE: u32 = 0x184d_2a5e;
/// The last four bytes of a file.
const MAGIC: u32 = 0x8f92_eab1;
/// The most frames that the format allows; more would be one too large to be a capture.
const MOST: usize = 0x0800_0000;

/// Compresses what is written to it. The result depends on the content alone, not on how it is written.
pub struct Writer<W: Write> {
    out: W,
    compressor: Compressor<'static>,
    content: Vec<u8>,
    /// Compressed and plain length of each frame.
    frames: Vec<[u32; 2]>,
}

impl<W: Write> Writer<W> {
    /// Compresses into `out` with zstd's usual strength; each frame has a checksum.
    pub fn new(out: W) -> io::Result<Self> {
        let mut compressor = Compressor::new(0)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        Ok(Self { out, compressor, content: Vec::with_capacity(FRAME), frames: Vec::new() })
    }

    fn frame(&mut self) -> io::Result<()> {
        let packed = self.compressor.compress(&self.content)?;
        self.out.write_all(&packed)?;
        if self.frames.len() >= MOST {
            return Err(io::Error::other("the capture has more frames than the seekable format allows"));
        }
        self.frames.push([packed.len() as u32, self.content.len() as u32]);
        self.content.clear();
        Ok(())
    }

    /// Writes the last frame and the table; gives the output back.
    pub fn finish(mut self) -> io::Result<W> {
        // An empty content is one empty frame, so that the file is told by its first bytes.
        if !self.content.is_empty() || self.frames.is_empty() {
            self.frame()?;
        }
        let mut table = Vec::with_capacity(17 + 8 * self.frames.len());
        table.extend(SKIPPABLE.to_le_bytes());
        table.extend((8 * self.frames.len() as u32 + 9).to_le_bytes());
        for lengths in &self.frames {
            table.extend(lengths[0].to_le_bytes());
            table.extend(lengths[1].to_le_bytes());
        }
        table.extend((self.frames.len() as u32).to_le_bytes());
        table.push(0); // no checksums in the table: the frames have theirs
        table.extend(MAGIC.to_le_bytes());
        self.out.write_all(&table)?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = buf.len().min(FRAME - self.content.len());
        self.content.extend_from_slice(&buf[..n]);
        if self.content.len() == FRAME {
            self.frame()?;
        }
        Ok(n)
    }

    /// A frame is not ended early: what waits is written when it is full, or at the end.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(content: &[u8], piece: usize) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new()).unwrap();
        for piece in content.chunks(piece) {
            writer.write_all(piece).unwrap();
        }
        writer.finish().unwrap()
    }

    fn u32_at(bytes: &[u8], at: usize) -> usize {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
    }

    #[test]
    fn each_frame_is_decoded_by_itself_where_the_table_says_it_is() {
        let content: Vec<u8> = (0..2 * FRAME + 12_345).map(|i| (i / 7 % 251) as u8).collect();
        let file = packed(&content, 65_537);
        assert_eq!(file, packed(&content, 1 << 20), "the same whatever the pieces");
        let end = file.len();
        let frames = u32_at(&file, end - 9);
        assert_eq!((frames, file[end - 5], u32_at(&file, end - 4)), (3, 0, MAGIC as usize));
        let table = end - 9 - 8 * frames;
        assert_eq!(
            (u32_at(&file, table - 8), u32_at(&file, table - 4)),
            (SKIPPABLE as usize, 8 * frames + 9)
        );
        let (mut at, mut whole) = (0, Vec::new());
        for i in 0..frames {
            let (long, plain) = (u32_at(&file, table + 8 * i), u32_at(&file, table + 8 * i + 4));
            let part = zstd::bulk::decompress(&file[at..at + long], plain).unwrap();
            assert_eq!(part.len(), plain);
            whole.extend(part);
            at += long;
        }
        assert!(whole == content && at == table - 8);
        assert!(zstd::decode_all(&file[..]).unwrap() == content, "and by who knows no table");
    }

    #[test]
    fn nothing_is_one_empty_frame() {
        let file = packed(&[], 1);
        assert_eq!(u32_at(&file, 0), 0xfd2f_b528);
        assert!(zstd::decode_all(&file[..]).unwrap().is_empty());
    }
}
