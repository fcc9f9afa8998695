//! The file around an index: compressed parts, each with a digest, and a directory at the end.
//!
//! ```text
//! magic (8)  version (4)
//! part, part, …                      one zstd frame each
//! directory                          per part: length, 16 bytes of the SHA-256 of the frame
//! begin of the directory (8)  16 bytes of the SHA-256 of magic, version, directory and its begin
//! ```
//!
//! Numbers are little-endian. Every byte of the file counts for some digest or is compared.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::bytes::{Broken, Get, Put};

const MAGIC: [u8; 8] = *b"FKINDEX\n";
/// Version of the layout.
pub const VERSION: u32 = 2;
const HEAD: u64 = 12;
const TAIL: u64 = 24;
const DIGEST: usize = 16;
const LEVEL: i32 = 3;

type Short = [u8; DIGEST];

fn short(pieces: &[&[u8]]) -> Short {
    let mut digest = Sha256::default();
    for piece in pieces {
        digest.update(piece);
    }
    let mut cut = [0; DIGEST];
    cut.copy_from_slice(&digest.finalize()[..DIGEST]);
    cut
}

fn head() -> [u8; HEAD as usize] {
    let mut head = [0; HEAD as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..].copy_from_slice(&VERSION.to_le_bytes());
    head
}

/// Writes the parts one after another.
pub struct Writer<W> {
    out: W,
    at: u64,
    directory: Put,
}

impl<W: Write> Writer<W> {
    /// Begins the file.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&head())?;
        Ok(Self { out, at: HEAD, directory: Put::default() })
    }

    /// Adds a part.
    pub fn part(&mut self, raw: &[u8]) -> io::Result<()> {
        self.frame(&zstd::bulk::compress(raw, LEVEL)?)
    }

    /// Adds a part that is compressed already.
    pub fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        self.out.write_all(frame)?;
        self.at += frame.len() as u64;
        self.directory.number(frame.len() as u64);
        self.directory.0.extend(short(&[frame]));
        Ok(())
    }

    /// Ends the file; gives its size.
    pub fn finish(mut self) -> io::Result<u64> {
        let at = self.at.to_le_bytes();
        self.out.write_all(&self.directory.0)?;
        self.out.write_all(&at)?;
        self.out.write_all(&short(&[&head(), &self.directory.0, &at]))?;
        self.out.flush()?;
        Ok(self.at + self.directory.0.len() as u64 + TAIL)
    }
}

/// A file of parts, of which each is checked when it is read.
pub struct Parts {
    file: File,
    parts: Vec<(u64, u32, Short)>,
}

impl Parts {
    /// Reads the directory. Takes memory in proportion to it, never more than the file has bytes.
    pub fn open(file: File) -> Result<Self, String> {
        let size = file.metadata().map_err(|e| failed(&e))?.len();
        if size < HEAD + TAIL {
            return Err(format!("it has {size} bytes, an index has at least {}", HEAD + TAIL));
        }
        let mut start = [0; HEAD as usize];
        file.read_exact_at(&mut start, 0).map_err(|e| failed(&e))?;
        if start[..8] != MAGIC {
            return Err("it is no index of flowkeep".to_owned());
        }
        if start != head() {
            let version = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
            return Err(format!("its layout is version {version}, version {VERSION} is read"));
        }
        let mut tail = [0; TAIL as usize];
        file.read_exact_at(&mut tail, size - TAIL).map_err(|e| failed(&e))?;
        let (at, digest) = tail.split_at(8);
        let begin = u64::from_le_bytes(at.try_into().unwrap_or_default());
        if begin < HEAD || begin > size - TAIL {
            return Err("its directory lies outside of it".to_owned());
        }
        let mut directory = vec![0; (size - TAIL - begin) as usize];
        file.read_exact_at(&mut directory, begin).map_err(|e| failed(&e))?;
        if short(&[&start, &directory, at]) != digest {
            return Err("its directory is damaged".to_owned());
        }
        let parts =
            listed(&directory, begin).map_err(|Broken(why)| format!("its directory is broken: {why}"))?;
        Ok(Self { file, parts })
    }

    /// Number of parts.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Reads a part of at most `most` bytes.
    pub fn read(&self, n: usize, most: usize) -> Result<Vec<u8>, String> {
        let frame = self.frame(n)?;
        // A frame says its size; so nothing is allocated that is not there.
        match zstd::zstd_safe::get_frame_content_size(&frame) {
            Ok(Some(size)) if size <= most as u64 => zstd::bulk::decompress(&frame, size as usize)
                .map_err(|e| format!("its part {n} is broken: {e}")),
            _ => Err(format!("its part {n} is broken: it does not say its size, or more than {most} bytes")),
        }
    }

    /// Reads a part as it is compressed.
    pub fn frame(&self, n: usize) -> Result<Vec<u8>, String> {
        let Some(&(at, len, digest)) = self.parts.get(n) else {
            return Err(format!("it lacks part {n}"));
        };
        let mut frame = vec![0; len as usize];
        self.file.read_exact_at(&mut frame, at).map_err(|e| failed(&e))?;
        if short(&[&frame]) != digest {
            return Err(format!("its part {n} at byte {at} is damaged"));
        }
        Ok(frame)
    }
}

fn listed(directory: &[u8], end: u64) -> Result<Vec<(u64, u32, Short)>, Broken> {
    let (mut get, mut at, mut parts) = (Get(directory), HEAD, Vec::new());
    while !get.0.is_empty() {
        let len = get.small::<u32>()?;
        let mut digest = [0; DIGEST];
        digest.copy_from_slice(get.take(DIGEST)?);
        parts.push((at, len, digest));
        at = at.saturating_add(u64::from(len));
        if at > end {
            return Err(Broken("a part lies outside of the file"));
        }
    }
    if at == end {
        Ok(parts)
    } else {
        Err(Broken("something stands between its parts"))
    }
}

fn failed(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}
