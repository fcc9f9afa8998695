//! Names and facts that the first bytes of a flow hold: pure parsers, used by rules and for columns.

pub mod cert;
pub mod dns;
pub mod fingerprint;
pub mod http;
pub mod quic;
pub mod tls;
