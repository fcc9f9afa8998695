//! Protocols that a user taught: what the first bytes of example flows have in common.
//!
//! A [`Model`] is counts: how often which byte stood where in the first [`POSITIONS`] bytes of each direction,
//! and which lengths the first [`TURNS`] packets had. Models of one name merge by adding, in any grouping.
//! A flow is scored by how much better the counts explain it than chance does, in thousandths of a bit.
//!
//! * [`sample`] is the start of one flow as a model sees it; it is taken beside the flow table.
//! * [`counts`] holds and merges; [`weigh`] makes bits of counts, against the distributions in [`chance`].
//! * [`score`] asks a flow; [`learn`] finds thresholds on examples that are held out; [`format`] reads and writes.
//!
//! A built-in rule that is sure is never asked against a model. Else the higher confidence wins, the rule's
//! when they are equal.

pub mod chance;
pub mod counts;
pub mod format;
pub mod learn;
pub mod sample;
pub mod score;
mod set;
pub mod weigh;

#[cfg(test)]
mod models_tests;

pub use counts::{Model, Part};
pub use format::Misfit;
pub use learn::{learn, merge, Learnt, Role};
pub use sample::{Carrier, Sample, Sampler, POSITIONS, TURNS};
pub use set::{taken, Models, MAX_MODELS};
