//! Flows as Arrow tables: the flow table that users see, and the ledger.

pub mod coded;
pub mod column;
pub mod details;
pub mod flows;
pub mod ledger;
mod lengths;
pub mod parts;
pub mod services;
pub mod sizes;
pub mod summary;
pub mod text;
