//! Compression around a capture, told by its first bytes.

use std::io::{self, BufRead, Read, Write};

use crate::seekable;
use liblzma::stream::{Stream, CONCATENATED};

/// Memory an xz decoder may take; the strongest preset needs 65 MiB.
const XZ_MEMORY: u64 = 256 << 20;

/// A compression format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZ4 frames.
    Lz4,
    /// The .xz format.
    Xz,
}

impl Compression {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Gzip, Self::Zstd, Self::Lz4, Self::Xz];

    /// The name in options and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
        }
    }

    /// The format of a name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.name() == name)
    }

    /// The format that data with these first bytes is in; six tell.
    pub fn detect(first: &[u8]) -> Option<Self> {
        match *first {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Self::Zstd),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            _ => None,
        }
    }
}

/// Decompresses all members or frames of `input`, one after another. Data that ends too early is an
/// error, never an end.
pub fn reader<'a>(
    kind: Compression,
    input: impl BufRead + Send + 'a,
) -> io::Result<Box<dyn Read + Send + 'a>> {
    Ok(match kind {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
        Compression::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        Compression::Lz4 => Box::new(Lz4::new(input)),
        Compression::Xz => {
            let stream = Stream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(io::Error::from)?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(input, stream))
        }
    })
}

/// LZ4 frames one after another. The decoder takes an end between two blocks for the end of the frame;
/// the end mark tells whether it is.
struct Lz4<R: Read> {
    decoder: lz4_flex::frame::FrameDecoder<Last<R>>,
}

impl<R: BufRead> Lz4<R> {
    fn new(input: R) -> Self {
        Self { decoder: lz4_flex::frame::FrameDecoder::new(Last { input, last: [1; 8] }) }
    }
}

impl<R: BufRead> Read for Lz4<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.decoder.read(buf).map_err(plain)?;
            if n > 0 || buf.is_empty() {
                return Ok(n);
            }
            let inner = self.decoder.get_mut();
            // The end mark is four zeros; the checksum of the content may follow.
            if inner.last[4..] != [0; 4] && inner.last[..4] != [0; 4] {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "an lz4 frame ends without its end mark",
                ));
            }
            if inner.input.fill_buf()?.is_empty() {
                return Ok(0);
            }
        }
    }
}

/// Errors of the decoder come wrapped; those of the operating system keep their number.
fn plain(error: io::Error) -> io::Error {
    let number =
        error.get_ref().and_then(|inner| inner.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error);
    number.map_or(error, io::Error::from_raw_os_error)
}

/// Remembers the last eight bytes that were read.
struct Last<R> {
    input: R,
    last: [u8; 8],
}

impl<R: Read> Read for Last<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.input.read(buf)?;
        let new = &buf[n.saturating_sub(8)..n];
        self.last.rotate_left(new.len());
        self.last[8 - new.len()..].copy_from_slice(new);
        Ok(n)
    }
}

/// Compresses what is written to it. Without [`finish`](Self::finish) the end is missing.
pub struct Writer<W: Write>(Inner<W>);

enum Inner<W: Write> {
    Gzip(flate2::write::GzEncoder<W>),
    Zstd(seekable::Writer<W>),
    Lz4(Box<lz4_flex::frame::FrameEncoder<W>>),
    Xz(liblzma::write::XzEncoder<W>),
}

impl<W: Write> Writer<W> {
    /// Compresses into `out` with the format's usual strength.
    pub fn new(kind: Compression, out: W) -> io::Result<Self> {
        Ok(Self(match kind {
            Compression::Gzip => {
                Inner::Gzip(flate2::write::GzEncoder::new(out, flate2::Compression::default()))
            }
            Compression::Zstd => Inner::Zstd(seekable::Writer::new(out)?),
            Compression::Lz4 => {
                let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
                Inner::Lz4(Box::new(lz4_flex::frame::FrameEncoder::with_frame_info(info, out)))
            }
            Compression::Xz => Inner::Xz(liblzma::write::XzEncoder::new(out, 6)),
        }))
    }

    /// Writes the end; gives the output back.
    pub fn finish(self) -> io::Result<W> {
        match self.0 {
            Inner::Gzip(encoder) => encoder.finish(),
            Inner::Zstd(encoder) => encoder.finish(),
            Inner::Lz4(encoder) => encoder.finish().map_err(|e| plain(io::Error::from(e))),
            Inner::Xz(encoder) => encoder.finish(),
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Inner::Gzip(encoder) => encoder,
            Inner::Zstd(encoder) => encoder,
            Inner::Lz4(encoder) => encoder,
            Inner::Xz(encoder) => encoder,
        }
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.inner().write(buf).map_err(plain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner().flush().map_err(plain)
    }
}
