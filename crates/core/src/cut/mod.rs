//! What to keep of each flow.
//!
//! * [`Policy`] says it for one packet at a time, from the flow's running total.
//! * [`WhatIf`] adds up what several cutoffs would leave, in one pass.
//! * [`Shares`] notes per flow what one file held and what was kept of it.
//! * [`ledger`] makes rows of them that outlive the packets.
//! * [`TrimPcap`] decides as TrimPCAP 1.3 does instead of by a policy.
//! * [`Cutter`] is the observer that does all of it while the packets are counted.

mod cutter;
pub mod ledger;
mod policy;
mod shares;
pub mod trimpcap;
mod what_if;

#[cfg(test)]
mod policy_tests;

pub use cutter::{Cutter, Late, Tally};
pub use policy::{Behind, Count, Fate, Policy, Rest, Unit};
pub use shares::{Kept, Remains, Share, Shares};
pub use trimpcap::TrimPcap;
pub use what_if::{Left, WhatIf};
