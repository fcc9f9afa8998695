//! Segments a receiver would most likely not take. They wait for the receiver's word.

use super::event::Anomaly;
use super::store::Source;

/// At most so many segments of one direction wait.
pub(super) const MAX: usize = 256;
/// Segments with a bad checksum, and none with a good one, after which the sender counts as one that
/// leaves checksums to its network card.
pub(super) const OFFLOAD: usize = 8;

/// Why a segment is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    Window,
    Fin,
    Reset,
    Checksum,
    NoAck,
}

impl Doubt {
    /// What is reported when it is refused.
    pub fn anomaly(self) -> Anomaly {
        match self {
            Self::Window => Anomaly::OutsideWindow,
            Self::Fin => Anomaly::DataAfterFin,
            Self::Reset => Anomaly::DataAfterReset,
            Self::Checksum => Anomaly::BadChecksum,
            Self::NoAck => Anomaly::NoAckFlag,
        }
    }

    /// Whether a lot of it shows that the doubt itself is wrong: a connection that goes on
    /// was not closed, and its window is not what it was taken for.
    pub fn yields(self) -> bool {
        matches!(self, Self::Window | Self::Fin | Self::Reset)
    }
}

/// One of them.
#[derive(Debug)]
pub(super) struct Entry {
    pub at: i64,
    /// End on the wire; the captured bytes may be fewer.
    pub end: i64,
    pub bytes: Vec<u8>,
    pub fin: bool,
    pub source: Source,
    pub doubt: Doubt,
}
