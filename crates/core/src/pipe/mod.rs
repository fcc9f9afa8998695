//! Runs the stages over one capture, on as many threads as asked.
//!
//! The capture is taken in chunks. Every worker carries one chunk through all the stages;
//! three of them are entered in the chunks' order, the rest runs at the same time:
//!
//! ```text
//! read      at the same time (plain files), in order (pipes, compressed files)
//! walk      in order     record borders: only who has walked the chunk before knows where this one begins
//! decode    at the same time     filter, headers and hashes
//! decide    in order     flow table and cut: [`Decide`]
//! emit      in order     output: [`Emit`]
//! ```
//!
//! A packet that does not match the filter is for the stages behind it as if it were not in the capture.
//! So one pass gives exactly what one thread gives, whatever their number.

mod chunk;
mod copy;
mod deal;
mod defrag;
mod depths;
mod emit;
mod feed;
mod find;
mod flows;
mod fuzz;
mod hold;
mod line;
mod load;
mod number;
mod outlet;
mod pick;
mod rebuild;
mod run;
mod segment;
mod stats;
mod tag;
mod turn;

#[cfg(test)]
mod extract_tests;
#[cfg(test)]
mod pipe_tests;

pub use chunk::Chunk;
pub use deal::{Deal, Take};
pub use depths::{Depths, Which};
pub use emit::Writer;
pub use feed::{feed, Scan, Trim};
pub use find::{Find, FindPicked};
pub use fuzz::fuzz_fragments;
pub use load::{Input, ReadAt};
pub use number::Number;
pub use outlet::{is_chosen, misfit, out_of_range, Count, Form, Outlet};
pub use pick::{Expected, Misfit, Pick};
pub use rebuild::{Listen, Lost, Outcome, Picked, Rebuild, Rebuilding, Trimmed, FRAME_BITS};
pub use run::{run, Decide, Emit, End, Passes, Plan};
pub use stats::Stats;
pub use tag::{Tag, WAITS};

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::error::NotACapture;

/// Shared between a run and whoever watches it.
#[derive(Debug, Default)]
pub struct Control {
    cancelled: AtomicBool,
    done: AtomicU64,
}

impl Control {
    /// Asks the run to stop at the next chunk.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Bytes of the capture that were walked so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Adds bytes that are done, for whoever watches.
    pub fn add_done(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Why a run ended early.
#[derive(Debug)]
pub enum Stop {
    /// [`Control::cancel`] was called.
    Cancelled,
    /// The bytes are no capture.
    NotACapture(NotACapture),
    /// Reading failed at this offset of the (decompressed) capture.
    Read {
        /// Byte offset.
        offset: u64,
        /// What the operating system or the decompressor said.
        error: io::Error,
    },
    /// Writing failed.
    Write(io::Error),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => f.write_str("cancelled"),
            Self::NotACapture(why) => why.fmt(f),
            Self::Read { offset, error } => write!(f, "reading at byte {offset} failed: {error}"),
            Self::Write(error) => write!(f, "writing failed: {error}"),
        }
    }
}

impl std::error::Error for Stop {}
