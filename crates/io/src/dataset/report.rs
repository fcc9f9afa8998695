//! What is known of a file when it has been read, and when it has been cut.

use flowkeep_core::cut::Tally;
use flowkeep_core::error::Damage;
use flowkeep_core::pipe::{End, Stats};
use flowkeep_core::record::Interface;
use flowkeep_core::select::Filter;

use crate::codec::Compression;

/// What became of the ledger beside a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LedgerUse {
    /// There is none.
    #[default]
    None,
    /// Its totals stand in the place of those of the packets that are left.
    Used {
        /// Packets of the whole file.
        packets: u64,
        /// Their captured bytes.
        bytes: u64,
    },
    /// It is broken or belongs to another file; in words.
    Misfit(String),
}

/// Packets of a link type for which the filter makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The link type.
    pub link: u16,
    /// Its packets in the file.
    pub packets: u64,
    /// Why it is refused, in words.
    pub why: String,
}

/// What was found in one capture.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// Name of the format.
    pub format: &'static str,
    /// How the file was compressed.
    pub compression: Option<Compression>,
    /// Bytes read from the disk or the pipe.
    pub size: u64,
    /// Bytes of the capture itself.
    pub bytes: u64,
    /// Counts over the packets.
    pub stats: Stats,
    /// Section headers of a pcapng file; 1 for pcap.
    pub sections: u32,
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// Packets of this file whose flow found no place in the table.
    pub untracked: u64,
    /// Fragments of this file that found no place in the fragment tables.
    pub fragments_overflow: u64,
    /// Where it is broken.
    pub damage: Option<Damage>,
    /// What became of its ledger.
    pub ledger: LedgerUse,
    /// Link types for which the filter makes no sense: none of their packets matches.
    pub refusals: Vec<Refusal>,
}

impl FileReport {
    pub(crate) fn new(
        end: End,
        compression: Option<Compression>,
        size: u64,
        filter: Option<&Filter>,
    ) -> Self {
        let refused = end.stats.refused.iter();
        let refusals = refused.map(|&(link, packets)| {
            let why = filter.and_then(|f| f.refusal(link)).unwrap_or_default().to_owned();
            Refusal { link, packets, why }
        });

        Self {
            refusals: refusals.collect(),
            format: end.walker.format(),
            compression,
            size,
            bytes: end.bytes,
            sections: end.walker.sections(),
            interfaces: end.walker.interfaces().to_vec(),
            stats: end.stats,
            untracked: 0,
            fragments_overflow: 0,
            damage: end.damage,
            ledger: LedgerUse::None,
        }
    }
}

/// What was done to one capture.
#[derive(Clone, Debug)]
pub struct TrimReport {
    /// What was found in it.
    pub file: FileReport,
    /// What became of its packets.
    pub tally: Tally,
    /// Bytes of the result as it lies on disk.
    pub out_bytes: u64,
    /// SHA-256 of the file as it lay on disk, hex.
    pub digest_in: Option<String>,
    /// SHA-256 of the result, hex.
    pub digest_out: Option<String>,
}
