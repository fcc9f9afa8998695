//! By what a capture is known again.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::bytes::{Broken, Get, Put};
use crate::digest::Sha256;

/// Blocks that are sampled, and their size. A file no larger than all of them is looked at whole.
const BLOCKS: u64 = 64;
const BLOCK: u64 = 16 << 10;

/// What is looked at whenever an index is used.
///
/// No program can set the time of the last change of status: who changes the file and puts the time of its content
/// back is found out by it. The sample is for file systems that are set back or lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes of the file.
    pub size: u64,
    /// Time of the last change of content, nanoseconds.
    pub mtime_ns: i64,
    /// Time of the last change of status, nanoseconds.
    pub ctime_ns: i64,
    /// Number of the file in its file system.
    pub inode: u64,
    /// SHA-256 of blocks all over the file, hex.
    pub sample: String,
}

impl Stamp {
    /// The stamp of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        let about = file.metadata()?;
        let ns = |s: i64, ns: i64| s.saturating_mul(1_000_000_000).saturating_add(ns);
        Ok(Self {
            size: about.size(),
            mtime_ns: ns(about.mtime(), about.mtime_nsec()),
            ctime_ns: ns(about.ctime(), about.ctime_nsec()),
            inode: about.ino(),
            sample: sample(file, about.size())?,
        })
    }

    /// Why a file with the stamp `now` is not the one that had this stamp; `None`: it is.
    pub fn differs(&self, now: &Self) -> Option<String> {
        if self.size != now.size {
            return Some(format!("the capture has {} bytes, it had {}", now.size, self.size));
        }
        if self.mtime_ns != now.mtime_ns {
            return Some("the capture was written to since".to_owned());
        }
        if self.sample != now.sample {
            return Some("the capture's content has changed".to_owned());
        }
        if self.ctime_ns != now.ctime_ns || self.inode != now.inode {
            return Some(
                "the capture was changed, renamed or copied since; `flowkeep index` looks whether it is the same"
                    .to_owned(),
            );
        }
        None
    }

    pub(super) fn put(&self, put: &mut Put) {
        put.number(self.size);
        put.signed(self.mtime_ns);
        put.signed(self.ctime_ns);
        put.number(self.inode);
        put.bytes(self.sample.as_bytes());
    }

    pub(super) fn get(get: &mut Get<'_>) -> Result<Self, Broken> {
        Ok(Self {
            size: get.number()?,
            mtime_ns: get.signed()?,
            ctime_ns: get.signed()?,
            inode: get.number()?,
            sample: get.text()?,
        })
    }
}

fn sample(file: &File, size: u64) -> io::Result<String> {
    let mut digest = Sha256::default();
    let mut buffer = vec![0; BLOCK as usize];
    let blocks = size.div_ceil(BLOCK).min(BLOCKS);
    for i in 0..blocks {
        // The first one is the head, the last one the tail.
        let at = if size <= BLOCKS * BLOCK {
            i * BLOCK
        } else {
            (u128::from(size - BLOCK) * u128::from(i) / u128::from(BLOCKS - 1)) as u64
        };
        let len = BLOCK.min(size - at) as usize;
        match file.read_exact_at(&mut buffer[..len], at) {
            Ok(()) => digest.update(&buffer[..len]),
            // It was shortened just now: the size tells the next time.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(e),
        }
    }
    Ok(digest.hex())
}
