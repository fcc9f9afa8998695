//! Names and facts that the first bytes of a flow hold: pure parsers, used by rules and for columns.

pub mod dns;
pub mod http;
pub mod tls;
