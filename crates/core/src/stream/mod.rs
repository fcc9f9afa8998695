//! TCP streams in order, and what is not certain about them.
//!
//! A [`Connection`] takes the segments of one session as they were captured and gives [`Event`]s.
//! [`Data`](Kind::Data) events hold the stream and nothing else: what is missing is a
//! [`Gap`](Kind::Gap), two versions of one range are an [`Overlap`](Kind::Overlap), and bytes that a
//! receiver would not have taken are an [`Anomaly`](Kind::Anomaly). Each captured byte is in exactly
//! one of them or is counted as a repetition, see [`Counts`].
//!
//! Memory is bounded per stream by [`Limits`] and for all streams by a [`Budget`]; the time is
//! `n log n` in the number of segments. TCP time stamps and urgent pointers are not looked at:
//! a receiver that drops a segment by its time stamp (RFC 7323 section 5) is not modelled.

mod aside;
mod begin;
mod budget;
mod conn;
mod doubt;
mod event;
mod flush;
mod fuzz;
mod half;
mod history;
mod place;
mod policy;
mod ranges;
mod resting;
mod segment;
mod store;

#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod case_tests;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod script_tests;

pub use budget::{Budget, Limits};
pub use conn::Connection;
pub use event::{Anomaly, Counts, Event, GapReason, Kind, Out};
pub use fuzz::fuzz_bytes;
pub use policy::Policy;
pub use resting::Resting;
pub use segment::{Checksum, Origin, Segment};
