//! Flows as Arrow tables: the flow table that users see, the ledger, and summaries.

pub mod column;
pub mod details;
pub mod flows;
mod fragment;
pub mod ledger;
mod lengths;
pub mod services;
pub mod sizes;
pub mod summary;
pub mod text;
