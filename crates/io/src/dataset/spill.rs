//! One file in which the bytes of short streams wait for the names of their own files.
//!
//! Names are known at the end alone. A file for each stream, made, added to and renamed, costs several times what its bytes
//! do. Bytes of one stream are a chain of records, each of which tells where the one before lies.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{openat, unlinkat, AtFlags, Mode, OFlags};

/// Bytes that are written together.
const BATCH: usize = 1 << 20;
/// Bytes of the file at most; the folder's disk needs room for it meanwhile.
const MOST: u64 = 1 << 30;
/// Begin of a record: place and length of the one before.
const HEAD: usize = 12;

/// What there is of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spilled {
    /// Its last record.
    at: u64,
    len: u32,
    /// Bytes in all records; 0: there are none.
    pub total: u32,
}

/// The file, which has no name.
pub(super) struct Spill {
    file: Option<Arc<File>>,
    buffer: Vec<u8>,
    /// Bytes before those in the buffer.
    written: u64,
}

impl Spill {
    /// Nothing is made before it is needed.
    pub fn new() -> Self {
        Self { file: None, buffer: Vec::new(), written: 0 }
    }

    /// Whether no more should be put in.
    pub fn is_full(&self) -> bool {
        self.written >= MOST
    }

    /// Adds bytes to what there is of a stream.
    pub fn put(&mut self, folder: &Path, before: Spilled, bytes: &[u8]) -> io::Result<Spilled> {
        if self.file.is_none() {
            self.file = Some(Arc::new(unnamed(folder)?));
        }
        if self.buffer.len() + HEAD + bytes.len() > BATCH {
            self.flush()?;
        }
        let at = self.written + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&before.at.to_le_bytes());
        self.buffer.extend_from_slice(&before.len.to_le_bytes());
        self.buffer.extend_from_slice(bytes);
        let len = bytes.len() as u32;
        Ok(Spilled { at, len, total: before.total + len })
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.write_all_at(&self.buffer, self.written)?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    /// What there is of a stream, to be read on another thread.
    pub fn take(&mut self, spilled: Spilled) -> io::Result<Option<Chain>> {
        if spilled.at + HEAD as u64 + u64::from(spilled.len) > self.written {
            self.flush()?;
        }
        Ok(self.file.clone().filter(|_| spilled.total > 0).map(|file| Chain { file, spilled }))
    }
}

/// The records of a stream.
pub(super) struct Chain {
    file: Arc<File>,
    pub spilled: Spilled,
}

impl Chain {
    /// The bytes in all of them, with `last` behind.
    pub fn read(&self, last: &[u8]) -> io::Result<Vec<u8>> {
        let total = self.spilled.total as usize;
        let mut bytes = vec![0; HEAD + total + last.len()];
        bytes[HEAD + total..].copy_from_slice(last);
        let (mut at, mut len, mut left) = (self.spilled.at, self.spilled.len as usize, total);
        while left > 0 {
            let from = left.checked_sub(len).filter(|_| len > 0).ok_or(io::ErrorKind::InvalidData)?;
            // The record's head lands where the end of the record before it will.
            self.file.read_exact_at(&mut bytes[from..HEAD + left], at)?;
            let head: [u8; HEAD] = bytes[from..from + HEAD].try_into().unwrap_or_default();
            at = u64::from_le_bytes(head[..8].try_into().unwrap_or_default());
            len = u32::from_le_bytes(head[8..].try_into().unwrap_or_default()) as usize;
            left = from;
        }
        bytes.drain(..HEAD);
        Ok(bytes)
    }
}

/// A file that is gone when nobody holds it any more.
fn unnamed(folder: &Path) -> io::Result<File> {
    const NAME: &str = "waiting";
    let folder = File::open(folder)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::CREATE | OFlags::EXCL;
    let file = openat(&folder, NAME, flags, Mode::from_raw_mode(0o600))?;
    unlinkat(&folder, NAME, AtFlags::empty())?;
    Ok(File::from(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_come_back_in_order() {
        let folder = std::env::temp_dir();
        let mut spill = Spill::new();
        let mut model = vec![Vec::new(); 20];
        let mut spilled = vec![Spilled::default(); 20];
        for i in 0..4_000_usize {
            let n = i * i % 20;
            let bytes: Vec<u8> = (0..=(i * 7 % 900)).map(|x| (x + i) as u8).collect();
            spilled[n] = spill.put(&folder, spilled[n], &bytes).unwrap();
            model[n].extend(bytes);
        }
        assert!(spill.written > 0, "more than one batch");
        for (n, bytes) in model.iter().enumerate() {
            let chain = spill.take(spilled[n]).unwrap();
            assert_eq!(chain.is_some(), !bytes.is_empty());
            if let Some(chain) = chain {
                assert_eq!(chain.read(b"").unwrap(), *bytes, "stream {n}");
                assert_eq!(chain.read(b"last").unwrap(), [bytes, &b"last"[..]].concat());
            }
        }
        assert!(!folder.join("waiting").exists());
    }
}
