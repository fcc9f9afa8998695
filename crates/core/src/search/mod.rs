//! Finds bytes in payloads, also across the segments of a TCP stream.
//!
//! A [`Pattern`] is what is looked for; a [`Stream`] says which bytes of one direction follow each other;
//! a [`Finder`] looks through the packets of all flows.

mod finder;
mod joiner;
mod pattern;

#[cfg(test)]
mod search_tests;

pub use finder::{Counts, Finder, Hit, Wanted, CONTEXT, PER_FRAGMENT, SHOWN};
pub use joiner::{Joiner, Piece, Stream};
pub use pattern::{Kind, Pattern, LONGEST, WINDOW};
