//! The store of the cache, shared between threads: those that capture and those that read.

mod replay;
mod save;
mod shared;
mod spill;

pub use flowkeep_core::cache::{
    BadSettings, Curve, Format, Interface, InterfaceId, Pattern, Query, ReaderStatus, Settings, Status,
    Wanted,
};
pub use replay::{replay, Replayed};
pub use save::{load, save};
pub use shared::{Progress, Reader, Shared, Stop};
pub use spill::{Spill, SpillPlan, SpillStatus};
