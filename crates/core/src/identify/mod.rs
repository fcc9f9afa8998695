//! Which protocol a flow speaks, told by what is said in it and never by its ports.
//!
//! An [`Engine`] is shown the payloads of a flow until it knows. It asks *rules*: plain functions over a
//! [`View`] of the first bytes of both directions. A rule checks structure: lengths that add up, fields in
//! their range, a request that is answered by its response. Which rules are asked at all is looked up in
//! tables by the first two bytes of each direction, so that more protocols do not make a flow dearer.
//!
//! * [`engine`] holds the little state of a flow and decides.
//! * [`view`] is what a rule sees; [`verdict`] what it answers; [`cursor`] and [`text`] help to read bytes.
//! * [`rule`] describes protocols and rules; [`families`] has one file for each family of protocols.
//! * [`flows`] identifies the flows of a table.
//! * [`models`] names what a user taught by examples.
//! * [`registry`] lists the families. [`names`] reads names out of hellos, requests and answers.
//!
//! Not safe against a peer who wants to be taken for another protocol: whoever speaks HTTP is HTTP.

pub mod cursor;
mod dispatch;
pub mod engine;
pub mod families;
pub mod flows;
pub mod models;
pub mod names;
mod pending;
pub mod registry;
pub mod rule;
pub mod text;
pub mod verdict;
pub mod view;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
pub(crate) mod noise_tests;
#[cfg(test)]
mod talk_tests;
#[cfg(test)]
pub(crate) mod testkit;

pub use engine::{Answer, Engine, Input, State};
pub use flows::Identified;
pub use models::Models;
pub use registry::registry;
pub use rule::{Protocol, Rule};
pub use view::{Transport, View};
