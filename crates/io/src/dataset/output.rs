//! Where a cut capture goes: a file, standard output or nowhere, counted and digested.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::path::Path;

use super::is_standard;
use crate::codec::{self, Compression};
use crate::digest::Sha256;
use crate::remote::create_any;

const BUFFER: usize = 1 << 18;

/// Standard output as a file. Rust's own takes it for written when it was never open.
pub fn standard() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// The last stage of the output: counts and digests what goes through.
pub struct Tee {
    out: Box<dyn Write + Send>,
    bytes: u64,
    digest: Option<Sha256>,
}

impl Write for Tee {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buf)?;
        self.bytes += n as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&buf[..n]);
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A cut capture in the making.
pub enum Output {
    /// As it is.
    Plain(BufWriter<Tee>),
    /// Compressed.
    Packed(codec::Writer<BufWriter<Tee>>),
}

impl Output {
    /// Opens `path` for writing (`-` is standard output, `None` is nowhere).
    pub fn open(path: Option<&Path>, compression: Option<Compression>, digest: bool) -> io::Result<Self> {
        let out: Box<dyn Write + Send> = match path {
            None => Box::new(io::sink()),
            Some(path) if is_standard(path) => Box::new(standard()?),
            Some(path) => create_any(path)?,
        };
        let tee = Tee { out, bytes: 0, digest: digest.then(Sha256::default) };
        let buffered = BufWriter::with_capacity(BUFFER, tee);
        Ok(match compression {
            None => Self::Plain(buffered),
            Some(kind) => Self::Packed(codec::Writer::new(kind, buffered)?),
        })
    }

    /// Writes what is left; gives the number of bytes and their digest.
    pub fn finish(self) -> io::Result<(u64, Option<String>)> {
        let mut buffered = match self {
            Self::Plain(out) => out,
            Self::Packed(out) => out.finish()?,
        };
        buffered.flush()?;
        let tee = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((tee.bytes, tee.digest.map(Sha256::hex)))
    }
}

impl Write for Output {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(out) => out.write(buf),
            Self::Packed(out) => out.write(buf),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(out) => out.flush(),
            Self::Packed(out) => out.flush(),
        }
    }
}
