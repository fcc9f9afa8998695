//! The packet store of the cache: packets of days in a fixed amount of memory.
//!
//! A [`Store`] is given packets and times, and keeps as many of them as fit. When it is full, the flows that
//! were seen the longest ago lose their tails first, by a [`Curve`]. Readers get what is held in the order of time.
//!
//! It is pure: no thread, no file, no clock.

mod clock;
mod fragments;
mod let_go;
mod look;
mod order;
mod outbox;
mod packets;
#[cfg(test)]
mod policy_tests;
mod pool;
mod query;
mod queue;
mod read;
mod readers;
mod record;
mod save;
mod settings;
mod status;
mod store;
#[cfg(test)]
mod store_tests;

pub use outbox::Gone;
pub use query::{Format, Pattern, Query, Step, Wanted};
pub use readers::MOST_READERS;
pub use save::Loader;
pub use settings::{BadSettings, Curve, Interface, InterfaceId, Settings, LEAST_MEMORY, MOST_CAPTURED};
pub use status::{Band, InterfaceStatus, LetGo, ReaderStatus, Reason, Status, Totals, Used};
pub use store::Store;
