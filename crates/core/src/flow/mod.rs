//! Flows: the table, its sessions and counters, and summaries that merge.
//!
//! A [`Flow`] is one session of a bidirectional 5-tuple. The [`Table`] holds the
//! flows of a consecutive piece of traffic and is at the same time that piece's
//! *summary*: summaries of neighbouring pieces merge in order,
//!
//! ```text
//! summary(a ++ b) == summary(a).merge(summary(b))
//! ```
//!
//! A table begins either at the very start of the traffic ([`Left::Start`]) or
//! somewhere inside it ([`Left::Open`]). In the second case it cannot know whether
//! the first packets of a flow go on with a session from before; such flows stay
//! marked as undecided until the piece before is merged in.

pub mod client;
pub mod community;
pub mod detail;
pub mod fragments;
mod listed;
mod merge;
pub mod parts;
mod session;
pub mod state;
pub mod summary;
mod table;
mod tracker;
mod wire;

#[cfg(test)]
mod law_tests;
#[cfg(test)]
mod session_tests;

pub use detail::{Detail, Details};
pub use listed::{Listed, Listing};
pub use session::{flag, seen, Boundary, Flow, Packet, Rules, Side};
pub use table::{Block, Left, Table, NONE};
pub use tracker::{Observer, Silent, Tracker};
