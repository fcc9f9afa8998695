//! Captures one after another as one data set: what the bindings drive.
//!
//! [`Scan`] lists flows, [`Trim`] cuts. Both keep their flow table from file to file.

mod extract;
mod listing;
mod manifest;
mod noted;
mod output;
mod pieces;
mod report;
mod scan;
mod scribe;
mod search;
mod spill;
mod split;
mod spool;
mod streams;
mod summary;
mod trim;

pub use extract::Extract;
pub use manifest::Totals;
pub use noted::{Note, Noted, Piece, Stream};
pub use output::{standard as standard_output, Output};
pub use pieces::{Gaps, Pieces, PiecesPlan};
pub use report::{FileReport, LedgerUse, Refusal, TrimReport};
pub use scan::Scan;
pub use search::{Search, Searched};
pub use split::Split;
pub use spool::Spool;
pub use streams::{Drain, Rebuilt, Result as Rebuilds, Streams};
pub use summary::Summary;
pub use trim::{Depth, Trim, TrimOptions};

use std::fmt;
use std::io;
use std::path::Path;

use flowkeep_core::flow::Rules;
use flowkeep_core::packet::{Options, Seed};
use flowkeep_core::pipe::{Plan, Stop};
use flowkeep_core::select::Filter;

/// Flows that are picked by an index: number in the table and tag.
type ByIndex = (std::sync::Arc<crate::index::Index>, Vec<(u32, u32)>);

/// How captures are read.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How headers are read.
    pub options: Options,
    /// Which packets are looked at; `None`: all.
    pub filter: Option<Filter>,
    /// Where sessions end, and how many flows are tracked.
    pub rules: Rules,
    /// Worker threads; 0: one per core.
    pub jobs: usize,
    /// The key of the flow table's hash; random, so that nobody can aim at it.
    pub seed: Seed,
}

impl Settings {
    /// Worker threads.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        if self.jobs == 0 {
            cores()
        } else {
            self.jobs
        }
    }

    pub(crate) fn plan(&self) -> Plan<'_> {
        Plan {
            options: self.options,
            filter: self.filter.as_ref(),
            seed: self.seed,
            jobs: self.threads(),
            chunk: Plan::CHUNK,
        }
    }
}

/// Why a file could not be dealt with.
#[derive(Debug)]
pub enum Error {
    /// The work was cancelled.
    Cancelled,
    /// Opening or reading the input failed, or it is no capture.
    Input(Stop),
    /// Opening the input failed.
    Open(io::Error),
    /// Writing the result failed.
    Output(io::Error),
    /// The call makes no sense; in words.
    Usage(String),
    /// An index does not fit its capture; in words.
    Stale(String),
    /// A ledger cannot be used; in words.
    Ledger(String),
    /// A file is no summary; in words.
    Summary(String),
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Cancelled => Self::Cancelled,
            Stop::Write(error) => Self::Output(error),
            stop => Self::Input(stop),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::Input(stop) => stop.fmt(f),
            Self::Open(error) | Self::Output(error) => error.fmt(f),
            Self::Usage(text) | Self::Stale(text) | Self::Ledger(text) | Self::Summary(text) => {
                f.write_str(text)
            }
        }
    }
}

/// Standard input or output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}
