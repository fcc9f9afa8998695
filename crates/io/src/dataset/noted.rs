//! What there is to tell of a stream: its files, and what is not certain about it.

use flowkeep_core::stream::Origin;

use super::pieces::Open;

/// A contiguous part of a stream in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// Which connection on the same ports, from 0.
    pub epoch: u32,
    /// Where it begins in the stream.
    pub offset: u64,
    /// Where it ends in the stream.
    pub end: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: [u8; 32],
    /// There is a table of its frames.
    pub frames: bool,
}

/// Something to be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Missing bytes.
    Gap {
        /// Why.
        reason: &'static str,
        /// How many.
        length: u64,
    },
    /// Two versions.
    Overlap {
        /// How many bytes.
        length: u64,
        /// The frame of the version that is kept, and of the other; and how both begin.
        versions: Box<[(Origin, Vec<u8>); 2]>,
        /// There are files with both.
        files: bool,
    },
    /// Something odd.
    Anomaly {
        /// Its name.
        name: &'static str,
        /// Captured bytes that are not written because of it.
        length: u64,
    },
    /// A RST that counts.
    Reset,
    /// The end.
    Fin,
}

impl Note {
    /// 0 for a gap, 1 for an overlap, 2 for an anomaly.
    pub fn kind(&self) -> Option<usize> {
        match self {
            Self::Gap { .. } => Some(0),
            Self::Overlap { .. } => Some(1),
            Self::Anomaly { .. } => Some(2),
            Self::Reset | Self::Fin => None,
        }
    }
}

/// A note and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// Place in the stream.
    pub offset: i64,
    /// Which connection on the same ports.
    pub epoch: u32,
    /// The frame that made it known.
    pub origin: Origin,
    /// What it says.
    pub note: Note,
}

/// One direction of a flow.
#[derive(Debug, Default)]
pub struct Stream {
    /// Its files.
    pub pieces: Vec<Piece>,
    /// What is to be said of it, in the order it became known.
    pub notes: Vec<Noted>,
    /// Gaps, overlaps and anomalies, listed or not.
    pub seen: [u64; 3],
    /// Datagrams, of UDP.
    pub datagrams: u64,
    pub(super) open: Option<Box<Open>>,
}
