//! What can be wrong with the bytes of a capture.

use std::fmt;

/// Damage found in a capture: where it is, what was needed and what was there.
///
/// All whole records before `offset` have been read and are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset in the (decompressed) capture at which reading stopped.
    pub offset: u64,
    /// Stable name of the kind of damage, for programs.
    pub kind: DamageKind,
    /// What is wrong, in words, with the numbers that were needed and found.
    pub detail: String,
}

/// Stable names for the kinds of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DamageKind {
    /// The capture ends inside a record or block.
    Truncated,
    /// A length field cannot be true.
    BadLength,
    /// A block or record is not built as its format demands.
    BadBlock,
    /// A bound of flowkeep was hit (interfaces per file).
    Limit,
    /// The compressed stream is broken.
    Compression,
}

impl DamageKind {
    /// The stable name, as it stands in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::BadLength => "bad-length",
            Self::BadBlock => "bad-block",
            Self::Limit => "limit",
            Self::Compression => "compression",
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {} ({})", self.offset, self.detail, self.kind.name())
    }
}

/// Why bytes are not a capture at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotACapture {
    /// There is not a single byte.
    Empty,
    /// The first bytes are those of no known capture format.
    UnknownFormat {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// The file header is cut short.
    ShortHeader {
        /// Bytes the header needs.
        needed: usize,
        /// Bytes that are there.
        found: usize,
    },
    /// It is broken before anything whole.
    Broken(Damage),
    /// The format is known, the version or header is not one that can be read.
    Unsupported(String),
}

impl fmt::Display for NotACapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the file is empty; a capture has at least a file header"),
            Self::UnknownFormat { found } => {
                write!(f, "unknown format: it begins with the bytes")?;
                for b in found {
                    write!(f, " {b:02x}")?;
                }
                write!(f, "; pcap and pcapng are read, plain or inside gzip, zstd, lz4 or xz")
            }
            Self::ShortHeader { needed, found } => {
                write!(f, "the file header is cut short: {needed} bytes are needed, {found} are there")
            }
            Self::Broken(damage) => {
                write!(f, "broken at byte {}, before anything whole: {}", damage.offset, damage.detail)
            }
            Self::Unsupported(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for NotACapture {}
